/** Template records with a handler of their own in run(), chosen from profiles of kernels, userland and the benchmark guests.
 *  The function's size is bounded (docs/adr/0006): an entry is added by taking another out. */

/** [template, operations, widths, forms]: one handler per combination. "*" stands for all operations in one handler that reads
 *  its operation from the record; templates whose width does not matter (SHARED_WIDTH) have one handler for all widths. */
export type HotRow = readonly [template: string, operations: readonly string[], widths: readonly number[], forms: readonly string[]];

const COMMON = ["e", "ne", "b", "ae", "be", "a", "l", "ge", "le", "g"];
const ALL_CC = ["b", "ae", "e", "ne", "be", "a", "s", "ns", "l", "ge", "le", "g"]; // the others follow what is not compared

/** Templates whose handlers do not look at the operand width. */
export const SHARED_WIDTH: readonly string[] = ["jcc", "jmp"];

/** Templates that end a block: the run loop counts the next block after them. */
export const BRANCHES: readonly string[] = ["jcc", "jmp", "call", "ret", "callInd", "jmpInd", "cmpj", "testj"];

export const HOT: readonly HotRow[] = [
  ["mov", [""], [8, 4], ["rr", "ri", "rm", "mr", "rmb", "mrb", "mib"]],
  ["mov", [""], [1], ["rr", "rm", "mr", "rmb", "mrb", "mib"]],
  ["mov", [""], [2], ["mrb"]],
  ["movx", ["zb", "zw"], [4], ["rr", "rm", "rmb"]],
  ["movx", ["sb"], [4], ["rr", "rmb"]],
  ["movx", ["sd"], [8], ["rr", "rm", "rmb"]],
  ["lea", [""], [8, 4], ["rm", "rmb"]],
  ["alu", ["add"], [8], ["rr", "ri", "rmb", "mrb", "mib"]],
  ["alu", ["add"], [4], ["rr", "ri", "rm", "rmb", "mrb", "mib"]],
  ["alu", ["sub"], [8, 4], ["rr", "ri", "rmb"]],
  ["alu", ["and"], [8, 4], ["rr", "ri"]],
  ["alu", ["and", "or"], [4], ["rmb"]],
  ["alu", ["or", "xor"], [8, 4], ["rr"]],
  ["alu", ["or"], [4], ["ri"]],
  ["alu", ["xor"], [4], ["ri", "rm", "rmb"]],
  ["alu", ["xor"], [1], ["rr"]],
  ["alu", ["adc", "sbb"], [8, 4], ["rr"]],
  ["alu", ["add"], [8], ["rm"]],
  ["alu", ["cmp"], [8, 4], ["rr", "ri", "rmb", "mrb", "mib"]],
  ["alu", ["cmp"], [1], ["ri", "mib"]],
  ["alu", ["cmp"], [2], ["ri"]],
  ["alu", ["cmp"], [1], ["rr"]],
  ["alu", ["test"], [8], ["ri"]],
  ["alu", ["and"], [1], ["ri"]],
  ["alu", ["or"], [8], ["ri"]],
  ["alu", ["and"], [8], ["rmb"]],
  ["alu", ["test"], [8, 4], ["rr"]],
  ["alu", ["test"], [4, 1], ["ri"]],
  ["alu", ["test"], [1], ["rr", "mib"]],
  ["unary", ["inc", "dec"], [8, 4], ["rr"]],
  ["unary", ["inc", "dec"], [4], ["mrb", "mr"]],
  ["bitTest", ["bt"], [4], ["mib"]],
  ["unary", ["not", "neg"], [8, 4], ["rr"]],
  ["shift", ["shl", "shr", "sar"], [8, 4], ["ri"]],
  ["shift", ["rol", "ror"], [4], ["ri"]],
  ["push", [""], [8, 4], ["rr"]],
  ["push", [""], [4], ["ri", "rmb"]],
  ["push", [""], [8], ["rmb"]],
  ["pop", [""], [8, 4], ["rr"]],
  ["jcc", ALL_CC, [8, 4], ["ri"]],
  ["setcc", COMMON, [1], ["rr"]],
  ["cmov", ALL_CC, [8, 4], ["rr"]],
  ["jmp", [""], [8, 4], ["ri"]],
  ["call", [""], [8, 4], ["ri"]],
  ["ret", [""], [8, 4], ["ri"]],
  ["callInd", [""], [8, 4], ["rr", "rmb"]],
  ["jmpInd", [""], [8, 4], ["rr", "rm"]],
  ["jmpInd", [""], [8], ["rmb"]],
  ["leave", [""], [8, 4], ["ri"]],
  ["imul", [""], [8, 4], ["rr"]],
  ["imul", [""], [4], ["rmb", "ri"]],
  ["swapBytes", [""], [8, 4], ["rr"]],
  ["nop", [""], [4], ["rr"]],
  ["movs", [""], [8, 4, 1], ["rr"]],
  ["stos", [""], [8, 4, 1], ["rr"]],
  ["cmpj", COMMON, [4], ["rr", "ri"]],
  ["cmpj", ["e", "ne", "b", "ae", "be", "a", "l"], [8], ["rr"]],
  ["cmpj", ["e", "ne", "be", "a"], [8, 1], ["ri"]],
  ["cmpj", ["*"], [4], ["mib"]],
  ["cmpj", ["*"], [1], ["rm", "mr", "mib"]],
  ["testj", ["e", "ne", "s", "ns"], [8, 4], ["rr"]],
  ["testj", ["e", "ne"], [1], ["rr", "ri", "mib"]],
];
