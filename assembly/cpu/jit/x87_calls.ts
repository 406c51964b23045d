/** x87 instructions of regions that do not work on doubles: calls of the helper for which nothing is saved, since it touches neither general
 *  registers nor flags. It does not unwind either: the memory operand is found before. */
import { RecFlag, RecOff } from "../../abi/record";
import { Op } from "../opcodes.gen";
import { Wasm, WasmType, byte, call, hint, i32const, localGet, localSet, localTee } from "./buffer";
import { hitHost, probe } from "./addresses";
import { leave } from "./leaving";
import { Import } from "./imports";
import { Local, temp32 } from "./slots";
import { ARGUMENT_BITS, Act, CHOP, actOf, argumentOf, formOf } from "./x87_forms";
import { address, begin, interpret, opOf, openIf, widthOf } from "./x87_pieces";

/** The instruction needs all of the state, or more than one access. */
const NOT: i32 = 99;

/** Bytes of the memory operand of instruction `op`; negative: it is written; 0: none. */
function access(op: i32): i32 {
  const form = formOf(op), argument = argumentOf(form);
  switch (actOf(form)) {
    case Act.memory: return widthOf(argument >> ARGUMENT_BITS);
    case Act.load: return widthOf(argument);
    case Act.store: return -widthOf(argument & ~CHOP);
    case Act.wait: case Act.loadExtended: case Act.storeExtended: case Act.compareToFlags: case Act.moveIf: case Act.statusToAx:
    case Act.storeStatus: case Act.storeControl: case Act.loadControl:
      return NOT;
  }
  switch (op) {
    case Op.fnstenv: case Op.fldenv: case Op.fnsave: case Op.frstor: case Op.fninit: case Op.fnclex: case Op.fnop_8087: case Op.fbld: case Op.fbstp:
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
    const lin = probe(address(u), abs(w), w < 0, 0), h = temp32();
    byte(Wasm.i32eqz);
    openIf();
    interpret(u, 1);
    byte(Wasm.end);
    hitHost(0);
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
