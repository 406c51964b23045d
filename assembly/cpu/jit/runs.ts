/** Runs (mmu/runs) that a region has for constants. Which run an access goes through is chosen when it is written, by what its registers have at that
 *  moment: the region's code has just run, and will go on as it did. What is not there then goes by the TLB. A region that relies on a run is
 *  forgotten with it; accesses that often go elsewhere are written again without (span_runtime).
 *
 *  `run` of accesses: 1 + its number, 0 none. */
import { JitOff, RegionOff } from "../../abi/jit";
import { Mode, PcpuOff, RunKind, RunOff, Seg } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { hostOf, kindOf, runAround, sizeOf, startOf } from "../../mmu/runs";
import { PCPU } from "../pcpu";
import { Template } from "../opcodes.gen";
import { J, Wasm, byte, i32const, i64const, jget, jset, localGet, localSet, localTee } from "./buffer";
import { inSegments, isSegmented, isTemplate, templateOf } from "./region";
import { Local, temp64 } from "./slots";
import { isDoubtful } from "./span_runtime";
import { Root, baseOf, indexOf, is64, isPair, shiftOf } from "./spans";
import { Doubt } from "./sse_mode";

/** Runs of one region. */
const MOST: u32 = 4;
const ALL: u32 = (1 << RunOff.MAX) - 1;

@inline function maskAt(region: u32): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + RunOff.MASKS + (<usize>region << 1); }
/** Runs region `n` relies on. */
@inline export function runsOf(n: u32): u32 { return load<u16>(maskAt(n)); }
export function setRunsOf(n: u32, runs: u32): void { store<u16>(maskAt(n), <u16>runs); }

/** Runs whose places are not free: all there are, as long as there is room, and all places if the region has enough: a pause is as long as it takes to
 *  look at their pages. */
function used(): u32 {
  if (popcnt(jget(JitOff.regionRuns)) >= MOST) return ALL;
  const there = jget(JitOff.runsGood) | jget(JitOff.runsDoubt) | jget(JitOff.runsParked);
  if (there != ALL) return there;
  let some = jget(JitOff.regionRuns);
  for (let n: u32 = 0; n < jget(JitOff.regions); n++) some |= runsOf(n);
  return some;
}

@inline function wanted(write: bool): u32 { return (write ? RunKind.write : 0) | (jget(JitOff.mode) & Mode.cpl3 ? RunKind.user : 0); }

/** The run around linear address `lin` for record `u`. */
function find(lin: u64, write: bool, u: usize): u32 {
  if (isDoubtful(u + Doubt.run)) return 0;
  const n = runAround(is64() ? lin : lin & 0xffffffff, wanted(write), used());
  if (n < 0) return 0;
  jset(JitOff.regionRuns, jget(JitOff.regionRuns) | 1 << n);
  return n + 1;
}

/** What register or pseudo register `off` has. */
function valueOf(off: u32): u64 { return off == <u32>PcpuOff.ripBase ? load<u64>(J, JitOff.ripBase) : load<u64>(PCPU + <usize>off); }

/** Of the memory operand of record `u`, or of what a string instruction reads or writes. */
export function operandRun(u: usize, write: bool): u32 {
  if (isTemplate(u) && templateOf(u) >= Template.movs && templateOf(u) <= Template.lods) return find(valueOf((write ? Gpr.rdi : Gpr.rsi) * 8), write, u);
  const index = valueOf(load<u8>(u, RecOff.index)) << load<u8>(u, RecOff.scale);
  const at = valueOf(load<u8>(u, RecOff.base)) + index + load<i32>(u, RecOff.disp) & load<u64>(u, RecOff.mask);
  return find(isSegmented(u) ? segmentAt(load<u8>(u, RecOff.seg)) + at : at, write, u);
}

@inline function segmentAt(seg: u32): u64 { return load<u64>(PCPU + (<usize>seg << 3), PcpuOff.segBase); }

/** Of the top of the stack, or of what EBP points to, for record `u`. */
export function stackRun(write: bool, frame: bool, u: usize): u32 {
  const at = valueOf((frame ? Gpr.rbp : Gpr.rsp) * 8);
  return find(inSegments() ? segmentAt(Seg.ss) + (jget(JitOff.mode) & Mode.ss32 ? at : at & 0xffff) : at, write, u);
}

/** Of what is `distance` from a root of spans, for record `u`. What the code loads is not there yet: it may be where other things are that it reads or writes. */
export function rootRun(root: u32, distance: i64, write: bool, u: usize): u32 {
  if (root == Root.constant) return find(distance, write, u);
  if (isPair(root)) {
    const first = baseOf(root), index = valueOf(indexOf(root) * 8) << shiftOf(root);
    return find((first == Root.constant ? 0 : valueOf(first * 8)) + index + distance, write, u);
  }
  if (root < <u32>Root.segBase) return find(valueOf(root * 8) + distance, write, u);
  if (root < <u32>Root.constant) return find(valueOf(PcpuOff.segBase + (root - Root.segBase) * 8) + distance, write, u);
  return isDoubtful(u + Doubt.run) ? 0 : another(write);
}

/** A run for the purpose that the region relies on already. */
function another(write: bool): u32 {
  for (let runs = jget(JitOff.regionRuns) & jget(JitOff.runsGood); runs; runs &= runs - 1) {
    const n = <u32>ctz(runs);
    if ((kindOf(n) & ~RunKind.global) == wanted(write)) return n + 1;
  }
  return 0;
}

/** [] -> [i32]: 1 if `w` bytes at the address are in `run`. `lin`: an i64 local with it, 0 if it is no more than Local.lin. How far it is from the run's start
 *  goes to the i32 local `within`, if that is not 0. */
export function compareRun(lin: u32, w: i32, run: u32, within: u32 = 0): void {
  const start = startOf(run - 1), last = sizeOf(run - 1) - <u32>w;
  if (lin) {
    localGet(lin);
    if (start) {
      i64const(start);
      byte(Wasm.i64sub);
      if (within) {
        const wide = temp64();
        localTee(wide);
        byte(Wasm.i32wrap);
        localSet(within);
        localGet(wide);
      }
    } else if (within) {
      localGet(Local.lin);
      localSet(within);
    }
    i64const(last);
    byte(Wasm.i64le_u);
    return;
  }
  localGet(Local.lin);
  if (start) {
    i32const(<i32>start);
    byte(Wasm.i32sub);
  }
  if (within) localTee(within);
  if (start >> 32) {
    byte(Wasm.drop);
    return i32const(0);
  }
  i32const(<i32>last);
  byte(Wasm.i32le_u);
}

/** Host address of the run's start. */
@inline export function runHost(run: u32): u32 { return hostOf(run - 1); }

/** [] -> [i32]: addend of an access that is in `run`. */
export function runAddend(run: u32): void { i32const(<i32>(hostOf(run - 1) - <u32>startOf(run - 1))); }
