/** The effects of a piece to WebAssembly, in their order. */
import { PcpuOff } from "../../abi/layout";
import { JitOff } from "../../abi/jit";
import { Flag } from "../../abi/x86";
import { Rmw } from "../machine";
import { PCPU } from "../pcpu";
import { Wasm, WasmType, access, byte, call, giveUp, hint, i32const, jget, jset, loadWord, localGet, localSet, unsigned } from "./buffer";
import { Effect, EffectOff, displacementOf, effectAt, hostOf, inSpan } from "./effect";
import { Import } from "./imports";
import { uses } from "./node";
import { emitAligned, emitReady, emitSse, emitSseStoreValue } from "./sse_emit";
import { loadMissing } from "./residents";
import { Local } from "./slots";
import { canonical, emit64, emitCond, value, flagOperands } from "./values";
import { ready } from "./snapshots";
import { leave, leaveToBadTarget } from "./leaving";
import { translateAddress, translateLoad, hostAddress, loadOf, runOf, translateSpan } from "./addresses";
import { translateStore, translateSseStore, storeValue, afterStore } from "./stores";

/** [] -> []: the piece's effects. */
export function emitEffects(): void {
  loadMissing();
  const count = jget(JitOff.effectCount);
  for (let i: u32 = 0; i < count; i++) {
    const e = effectAt(i), w = <i32>load<u8>(e, EffectOff.w), h = hostOf(e), t = load<u32>(e, EffectOff.t);
    switch (<i32>load<u8>(e, EffectOff.op)) {
      case Effect.hostR: {
        const next = effectAt(i + 1);
        if (runOf(e) && i + 1 < count && load<u8>(next, EffectOff.op) == Effect.load && hostOf(next) == h) {
          translateLoad(e, next);
          i++;
        } else translateAddress(e, false);
        break;
      }
      case Effect.hostW: {
        const next = effectAt(i + 1);
        if (i + 1 < count && load<u8>(next, EffectOff.op) == Effect.store && hostOf(next) == h) {
          translateStore(e, next);
          i++;
        } else if (i + 1 < count && load<u8>(next, EffectOff.op) == Effect.sseStore) {
          translateSseStore(e, next);
          i++;
        } else translateAddress(e, true);
        break;
      }
      case Effect.load:
        localGet(h);
        loadTo(t, w, displacementOf(e));
        break;
      case Effect.immediate:
        i32const(0);
        loadTo(t, w, load<u32>(e, EffectOff.u));
        break;
      case Effect.store: {
        if (!inSpan(e)) ready(load<u32>(e, EffectOff.snap));
        localGet(h);
        storeValue(load<i32>(e, EffectOff.a), 0, w, displacementOf(e));
        if (!inSpan(e)) afterStore(e, h);
        break;
      }
      case Effect.sseStore:
        hostAddress(e);
        emitSseStoreValue(<usize>load<u32>(e, EffectOff.u));
        break;
      case Effect.span: translateSpan(e); break;
      case Effect.place:
        hostAddress(e);
        localSet(t);
        break;
      case Effect.atomic: {
        const kind = <i32>load<u8>(e, EffectOff.cc);
        localGet(h);
        if (kind == Rmw.cmpxchg) value(load<i32>(e, EffectOff.flags), w);
        value(load<i32>(e, EffectOff.a), w);
        byte(Wasm.atomic);
        byte(Wasm.rmw + kind * 7 + (w == 4 ? 0 : w == 8 ? 1 : w == 1 ? 2 : 3));
        byte(w == 8 ? 3 : w >> 1); // its alignment is checked
        unsigned(displacementOf(e));
        localSet(t);
        if (inSpan(e)) break;
        ready(load<u32>(e, EffectOff.snap));
        afterStore(e, h);
        break;
      }
      case Effect.cond:
        if (!uses(load<i32>(e, EffectOff.a))) break;
        i32const(load<u8>(e, EffectOff.cc));
        flagOperands(e);
        call(Import.cond);
        localSet(t);
        break;
      case Effect.carry:
        if (!uses(load<i32>(e, EffectOff.a))) break;
        flagOperands(e);
        call(Import.carry);
        localSet(t);
        break;
      case Effect.hard:
        emitCond(load<i32>(e, EffectOff.a));
        hint(false);
        byte(Wasm.if_);
        byte(WasmType.void_);
        i32const(load<i32>(e, EffectOff.u));
        localSet(Local.result);
        leave(1);
        byte(Wasm.end);
        break;
      case Effect.direction:
        i32const(0);
        loadWord(PcpuOff.rflags);
        i32const(w ? Flag.DF : ~Flag.DF);
        byte(w ? Wasm.i32or : Wasm.i32and);
        access(Wasm.i32store, <u32>PCPU + PcpuOff.rflags);
        break;
      case Effect.canonical: {
        const a = load<i32>(e, EffectOff.a);
        emit64(a);
        canonical();
        emit64(a);
        byte(Wasm.i64ne);
        hint(false);
        byte(Wasm.if_);
        byte(WasmType.void_);
        leaveToBadTarget(load<i32>(e, EffectOff.u));
        byte(Wasm.end);
        break;
      }
      case Effect.sse: emitSse(e); break;
      case Effect.sseReady: emitReady(<usize>load<u32>(e, EffectOff.u), load<u8>(e, EffectOff.cc)); break;
      case Effect.aligned: emitAligned(<usize>load<u32>(e, EffectOff.u), load<i32>(e, EffectOff.a)); break;
      case Effect.nothing: break;
      default: giveUp();
    }
  }
  jset(JitOff.effectCount, 0);
}

/** [i32] -> []: `w` bytes from there, `offset` on, to local `t`. */
function loadTo(t: u32, w: i32, offset: u32): void {
  access(loadOf(w), offset);
  localSet(t);
}
