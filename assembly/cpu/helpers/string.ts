/** MOVS STOS LODS CMPS SCAS INS OUTS and their REP forms (SDM Vol.2B "REP"). Whole runs in plain RAM are copied, filled or searched at
 *  once (string_runs.ts); everything else goes element by element, with the registers right at each one, so a fault or an
 *  interrupt finds a resumable instruction. */
import { Check } from "../../abi/jit";
import { Mode, PcpuOff, Seg } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { Flag, Gpr } from "../../abi/x86";
import { pioRead, pioWrite } from "../../env";
import { checkPhase, cut } from "../../mmu/journal";
import { hostR, hostS, store16, store32, store64, store8 } from "../access";
import { resume } from "../code_cache";
import { Op } from "../opcodes.gen";
import { addressSize, opSize, ripOf } from "../operand";
import { PCPU, attention, charge } from "../pcpu";
import { zextN } from "../wide";
import { aluFlags } from "./arith";
import { debugDue, watchPort } from "./debug";
import { recheckAfter } from "./events";
import { canonical, ripMask, rflags, setRflags } from "./mode";
import { checkedEa } from "./segment";
import { compareRun, fillDown, fillRun, moveDown, moveRun, scanRun } from "./string_runs";
import { checkIo } from "./tss";

/** Elements one execution of a record handles before it looks for interrupts again. */
const CHUNK: u64 = 1 << 18;
/** How much of a budget of instructions CHARGED single elements cost, and as many that go through a port. */
const CHARGED: u32 = 8;
const ELEMENTS: i64 = CHARGED * 2;
const PORT_ELEMENTS: i64 = CHARGED * 10;

/** Linear address of offset `at` in `seg`. */
function lin(seg: i32, at: u64, w: i32, write: bool): u64 {
  const mode = load<u32>(PCPU, PcpuOff.mode);
  if (mode & Mode.flat && !(mode & Mode.align)) {
    if (seg < Seg.fs) return at;
    if ((mode & Mode.BITS) == Mode.bits64) {
      const to = at + load<u64>(PCPU + (<usize>seg << 3), PcpuOff.segBase);
      if (canonical(to)) return to;
    }
  }
  return checkedEa(seg, at, w, write);
}

@inline function loadW(h: usize, w: i32): u64 { return w == 8 ? load<u64>(h) : w == 4 ? <u64>load<u32>(h) : w == 2 ? <u64>load<u16>(h) : <u64>load<u8>(h); }
function storeW(h: usize, w: i32, x: u64): void {
  if (w == 8) store64(h, x);
  else if (w == 4) store32(h, x);
  else if (w == 2) store16(h, x);
  else store8(h, x);
}

/** Address register `n` moved by `by` at address size `a`. */
function advance(n: i32, a: i32, by: i64): void {
  const at = PCPU + (<usize>n << 3), x = load<u64>(at) + <u64>by;
  if (a == 8) store<u64>(at, x);
  else if (a == 4) store<u64>(at, x & 0xffffffff);
  else store<u16>(at, <u16>x);
}

/** One element of `op`. False: a fault is pending and nothing was committed. */
function element(u: usize, op: i32, w: i32, a: i32, step: i64): bool {
  const si = zextN(load<u64>(PCPU, Gpr.rsi * 8), a), di = zextN(load<u64>(PCPU, Gpr.rdi * 8), a);
  const seg = <i32>load<u8>(u, RecOff.seg);
  switch (op) {
    case Op.movs: {
      const from = hostR(lin(seg, si, w, false), w);
      if (!from) return false;
      const x = loadW(from, w);
      const to = hostS(lin(Seg.es, di, w, true), w);
      if (!to) return false;
      storeW(to, w, x);
      advance(Gpr.rsi, a, step);
      advance(Gpr.rdi, a, step);
      return true;
    }
    case Op.stos: {
      const to = hostS(lin(Seg.es, di, w, true), w);
      if (!to) return false;
      storeW(to, w, load<u64>(PCPU, 0));
      advance(Gpr.rdi, a, step);
      return true;
    }
    case Op.lods: {
      const from = hostR(lin(seg, si, w, false), w);
      if (!from) return false;
      const x = loadW(from, w);
      if (w == 4) store<u64>(PCPU, x, 0);
      else if (w == 8) store<u64>(PCPU, x, 0);
      else if (w == 2) store<u16>(PCPU, <u16>x, 0);
      else store<u8>(PCPU, <u8>x, 0);
      advance(Gpr.rsi, a, step);
      return true;
    }
    case Op.cmps: {
      // the second operand is read first, as a page fault on both shows (AMD family 19h; with REP not always)
      const second = hostR(lin(Seg.es, di, w, false), w);
      if (!second) return false;
      const y = loadW(second, w);
      const first = hostR(lin(seg, si, w, false), w);
      if (!first) return false;
      aluFlags(7, w, loadW(first, w), y);
      advance(Gpr.rsi, a, step);
      advance(Gpr.rdi, a, step);
      return true;
    }
    case Op.scas: {
      const second = hostR(lin(Seg.es, di, w, false), w);
      if (!second) return false;
      aluFlags(7, w, load<u64>(PCPU, 0), loadW(second, w));
      advance(Gpr.rdi, a, step);
      return true;
    }
    case Op.ins: {
      const port = <u32>load<u16>(PCPU, Gpr.rdx * 8);
      const to = hostS(lin(Seg.es, di, w, true), w);
      if (!to) return false;
      watchPort(port, w);
      if (checkPhase() == Check.region) cut();
      storeW(to, w, <u64>pioRead(port, w));
      advance(Gpr.rdi, a, step);
      return true;
    }
    default: {
      const from = hostR(lin(seg, si, w, false), w);
      if (!from) return false;
      const port = <u32>load<u16>(PCPU, Gpr.rdx * 8);
      watchPort(port, w);
      if (checkPhase() == Check.region) cut();
      pioWrite(port, w, <u32>loadW(from, w));
      advance(Gpr.rsi, a, step);
      return true;
    }
  }
}

/** Runs as many elements at once as possible; 0 when only single ones will do. `wanted`: the comparison that goes on, 1 equal, 0 unequal. */
function bulk(u: usize, op: i32, w: i32, a: i32, count: u64, down: bool, wanted: bool): u64 {
  const mode = load<u32>(PCPU, PcpuOff.mode);
  if (!(mode & Mode.flat) || mode & Mode.align || a < 4) return 0;
  const si = zextN(load<u64>(PCPU, Gpr.rsi * 8), a), di = zextN(load<u64>(PCPU, Gpr.rdi * 8), a);
  const reads = op == Op.movs || op == Op.cmps;
  if (reads && <i32>load<u8>(u, RecOff.seg) >= Seg.fs) return 0;
  const shift = <u64>ctz<i32>(w), x = load<u64>(PCPU, 0);
  let n: u64 = 0;
  switch (op) {
    case Op.movs: n = down ? moveDown(si, di, count, shift) : moveRun(si, di, count, shift); break;
    case Op.stos: n = down ? fillDown(di, count, shift, x) : fillRun(di, count, shift, x); break;
    case Op.scas: if (!down) n = scanRun(di, count, shift, x, wanted); break;
    case Op.cmps: if (!down) n = compareRun(si, di, count, shift, wanted); break;
  }
  if (!n) return 0;
  const bytes = down ? -<i64>(n << shift) : <i64>(n << shift);
  if (reads) advance(Gpr.rsi, a, bytes);
  advance(Gpr.rdi, a, bytes);
  return n;
}

export function performString(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op), w = opSize(u), a = addressSize(u), flags = load<u8>(u, RecOff.flags);
  const down = (load<u64>(PCPU, PcpuOff.rflags) & Flag.DF) != 0;
  const step: i64 = down ? -w : w;
  const usesPort = op == Op.ins || op == Op.outs;
  if (usesPort) checkIo(<u32>load<u16>(PCPU, Gpr.rdx * 8), w);
  if (!(flags & (RecFlag.rep | RecFlag.repne))) {
    if (!element(u, op, w, a, step)) return 0;
    if (usesPort) recheckAfter(u);
    return u + RecOff.SIZE;
  }

  let count = zextN(load<u64>(PCPU, Gpr.rcx * 8), a);
  const stepping = (load<u32>(PCPU, PcpuOff.mode) & Mode.step) != 0;
  const compares = op == Op.cmps || op == Op.scas;
  let budget = CHUNK, singles: u32 = 0;
  while (count) {
    let n: u64 = stepping ? 0 : bulk(u, op, w, a, min(count, budget), down, (flags & RecFlag.rep) != 0);
    if (n) {
      if (charge(<i64>(n * w >> 6))) budget = n;
    } else {
      // a bulk attempt may have left a fault pending for a page the first element does not reach: the element decides
      store<i32>(PCPU, -1, PcpuOff.faultVector);
      if (!element(u, op, w, a, step)) return 0;
      n = 1;
      if ((++singles & (CHARGED - 1)) == 0 && charge(op == Op.ins || op == Op.outs ? PORT_ELEMENTS : ELEMENTS)) budget = n;
    }
    count -= n;
    advance(Gpr.rcx, a, -(<i64>n));
    if (compares) {
      const zf = load<i64>(PCPU, PcpuOff.flagsRes) == 0;
      if (zf != ((flags & RecFlag.rep) != 0)) break;
    }
    budget = budget > n ? budget - n : 0;
    const trap = stepping && debugDue();
    if ((budget == 0 || trap || load<i32>(PCPU, PcpuOff.exit)) && count) {
      // Come back to this very instruction through the run loop: interrupts, debug traps and ends come between two iterations. A
      // breakpoint on the instruction has been reported (SDM Vol.3B "Instruction-Breakpoint Exception Condition").
      store<u64>(PCPU, ripMask(ripOf(u)), PcpuOff.rip);
      if (stepping) setRflags(rflags() | Flag.RF);
      if (load<i32>(PCPU, PcpuOff.exit)) return 0;
      attention();
      return resume();
    }
  }
  if (usesPort) recheckAfter(u);
  return u + RecOff.SIZE;
}
