/** Where a vCPU's time goes (public/vcpu.h, RUNSTATE_*), and the guest's copy of it. */
import { VcpuOff } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import type { MachineMemory } from "../machine/memory";
import { cStruct } from "./c_struct";
import type { Caller } from "./caller";
import { HvVcpu, RunstateOff, VcpuArea } from "./state";

export const RUNSTATE_INFO = cStruct({ state: "i32", state_entry_time: "u64", time: "u64", time1: "u64", time2: "u64", time3: "u64" });

export interface RunstateInfo {
  state: number;
  entryTime: number;
  time: number[];
}

/** Ends the present state at `now`. */
export function enterRunstate(mem: MachineMemory, vcpu: number, state: number, now: number): void {
  const at = vcpu + VcpuOff.runstate;
  const spent = at + RunstateOff.time + 8 * mem.get32(at + RunstateOff.state);
  mem.setF64(spent, mem.getF64(spent) + Math.max(0, now - mem.getF64(at + RunstateOff.entryTime)));
  mem.set32(at + RunstateOff.state, state);
  mem.setF64(at + RunstateOff.entryTime, now);
}

/** The record up to `now`. */
export function readRunstate(mem: MachineMemory, vcpu: number, now: number): RunstateInfo {
  const at = vcpu + VcpuOff.runstate;
  const state = mem.get32(at + RunstateOff.state);
  const entryTime = mem.getF64(at + RunstateOff.entryTime);
  const time = [0, 1, 2, 3].map((n) => mem.getF64(at + RunstateOff.time + 8 * n));
  time[state] += Math.max(0, now - entryTime);
  return { state, entryTime, time };
}

/** Stores the structure at a guest address. `publish`: as the guest's own area has it, times up to the last change. */
export function putRunstate(call: Caller, lin: bigint, vcpu: number, compat: boolean, now: number): boolean {
  const o = compat ? RUNSTATE_INFO.ilp32 : RUNSTATE_INFO.lp64;
  const { state, entryTime, time } = readRunstate(call.mem, vcpu, now);
  call.clear(0, o.sizeof);
  call.setU32(o.state, state);
  call.setU64(o.state_entry_time, BigInt(Math.floor(entryTime)));
  for (let n = 0; n < 4; n++) call.setU64(o.time + 8 * n, BigInt(Math.floor(time[n])));
  return call.put(lin, o.sizeof);
}

/** Brings the registered area of the vCPU on this pCPU up to date. It may be out of reach, then nothing happens. */
export function publishRunstate(call: Caller, vcpu: number): void {
  const { mem } = call;
  const areas = mem.get32(vcpu + HvVcpu.areas);
  if ((areas & VcpuArea.runstate) === 0) return;
  const entryTime = mem.getF64(vcpu + VcpuOff.runstate + RunstateOff.entryTime);
  putRunstate(call, mem.get64(vcpu + HvVcpu.runstateLin), vcpu, (areas & VcpuArea.runstate32) !== 0, entryTime);
}

export const RUNSTATES = {
  running: Xen.RUNSTATE_running,
  runnable: Xen.RUNSTATE_runnable,
  blocked: Xen.RUNSTATE_blocked,
  offline: Xen.RUNSTATE_offline,
} as const;
