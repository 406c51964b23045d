/** Time stamp counter: the machine's clock scaled to the frequency CPUID reports. */
import { MachineOff, PcpuOff, Region } from "../../abi/layout";
import { nowNs } from "../../env";
import { PCPU } from "../pcpu";

/** Ticks a microsecond, as a factor on nanoseconds. */
@inline function ticksPerNs(): f64 { return <f64>tscKhz() * 1e-6; }

export function tscKhz(): u32 { return load<u32>(Region.MACHINE, MachineOff.tscKhz); }

export function tscAt(ns: f64): u64 { return <u64>(ns * ticksPerNs()) + load<u64>(PCPU, PcpuOff.tscOffset); }
export function readTsc(): u64 { return tscAt(nowNs()); }

/** Machine time at which the guest's counter shows `tsc`; at once if it is past. */
export function nsOfTsc(tsc: u64): f64 {
  return <f64>(<i64>(tsc - load<u64>(PCPU, PcpuOff.tscOffset))) / ticksPerNs();
}
