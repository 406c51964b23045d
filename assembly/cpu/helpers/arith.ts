/** ALU operations at run-time width for helpers, through the one definition in semantics/alu. */
import { Interp } from "../interp";
import { PCPU } from "../pcpu";
import { aluOp } from "../semantics/alu";

/** `a op b` at `w` bytes (op as in the opcode map: 0 ADD .. 7 CMP); sets the flags, returns the result sign-extended. */
export function aluFlags(op: i32, w: i32, a: u64, b: u64): u64 {
  const m = changetype<Interp<u32>>(PCPU);
  return aluOp<Interp<u32>, u64>(m, op, w, m.sext(a, w), m.sext(b, w));
}
