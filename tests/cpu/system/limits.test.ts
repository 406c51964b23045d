/** Segment limits and types (SDM Vol.3A "Limit Checking", "Type Checking"): data accesses of every width around the ends of segments of every
 *  type, 16- and 32-bit, byte- and page-granular, expand-down ones too; stacks, whose pointers wrap; code that runs or jumps out of its segment. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Random } from "../../support/random";
import { Guest } from "./guest";
import { type Case, code, compare } from "./random_world";
import { CODE, protectedMode, realMode, runCode, setGate32, STACK, STACK0, UCODE32, UDATA, v86Mode } from "./worlds";

const guest = await Guest.create();
const BASE = 0x100000;
const [SS, GP] = [12, 13];

/** Bits 40..43 of a descriptor: which accesses they allow. */
const TYPES = [
  { name: "read-only data", type: 1, read: true, write: false, down: false },
  { name: "data", type: 3, read: true, write: true, down: false },
  { name: "read-only expand-down data", type: 5, read: true, write: false, down: true },
  { name: "expand-down data", type: 7, read: true, write: true, down: true },
  { name: "execute-only code", type: 9, read: false, write: false, down: false },
  { name: "readable code", type: 11, read: true, write: false, down: false },
  { name: "conforming execute-only code", type: 13, read: false, write: false, down: false },
  { name: "conforming readable code", type: 15, read: true, write: false, down: false },
] as const;

/** Instructions with an operand at [EBX] in a segment whose prefix comes before: bytes, width, whether they write. */
const ACCESSES: readonly (readonly [name: string, code: string, size: number, write: boolean])[] = [
  ["MOV AL", "8a 03", 1, false],
  ["MOV AX", "66 8b 03", 2, false],
  ["MOV EAX", "8b 03", 4, false],
  ["MOV to byte", "88 03", 1, true],
  ["MOV to word", "66 89 03", 2, true],
  ["MOV to doubleword", "89 03", 4, true],
  ["ADD to doubleword", "01 03", 4, true],
  ["CMP byte", "3a 03", 1, false],
  ["TEST doubleword", "85 03", 4, false],
  ["INC word", "66 ff 03", 2, true],
  ["MOVZX", "0f b6 03", 1, false],
  ["IMUL", "0f af 03", 4, false],
  ["BTS", "0f ba 2b 01", 4, true],
  ["XCHG", "87 03", 4, true],
  ["CMPXCHG8B", "0f c7 0b", 8, true],
  ["PUSH", "ff 33", 4, false],
  ["SETZ", "0f 94 03", 1, true],
  ["SHLD", "0f a5 03", 4, true],
  ["FLD m32", "d9 03", 4, false],
  ["FLD m64", "dd 03", 8, false],
  ["FLD m80", "db 2b", 10, false],
  ["FSTP m80", "d9 e8 XX db 3b", 10, true],
  ["FNSTCW", "d9 3b", 2, true],
  ["FNSTENV", "d9 33", 28, true],
  ["FNSTENV, 16-bit", "66 d9 33", 14, true],
  ["FNSAVE", "dd 33", 108, true],
  ["MOVQ MMX", "0f 6f 03", 8, false],
  ["MOVUPS", "0f 10 03", 16, false],
  ["MOVUPS to memory", "0f 11 03", 16, true],
  ["MOVSD to memory", "f2 0f 11 03", 8, true],
  ["PUNPCKLBW MMX", "0f 60 03", 4, false],
  ["SGDT", "0f 01 03", 6, true],
  ["SLDT", "0f 00 03", 2, true],
  ["CLFLUSH", "0f ae 3b", 1, false],
];

const PREFIX = new Map<Seg, string>([[Seg.es, "26"], [Seg.ss, "36"], [Seg.fs, "64"], [Seg.gs, "65"]]);
const hex = (x: number) => (x >>> 0).toString(16);

const data = suite("Limits and types of data segments");
data("2500 random accesses", () => {
  const random = new Random("limits");
  const seen = { faults: 0, done: 0 };
  for (let i = 0; i < 2500; i++) {
    const kind = random.pick(TYPES);
    const seg = random.pick([Seg.es, Seg.es, Seg.fs, Seg.gs, Seg.ss]);
    const [, , , write] = ACCESSES[i % ACCESSES.length];
    const [name, bytes, size] = ACCESSES[i % ACCESSES.length];
    // SS can be loaded with writable data only
    const type = seg === Seg.ss ? random.pick([TYPES[1], TYPES[3]]) : kind;
    const big = random.chance(0.5);
    const pages = random.chance(0.3);
    const units = pages ? random.pick([0, 1, 0x10]) : random.pick([0, 0xe, 0x7f, 0xfff, 0xffff, 0x12345]);
    const limit = pages ? units * 4096 + 4095 : units;
    const top = big ? 0xffffffff : 0xffff;
    const edge = random.pick([0, limit, limit, limit + 1, ...(type.down ? [top, top + 1] : [])]);
    const offset = edge + random.pick([0, 0, -1, 1, -size, 1 - size, -size - 1, random.between(-130, 20)]);
    if (offset < 0 || offset + size - 1 > 0xffffffff) continue;
    const inside = type.down ? offset > limit && offset + size - 1 <= top : offset + size - 1 <= limit;
    const allowed = inside && (write ? type.write : type.read);

    protectedMode(guest, 0);
    // the handler's stack is another: the one under test may be full
    setStacks();
    guest.setField(PcpuOff.cr4, 0x600n);
    guest.setWord(PcpuOff.mxcsr, 0x1f80);
    guest.setWord(PcpuOff.fcw, 0x37f);
    guest.segment(seg, 0x43, BASE, limit, 0xf0 | type.type | (big ? 0x4000 : 0) | (pages ? 0x8000 : 0));
    guest.setGpr("rbx", BigInt(offset));
    guest.setGpr("rsp", BigInt(seg === Seg.ss ? 0 : STACK));
    if (seg === Seg.ss && name === "PUSH") continue;
    const prefix = PREFIX.get(seg)!;
    const text = bytes.includes("XX") ? bytes.replace("XX", prefix) : `${prefix} ${bytes}`;
    const before = guest.ram.slice(BASE - 0x200, BASE + 0x13000);
    const got = runCode(guest, `${text} cd 80`);
    const what = `${name} of ${size} bytes at ${hex(offset)} in ${type.name}, limit ${hex(limit)}, ${big ? "32" : "16"}-bit, ${PREFIX.get(seg)}`;
    assert.is(got, allowed ? 0x80 : seg === Seg.ss ? SS : GP, what);
    if (allowed) {
      seen.done++;
      continue;
    }
    seen.faults++;
    assert.is(guest.u32(STACK0 - 24), 0, `${what}: error code`);
    assert.is(Buffer.compare(guest.ram.subarray(BASE - 0x200, BASE + 0x13000), before), 0, `${what}: nothing was written`);
  }
  assert.ok(seen.faults > 1000 && seen.done > 400, JSON.stringify(seen));
});

/** CPL 3 as far as the hidden parts go, so that handlers change the stack. */
function setStacks(): void {
  setGate32(guest, 0x80, 0xee);
  guest.setWord(PcpuOff.cpl, 3);
  guest.segment(Seg.cs, UCODE32, 0, 0xffffffff, 0xc0fb);
  for (const seg of [Seg.ss, Seg.ds, Seg.es, Seg.fs, Seg.gs]) guest.segment(seg, UDATA, 0, 0xffffffff, 0xc0f3);
}

data("null selectors: #GP(0) for any access, but none for loading them", () => {
  for (const [load, use] of [["8e c0", "26 8a 03"], ["8e d8", "8a 03"], ["8e e0", "64 88 03"], ["8e e8", "65 0f b6 03"]])
    for (const selector of [0, 1, 2, 3]) {
      protectedMode(guest, 3);
      setGate32(guest, 0x80, 0xee);
      guest.setGpr("rax", BigInt(selector));
      assert.is(runCode(guest, `${load} cd 80`), 0x80);
      protectedMode(guest, 3);
      guest.setGpr("rax", BigInt(selector));
      assert.is(runCode(guest, `${load} ${use} cd 80`), GP);
      assert.is(guest.u32(STACK0 - 24), 0);
    }
});

data("LEA, INVLPG and NOP look at no limit", () => {
  for (const bytes of ["8d 03", "0f 1f 03", "0f 18 03", "0f 0d 0b"]) {
    protectedMode(guest, 0);
    guest.segment(Seg.ds, 0, 0, 0, 0x10000);
    guest.setGpr("rbx", 0x12345678n);
    assert.is(runCode(guest, `${bytes} f4`), -1, bytes);
  }
});

data("string instructions check each element where it is", () => {
  //          code     ECX  EDI  limit of ES   vector, ECX and EDI at the fault
  for (const [text, ecx, edi, limit, vector, left, at] of [
    ["f3 aa", 8, 0xff8, 0xfff, -1, 0, 0x1000],
    ["f3 aa", 9, 0xff8, 0xfff, GP, 1, 0x1000],
    ["f3 ab", 3, 0xff4, 0xffe, GP, 1, 0xffc],
    ["f3 a4", 0x20, 0xff0, 0xfff, GP, 0x10, 0x1000],
    ["67 f3 aa", 5, 0xfffe, 0xffff, -1, 0, 3],
    ["67 66 f3 ab", 3, 0xfffd, 0xffff, GP, 2, 0xffff],
    ["f3 aa", 0, 0x5000, 0xfff, -1, 0, 0x5000],
    ["fd f3 aa", 4, 2, 0xfff, GP, 1, 0xffffffff],
  ] as const) {
    protectedMode(guest, 0);
    guest.segment(Seg.es, 0x40, BASE, limit, 0x4093);
    guest.setGpr("rcx", BigInt(ecx));
    guest.setGpr("rdi", BigInt(edi));
    guest.setGpr("rsi", 0x200n);
    assert.is(runCode(guest, `${text} f4`), vector, text);
    assert.equal([Number(guest.gpr("rcx")), Number(guest.gpr("rdi"))], [left, at], text);
  }
});
data.run();

/* Stacks. PUSHA and POPA, which processors perform item by item up to the one that faults, are among the recordings (tests/cpu/integer). */

const STACK_TYPES = [
  { attr: 0x4093, limits: [0xffff, 0xfff, 0x7, 0xffffffff] },
  { attr: 0x0093, limits: [0xffff, 0xfff, 0x7, 0xfffe] },
  { attr: 0x4097, limits: [0xfff, 0xffff, 0x7ff] },
  { attr: 0x0097, limits: [0xfff, 0xfffe, 0x7ff] },
] as const;

compare(guest, "stacks at their limits", 600, (guest, random): Case => {
  protectedMode(guest, 3);
  setGate32(guest, 0x80, 0xee);
  const kind = random.pick(STACK_TYPES);
  const limit = random.pick(kind.limits);
  const flat = limit === 0xffffffff;
  guest.segment(Seg.ss, 0x43, flat ? 0 : 0x24000, limit, kind.attr | 0x60);
  const edge = random.pick([limit, limit + 1, 0, 0x10000, 0x800]) % 0x11000;
  const esp = flat ? STACK : Math.max(0, edge + random.between(-36, 36));
  guest.setGpr("rsp", BigInt(kind.attr & 0x4000 ? esp : (random.u32() & 0xffff0000 & 0x7fffffff) + (esp & 0xffff)));
  guest.setGpr("rbp", BigInt(flat ? STACK : Math.max(0, edge + random.between(-8, 8))));
  const narrow = random.chance(0.4);
  const size = narrow ? 2 : 4;
  const prefix = narrow ? [0x66] : [];
  guest.hex(0xb000, "f4 f4");
  guest.ram.fill(0xf4, 0xa000, 0xe000);
  const [name, bytes, perform] = random.pick<readonly [string, readonly number[], Case["perform"]]>([
    ["PUSH", [0x50], (m) => m.push(size, [m.r[0]])],
    ["PUSH SP", [0x54], (m) => m.push(size, [m.r[4]])],
    ["PUSH imm", [0x6a, 0xfe], (m) => m.push(size, [-2])],
    ["PUSHF", [0x9c], (m) => m.pushf(size)],
    ["POP", [0x59], (m) => {
      const value = m.peek(0, size);
      m.setEsp(m.r[4] + size);
      m.r[1] = size === 4 ? value : ((m.r[1] & 0xffff0000) | value) >>> 0;
    }],
    ["LEAVE", [0xc9], (m) => {
      m.setEsp(m.r[5]);
      const value = m.peek(0, size);
      m.r[5] = size === 4 ? value : ((m.r[5] & 0xffff0000) | value) >>> 0;
      m.setEsp(m.r[4] + size);
    }],
    ["CALL", narrow ? [0xe8, 0x00, 0x20] : [0xe8, 0x00, 0x20, 0, 0], (m, next) => {
      m.push(size, [next]);
      m.eip = next + 0x2000;
    }],
    ["CALL beyond 64 KiB: truncated by the operand size", narrow ? [0xe8, 0x00, 0x88] : [0xe9, 0x00, 0x20, 0, 0], (m, next) => {
      if (narrow) m.push(size, [next]);
      m.eip = narrow ? (next + 0x8800) & 0xffff : next + 0x2000;
    }],
    ["PUSH ES", [0x06], (m) => m.push(size, [m.seg[0].selector])],
  ]);
  guest.ram.fill(0xf4, 0x800, 0x900);
  return { text: `${name}: ${code(guest, [...prefix, ...bytes])}; SS ${hex(kind.attr)} limit ${hex(limit)} ESP ${guest.gpr("rsp").toString(16)}`, length: prefix.length + bytes.length, perform };
});

/* Code. */

const fetch = suite("Code segments' limits");

//  limit, D, code at CODE, EBX, vector, EIP that is pushed
const FETCHES: readonly (readonly [string, number, boolean, string, number, number, number])[] = [
  ["the last byte", CODE + 2, true, "90 90 f4", 0, -1, CODE + 3],
  ["running out", CODE + 1, true, "90 90 f4", 0, GP, CODE + 2],
  ["an instruction across the end", CODE + 2, true, "90 83 c0 01 f4", 0, GP, CODE + 1],
  ["a short jump", 0x8fff, true, "e9 fb 0f 00 00", 0, GP, CODE],
  ["a short jump to the last byte", 0x9000, true, "e9 fb 0f 00 00", 0, -1, 0x9001],
  ["a jump that is not taken", CODE + 6, true, "31 c0 75 7f f4", 0, -1, CODE + 5],
  ["a conditional jump", 0x8fff, true, "31 c0 0f 84 f8 0f 00 00", 0, GP, CODE + 2],
  ["an indirect jump", 0x8fff, true, "ff e3", 0x9000, GP, CODE],
  ["a call pushes nothing", 0x8fff, true, "e8 fb 0f 00 00", 0, GP, CODE],
  ["an indirect call pushes nothing", 0x8fff, true, "ff d3", 0x9000, GP, CODE],
  ["a return", 0x8fff, true, "68 00 90 00 00 c3", 0, GP, CODE + 5],
  ["LOOP", CODE + 0x10, true, "b9 02 00 00 00 e2 7f", 0, GP, CODE + 5],
  ["JECXZ", CODE + 0x10, true, "31 c9 e3 7f", 0, GP, CODE + 2],
  ["16-bit code wraps jumps at 64 KiB", 0xffff, false, "e9 fd 0f", 0, -1, 0x9001],
  ["16-bit code does not wrap when it runs", 0xffff, false, "e9 fb 7f", 0, GP, 0x10000],
  ["a 32-bit jump in 16-bit code", 0xffff, false, "66 e9 fa 7f 00 00", 0, GP, CODE],
  ["a 16-bit jump in 32-bit code", 0xffffffff, true, "66 e9 fc 0f", 0, -1, 0x9001],
  ["a 16-bit indirect jump in 32-bit code", 0xffffffff, true, "66 ff e3", 0xffff9000, -1, 0x9001],
];
for (const [name, limit, wide, text, ebx, vector, eip] of FETCHES)
  fetch(`${name}: ${vector < 0 ? "runs" : "#GP(0)"}`, () => {
    protectedMode(guest, 0);
    guest.hex(0x9000, "f4");
    guest.hex(0xfffe, "90 90");
    guest.segment(Seg.cs, 8, 0, limit, wide ? 0x409b : 0x9b);
    guest.setGpr("rbx", BigInt(ebx));
    assert.is(runCode(guest, text), vector);
    if (vector < 0) {
      assert.is(guest.rip, eip);
      return;
    }
    const esp = Number(guest.gpr("rsp"));
    assert.equal([guest.u32(esp), guest.u32(esp + 4)], [0, eip]);
    if (!name.includes("return")) assert.is(esp, STACK - 16, "nothing but the frame");
  });

fetch("execute-only code runs, and reads of it through CS are #GP(0)", () => {
  for (const [attr, vector] of [[0xc099, GP], [0xc09b, -1], [0xc09d, GP], [0xc09f, -1]] as const) {
    protectedMode(guest, 0);
    guest.segment(Seg.cs, 8, 0, 0xffffffff, attr);
    assert.is(runCode(guest, "2e a1 00 80 00 00 f4"), vector);
  }
});

fetch("in real and virtual-8086 mode everything ends at 64 KiB", () => {
  for (const [bits, world] of [["real", () => realMode(guest)], ["v86", () => v86Mode(guest, 3)]] as const)
    for (const [text, vector] of [
      ["a0 ff ff", -1],
      ["a1 ff ff", GP],
      ["66 a1 fd ff", GP],
      ["66 a1 fc ff", -1],
      ["66 db 2e f6 ff", -1],
      ["db 2e f7 ff", GP],
      ["0f 10 06 f1 ff", GP],
      ["67 8a 05 00 00 01 00", GP],
      ["36 a1 ff ff", SS],
    ] as const) {
      world();
      setGate32(guest, 0x80, 0xee);
      guest.setField(PcpuOff.cr4, 0x600n);
      guest.setWord(PcpuOff.fcw, 0x37f);
      const got = bits === "real" ? realVector(text) : runCode(guest, `${text} cd 80`);
      assert.is(got, vector < 0 ? 0x80 : vector, `${bits}: ${text}`);
    }
});
function realVector(text: string): number {
  runCode(guest, `${text} cd 80`);
  return (guest.rip - 1) / 16;
}
fetch.run();
