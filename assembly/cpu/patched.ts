/** Immediates that the guest rewrites (run-time code generators, self-modifying loops). An instruction whose immediate alone was
 *  written to is not decoded again, nor is its block: from then on it reads the immediate from memory each time it is executed, until it
 *  has found the same one often enough.
 *
 *  Slots at PcpuOff.patched, 16 B: +0 record u32, +4 where the immediate is u32, +8 handler of the record before u16, +10 how often it was
 *  found unchanged u8. The record has Handler.checked, which performs every form, and in RecOff.op its slot and the immediate's size
 *  (the decoder writes the size there, into records where it knows how to read the immediate again). A slot is
 *  free when its record does not name it any more. */
import { PcpuOff } from "../abi/layout";
import { BlockOff, RecFlag, RecOff } from "../abi/record";
import { Handler } from "./handler";
import { Template } from "./opcodes.gen";
import { PCPU } from "./pcpu";

const SLOTS: u32 = 32;
const SLOT: usize = 16;
const TABLE: usize = PCPU + PcpuOff.patched;
/** In RecOff.op: slot << 4 | size of the immediate. */
const PATCHED: u32 = 0x8000;
const CALM: u8 = 32;

const enum SlotOff { record = 0, at = 4, handler = 8, same = 10 }

@inline function slotOf(u: usize): usize { return TABLE + ((<usize>load<u16>(u, RecOff.op) >> 4 & (SLOTS - 1)) * SLOT); }

/** Whether `u` reads its immediate anew. Records of branches have part of a link where others have RecOff.op. */
@inline export function isPatched(u: usize): bool {
  return (load<u16>(u, RecOff.op) & PATCHED) != 0 && <usize>load<u32>(slotOf(u), SlotOff.record) == u;
}

/** Whether `u` does and would be a template's record otherwise: then reading it anew is all there is to it. */
export function isReadAnew(u: usize): bool { return isPatched(u) && load<u16>(slotOf(u), SlotOff.handler) != Handler.checked; }

/** Where the immediate of such a record is, and its bytes. */
export function placeOfImmediate(u: usize): usize { return <usize>load<u32>(slotOf(u), SlotOff.at); }
export function sizeOfImmediate(u: usize): i32 { return <i32>load<u16>(u, RecOff.op) & 15; }

/** Whether the immediate of template record `u` means a number and nothing else. */
@inline function mayReadAgain(u: usize): bool {
  const template = load<u16>(u, RecOff.desc) >> 9;
  if (template != Template.alu && template != Template.mov && template != Template.imul && template != Template.push) return false;
  return load<u8>(u, RecOff.immediate) != 0;
}

/** Record of the block at `head` in whose immediate page offsets [from, to) lie; 0 if they do not. */
export function immediateAt(head: usize, records: u32, from: u32, to: u32): usize {
  const handler = load<u16>(head, RecOff.handler);
  if ((handler != Handler.head && handler != Handler.region) || load<u32>(head, BlockOff.second)) return 0;
  let u = head + RecOff.SIZE;
  for (const end = u + <usize>records * RecOff.SIZE; u < end; u += RecOff.SIZE) {
    const behind = <u32>load<u16>(u, RecOff.off) + load<u8>(u, RecOff.len);
    if (to > behind) continue;
    const kind = <i32>load<u16>(u, RecOff.handler);
    if (isPatched(u)) return from >= behind - (load<u16>(u, RecOff.op) & 15) ? u : 0;
    if ((kind != Handler.any && kind != Handler.checked && kind < Handler.hot) || !mayReadAgain(u)) return 0;
    return from >= behind - load<u8>(u, RecOff.immediate) ? u : 0;
  }
  return 0;
}

/** The immediate of `u`, a record of the page at `page`, is about to change. False: there is no slot. */
export function notePatched(u: usize, page: usize): bool {
  for (let n: u32 = 0; n < SLOTS; n++) {
    const slot = TABLE + <usize>n * SLOT, old = <usize>load<u32>(slot, SlotOff.record);
    if (old && load<u16>(old, RecOff.handler) == Handler.checked && isPatched(old) && slotOf(old) == slot) continue;
    const size = <u32>load<u8>(u, RecOff.immediate);
    store<u32>(slot, <u32>u, SlotOff.record);
    store<u32>(slot, <u32>page + load<u16>(u, RecOff.off) + load<u8>(u, RecOff.len) - size, SlotOff.at);
    store<u16>(slot, load<u16>(u, RecOff.handler), SlotOff.handler);
    store<u8>(slot, 0, SlotOff.same);
    store<u16>(u, <u16>(PATCHED | n << 4 | size), RecOff.op);
    store<u16>(u, Handler.checked, RecOff.handler);
    return true;
  }
  return false;
}

/** Brings the immediate of `u` up to date. `last`: an instruction that has calmed down becomes an ordinary one again. */
export function readImmediate(u: usize, last: bool): void {
  const slot = slotOf(u), at = <usize>load<u32>(slot, SlotOff.at), size = <u32>load<u16>(u, RecOff.op) & 15;
  let same: bool;
  if (size == 8) {
    const value = load<u64>(at);
    same = value == load<u64>(u, RecOff.imm);
    store<u64>(u, value, RecOff.imm);
  } else {
    const value = size == 4 ? load<i32>(at) : size == 2 ? <i32>load<i16>(at) : <i32>load<i8>(at);
    same = value == load<i32>(u, RecOff.imm);
    if (load<u8>(u, RecOff.flags) & RecFlag.mem) store<i32>(u, value, RecOff.imm);
    else store<i64>(u, <i64>value, RecOff.imm);
  }
  const times = load<u8>(slot, SlotOff.same);
  store<u8>(slot, same ? times + 1 : 0, SlotOff.same);
  if (!same || times < CALM) return;
  store<u8>(slot, CALM, SlotOff.same);
  if (!last) return;
  store<u16>(u, load<u16>(slot, SlotOff.handler), RecOff.handler);
  store<u16>(u, <u16>size, RecOff.op);
  store<u32>(slot, 0, SlotOff.record);
  store<u32>(PCPU, 0, PcpuOff.patchedAt);
}

/** All records are dropped. */
export function forgetPatched(): void {
  memory.fill(TABLE, 0, SLOTS * SLOT);
  store<u32>(PCPU, 0, PcpuOff.patchedAt);
}
