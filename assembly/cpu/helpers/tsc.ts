/** Time stamp counter: the machine's clock scaled to the frequency CPUID reports. */
import { MachineOff, PcpuOff, Region } from "../../abi/layout";
import { nowNs } from "../../env";
import { PCPU } from "../pcpu";

/** Ticks a microsecond, as a factor on nanoseconds. */
@inline function ticksPerNs(): f64 { return <f64>tscKhz() * 1e-6; }

export function tscKhz(): u32 { return load<u32>(Region.MACHINE, MachineOff.tscKhz); }

export function tscAt(ns: f64): u64 { return <u64>(ns * ticksPerNs()) + load<u64>(PCPU, PcpuOff.tscOffset); }
export function readTsc(): u64 { return tscAt(nowNs()); }

/** Machine time at which the guest's counter shows `tsc`, 0 if that is past. All 64 bits count: the highest makes it centuries from now. */
export function nsOfTsc(tsc: u64): f64 {
  const ticks = <u64>(nowNs() * ticksPerNs()), now = ticks + load<u64>(PCPU, PcpuOff.tscOffset);
  return tsc > now ? (<f64>ticks + <f64>(tsc - now)) / ticksPerNs() : 0;
}
