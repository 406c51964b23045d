/** Flags of UCOMIS and COMIS. As a node they are the pair of locals that was compared, so that a branch behind is one comparison of
 *  WebAssembly's; their bits are worked out only if somebody may look (SDM Vol.2B "UCOMISD"). */
import { Wasm, byte, i32const, localGet } from "./buffer";
import { Node, argA, argB, imm, make, width } from "./node";
import { Float } from "./simd";

export function orderNode(a: u32, b: u32, wide: bool): i32 { return make(Node.order, wide ? 8 : 4, <i32>a, <i32>b, 0); }

/** Condition `cc` of the flags `n`, 0 if it asks for others than ZF, PF and CF. */
export function orderCondition(n: i32, cc: i32): i32 {
  const group = cc >> 1;
  return group == 1 || group == 2 || group == 3 || group == 5 ? make(Node.ordered, width(n), argA(n), argB(n), cc) : 0;
}

/** [] -> [i32]: a relation of the operands of node `n`. `code`: of f64. */
function relation(n: i32, code: i32): void {
  localGet(argA(n));
  localGet(argB(n));
  byte(width(n) == 8 ? code : code - (Float.f64eq - Float.f32eq));
}
/** [] -> [i32]: below or above. */
function different(n: i32): void {
  relation(n, Float.f64lt);
  relation(n, Float.f64gt);
  byte(Wasm.i32or);
}
/** [] -> [i32]: neither is a NaN. */
function comparable(n: i32): void {
  relation(n, Float.f64lt);
  relation(n, Float.f64ge);
  byte(Wasm.i32or);
}

/** [] -> [i32]: Node.ordered. */
export function emitOrdered(n: i32): void {
  const cc = <i32>imm(n);
  // the odd conditions are those that a NaN makes false
  switch (cc >> 1) {
    case 1: relation(n, Float.f64ge); break;
    case 2: different(n); break;
    case 3: relation(n, Float.f64gt); break;
    default: comparable(n);
  }
  if (!(cc & 1)) byte(Wasm.i32eqz);
}

/** [] -> [i32]: Node.order, as in RFLAGS. */
export function emitOrder(n: i32): void {
  relation(n, Float.f64ge);
  byte(Wasm.i32eqz);
  comparable(n);
  byte(Wasm.i32eqz);
  i32const(2);
  byte(Wasm.i32shl);
  byte(Wasm.i32or);
  different(n);
  byte(Wasm.i32eqz);
  i32const(6);
  byte(Wasm.i32shl);
  byte(Wasm.i32or);
}
