/** A piece: what of a block is translated at a time, between instructions that may fault. */
import { JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { J, jget, jset } from "./buffer";
import { Effect, EffectOff, Leave, effectAt, inSpan, snapshot } from "./effect";
import { use } from "./node";
import { limitPending } from "./residents";
import { ageFlags } from "./rounds";
import { cur, isEntry, CURRENT_SLOTS, beginPiece, knownKind, unsettled } from "./slots";
import { ageNames } from "./defer";
import { performAny } from "../perform";
import { emitEffects } from "./codegen";
import { carryLevel, Emit, setCarryLevel, Term } from "./emit";
import { hasAccess } from "./region";
import { carryRoots } from "./spans";
import { settle } from "./snapshots";

/** An instruction that may fault begins a piece. Most can be told; of the others what they left is taken back. */
export function translateRecord(u: usize): void {
  if (hasAccess(u) && !jget(JitOff.spanCount) && unsettled()) nextPiece();
  const nodes = jget(JitOff.nodeCount), loads = jget(JitOff.loads);
  let first = jget(JitOff.effectCount);
  memory.copy(J + JitOff.saved, J + JitOff.cur, CURRENT_SLOTS * 4);
  const level = carryLevel();
  jset(JitOff.insnStart, <u32>u);
  jset(JitOff.again, 0);
  performAny<Emit, i32>(changetype<Emit>(J), u);
  if (jget(JitOff.again)) {
    memory.copy(J + JitOff.cur, J + JitOff.saved, CURRENT_SLOTS * 4);
    jset(JitOff.nodeCount, nodes);
    jset(JitOff.effectCount, first);
    jset(JitOff.term, Term.none);
    setCarryLevel(level);
    jset(JitOff.loads, loads);
    nextPiece();
    first = 0;
    performAny<Emit, i32>(changetype<Emit>(J), u);
  }
  completeStores(first, u);
}

/** The stores of an instruction know now how its end looks. */
function completeStores(first: u32, u: usize): void {
  const count = jget(JitOff.effectCount);
  let snap: u32 = 0, taken = false;
  for (let i = first; i < count; i++) {
    const e = effectAt(i);
    if ((load<u8>(e, EffectOff.op) != Effect.store && load<u8>(e, EffectOff.op) != Effect.atomic) || inSpan(e)) continue;
    if (!taken) snap = snapshot();
    taken = true;
    store<u32>(e, snap, EffectOff.snap);
    const term = jget(JitOff.term);
    store<u8>(e, <u8>(term == Term.goto ? Leave.taken : term == Term.indirect ? Leave.indirect : Leave.next), EffectOff.leave);
    store<u32>(e, <u32>(term ? u : u + RecOff.SIZE), EffectOff.u);
  }
}

export function nextPiece(): void {
  const kind = knownKind();
  endPiece(true);
  ageFlags();
  limitPending();
  beginPiece(kind);
}

/** Ends a piece: effects, then all values to their locals. */
export function endPiece(flags: bool): void {
  carryRoots();
  useAll();
  emitEffects();
  ageNames();
  settle(flags);
}

export function useAll(): void {
  for (let slot: u32 = 0; slot < CURRENT_SLOTS; slot++) if (!isEntry(slot)) use(cur(slot));
}
