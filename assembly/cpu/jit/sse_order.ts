/** Flags of UCOMIS, COMIS, FCOMI: the two numbers that were compared, both as doubles. So a branch behind is one comparison of WebAssembly's, and what
 *  they are as bits is worked out where somebody looks at them: by the core, seldom. */
import { Node, argA, make, op, use, width } from "./node";

/** Operand of such flags: the number in a float local. */
export function floatNode(a: u32, wide: bool): i32 { return make(Node.float, wide ? 8 : 4, <i32>a, 0, 0); }

/** Condition `cc` of the flags with operands `a`, `b`, 0 if it asks for others than ZF, PF and CF. */
export function orderCondition(a: i32, b: i32, cc: i32): i32 {
  const group = cc >> 1;
  if (group != 1 && group != 2 && group != 3 && group != 5) return 0;
  if (op(a) == Node.float && op(b) == Node.float && width(a) == width(b)) return make(Node.ordered, width(a), argA(a), argA(b), cc);
  use(a);
  use(b);
  return make(Node.ordered, 0, a, b, cc);
}
