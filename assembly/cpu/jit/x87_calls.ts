/** x87 instructions of regions that do not work on doubles: calls of the helper for which nothing is saved, since it touches neither general
 *  registers nor flags. It does not unwind either: the memory operand is found before. */
import { RecFlag, RecOff } from "../../abi/record";
import { Op } from "../opcodes.gen";
import { Wasm, WasmType, byte, call, hint, i32const, localGet, localSet, localTee } from "./buffer";
import { hitHost, leave, probe } from "./codegen";
import { Import } from "./imports";
import { Local, temp32 } from "./slots";
import { PcpuOff } from "../../abi/layout";
import { address, begin, interpret, opOf, openIf } from "./x87_pieces";

/** Bytes of the memory operand; negative: it is written; 0: none; NOT: the instruction needs all of the state, or more than one access. */
const NOT: i32 = 99;
const WIDTHS: usize = memory.data<u8>([4, 8, 4, 2, 0]);

function access(op: i32): i32 {
  if (op >= Op.fadd_m32 && op <= Op.fdivr_st) return load<u8>(WIDTHS + <usize>((op - Op.fadd_m32) % 5));
  switch (op) {
    case Op.fld_m32: case Op.fild_i32: return 4;
    case Op.fld_m64: case Op.fild_i64: return 8;
    case Op.fild_i16: return 2;
    case Op.fst_m32: case Op.fstp_m32: case Op.fist_i32: case Op.fistp_i32: case Op.fisttp_i32: return -4;
    case Op.fst_m64: case Op.fstp_m64: case Op.fistp_i64: case Op.fisttp_i64: return -8;
    case Op.fist_i16: case Op.fistp_i16: case Op.fisttp_i16: return -2;
    case Op.fwait: case Op.fnstcw: case Op.fldcw: case Op.fnstenv: case Op.fldenv: case Op.fnsave: case Op.frstor: case Op.fninit: case Op.fnclex:
    case Op.fnop_8087: case Op.fnstsw_ax: case Op.fnstsw_m16: case Op.fld_m80: case Op.fstp_m80: case Op.fbld: case Op.fbstp:
    case Op.fcomi: case Op.fucomi: case Op.fcomip: case Op.fucomip:
    case Op.fcmovb: case Op.fcmovnb: case Op.fcmove: case Op.fcmovne: case Op.fcmovbe: case Op.fcmovnbe: case Op.fcmovu: case Op.fcmovnu:
      return NOT;
    default: return op < Op.fadd_m32 || op > Op.fcomip ? NOT : 0;
  }
}

/** True if the record was translated. */
export function callX87(u: usize): bool {
  const w = access(opOf(u)), flags = <i32>load<u8>(u, RecOff.flags);
  if (w == NOT || flags & RecFlag.seg || (flags & RecFlag.mem && load<u64>(u, RecOff.mask) == 0xffff)) return false;
  begin();
  if (w) {
    const lin = probe(address(u), abs(w), w < 0), h = temp32();
    byte(Wasm.i32eqz);
    openIf();
    interpret(u, 1);
    byte(Wasm.end);
    hitHost();
    localSet(h);
    if (lin) localGet(lin);
    else {
      localGet(Local.lin);
      byte(Wasm.i64extend_u);
    }
    localGet(h);
    i32const(<i32>u);
    call(Import.x87Memory);
  } else {
    i32const(<i32>u);
    call(Import.x87);
  }
  localTee(Local.next);
  i32const(<i32>(u + RecOff.SIZE));
  byte(Wasm.i32ne);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  localGet(Local.next);
  localSet(Local.result);
  leave(1);
  byte(Wasm.end);
  return true;
}
