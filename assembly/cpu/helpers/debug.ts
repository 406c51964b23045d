/** Debug exceptions (SDM Vol.3B "Debug Exceptions"): single-step, breakpoints on code, data and ports. Conditions that
 *  trap are collected in PcpuOff.pendingDb as DR6 bits and reported before the next instruction. */
import { PcpuOff, Seg } from "../../abi/layout";
import { Step, SystemOff } from "../../abi/apic";
import { RecOff } from "../../abi/record";
import { Cr4, Flag, Vector } from "../../abi/x86";
import { raise, raiseTrap } from "../../fault";
import { Handler } from "../handler";
import { Group, Template } from "../opcodes.gen";
import { PCPU } from "../pcpu";
import { cr4, linear32, rflags, ripMask, segBase, setRflags, mode64 } from "./mode";
import { holdsDebug, mustWait } from "./events";

export const DR6_FIXED: u32 = 0xffff0ff0;
export const DR6_BD: u32 = 1 << 13;
export const DR6_BS: u32 = 1 << 14;
export const DR6_BT: u32 = 1 << 15;
const BTF: u32 = 2;
const DR: usize = PCPU + PcpuOff.dr;

/** DR6.Bn bits of the breakpoints that cover the access: `kind` 0 execution, 1 write, 2 port, 3 read (matches RW = 3). */
export function breakpointHit(lin: u64, size: i32, kind: u32): u32 {
  const dr7 = load<u32>(DR, 40);
  let hit: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    if (!((dr7 >> (2 * i)) & 3)) continue;
    const field = (dr7 >> (16 + 4 * i)) & 15, rw = field & 3;
    if (rw != kind && !(kind == 1 && rw == 3)) continue;
    const length: u64 = field >> 2 == 2 ? 8 : (field >> 2) + 1;
    const start = load<u64>(DR + (<usize>i << 3)) & ~(length - 1);
    if (lin < start + length && start < lin + size) hit |= 1 << i;
  }
  return hit;
}

/** Between instructions, with PcpuOff.rip naming the next one: does the one before owe a debug trap? */
export function debugTrap(): bool {
  const step = load<u32>(PCPU, SystemOff.stepArmed);
  if (step == Step.branch) {
    const taken = load<u64>(PCPU, PcpuOff.rip) != load<u64>(PCPU, SystemOff.stepNext);
    store<u32>(PCPU, taken ? Step.trap : Step.nothing, SystemOff.stepArmed);
  }
  return (load<u32>(PCPU, PcpuOff.pendingDb) | load<u32>(PCPU, SystemOff.stepArmed)) != 0;
}

/** Does the instruction that runs owe a debug trap for sure? HLT and REP ask. */
export function debugDue(): bool { return load<u32>(PCPU, PcpuOff.pendingDb) != 0 || load<u32>(PCPU, SystemOff.stepArmed) == Step.trap; }

/** What the instruction of record `u` owes with TF set (SDM Vol.3B "Single-Stepping on Branches"). Where a conditional branch leads to the
 *  instruction behind it, nobody can tell whether it was taken. */
function owed(u: usize): Step {
  if (!(load<u32>(PCPU, SystemOff.debugCtl) & BTF) || !u) return Step.trap;
  const handler = load<u16>(u, RecOff.handler), desc = <u32>load<u16>(u, RecOff.desc);
  if (handler == Handler.cold) {
    if (desc >> 8 == <u32>Group.string) return Step.nothing; // it repeats itself
  } else {
    const template = desc >> 9;
    if (template == Template.jmp || (template >= <u32>Template.jmpInd && template <= <u32>Template.ret)) return Step.trap;
    if (template >= <u32>Template.movs && template <= <u32>Template.lods) return Step.nothing;
  }
  store<u64>(PCPU, ripMask(load<u64>(PCPU, PcpuOff.rip) + load<u8>(u, RecOff.len)), SystemOff.stepNext);
  return Step.branch;
}

/** In Mode.step, before the instruction of record `u` (0: it cannot be fetched), and with PcpuOff.rip naming it: 1 to go on, or 0 with #DB pending. */
export function stepHook(u: usize): i32 {
  const rip = load<u64>(PCPU, PcpuOff.rip);
  debugTrap();
  let bits = load<u32>(PCPU, PcpuOff.pendingDb);
  if (load<u32>(PCPU, SystemOff.stepArmed)) bits |= DR6_BS;
  const holds = holdsDebug();
  if (bits && !(holds && mustWait())) {
    store<u32>(PCPU, bits, PcpuOff.pendingDb);
    store<u32>(PCPU, 0, SystemOff.stepArmed);
    raiseTrap(Vector.DB);
    return 0;
  }
  const flags = rflags();
  if (flags & Flag.RF) setRflags(flags & ~Flag.RF);
  else { // MOV SS does not hold these off: AMD's processors are not among those where it does (SDM Vol.3B "Instruction-Breakpoint Exception Condition": "may not")
    const hit = breakpointHit(mode64() ? rip : linear32(segBase(Seg.cs) + rip), 1, 0);
    if (hit) {
      store<u32>(PCPU, load<u32>(PCPU, PcpuOff.pendingDb) | hit, PcpuOff.pendingDb);
      store<u32>(PCPU, 0, PcpuOff.record);
      raise(Vector.DB); // a fault: the instruction has not run, and RF will be set in its image
      return 0;
    }
  }
  store<u32>(PCPU, flags & Flag.TF ? owed(u) : Step.nothing, SystemOff.stepArmed);
  return 1;
}

/** DR6 and DR7 as #DB delivery changes them. */
export function enterDebugException(): void {
  const bits = load<u32>(PCPU, PcpuOff.pendingDb);
  store<u32>(PCPU, 0, PcpuOff.pendingDb);
  store<u32>(PCPU, 0, SystemOff.stepArmed);
  store<u64>(DR, <u64>(load<u32>(DR, 32) & ~<u32>15 | bits), 32);
  store<u64>(DR, load<u64>(DR, 40) & ~<u64>(1 << 13), 40); // GD
  store<u32>(PCPU, load<u32>(PCPU, SystemOff.debugCtl) & ~BTF, SystemOff.debugCtl);
}

/** A port access under CR4.DE may hit a breakpoint. */
export function watchPort(port: u32, size: i32): void {
  if (!(cr4() & Cr4.DE) || !(load<u32>(DR, 40) & 0xff)) return;
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.pendingDb) | breakpointHit(port, size, 2), PcpuOff.pendingDb);
}

/** #DB for an access to debug registers while DR7.GD is set. */
export function raiseGeneralDetect(): usize {
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.pendingDb) | DR6_BD, PcpuOff.pendingDb);
  return raise(Vector.DB);
}
