/** How a loop with strides begins: if the bytes of its next few rounds are on one page for each stride, and the TLB has these pages, there is nothing
 *  to work out, nor if those of many rounds are in runs (cpu/jit/runs), which is asked again after these. Only a loop that is not done then, or one that begins near a page's end, has to know how many rounds its pages have. */
import { JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { BlockOff } from "../code_cache";
import { Wasm, WasmType, byte, hint, i32const, jget, localGet, localSet, localTee, unsigned } from "./buffer";
import { hitPart, probe } from "./addresses";
import { Control, enterControl, leaveControl } from "./control";
import { blockOf, headOf } from "./graph";
import { Node, binary, constant, extend, use } from "./node";
import { limitOf, startOf } from "./rounds";
import { rootRun, runAddend } from "./runs";
import { Local, beginPiece } from "./slots";
import { Root, baseOf, is64, isPair, rootNode } from "./spans";
import { Moving, StrideOff, indexNode, strideAt } from "./strides";
import { emit32 } from "./values";

/** Bytes that a stride may move by in these rounds: with more, it would often not be on one page. */
const BYTES: i32 = 64;
const FEWEST: i32 = 4;
const MOST: i32 = 32;
/** Rounds at once in runs: what they move by is less than any run has. */
const IN_RUNS: i32 = 128;

/** Finds the runs of all strides of the loop that begins with record `u`; false, and none have any, if some stride has none. */
function findRuns(u: usize): bool {
  const count = jget(JitOff.strideCount);
  let all = true;
  for (let k: u32 = 0; k < count && all; k++) {
    const s = strideAt(k), run = rootRun(load<u8>(s), load<i32>(s, StrideOff.lo), load<u8>(s, StrideOff.write) != 0, u);
    store<u8>(s, <u8>run, StrideOff.run);
    all = run != 0;
  }
  if (!all) for (let k: u32 = 0; k < count; k++) store<u8>(strideAt(k), 0, StrideOff.run);
  return all;
}

/** Rounds the strides are asked for. */
function roundsAtOnce(): i32 {
  const count = jget(JitOff.strideCount);
  let rounds = MOST;
  for (let k: u32 = 0; k < count; k++) {
    const step = load<i32>(strideAt(k), StrideOff.step);
    if (step) rounds = min(rounds, BYTES / abs(step));
  }
  return max(rounds, FEWEST);
}

/** [] -> []: goes on behind the wasm block around this one if the loop of header `n` begins and has some rounds at once, addends and limit set. */
export function startStrides(n: u32): void {
  const head = headOf(blockOf(n)), count = jget(JitOff.strideCount), inRuns = findRuns(head + RecOff.SIZE), rounds = inRuns ? IN_RUNS : roundsAtOnce();
  byte(Wasm.block);
  byte(WasmType.void_);
  enterControl(Control.if_);
  if (!inRuns) {
    localGet(startOf(n));
    byte(Wasm.i32eqz);
    byte(Wasm.br_if);
    unsigned(0);
  }
  // as elsewhere a round only begins if the slice has room for its first block
  localGet(Local.left);
  i32const(rounds * jget(JitOff.least));
  byte(Wasm.i32sub);
  localTee(limitOf(n));
  i32const(<i32>load<u16>(head, BlockOff.count) - 1);
  byte(Wasm.i32lt_s);
  hint(false);
  byte(Wasm.br_if);
  unsigned(0);
  beginPiece(0);
  for (let k: u32 = 0; k < count; k++) start(strideAt(k), rounds);
  byte(Wasm.br);
  byte(1);
  leaveControl();
}

/** [] -> []: the addend of stride `s` for the next `rounds`; out of the wasm block around this if they are not there. */
function start(s: usize, rounds: i32): void {
  const step = load<i32>(s, StrideOff.step), way = step * (rounds - 1), lo = load<i32>(s, StrideOff.lo), root = <u32>load<u8>(s), rest = restOf(s), run = <u32>load<u8>(s, StrideOff.run);
  const sum = binary(Node.add, rootNode(root), constant(<i64>lo + min(way, 0))), first = is64() ? sum : extend(Node.zext, sum, 4);
  use(first);
  probe(first, <i32>load<u16>(s, StrideOff.len) + abs(way), load<u8>(s, StrideOff.write) != 0, run);
  byte(Wasm.i32eqz);
  hint(false);
  byte(Wasm.br_if);
  unsigned(0);
  if (run) runAddend(run);
  else hitPart(0);
  if (rest) {
    emit32(rest);
    byte(Wasm.i32add);
  }
  if (lo) {
    i32const(lo);
    byte(Wasm.i32add);
  }
  localSet(load<u16>(s, StrideOff.addend));
}

/** What does not move of the root of stride `s`; 0 if all of it does. */
function restOf(s: usize): i32 {
  const root = <u32>load<u8>(s), moving = load<u8>(s, StrideOff.moving);
  if (!moving) return rootNode(root);
  if (!isPair(root)) return 0;
  if (moving == Moving.index) return baseOf(root) == Root.constant ? 0 : rootNode(baseOf(root));
  return moving == Moving.base ? indexNode(root) : 0;
}
