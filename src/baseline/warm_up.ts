/** One pass over every case of the interpreter's switch, in all its branches. JavaScript engines compile a function for what it
 *  has been seen doing and throw the code away when a branch never taken before is; in a function this large that would happen
 *  with every new kind of instruction a guest uses. The pass runs in the new machine itself, before anything is loaded. */
import type { BaselineCore } from "./core";
import type { Slice } from "./interpreter";
import { OSFXSR } from "./sse";

const DATA = 0x1000;
const STACK = 0x3000;
const CODE = 0x4000;
export const WARM_UP_BYTES = 1 << 18;
const SLICES = [37, 5, 61, 3, 11]; // budgets, so that all ways out are taken

const le32 = (x: number) => [x & 255, (x >> 8) & 255, (x >> 16) & 255, (x >>> 24) & 255];
const movEax = (x: number) => [0xb8, ...le32(x)];
const movEcx = (x: number) => [0xb9, ...le32(x)];
const BYTE_FORMS = new Set([0x88, 0x8a, 0xc6, 0x38, 0x3a, 0x80, 0xf6]);

/** Operations with a memory operand: bytes before ModRM, ModRM.reg, bytes after. */
function memoryForms(): [number[], number, number[]][] {
  const forms: [number[], number, number[]][] = [];
  for (let i = 0; i < 8; i++) forms.push([[i * 8 + 3], 1, []], [[i * 8 + 1], 1, []], [[0x83], i, [5]]);
  for (const opcode of [0x85, 0x8b, 0x89, 0x88, 0x8a, 0x38, 0x3a, 0x8d]) forms.push([[opcode], 1, []]);
  for (const second of [0xb6, 0xb7, 0xbe, 0xbf, 0xaf, 0x44, 0x45]) forms.push([[0x0f, second], 1, []]);
  forms.push([[0xf7], 0, le32(9)], [[0xc7], 0, le32(9)], [[0xc6], 0, [9]], [[0x66, 0x89], 1, []], [[0x80], 7, [9]], [[0xf6], 0, [9]]);
  forms.push([[0x69], 1, le32(0x12345678)], [[0xf7], 4, []], [[0xff], 0, []], [[0xff], 1, []], [[0xff], 6, []]);
  return forms;
}

/** Operations on registers. */
function registerForms(): number[][] {
  const forms: number[][] = [];
  for (let i = 0; i < 8; i++) forms.push([i * 8 + 1, 0xc8], [i * 8 + 3, 0xc1], [0x83, 0xc1 + i * 8, 7]);
  forms.push([0x85, 0xc8], [0xf7, 0xc1, ...le32(77)], [0x89, 0xc8], [0x88, 0xc8], [0xb1, 7], [0xb5, 0xf0], [0x8d, 0x44, 0x4b, 3], [0x41], [0x49], [0xf7, 0xd9], [0xf7, 0xd1], [0x91]);
  for (const second of [0xb6, 0xb7, 0xbe, 0xbf, 0xaf, 0x44, 0x45, 0x94, 0x95]) forms.push([0x0f, second, 0xc1]);
  forms.push([0x69, 0xc1, ...le32(0x7654321)], [0xf7, 0xe1], [0x99], [0x0f, 0xc9], [0x0f, 0xa4, 0xc8, 5], [0x0f, 0xac, 0xc8, 5], [0x68, ...le32(5)], [0x58], [0x90]);
  for (const digit of [0, 1, 4, 5, 7]) forms.push([0xc1, 0xc0 + digit * 8, 3], [0xd3, 0xc0 + digit * 8]);
  forms.push([0x38, 0xc8], [0x80, 0xf9, 5], [0x84, 0xc8], [0xf6, 0xc1, 5], [0x30, 0xc8], [0x08, 0xc8], [0x80, 0xe1, 0x3f], [0xd9, 0xe8], [0xde, 0xc1], [0xf2, 0x0f, 0x58, 0xc1], [0x66, 0x0f, 0x2f, 0xc1]);
  return forms;
}

/** After each of these the lazy flags are of another kind. */
const KINDS: readonly number[][] = [[0x85, 0xc0], [0x01, 0xc8], [0x39, 0xc8], [0x29, 0xc8], [0x11, 0xc8], [0x19, 0xc8], [0x40], [0x48], [0xd1, 0xe0], [0xf9], [0x9e]];
/** Those first that overflow whatever can. */
const PAIRS = [[0x7fffffff, 0x7ffffff3], [0x80000000 | 0, 1], [1, 2], [2, 1], [2, 2], [-3, 5], [0x7fffffff, -1], [0, 0]];

function program(): Uint8Array {
  const code: number[] = [];
  const emit = (...bytes: number[]) => {
    code.push(...bytes);
  };
  emit(0xbb, ...le32(DATA), 0xbc, ...le32(STACK), 0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xe8);
  // What is rare comes first, in rounds counted by EBP: engines take no notes in the beginning, and start to compile soon.
  // CALL and RET with and without immediate, through registers and memory; JMP likewise
  const here = () => CODE + code.length;
  emit(0xbd, ...le32(8));
  const round = here();
  emit(0xeb, 4, 0xc3, 0xc2, 0, 0);
  const ret = here() - 4;
  for (let i = 0; i < 2; i++) {
    emit(0xe8, ...le32(ret - here() - 5), 0xb8, ...le32(ret + 1), 0xff, 0xd0, 0xc7, 0x43, 0x20, ...le32(ret), 0xff, 0x53, 0x20);
    emit(0xb8, ...le32(here() + 7), 0xff, 0xe0);
    emit(0xc7, 0x43, 0x20, ...le32(here() + 10), 0xff, 0x63, 0x20);
    emit(0x55, 0x89, 0xe5, 0xc9);
  }
  // into decoded code from in front of it; a store just ahead; a fault
  emit(0xbf, ...le32(50), 0xeb, 1, 0x90, 0x4f, 0x75, 0xfc);
  emit(0xc6, 0x05, ...le32(here() + 8), 0x90, 0x90, 0x90);
  emit(0x31, 0xc9, 0xf7, 0xf1);
  // what the switch has no case for, one of each kind: SETO in memory, PUSHA and POPA, CMPSB, MOV from CR0, FCOMI,
  // FWAIT, LOOP; STI, which leaves the interpreter, and CLI
  emit(0x0f, 0x90, 0x43, 0x10, 0x60, 0x61, 0xbe, ...le32(DATA), 0x89, 0xf7, 0xa6, 0x0f, 0x20, 0xc0, 0xdb, 0xf1, 0x9b, ...movEcx(2), 0xe2, 0xfe, 0xfb, 0xfa);
  // an instruction on both sides of a page's end
  const end = ((here() + 8) | 4095) - 2;
  emit(0xe9, ...le32(end - here() - 5));
  while (here() < end) emit(0x90);
  emit(...movEax(1));
  emit(0x4d, 0x0f, 0x85, ...le32(round - here() - 7)); // DEC EBP, JNZ
  for (const [a, c] of PAIRS) {
    for (const form of registerForms()) emit(...movEax(a), ...movEcx(c), ...form);
    for (const [head, reg, tail] of memoryForms()) {
      for (const at of BYTE_FORMS.has(head[0]) ? [0x10] : [0x10, 0x13]) emit(...movEax(a), ...movEcx(c), ...head, 0x43 | (reg << 3), at, ...tail);
    }
    for (const kind of KINDS) {
      for (let cc = 0; cc < 16; cc++) emit(...movEax(a), ...movEcx(c), ...kind, 0x70 + cc, 0, 0x0f, 0x90 + cc, 0xc2);
      for (const form of [[0x11, 0xc8], [0x19, 0xc8], [0x83, 0x53, 0x10, 1], [0x40], [0x48], [0xc1, 0xc0, 3], [0xc1, 0xc8, 3], [0xff, 0x43, 0x10], [0xff, 0x4b, 0x10]]) emit(...movEax(a), ...movEcx(c), ...kind, ...form);
    }
    for (let cc = 0; cc < 16; cc++) {
      // twice each, for a target looked up and a target known
      for (const compare of [[0x39, 0xc8], [0x83, 0xf8, c === -1 ? -1 & 255 : c & 127], [0x85, 0xc8], [0x85, 0xc0]]) emit(...movEax(a), ...movEcx(c), 0xbf, ...le32(2), ...compare, 0x70 + cc, 0, 0x4f, 0x75, (-(compare.length + 5)) & 255);
    }
  }
  emit(0xf4);
  if (CODE + code.length > WARM_UP_BYTES) throw new Error(`${code.length} bytes to warm up`);
  return Uint8Array.from(code);
}

let bytes: Uint8Array | undefined;

export function warmUp(core: BaselineCore, slice: Slice): void {
  bytes ??= program();
  core.cr[4] = OSFXSR;
  for (const stack of [STACK, STACK + 2]) {
    new DataView(bytes.buffer).setUint32(6, stack, true);
    core.ram8.set(bytes, CODE);
    core.pc = CODE;
    core.halted = false;
    for (let i = 0; !core.halted; i++) {
      core.leave = false;
      const step = i % 7 === 0;
      core.sliceWords = step ? 3 : SLICES[i % SLICES.length] * 4 - 1;
      slice(step ? core.decodeStep(core.pc) : 0, core.sliceWords);
      if (core.faulted) core.pc += 2; // over DIV
      core.faulted = false;
    }
  }
  core.forgetAll();
  core.ram8.fill(0, 0, WARM_UP_BYTES);
}
