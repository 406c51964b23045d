/** Transfers in IA-32e mode, check by check: which of two defects is reported, what a null SS and addresses that are not canonical do, which flags a
 *  return changes, what becomes of data segments, gates and their stacks (SDM Vol.2A CALL, INT n, IRET, JMP, Vol.2B RET; AMD APM Vol.3). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { descriptor, gate, Guest } from "./guest";
import {
  CODE, DATA, GDT, haltedIn, IDT, IST1, KCODE, KDATA, longMode, runCode, setGate64, SPARE, STACK, STACK0, TSS, UCODE, UCODE32, UDATA,
} from "./worlds";

const guest = await Guest.create();
const TARGET = 0xb000;
const STRANGE = 1n << 47n;
const [TS, NP, SS, GP] = [10, 11, 12, 13];
const [RF, VM] = [0x10000, 0x20000];

/** Descriptors at SPARE, in this order. */
const SEGMENTS = {
  "64-bit, absent": descriptor(0, 0xfffff, 0xa01b),
  "L and D, absent": descriptor(0, 0xfffff, 0xe01b),
  "32-bit": descriptor(0, 0xfffff, 0xc09b),
  "16-bit": descriptor(0, 0xffff, 0x009b),
  "32-bit up to AFFF": descriptor(0, 0xafff, 0x409b),
  "64-bit, DPL 1": descriptor(0, 0xfffff, 0xa0bb),
  "data, DPL 1": descriptor(0, 0xfffff, 0xc0b3),
  "data, absent": descriptor(0, 0xfffff, 0xc013),
  "conforming 64-bit": descriptor(0, 0xfffff, 0xa09f),
  "64-bit, DPL 2": descriptor(0, 0xfffff, 0xa0db),
} as const;
type Name = keyof typeof SEGMENTS;
const at = (name: Name) => SPARE + Object.keys(SEGMENTS).indexOf(name) * 8;
const GATE = 0xa0;

function world(level: number): void {
  longMode(guest, level);
  guest.setWord(PcpuOff.gdtLimit, 0xff);
  Object.values(SEGMENTS).forEach((d, i) => void guest.set64(GDT + SPARE + i * 8, d));
  guest.ram.fill(0xf4, 0xa000, 0xc000);
  guest.ram.fill(0xf4, 0x1b000, 0x1b010);
}
/** The guest goes on in 32-bit code of the same level. */
function compatibility(): void {
  guest.segment(Seg.cs, at("32-bit"), 0, 0xffffffff, 0xc09b);
}
function put(size: number, items: readonly (number | bigint)[], to = STACK): void {
  items.forEach((item, i) => {
    const value = BigInt.asUintN(size * 8, BigInt(item));
    if (size === 8) guest.set64(to + i * 8, value);
    else if (size === 4) guest.set32(to + i * 4, Number(value));
    else guest.set16(to + i * 2, Number(value));
  });
}
const errorCode = () => Number(guest.u64(Number(guest.gpr("rsp"))));
const low = (x: bigint) => Number(x & 0xffffffffn);

const iret = suite("IRET in IA-32e mode, check by check");

//  RIP, CS, RSP, SS at 8 bytes an item; CPL 0                                                vector, error
const FRAMES: readonly (readonly [string, bigint | number, number, bigint | number, number, number, number])[] = [
  ["RIP not canonical", STRANGE, KCODE, 0x12340, KDATA, GP, 0],
  ["a bad SS before RIP", STRANGE, UCODE, 0x12340, KDATA, GP, KDATA],
  ["an absent SS before RIP", STRANGE, KCODE, 0x12340, at("data, absent"), SS, at("data, absent")],
  ["a bad CS before SS", TARGET, at("64-bit, absent"), 0x12340, UDATA, NP, at("64-bit, absent")],
  ["L and D before P", TARGET, at("L and D, absent"), 0x12340, KDATA, GP, at("L and D, absent")],
  ["null SS to 64-bit code at CPL 0", TARGET, KCODE, 0x12340, 0, -1, 0],
  ["null SS of RPL 3 at CPL 0", TARGET, KCODE, 0x12340, 3, GP, 0],
  ["null SS to 32-bit code at CPL 0", TARGET, at("32-bit"), 0x12340, 0, GP, 0],
  ["null SS to 64-bit code at CPL 3", TARGET, UCODE, 0x12340, 3, GP, 0],
  ["an offset above 4 GiB in 32-bit code", 0x1_0000_b000n, at("32-bit"), 0x12340, KDATA, GP, 0],
  ["an offset beyond a 32-bit segment", TARGET, at("32-bit up to AFFF"), 0x12340, KDATA, GP, 0],
  ["the limit of 64-bit code does not count", 0x1b000, KCODE, 0x12340, KDATA, -1, 0],
  ["RSP that is not canonical is no matter", TARGET, KCODE, STRANGE, KDATA, -1, 0],
];
for (const [name, rip, cs, rsp, ss, vector, error] of FRAMES)
  iret(`${name}: ${vector < 0 ? "returns" : `vector ${vector}, error code ${error.toString(16)}`}`, () => {
    world(0);
    put(8, [rip, cs, 2, rsp, ss]);
    assert.is(runCode(guest, "48 cf"), vector);
    if (vector >= 0) assert.is(errorCode(), error);
    else assert.equal([guest.rip, guest.gpr("rsp"), guest.selector(Seg.ss)], [Number(rip) + 1, BigInt(rsp), ss]);
  });

iret("to CPL 1 with a null SS of RPL 1", () => {
  world(0);
  put(8, [TARGET, at("64-bit, DPL 1") | 1, 2, 0x12340, 1]);
  assert.is(runCode(guest, "48 cf"), GP); // by its HLT
  assert.equal([Number(guest.u64(STACK0 - 32)), Number(guest.u64(STACK0 - 8))], [at("64-bit, DPL 1") | 1, 1]);
});

iret("a stack that is not canonical is #SS(0), whatever the width", () => {
  for (const code of ["48 cf", "cf", "66 cf", "48 cb", "cb", "48 ca 08 00"]) {
    world(0);
    setGate64(guest, SS, 0x8e, 1);
    guest.setGpr("rsp", code.startsWith("48") ? STRANGE - 4n : STRANGE);
    assert.is(runCode(guest, code), SS, code);
    assert.is(Number(guest.u64(IST1 - 48)), 0);
  }
});

iret("items of 2 and 4 bytes; RSP is extended with zeros", () => {
  for (const [code, size] of [["66 cf", 2], ["cf", 4]] as const) {
    world(0);
    guest.setGpr("rsp", BigInt(STACK));
    put(size, [TARGET, KCODE, 2, 0x8888_1234, KDATA]);
    assert.is(runCode(guest, code), -1);
    assert.equal([guest.rip, guest.gpr("rsp")], [TARGET + 1, size === 2 ? 0x1234n : 0x88881234n]);
  }
});

iret("32-bit code pops SS only for an outer level; a 64-bit target is allowed", () => {
  for (const [cs, rsp] of [[at("32-bit"), STACK + 12], [KCODE, STACK + 12]] as const) {
    world(0);
    compatibility();
    guest.segment(Seg.ss, KDATA, 0, 0xffffffff, 0xc093);
    put(4, [TARGET, cs, 2, 0x12340, 0x7777]);
    assert.is(runCode(guest, "cf"), -1);
    assert.equal([guest.selector(Seg.cs), guest.gpr("rsp")], [cs, BigInt(rsp)]);
  }
  world(0);
  compatibility();
  guest.segment(Seg.ss, KDATA, 0, 0xffffffff, 0xc093);
  put(4, [TARGET, UCODE32, 2, 0x12340, UDATA]);
  assert.is(runCode(guest, "cf"), GP);
  assert.equal([low(guest.u64(STACK0 - 32)), low(guest.u64(STACK0 - 16))], [UCODE32, 0x12340]);
});

iret("NT is #GP(0) in 64-bit and in 32-bit code", () => {
  for (const narrow of [false, true]) {
    world(0);
    if (narrow) compatibility();
    guest.setField(PcpuOff.rflags, 0x4002n);
    put(8, [TARGET, KCODE, 2, 0x12340, KDATA]);
    assert.is(runCode(guest, narrow ? "cf" : "48 cf"), GP);
    assert.is(errorCode(), 0);
  }
});

//  CPL, RFLAGS before, image, RFLAGS after; 64-bit image, then 16-bit
const FLAGS: readonly (readonly [number, number, number, number, number])[] = [
  [0, 0x2, 0x3fffff & ~0x4100, 0x3c3ed7 & ~0x4100, 0x3ed7],
  [0, 0x3c3ed7, 0x2, 0x2, 0x3c0002],
  [3, 0x2, 0x3ffeff & ~0x4000, 0x240cd7, 0xcd7],
  [3, 0x3002, 0x3ffeff & ~0x4000, 0x243ed7, 0x3ed7],
  [3, 0x1a3202, 0x2, 0x183002 & ~VM, 0x183002 & ~VM],
  [3, 0x1e3ed7 & ~VM, 0x0, 0x183002, 0x1c3002],
];
for (const [cpl, before, image, wide, narrow] of FLAGS)
  for (const size of [8, 2])
    iret(`RFLAGS ${before.toString(16)} and a ${size * 8}-bit image ${image.toString(16)} at CPL ${cpl}`, () => {
      world(cpl);
      guest.setField(PcpuOff.rflags, BigInt(before & ~VM));
      put(size, [TARGET, cpl ? UCODE : KCODE, image, 0x2340, cpl ? UDATA : KDATA]);
      guest.run(codeAt(size === 8 ? "48 cf" : "66 cf"));
      const now = cpl ? low(guest.u64(STACK0 - 24)) & ~RF : guest.flags;
      assert.is(now, (size === 8 ? wide : narrow) & ~VM);
    });
function codeAt(text: string): number {
  guest.hex(CODE, text);
  return CODE;
}

iret("data segments of inner levels become null; FS and GS keep their bases", () => {
  world(0);
  const loaded = [[Seg.es, KDATA, 0xc093], [Seg.ds, UDATA, 0xc0f3], [Seg.fs, KDATA, 0xc093], [Seg.gs, at("conforming 64-bit"), 0xa09f]] as const;
  for (const [seg, selector, attr] of loaded) guest.segment(seg, selector, 0x5000, 0xffffffff, attr);
  put(8, [TARGET, UCODE, 2, 0x12340, UDATA]);
  runCode(guest, "48 cf");
  assert.equal(loaded.map(([seg]) => guest.selector(seg)), [0, UDATA, 0, at("conforming 64-bit")]);
  assert.equal([guest.field(PcpuOff.segBase + Seg.fs * 8), guest.field(PcpuOff.segBase + Seg.gs * 8)], [0x5000n, 0x5000n]);
});
iret.run();

const far = suite("Far transfers in IA-32e mode, check by check");

//  RIP, CS, RSP, SS of RETFQ at CPL 0; how much it releases                        vector, error
const RETURNS: readonly (readonly [string, bigint | number, number, bigint | number, number, number, number])[] = [
  ["to the same level: SS stays", TARGET, KCODE, 0x7777, 0x7777, -1, 0],
  ["RIP not canonical", STRANGE, KCODE, 0, 0, GP, 0],
  ["a bad SS before RIP", STRANGE, UCODE, 0x12340, KDATA, GP, KDATA],
  ["null SS at CPL 3", TARGET, UCODE, 0x12340, 0, GP, 0],
  ["L and D before P", TARGET, at("L and D, absent"), 0, 0, GP, at("L and D, absent")],
  ["32-bit code beyond its limit", TARGET, at("32-bit up to AFFF"), 0, 0, GP, 0],
];
for (const [name, rip, cs, rsp, ss, vector, error] of RETURNS)
  far(`RETFQ ${name}: ${vector < 0 ? "returns" : `vector ${vector}, error code ${error.toString(16)}`}`, () => {
    world(0);
    put(8, [rip, cs, rsp, ss]);
    assert.is(runCode(guest, "48 cb"), vector);
    if (vector >= 0) assert.is(errorCode(), error);
    else assert.equal([guest.rip, guest.gpr("rsp"), guest.selector(Seg.ss)], [TARGET + 1, BigInt(STACK + 16), KDATA]);
  });

far("RETFQ to CPL 3 releases parameters on both stacks", () => {
  world(0);
  put(8, [TARGET, UCODE, 0, 0, 0x12340, UDATA]);
  assert.is(runCode(guest, "48 ca 10 00"), GP);
  assert.equal([low(guest.u64(STACK0 - 16)), low(guest.u64(STACK0 - 8))], [0x12350, UDATA]);
});

/** A far pointer at DATA. */
function pointer(offset: number, selector: number): void {
  guest.set32(DATA, offset);
  guest.set16(DATA + 4, selector);
}
const [JMP, CALL] = ["ff 2c 25 00 90 00 00", "ff 1c 25 00 90 00 00"];
function callGate(selector: number, target: bigint | number, { type = 0xec, high = 0n } = {}): void {
  guest.set64(GDT + GATE, gate(selector, Number(BigInt(target) & 0xffffffffn), type));
  guest.set64(GDT + GATE + 8, (BigInt(target) >> 32n) | (high << 32n));
}

//  from CPL 3 through a gate                                                              vector, error
const GATES: readonly (readonly [string, string, () => void, number, number])[] = [
  ["its upper half is of a type", CALL, () => callGate(KCODE, TARGET, { high: 0x100n }), GP, GATE],
  ["it is half in the table", CALL, () => [callGate(KCODE, TARGET), guest.setWord(PcpuOff.gdtLimit, GATE + 11)], GP, GATE],
  ["a null selector", CALL, () => callGate(0, TARGET), GP, 0],
  ["L and D before P", CALL, () => callGate(at("L and D, absent"), TARGET), GP, at("L and D, absent")],
  ["32-bit code", CALL, () => callGate(at("32-bit"), TARGET), GP, at("32-bit")],
  ["absent code", CALL, () => callGate(at("64-bit, absent"), TARGET), NP, at("64-bit, absent")],
  ["a target that is not canonical", CALL, () => callGate(KCODE, STRANGE), GP, 0],
  ["a TSS that ends before the stack, before the target", CALL, () => [callGate(KCODE, STRANGE), guest.setWord(PcpuOff.segLimit + Seg.tr * 4, 10)], TS, 0x30],
  ["a stack that is not canonical, before the target", CALL, () => [callGate(KCODE, STRANGE), guest.set64(TSS + 4, STRANGE + 8n), setGate64(guest, SS, 0x8e, 1)], SS, 0],
  ["a jump to an inner level", JMP, () => callGate(KCODE, TARGET), GP, KCODE],
];
for (const [name, code, prepare, vector, error] of GATES)
  far(`a call gate: ${name}: vector ${vector}, error code ${error.toString(16)}`, () => {
    world(3);
    for (const v of [TS, GP]) setGate64(guest, v, 0x8e, 1); // the TSS may have no other stack
    prepare();
    pointer(0, GATE | 3);
    if (vector === TS) {
      // no stack to deliver on either: IST is out of reach too
      assert.is(runCode(guest, code), "triple fault");
      return;
    }
    assert.is(runCode(guest, code), vector);
    assert.is(errorCode(), error);
    assert.is(Number(guest.u64(Number(guest.gpr("rsp")) + 8)), CODE);
  });

far("a call gate to each inner level takes that level's stack and leaves SS null with its RPL", () => {
  for (const [name, level] of [["64-bit, DPL 1", 1], ["64-bit, DPL 2", 2]] as const) {
    world(3);
    guest.set64(TSS + 4 + level * 8, 0x34000n);
    callGate(at(name), TARGET);
    pointer(0, GATE | 3);
    assert.is(runCode(guest, CALL), GP); // HLT there
    assert.equal([low(guest.u64(STACK0 - 32)), low(guest.u64(STACK0 - 16)), low(guest.u64(STACK0 - 8))], [at(name) | level, 0x34000 - 32, level]);
    assert.equal([0, 8, 16, 24].map((n) => low(guest.u64(0x34000 - 32 + n))), [CODE + 7, UCODE, STACK, UDATA]);
  }
});

far("a call gate to conforming code stays at its level, with a return address of 16 bytes", () => {
  world(3);
  callGate(at("conforming 64-bit"), TARGET);
  pointer(0, GATE | 3);
  assert.is(runCode(guest, CALL), GP);
  assert.equal([low(guest.u64(STACK0 - 32)), low(guest.u64(STACK0 - 16))], [at("conforming 64-bit") | 3, STACK - 16]);
  assert.equal([low(guest.u64(STACK - 16)), low(guest.u64(STACK - 8))], [CODE + 7, UCODE]);
});

far("a call from 32-bit code through a gate enters 64-bit code", () => {
  world(3);
  guest.segment(Seg.cs, UCODE32, 0, 0xffffffff, 0xc0fb);
  guest.segment(Seg.ds, UDATA, 0, 0xffffffff, 0xc0f3);
  callGate(KCODE, TARGET);
  assert.is(runCode(guest, `9a 00 00 00 00 ${(GATE | 3).toString(16)} 00`), -1);
  assert.equal([guest.rip, guest.cpl, Number(guest.gpr("rsp"))], [TARGET + 1, 0, STACK0 - 32]);
  assert.equal([0, 8, 16, 24].map((n) => low(guest.u64(STACK0 - 32 + n))), [CODE + 7, UCODE32, STACK, UDATA]);
});
far.run();

const events = suite("Events in IA-32e mode, check by check");

//  what is wrong with the gate of INT 60h at CPL 3                                       vector, error
const VECTOR = 0x60;
const entry = VECTOR * 8 + 2;
const WRONG: readonly (readonly [string, () => void, number, number])[] = [
  ["the IDT ends before", () => guest.setWord(PcpuOff.idtLimit, VECTOR * 16 + 14), GP, entry],
  ["a type that is none", () => setGate64(guest, VECTOR, 0xe5), GP, entry],
  ["a call gate", () => setGate64(guest, VECTOR, 0xec), GP, entry],
  ["a 16-bit gate", () => setGate64(guest, VECTOR, 0xe6), GP, entry],
  ["DPL before P", () => setGate64(guest, VECTOR, 0x0e), GP, entry],
  ["P", () => setGate64(guest, VECTOR, 0x6e), NP, entry],
  ["a null selector", () => setGate64(guest, VECTOR, 0xee, 0, 0), GP, 0],
  ["32-bit code", () => setGate64(guest, VECTOR, 0xee, 0, at("32-bit")), GP, at("32-bit")],
  ["absent code", () => setGate64(guest, VECTOR, 0xee, 0, at("64-bit, absent")), NP, at("64-bit, absent")],
  ["a target that is not canonical", () => [setGate64(guest, VECTOR, 0xee), guest.set64(IDT + VECTOR * 16 + 8, 0x8000n)], GP, 0],
  ["IST that is not canonical, before the target", () => [setGate64(guest, VECTOR, 0xee, 2), guest.set64(IDT + VECTOR * 16 + 8, 0x8000n), guest.set64(TSS + 44, STRANGE + 64n)], SS, 0],
];
for (const [name, prepare, vector, error] of WRONG)
  events(`INT n: ${name}: vector ${vector}, error code ${error.toString(16)}`, () => {
    world(3);
    prepare();
    assert.is(runCode(guest, "cd 60"), vector);
    assert.is(errorCode(), error);
    assert.is(Number(guest.u64(Number(guest.gpr("rsp")) + 8)), CODE);
  });

events("exceptions have EXT in the code of a fault of their delivery", () => {
  for (const [selector, vector] of [[at("64-bit, absent"), NP], [0, GP]] as const) {
    world(3);
    setGate64(guest, 6, 0x8e, 0, selector);
    runCode(guest, "0f 0b");
    assert.is(haltedIn(guest), vector);
    assert.is(errorCode(), selector | 1);
  }
});
events.run();
