/** A region as one WebAssembly function: structured control flow from the dominator tree (Ramsey, "Beyond Relooper"). Two ways out: `exit`
 *  saves what is in locals only, `raw` finds it saved already. Until one is taken Local.result is 0: "a fault is pending". General
 *  registers are in the pCPU block and in locals (residents.ts).
 *
 *  ```
 *  load flags' locals, instructions left, XMM registers
 *  block raw
 *    block exit
 *      ... blocks of the region ...
 *      load residents
 *      block
 *        loop                      ; if the loop has strides
 *          loop ... its blocks leave from here ... end
 *        end
 *      end
 *      save residents, br exit
 *    end
 *    save flags, instructions left, XMM registers
 *  end
 *  result
 *  ``` */
import { PcpuOff, Mode } from "../../abi/layout";
import { JitBlock, JitOff, JitBlockFlag, JitCarry } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { BlockOff } from "../code_cache";
import { J, Wasm, WasmType, br, byte, call, giveUp, hint, i32const, i64const, jget, jset, loadWord, localGet, localSet, localTee, unsigned, saveLong, storeLong } from "./buffer";
import { NONE, blockOf, headOf, succ, ripOf } from "./graph";
import { Effect, EffectOff, effectAt, inSpan } from "./effect";
import { Import } from "./imports";
import { Node, argA, op, uses } from "./node";
import { assign, changing, chooseResidents, fill, flushPending, loopOf, rememberValid, residents, save, validAtEnd } from "./residents";
import { seeFlags, seeSlot, showFlags, showsFlags, beginFlags, beginsAnew, checkOnWaysBack, clearRounds, dropsCarry, dropsFlags, endFlags, isChecked, limitOf, startOf } from "./rounds";
import { chooseWindows, emptyWindows } from "./windows";
import { Local, temp32, temp64, beginPiece, fresh, knownKind, unsettled } from "./slots";
import { Handler } from "../handler";
import { Template } from "../opcodes.gen";
import { imm32 } from "../semantics/alu";
import { emitEffects } from "./codegen";
import { carryLevel, setCarryLevel, Term, wantCarry } from "./emit";
import { RawKind } from "./flags";
import { ELSEWHERE, FALL, TAKEN } from "./handover";
import { endOf, endsInSegments, flagsLive, inSegments, isStraddle, isTemplate, templateOf } from "./region";
import { sseMayLeave, sseProperties, translateSse } from "./sse";
import { checkNear, endNear, expectNear, openDoubt } from "./sse_flow";
import { recallPlain, rememberPlain } from "./sse_range";
import { beginXmm, forgetSse } from "./xmm";
import { beginBlockX87, beginX87, endBlockX87, loadX87 } from "./x87";
import { translateX87 } from "./x87_insns";
import { bringSpans, clearFlow, enterLoop, inheritSpans, leaveSpans } from "./span_flow";
import { openLoopSpans } from "./span_loops";
import { planBlock, planRest, summarize } from "./span_plan";
import { pinHosts } from "./spans";
import { findStrides, moveStrides, openStrides } from "./strides";
import { chooseCarries, wantedCarry } from "./carries";
import { deferFlags, deferredNow, forgetDeferred, kindNow, dropDeferred, ageNames, noteBefore, recallNames, setDeferred, takeDeferred } from "./defer";
import { countArm, hasArm, performArm, storeOfArm } from "./arms";
import { canonical, emit64, emitCond } from "./values";
import { settle } from "./snapshots";
import { Control, enterControl, leaveControl, brTo } from "./control";
import { leave, leaveAtEnd, leaveToBadTarget, out, chooseWayOut } from "./leaving";
import { loadState, loadPages, countHere, carryFromMemory, saveState, keepKind } from "./state";
import { translateRecord, nextPiece, endPiece, useAll } from "./pieces";
import { emitCold } from "./cold";

/** The function's code without its declarations. */
export function emitRegion(): void {
  jset(JitOff.depth, 0);
  jset(JitOff.tempCount, 0);
  jset(JitOff.hintCount, 0);
  jset(JitOff.count64, 0);
  jset(JitOff.count32, 0);
  jset(JitOff.cold, 0);
  jset(JitOff.spanLocals, 0);
  if (jget(JitOff.pageCount) > 1) jset(JitOff.pagesLocal, fresh(<u8>WasmType.i32));
  beginXmm();
  beginX87();
  chooseWindows();
  chooseCarries();
  chooseResidents();
  clearFlow();
  jset(JitOff.strideCount, 0);
  clearRounds();
  summarize();
  loadState();
  emptyWindows();
  countHere();
  if (wantedCarry(jget(JitOff.root)) == JitCarry.here) carryFromMemory();
  loadX87();
  byte(Wasm.block);
  byte(WasmType.void_);
  byte(Wasm.block);
  byte(WasmType.void_);
  emitTree(jget(JitOff.root));
  byte(Wasm.end);
  saveState(true);
  byte(Wasm.end);
  localGet(Local.result);
  byte(Wasm.end);
}

/** Block `n` and all it dominates. */
function emitTree(n: u32): void {
  if (jget(JitOff.bad)) return;
  const loop = load<u8>(blockOf(n), JitBlock.flags) & JitBlockFlag.loop, owner = loopOf(n) == n + 1;
  if (loop) {
    chooseWayOut(n);
    jset(JitOff.valid, owner ? 0 : residents(n));
    openLoopSpans(n);
    if (owner) {
      fill(residents(n));
      byte(Wasm.block);
      byte(WasmType.void_);
      enterControl(Control.spill | n);
    }
    openDoubt(n);
  }
  const strides = loop ? findStrides(n) : 0;
  const checked = loop && checkOnWaysBack(n);
  if (strides) beginStrides(n);
  if (loop) {
    if (checked && !strides) {
      chooseWayOut(n);
      leaveAtEnd(headOf(blockOf(n)), <i32>load<u16>(headOf(blockOf(n)), BlockOff.count));
    }
    byte(Wasm.loop);
    byte(WasmType.void_);
    enterControl(Control.loop | n);
    if (checked) noteBefore(n);
  }
  emitWithin(n, jget(JitOff.order));
  if (!loop) return;
  leaveControl();
  if (strides) leaveControl();
  if (!owner) return;
  leaveControl();
  save(changing(n));
  br(jget(JitOff.depth));
}

/** [] -> []: the loop around that of header `n`, in which its strides are looked up. */
function beginStrides(n: u32): void {
  begins(n, true);
  byte(Wasm.loop);
  byte(WasmType.void_);
  enterControl(Control.again | n);
  chooseWayOut(n);
  openStrides(n);
  pinHosts();
  beginPiece(0);
  enterLoop(n);
}

/** [] -> []: where the strides of the loop of header `n` are looked up next, it begins, or goes on. */
function begins(n: u32, does: bool): void {
  i32const(i32(does));
  localSet(startOf(n));
}

/** [] -> []: to where the strides of the loop of header `n` are looked up, if it is time for that. */
function lookAgain(n: u32): void {
  localGet(Local.left);
  localGet(limitOf(n));
  byte(Wasm.i32le_s);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  enterControl(Control.if_);
  takeDeferred();
  begins(n, false);
  brTo(Control.again | n);
  leaveControl();
}

/** Opens a wasm block for each child in the dominator tree that several edges lead to, the last in order outermost; then
 *  the guest block itself. `below`: positions in the order that are still to be looked at. */
function emitWithin(n: u32, below: u32): void {
  for (let i = below; i > 0; i--) {
    const child = <u32>load<u8>(J + <usize>(i - 1), JitOff.orderList), b = blockOf(child);
    if (child == jget(JitOff.root) || child == n || load<u8>(b, JitBlock.idom) != <u8>n || load<u32>(b, JitBlock.predCount) < 2) continue;
    byte(Wasm.block);
    byte(WasmType.void_);
    enterControl(Control.block | child);
    emitWithin(n, i - 1);
    leaveControl();
    emitTree(child);
    return;
  }
  emitBlock(n);
}

/** [] -> []: the flags where block `n` ends to where the interpreter keeps them, if that is a few stores. */
function keepHere(n: u32): void { keepKind(load<i32>(blockOf(n), JitBlock.outKind) & (RawKind.named - 1)); }

/** Out of block `n` to where the branch record `u` goes. */
function leaveBy(n: u32, u: usize, field: usize): void {
  const linked = load<i32>(u + field), to = field == RecOff.taken ? <i64>load<i32>(u, RecOff.imm) : <i64>load<u16>(u, RecOff.off) + <i64>load<u8>(u, RecOff.len);
  const bits64 = (jget(JitOff.mode) & Mode.BITS) == Mode.bits64, narrow = !bits64 && field == RecOff.taken && (load<u16>(u, RecOff.desc) >> 3 & 3) == 1;
  if ((linked || <u64>to > 4095) && !narrow && !inSegments()) {
    keepHere(n);
    const rip = load<i64>(blockOf(n), JitBlock.ripBase) + to;
    storeLong(PcpuOff.rip, bits64 ? rip : rip & 0xffffffff);
    i32const(<i32>ELSEWHERE);
    localSet(Local.result);
  } else {
    // nobody has gone there yet, so little is written for it
    i32const(<i32>u | <i32>(field == RecOff.taken ? TAKEN : FALL));
    localSet(Local.result);
  }
  leave(0);
}

/** Goes on with successor `k` of block `n`, branch record `u`. */
function edge(n: u32, k: u32, u: usize, field: usize): void {
  const b = blockOf(n), to = <u32>succ(b, k);
  chooseWayOut(n);
  if (to == NONE) {
    takeDeferred();
    leaveBy(n, u, field);
    return;
  }
  if (!dropsFlags(n, to) || leavesPage(b, to)) {
    takeDeferred();
    forgetDeferred();
  }
  if (leavesPage(b, to)) emitPageChange(b, blockOf(to));
  goOn(n, to);
}

/** `early`: from where a block begins, not from its end. */
function goOn(n: u32, to: u32, early: bool = false): void {
  const b = blockOf(n), d = blockOf(to);
  if (loopOf(n) != loopOf(to)) save(changing(n));
  bringSpans(n, to, early);
  checkNear(n, to, early);
  if (!(load<u8>(d, JitBlock.carry) & JitCarry.brought)) store<u8>(d, min(load<u8>(d, JitBlock.carry), load<u8>(b, JitBlock.carryOut)), JitBlock.carry);
  const forward = load<u8>(d, JitBlock.rpo) > load<u8>(b, JitBlock.rpo);
  if (!forward) goBack(n, to);
  else if (load<u32>(d, JitBlock.predCount) > 1) brTo(Control.block | to);
  else emitTree(to);
}

/** [] -> []: to the loop of header `to`, from the end of block `n`. */
function goBack(n: u32, to: u32): void {
  if (beginsAnew(n, to)) {
    begins(to, true);
    brTo(Control.again | to);
    return;
  }
  if (isChecked(to)) {
    if (limitOf(to)) lookAgain(to);
    else {
      const head = headOf(blockOf(to));
      localGet(Local.left);
      i32const(load<u16>(head, BlockOff.count));
      byte(Wasm.i32lt_s);
      hint(false);
      byte(Wasm.if_);
      byte(WasmType.void_);
      enterControl(Control.if_);
      takeDeferred();
      i32const(<i32>head);
      localSet(Local.result);
      leave(0);
      leaveControl();
    }
  }
  if (dropsFlags(n, to)) dropDeferred(to, showsFlags(to), !dropsCarry(n, to));
  forgetDeferred();
  brTo(Control.loop | to);
}

/** The block that dispatches: to the entry that is meant, or to the loop it is in. The pCPU is on that page already. */
function emitDispatch(): void {
  const d = blockOf(JitBlock.DISPATCH);
  store<u32>(d, RawKind.memory, JitBlock.outKind);
  loadWord(PcpuOff.JIT + JitOff.entry);
  localSet(Local.route);
  for (let k = <u32>load<u8>(d, JitBlock.succCount) - 1; k > 0; k--) routeTo(JitBlock.DISPATCH, k, k, load<u8>(d + k, JitBlock.keys));
  if (wantedCarry(succ(d, 0)) == JitCarry.here) carryFromMemory();
  goOn(JitBlock.DISPATCH, succ(d, 0), true);
}

/** [] -> []: to successor `k` of block `n` if entry `key` is meant; `then` is what the loop there looks for. */
function routeTo(n: u32, k: u32, key: u32, then: u32): void {
  const b = blockOf(n);
  localGet(Local.route);
  i32const(<i32>key);
  byte(Wasm.i32eq);
  byte(Wasm.if_);
  byte(WasmType.void_);
  enterControl(Control.if_);
  if (then != key) {
    i32const(<i32>then);
    localSet(Local.route);
  }
  if (wantedCarry(succ(b, k)) == JitCarry.here) carryFromMemory();
  goOn(n, succ(b, k), true);
  leaveControl();
}

/** A loop with entries inside. */
function emitRoutes(n: u32): void {
  const b = blockOf(n), first = <u32>load<u8>(b, JitBlock.succCount), extra = <u32>load<u8>(b, JitBlock.extra);
  if (!extra) return;
  localGet(Local.route);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  enterControl(Control.if_);
  for (let i: u32 = 0; i < extra; i++) routeTo(n, first + i, load<u8>(b + i, JitBlock.keys), 0);
  leaveControl();
}

/** The way from block `b` to block `to` may turn out to be gone: what is there then sees all of the state. */
function leavesPage(b: usize, to: u32): bool { return changesPage(b, blockOf(to)) || isStraddle(headOf(blockOf(to))); }
@inline function changesPage(b: usize, d: usize): bool { return load<u64>(d, JitBlock.ripBase) != load<u64>(b, JitBlock.ripBase); }

/** From block `b` to block `d` on another page, or on two. */
function emitPageChange(b: usize, d: usize): void {
  if (changesPage(b, d)) emitOtherPage(d);
  if (isStraddle(headOf(d))) emitStraddle(headOf(d));
}

/** To an instruction on two pages: the second one has to be that it was decoded from, which is looked at each time. */
function emitStraddle(head: usize): void {
  i32const(<i32>head);
  call(Import.straddle);
  leaveUnless(head + RecOff.SIZE, 1);
}

/** [record] -> []: leaves there unless it is `next`. `depth`: wasm blocks opened since the way began, its own among them. */
function leaveUnless(next: usize, depth: u32): void {
  localTee(Local.result);
  i32const(<i32>next);
  byte(Wasm.i32ne);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  leave(depth);
  byte(Wasm.end);
  i32const(0);
  localSet(Local.result);
}

/** To another page: only if it is still mapped. Once that is known it stays so until something is flushed. */
function emitOtherPage(d: usize): void {
  const ripBase = load<i64>(d, JitBlock.ripBase), page = 1 << load<u8>(d, JitBlock.page), local = jget(JitOff.pagesLocal);
  localGet(local);
  i32const(page);
  byte(Wasm.i32and);
  byte(Wasm.i32eqz);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  i64const(ripBase + load<u16>(headOf(d), BlockOff.off));
  i32const(<i32>headOf(d));
  i32const(page);
  call(Import.page);
  leaveUnless(headOf(d), 2);
  loadPages();
  byte(Wasm.end);
  storeLong(PcpuOff.ripBase, ripBase);
}

/** [] -> []: all that block `n` did is in the locals. */
function endBlock(n: u32): void {
  flushPending();
  rememberValid(n);
}

function emitBlock(n: u32): void {
  if (n == JitBlock.DISPATCH) {
    emitDispatch();
    return;
  }
  const b = blockOf(n), head = headOf(b), count = <i32>load<u16>(head, BlockOff.count);
  store<u64>(J, load<u64>(b, JitBlock.ripBase), JitOff.ripBase);
  jset(JitOff.term, Term.none);
  chooseWayOut(n);
  emitRoutes(n);
  chooseWayOut(n);
  forgetSse();
  const short = load<u8>(b, JitBlock.flags) & JitBlockFlag.short;
  beginFlags(n);
  const strides = jget(JitOff.strideCount);
  if (load<u8>(b, JitBlock.flags) & JitBlockFlag.loop && !isChecked(n)) {
    if (limitOf(n)) lookAgain(n);
    else leaveAtEnd(head, count);
  }
  localGet(Local.left);
  i32const(count);
  byte(Wasm.i32sub);
  localSet(Local.left);
  const only = n != jget(JitOff.root) && load<u16>(b, JitBlock.allPreds) == 1;
  if (only && load<u8>(b, JitBlock.pred) != JitBlock.DISPATCH) recallPlain(load<u8>(b, JitBlock.pred));
  expectNear(n);
  jset(JitOff.valid, residents(n) | (only ? validAtEnd(load<u8>(b, JitBlock.pred)) : 0));
  if (strides) moveStrides();
  jset(JitOff.strideCount, 0);
  const before = only ? load<u32>(blockOf(load<u8>(b, JitBlock.pred)), JitBlock.outKind) : 0;
  jset(JitOff.names, before);
  beginPiece(<i32>before & (RawKind.named - 1));
  setCarryLevel(load<u8>(b, JitBlock.carry) & JitCarry.LEVEL);
  beginBlockX87(n, only ? <i32>load<u8>(b, JitBlock.pred) : -1);

  const end = endOf(b);
  inheritSpans(n);
  planBlock(n, head + RecOff.SIZE, end);
  for (let u = head + RecOff.SIZE; u < end; u += RecOff.SIZE) {
    const handler = <i32>load<u16>(u, RecOff.handler), sse = sseProperties(u);
    const inline = sse != 0 || isTemplate(u);
    if (inline) {
      if (sse) {
        if (sseMayLeave(u, sse) && unsettled()) nextPiece();
        translateSse(u, sse);
      } else translateRecord(u);
      if (jget(JitOff.term) || (jget(JitOff.nodeCount) < 1600 && jget(JitOff.effectCount) < 900 && jget(JitOff.snapNext) < 5000)) continue;
    }
    if (translateX87(u)) continue;
    const kind = knownKind();
    endPiece(true);
    if (!inline && (handler == Handler.cold || (handler == Handler.checked && !endsInSegments(u)))) {
      emitCold(n, u, kind);
      forgetSse();
      setCarryLevel(JitCarry.kept);
    } else if (!inline) {
      out(u);
      return;
    }
    beginPiece(inline ? kind : RawKind.memory);
    if (!inline) planRest(u + RecOff.SIZE, end);
  }
  if (short) emitTail(n, b);
  else emitTerminator(n, b, head);
}

/** On to the block that is the rest of this one. The interpreter has counted its instructions already, and does not look here whether the
 *  slice is over. */
function emitTail(n: u32, b: usize): void {
  const to = <u32>succ(b, 0), rest = <usize>load<u32>(b, JitBlock.term), live = to == NONE || flagsLive(to);
  endBlockX87(n);
  if (to != NONE) wantCarry(wantedCarry(to));
  store<u8>(b, <u8>carryLevel(), JitBlock.carryOut);
  leaveSpans(n);
  useAll();
  emitEffects();
  rememberPlain(n);
  endNear(n);
  rememberKind(b, live);
  forgetDeferred();
  recallNames(n);
  settle(live);
  endFlags();
  endBlock(n);
  if (to == NONE) {
    out(rest);
    return;
  }
  if (load<u8>(blockOf(to), JitBlock.flags) & JitBlockFlag.loop) leaveAtEnd(rest, 0);
  localGet(Local.left);
  i32const(load<u16>(headOf(blockOf(to)), BlockOff.count));
  byte(Wasm.i32add);
  localSet(Local.left);
  goOn(n, to);
}

function emitTerminator(n: u32, b: usize, head: usize): void {
  const u = <usize>load<u32>(b, JitBlock.term);
  let term = jget(JitOff.term);
  endBlockX87(n);
  if (!term) { // too long for one block, at the end of a page, or a cold instruction that may go straight on
    if (!u || load<u16>(u, RecOff.handler) != Handler.goto) {
      giveUp();
      return;
    }
    term = Term.goto;
  }
  let arm: u32 = 0;
  if (hasArm(n)) {
    arm = temp32();
    performArm(n, arm);
    term = Term.goto;
  }
  foreseeFlags();
  const successors = <u32>load<u8>(b, JitBlock.succCount);
  let live = term == Term.indirect, dropped = false;
  for (let k: u32 = 0; k < successors; k++) {
    const to = <u32>succ(b, k);
    if (drops(n, to, term)) dropped = true;
    else if (to == NONE || leavesPage(b, to) || flagsLive(to)) live = true;
  }
  for (let k: u32 = 0; k < successors; k++) {
    const to = <u32>succ(b, k);
    if (to != NONE && !(drops(n, to, term) && dropsCarry(n, to))) wantCarry(wantedCarry(to));
  }
  store<u8>(b, <u8>carryLevel(), JitBlock.carryOut);
  leaveSpans(n);
  useAll();
  emitEffects();
  rememberPlain(n);
  endNear(n);
  const node = <i32>jget(JitOff.termNode);
  if (arm) {
    emitCond(node);
    localSet(arm);
    storeOfArm();
    countArm(n, arm);
  }
  if (term == Term.cond) {
    const c = temp32();
    emitCond(node);
    localSet(c);
    settleEnd(n, b, live, dropped);
    const deferred = deferredNow(), kind = kindNow();
    localGet(c);
    // code that stays is what the registers are for: the calls of a way out must not cost it any
    if (<u32>succ(b, 0) == NONE && <u32>succ(b, 1) != NONE) hint(false);
    else if (<u32>succ(b, 1) == NONE && <u32>succ(b, 0) != NONE) hint(true);
    byte(Wasm.if_);
    byte(WasmType.void_);
    enterControl(Control.if_);
    edge(n, 0, u, RecOff.taken);
    byte(Wasm.else_);
    setDeferred(deferred, kind);
    edge(n, 1, u, RecOff.fall);
    leaveControl();
  } else if (term == Term.goto) {
    settleEnd(n, b, live, dropped);
    edge(n, 0, u, RecOff.taken);
  } else {
    const to = temp64();
    emit64(node);
    localSet(to);
    settleEnd(n, b, true, false);
    let whole = templateOf(u) != Template.ret;
    for (let k: u32 = 0; k < successors; k++) if (<u32>succ(b, k) == NONE) whole = false;
    if (whole && successors > 3) emitTable(n, u, to, successors);
    else emitTargets(n, u, to, 0, successors);
    emitElsewhere(n, u, to);
  }
}

/** [] -> []: out of block `n` to the address in local `to`, which none of its successors has. They are all canonical, so that is asked here. */
function emitElsewhere(n: u32, u: usize, to: u32): void {
  chooseWayOut(n);
  if ((jget(JitOff.mode) & Mode.BITS) == Mode.bits64 && templateOf(u) != Template.callInd) {
    localGet(to);
    canonical();
    localGet(to);
    byte(Wasm.i64ne);
    hint(false);
    byte(Wasm.if_);
    byte(WasmType.void_);
    if (templateOf(u) == Template.ret) { // it has not happened
      localGet(Gpr.rsp);
      i64const(8 + imm32(u));
      byte(Wasm.i64sub);
      assign(Gpr.rsp);
    }
    leaveToBadTarget(u);
    byte(Wasm.end);
    jset(JitOff.pending, 0);
  }
  keepHere(n);
  saveLong(PcpuOff.rip, to);
  i32const(<i32>ELSEWHERE);
  localSet(Local.result);
  leave(0);
}

/** What the last piece of a block will look at, as far as it is not certain that it will not: its ways out are about to be decided on. */
function foreseeFlags(): void {
  const nodes = <i32>jget(JitOff.nodeCount), effects = jget(JitOff.effectCount);
  for (let i = 1; i < nodes; i++) if (uses(i) && (op(i) == Node.local || op(i) == Node.local32)) seeSlot(argA(i));
  for (let i: u32 = 0; i < effects; i++) {
    const e = effectAt(i), kind = <i32>load<u8>(e, EffectOff.op);
    if (kind == Effect.load || kind == Effect.place || kind == Effect.nothing || ((kind == Effect.store || kind == Effect.atomic) && inSpan(e))) continue;
    if (kind == Effect.hostR || kind == Effect.hostW || kind == Effect.span || kind == Effect.store || kind == Effect.atomic || kind == Effect.hard) showFlags();
    else seeFlags();
  }
}

/** Block `n`, which ends with `term`, goes to `to` without its flags. */
function drops(n: u32, to: u32, term: Term): bool { return term != Term.indirect && dropsFlags(n, to) && !leavesPage(blockOf(n), to); }

/** [] -> []: the values of block `n` to their locals; flags only if some way out wants them, and of their own if not all do. */
function settleEnd(n: u32, b: usize, live: bool, dropped: bool): void {
  rememberKind(b, live);
  if (dropped) deferFlags();
  else {
    forgetDeferred();
    recallNames(n);
  }
  settle(live && !dropped);
  endFlags();
  endBlock(n);
}

/** [] -> []: to the successor from `k` to `end` whose address is in local `to`, one after another. */
function emitTargets(n: u32, u: usize, to: u32, k: u32, end: u32): void {
  const b = blockOf(n);
  for (; k < end; k++) {
    if (<u32>succ(b, k) == NONE) continue;
    localGet(to);
    i64const(ripOf(blockOf(succ(b, k))));
    byte(Wasm.i64eq);
    byte(Wasm.if_);
    byte(WasmType.void_);
    enterControl(Control.if_);
    recallNames(n);
    edge(n, k, u, RecOff.taken);
    leaveControl();
  }
}

/** Bits of an address that tell the successors of block `n` apart, as the first of them and how many: shift | bits << 8; 0 if five do not. */
function tellApart(n: u32, count: u32): u32 {
  const b = blockOf(n);
  for (let bits: u32 = 2; bits < 6; bits++) {
    for (let shift: u32 = 0; shift < 12; shift++) {
      let seen: u32 = 0, k: u32 = 0;
      for (; k < count; k++) {
        const bit = <u32>1 << (<u32>(ripOf(blockOf(succ(b, k))) >> shift) & ((1 << bits) - 1));
        if (seen & bit) break;
        seen |= bit;
      }
      if (k == count) return shift | bits << 8;
    }
  }
  return 0;
}

/** The same for many, by one indirect branch of the host's, as the guest's is one: which way comparisons would go is as hard to foretell, each time. */
function emitTable(n: u32, u: usize, to: u32, count: u32): void {
  const b = blockOf(n), how = tellApart(n, count), shift = how & 0xff, size = <u32>1 << (how >> 8);
  if (!how) {
    emitTargets(n, u, to, 0, count);
    return;
  }
  for (let k: u32 = 0; k <= count; k++) { // the outermost is for none of them, the innermost for the first
    byte(Wasm.block);
    byte(WasmType.void_);
    enterControl(Control.if_);
  }
  localGet(to);
  i64const(shift);
  byte(Wasm.i64shr_u);
  byte(Wasm.i32wrap);
  i32const(size - 1);
  byte(Wasm.i32and);
  byte(Wasm.brTable);
  unsigned(size);
  for (let i: u32 = 0; i < size; i++) {
    let k: u32 = 0;
    while (k < count && (<u32>(ripOf(blockOf(succ(b, k))) >> shift) & (size - 1)) != i) k++;
    unsigned(k);
  }
  unsigned(count);
  for (let k: u32 = 0; k < count; k++) {
    leaveControl();
    localGet(to);
    i64const(ripOf(blockOf(succ(b, k))));
    byte(Wasm.i64ne);
    hint(false);
    byte(Wasm.br_if);
    unsigned(count - 1 - k);
    recallNames(n);
    edge(n, k, u, RecOff.taken);
  }
  leaveControl();
}

/** What is known of the flags at the end of a block with all values still to go to the locals. */
function rememberKind(b: usize, live: bool): void {
  ageNames();
  store<u32>(b, live ? <u32>knownKind() | jget(JitOff.names) : 0, JitBlock.outKind);
}
