/** Hardware task switches (SDM Vol.3A "Task Management"): JMP, CALL, INT, exceptions and IRET between tasks with 16- and 32-bit TSSs: all that is
 *  saved and loaded, link, NT, busy bits, CR0.TS, DR7, CR3, error codes; what is wrong with a new task, one by one, and where it faults. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { descriptor, gate, GPR, Guest } from "./guest";
import { CODE, GDT, haltedIn, handler, IDT, KCODE, KDATA, protectedMode, runCode, setGate32, SPARE, TR, TSS, UCODE32, UDATA } from "./worlds";

const guest = await Guest.create();
const NEW = 0x3400;
const OTHER = 0x3800;
const NEW_TSS = SPARE;
const OTHER_TSS = SPARE + 8;
const GATE = SPARE + 16;
const LDT = SPARE + 24;
const FREE = SPARE + 32;
const START = 0xb000;
const STACK_NEW = 0x36000;
const [NT, VM] = [0x4000, 0x20000];
const VECTOR = 0x60;

/** Places in a TSS, by its width. */
const AT = {
  32: { link: 0, eip: 32, flags: 36, gpr: 40, seg: 72, segs: 6, ldt: 96, size: 4, step: 4 },
  16: { link: 0, eip: 14, flags: 16, gpr: 18, seg: 34, segs: 4, ldt: 42, size: 2, step: 2 },
} as const;
type Width = keyof typeof AT;

const get = (at: number, width: Width) => (width === 32 ? guest.u32(at) : guest.u16(at));
const set = (at: number, width: Width, value: number) => (width === 32 ? guest.set32(at, value) : guest.set16(at, value));
const busy = (selector: number) => (Number(guest.u64(GDT + selector) >> 41n) & 1) === 1;
/** Registers of the new task; ESP is its stack. */
const VALUES = [0x11a1, 0x22b2, 0x33c3, 0x44d4, STACK_NEW & 0xffff, 0x55e5, 0x66f6, 0x7707];

interface Task {
  readonly eip?: number;
  readonly flags?: number;
  /** es cs ss ds fs gs */
  readonly seg?: readonly number[];
  readonly ldt?: number;
}
function fillTask(at: number, width: Width, { eip = START, flags = 0x202, seg = [KDATA, KCODE, KDATA, KDATA, KDATA, 0], ldt = 0 }: Task = {}): void {
  const place = AT[width];
  set(at + place.eip, width, eip);
  set(at + place.flags, width, flags);
  VALUES.forEach((value, i) => void set(at + place.gpr + i * place.step, width, i === 4 && width === 32 ? STACK_NEW : value));
  for (let i = 0; i < place.segs; i++) guest.set16(at + place.seg + i * place.step, seg[i]);
  guest.set16(at + place.ldt, ldt);
}

/** The old task at CPL 0 with a TSS of `from`, a new one of `to`. */
function world(from: Width, to: Width, task: Task = {}): void {
  protectedMode(guest, 0);
  guest.setWord(PcpuOff.gdtLimit, 0x1ff);
  if (from === 16) {
    guest.set64(GDT + TR, descriptor(TSS, 43, 0x83));
    guest.segment(Seg.tr, TR, TSS, 43, 0x83);
  }
  guest.set64(GDT + NEW_TSS, descriptor(NEW, to === 32 ? 0x67 : 43, to === 32 ? 0x89 : 0x81));
  guest.set64(GDT + GATE, gate(NEW_TSS, 0, 0x85));
  fillTask(NEW, to, task);
  guest.ram.fill(0xf4, START, START + 0x100);
  GPR.slice(0, 8).forEach((name, i) => name !== "rsp" && guest.setGpr(name, BigInt(0x9000_0000 + i * 0x11)));
}

const task = suite("Task switches");

const WAYS = {
  jump: { code: "ea 00 00 00 00 40 00", nests: false },
  "jump through a gate": { code: "ea 00 00 00 00 50 00", nests: false },
  call: { code: "9a 00 00 00 00 40 00", nests: true },
  "call through a gate": { code: "9a 00 00 00 00 50 00", nests: true },
  "INT n": { code: "cd 60", nests: true },
  "an exception with an error code": { code: "8e d0", nests: true },
  "an exception without": { code: "0f 0b", nests: true },
  IRET: { code: "cf", nests: false },
} as const;

for (const from of [32, 16] as const)
  for (const to of [32, 16] as const)
    for (const [way, { code, nests }] of Object.entries(WAYS))
      task(`${way}, from a ${from}-bit task to a ${to}-bit one`, () => {
        world(from, to);
        const exception = way.startsWith("an exception");
        const error = way.endsWith("error code");
        for (const vector of [VECTOR, 13, 6]) guest.set64(IDT + vector * 8, gate(NEW_TSS, 0, 0xe5));
        if (error) guest.setGpr("rax", 0x90000000n); // a null selector for SS
        const iret = way === "IRET";
        if (iret) {
          guest.set16(TSS, NEW_TSS);
          guest.set64(GDT + NEW_TSS, guest.u64(GDT + NEW_TSS) | (2n << 40n));
          guest.setField(PcpuOff.rflags, 0x4202n);
        }
        const before = GPR.slice(0, 8).map((name) => Number(guest.gpr(name)));
        const selectors = [0, 1, 2, 3, 4, 5].map((seg) => guest.selector(seg));
        guest.setField(PcpuOff.dr + 40, 0x700n);
        assert.is(runCode(guest, code), -1);

        assert.is(guest.rip, START + 1);
        const sp = to === 32 ? STACK_NEW : STACK_NEW & 0xffff;
        const pushed = error ? AT[to].size : 0;
        GPR.slice(0, 8).forEach((name, i) => {
          const want = i === 4 ? sp - pushed : VALUES[i];
          assert.is(Number(guest.gpr(name)) & (to === 32 ? 0xffffffff : 0xffff), want, name);
        });
        if (error) assert.is(get(sp - pushed, to), 0, "error code");
        assert.equal([0, 1, 2, 3, 4, 5].map((seg) => guest.selector(seg)), [KDATA, KCODE, KDATA, KDATA, to === 32 ? KDATA : 0, 0]);
        assert.is(guest.selector(Seg.tr), NEW_TSS);
        assert.is(guest.flags & ~0x10000, 0x202 | (nests ? NT : 0));

        const place = AT[from];
        const mask = from === 32 ? 0xffffffff : 0xffff;
        assert.is(get(TSS + place.eip, from), CODE + (exception ? 0 : code.split(" ").length), "EIP of the old task");
        const image = get(TSS + place.flags, from);
        assert.is(image & 0xffff, 0x202, "flags of the old task");
        if (from === 32) assert.is(image & 0x10000, exception ? 0x10000 : 0, "RF as on a stack");
        before.forEach((value, i) => void assert.is(get(TSS + place.gpr + i * place.step, from), (value & mask) >>> 0, GPR[i]));
        for (let i = 0; i < place.segs; i++) assert.is(guest.u16(TSS + place.seg + i * place.step), selectors[i], "selectors");
        assert.is(guest.u16(NEW), nests ? TR : 0, "link");
        assert.equal([busy(TR), busy(NEW_TSS)], [nests, true], "busy");
        assert.is(Number(guest.field(PcpuOff.cr0)) & 8, 8, "CR0.TS");
        assert.is(Number(guest.field(PcpuOff.dr + 40)), 0x600, "LE goes, GE stays");
      });

task("local breakpoints go, global ones stay", () => {
  world(32, 32);
  guest.setField(PcpuOff.dr, 0xfffff000n);
  guest.setField(PcpuOff.dr + 40, 0x7ffn);
  assert.is(runCode(guest, "ea 00 00 00 00 40 00"), -1);
  assert.is(Number(guest.field(PcpuOff.dr + 40)), 0x6aa);
});

task("CR3 changes only under paging, and for 32-bit TSSs", () => {
  for (const [to, paging, want] of [[32, true, 0x7000], [32, false, 0x4000], [16, true, 0x4000]] as const) {
    world(32, to);
    for (const directory of [0x4000, 0x7000]) {
      guest.set32(directory, 0x87);
      guest.setField(PcpuOff.cr4, 0x10n);
    }
    guest.setField(PcpuOff.cr3, 0x4000n);
    if (paging) guest.setField(PcpuOff.cr0, 0x80000011n);
    if (to === 32) guest.set32(NEW + 28, 0x7000);
    guest.core.flushTlbAll();
    assert.is(runCode(guest, "ea 00 00 00 00 40 00"), -1);
    assert.is(Number(guest.field(PcpuOff.cr3)), want);
  }
});

//  code, what is where, vector, error code: faults of the old task
const REFUSED: readonly (readonly [string, string, () => void, number, number])[] = [
  ["a busy TSS", "ea 00 00 00 00 40 00", () => guest.set64(GDT + NEW_TSS, descriptor(NEW, 0x67, 0x8b)), 13, NEW_TSS],
  ["a TSS that is not present", "9a 00 00 00 00 40 00", () => guest.set64(GDT + NEW_TSS, descriptor(NEW, 0x67, 0x09)), 11, NEW_TSS],
  ["a TSS of 103 bytes", "ea 00 00 00 00 40 00", () => guest.set64(GDT + NEW_TSS, descriptor(NEW, 0x66, 0x89)), 10, NEW_TSS],
  ["a 16-bit TSS of 43 bytes", "ea 00 00 00 00 40 00", () => guest.set64(GDT + NEW_TSS, descriptor(NEW, 42, 0x81)), 10, NEW_TSS],
  ["a TSS of DPL 0 selected with RPL 3", "ea 00 00 00 00 43 00", () => {}, 13, NEW_TSS],
  ["a TSS in the LDT", "ea 00 00 00 00 04 00", () => {
    guest.set64(0x500, descriptor(NEW, 0x67, 0x89));
    guest.segment(Seg.ldtr, LDT, 0x500, 7, 0x82);
  }, 13, 4],
  ["a gate that is not present", "ea 00 00 00 00 50 00", () => guest.set64(GDT + GATE, gate(NEW_TSS, 0, 0x05)), 11, GATE],
  ["a gate of DPL 0 selected with RPL 1", "9a 00 00 00 00 51 00", () => {}, 13, GATE],
  ["a gate to a busy TSS", "9a 00 00 00 00 50 00", () => guest.set64(GDT + NEW_TSS, descriptor(NEW, 0x67, 0x8b)), 13, NEW_TSS],
  ["a gate to a code segment", "9a 00 00 00 00 50 00", () => guest.set64(GDT + GATE, gate(KCODE, 0, 0x85)), 13, KCODE],
  ["a gate to the LDT", "9a 00 00 00 00 50 00", () => guest.set64(GDT + GATE, gate(0x14, 0, 0x85)), 13, 0x14],
  ["a gate to nothing", "9a 00 00 00 00 50 00", () => guest.set64(GDT + GATE, gate(0, 0, 0x85)), 13, 0],
  ["a gate beyond the table", "9a 00 00 00 00 50 00", () => guest.set64(GDT + GATE, gate(0x8000, 0, 0x85)), 13, 0x8000],
  ["INT through a gate to a busy TSS", "cd 60", () => guest.set64(IDT + VECTOR * 8, gate(TR, 0, 0x85)), 13, TR],
  ["INT through a gate to a TSS that is not present", "cd 60", () => {
    guest.set64(GDT + NEW_TSS, descriptor(NEW, 0x67, 0x09));
    guest.set64(IDT + VECTOR * 8, gate(NEW_TSS, 0, 0x85));
  }, 11, NEW_TSS],
  ["INT through a gate that is not present", "cd 60", () => guest.set64(IDT + VECTOR * 8, gate(NEW_TSS, 0, 0x05)), 11, VECTOR * 8 + 2],
  ["an exception through a gate to a TSS that is too small", "0f 0b", () => {
    guest.set64(GDT + NEW_TSS, descriptor(NEW, 0x66, 0x89));
    guest.set64(IDT + 6 * 8, gate(NEW_TSS, 0, 0x85));
  }, 10, NEW_TSS | 1],
  ["an exception through a gate to a segment", "0f 0b", () => guest.set64(IDT + 6 * 8, gate(KDATA, 0, 0x85)), 13, KDATA | 1],
  ["IRET with NT, the link an available TSS", "cf", () => link(NEW_TSS), 10, NEW_TSS],
  ["IRET with NT, the link in the LDT", "cf", () => link(0x44), 10, 0x44],
  ["IRET with NT, the link beyond the table", "cf", () => link(0x8000), 10, 0x8000],
  ["IRET with NT, the link null", "cf", () => link(0), 10, 0],
  ["IRET with NT, the link a segment", "cf", () => link(KCODE), 10, KCODE],
  ["IRET with NT, the link not present", "cf", () => {
    link(NEW_TSS);
    guest.set64(GDT + NEW_TSS, descriptor(NEW, 0x67, 0x0b));
  }, 11, NEW_TSS],
];
function link(selector: number): void {
  guest.set16(TSS, selector);
  guest.setField(PcpuOff.rflags, 0x4202n);
}
for (const [name, code, prepare, vector, error] of REFUSED)
  task(`${name}: vector ${vector}, error code ${error.toString(16)}, in the old task`, () => {
    world(32, 32);
    prepare();
    assert.is(runCode(guest, code), vector);
    const esp = Number(guest.gpr("rsp"));
    assert.equal([guest.u32(esp), guest.u32(esp + 4), guest.selector(Seg.tr)], [error, CODE, TR]);
    assert.is(guest.u32(NEW + 40), VALUES[0], "nothing was saved into the new TSS");
  });

const seg = (at: number, selector: number) => [KDATA, KCODE, KDATA, KDATA, 0, 0].map((s, i) => (i === at ? selector : s));
/** Descriptors for the table below at FREE, in this order. */
const SEGMENTS = [
  descriptor(0, 0xfffff, 0xc01b), // code, not present
  descriptor(0, 0xfffff, 0xc013), // data, not present
  descriptor(0, 0xfffff, 0xc091), // data, read-only
  descriptor(0, 0xfffff, 0xc099), // code, execute-only
  descriptor(0, 0xafff, 0x409b), // code that ends before START
  descriptor(0, 0xfffff, 0xc0ff), // conforming code of DPL 3
  descriptor(0x500, 7, 0x02), // LDT, not present
  descriptor(0, 0xfffff, 0xc0f3), // data of DPL 3
  descriptor(0, 0xfffff, 0xc09f), // conforming code of DPL 0
];
const free = (n: number) => FREE + n * 8;
//  the new task, vector, error code: faults at its first instruction
const BROKEN: readonly (readonly [string, Task, number, number])[] = [
  ["LDT that is null: none", { ldt: 3 }, -1, 0],
  ["LDT in the LDT", { ldt: LDT | 4 }, 10, LDT | 4],
  ["LDT beyond the table", { ldt: 0x8000 }, 10, 0x8000],
  ["LDT that is data", { ldt: KDATA }, 10, KDATA],
  ["LDT that is not present", { ldt: free(6) }, 10, free(6)],
  ["null CS", { seg: seg(1, 0) }, 10, 0],
  ["CS beyond the table", { seg: seg(1, 0x8000) }, 10, 0x8000],
  ["CS that is data", { seg: seg(1, KDATA) }, 10, KDATA],
  ["CS that is the TSS", { seg: seg(1, TR) }, 10, TR],
  ["CS of another DPL than its RPL", { seg: seg(1, KCODE | 3) }, 10, KCODE],
  ["CS that is not present", { seg: seg(1, free(0)) }, 11, free(0)],
  ["conforming CS of a DPL beyond its RPL", { seg: seg(1, free(5)) }, 10, free(5)],
  ["null SS", { seg: seg(2, 0) }, 10, 0],
  ["SS beyond the table", { seg: seg(2, 0x8000) }, 10, 0x8000],
  ["SS that is code", { seg: seg(2, KCODE) }, 10, KCODE],
  ["SS that is read-only", { seg: seg(2, free(2)) }, 10, free(2)],
  ["SS of another DPL", { seg: seg(2, UDATA) }, 10, UDATA & ~3],
  ["SS of another RPL", { seg: seg(2, KDATA | 1) }, 10, KDATA],
  ["SS that is not present", { seg: seg(2, free(1)) }, 12, free(1)],
  ["DS beyond the table", { seg: seg(3, 0x8000) }, 10, 0x8000],
  ["DS that is the TSS", { seg: seg(3, TR) }, 10, TR],
  ["ES that is execute-only", { seg: seg(0, free(3)) }, 10, free(3)],
  ["FS that is not present", { seg: seg(4, free(1)) }, 11, free(1)],
  ["GS of DPL 3: allowed", { seg: seg(5, free(7) | 3) }, -1, 0],
  ["DS of DPL 0 with RPL 3", { seg: seg(3, KDATA | 3) }, 10, KDATA],
  ["DS that is conforming code", { seg: seg(3, free(8) | 3) }, -1, 0],
  ["EIP beyond CS", { seg: seg(1, free(4)) }, 13, 0],
];
for (const [name, broken, vector, error] of BROKEN)
  for (const way of ["jump", "an exception without"] as const)
    task(`${name}, by ${way}: ${vector < 0 ? "runs" : `vector ${vector}, error code ${error.toString(16)} in the new task`}`, () => {
      world(32, 32, broken);
      SEGMENTS.forEach((d, i) => void guest.set64(GDT + free(i), d));
      guest.set64(GDT + LDT, descriptor(0x500, 7, 0x82));
      guest.set64(IDT + 6 * 8, gate(NEW_TSS, 0, 0x85));
      // the fault gets a task of its own, which has a stack whatever the broken one has
      guest.set64(GDT + OTHER_TSS, descriptor(OTHER, 0x67, 0x89));
      fillTask(OTHER, 32, { eip: START + 0x80 });
      for (const v of [8, 10, 11, 12, 13]) guest.set64(IDT + v * 8, v === vector ? gate(OTHER_TSS, 0, 0x85) : gate(KCODE, handler(v), 0x8e));
      assert.is(runCode(guest, WAYS[way].code), -1);
      if (vector < 0) {
        assert.is(guest.rip, START + 1);
        return;
      }
      assert.is(guest.rip, START + 0x81);
      assert.is(guest.u32(STACK_NEW - 4), error | (way === "jump" ? 0 : 1), "EXT for what an exception brought about");
      assert.is(guest.u16(OTHER), NEW_TSS, "the broken task is the one interrupted");
      assert.is(guest.u32(NEW + 32), START, "at its first instruction");
      assert.is(guest.u16(NEW + 76), broken.seg?.[1] ?? KCODE, "with its selectors");
    });

task("to virtual-8086 mode and back by an interrupt's IRET", () => {
  world(32, 32, { eip: 0x10, flags: VM | 0x3202, seg: [0x100, 0xb00, 0x3000, 0x200, 0x300, 0x400] });
  guest.hex(0xb010, "cd 60");
  setGate32(guest, VECTOR, 0xee);
  guest.set32(NEW + 4, 0x35000);
  guest.set16(NEW + 8, KDATA);
  assert.is(runCode(guest, "ea 00 00 00 00 40 00"), VECTOR);
  const frame = Array.from({ length: 9 }, (_, i) => guest.u32(0x35000 - 36 + i * 4));
  assert.equal(frame, [0x12, 0xb00, VM | 0x3202, STACK_NEW, 0x3000, 0x100, 0x200, 0x300, 0x400]);
});

task("to CPL 3, and from there by an exception", () => {
  world(32, 32, { seg: [UDATA, UCODE32, UDATA, UDATA, 0, 0] });
  guest.set32(NEW + 4, 0x35000);
  guest.set16(NEW + 8, KDATA);
  assert.is(runCode(guest, "ea 00 00 00 00 40 00"), 13); // HLT there
  assert.equal([guest.u32(0x35000 - 24), guest.u32(0x35000 - 20), guest.u32(0x35000 - 16)], [0, START, UCODE32]);
});

task("the T flag traps before the first instruction, with BT; not in a 16-bit TSS", () => {
  for (const [to, traps] of [[32, true], [16, false]] as const) {
    world(32, to);
    guest.set16(NEW + 100, 1);
    runCode(guest, "ea 00 00 00 00 40 00");
    assert.is(haltedIn(guest), traps ? 1 : -1);
    if (!traps) continue;
    assert.is(guest.u32(Number(guest.gpr("rsp"))), START);
    assert.is(Number(guest.field(PcpuOff.dr + 32)) & 0xe00f, 0x8000);
  }
});

task("an error code that does not fit is #SS in the new task, with EXT", () => {
  world(32, 32, { seg: [KDATA, KCODE, FREE, KDATA, 0, 0] });
  guest.set64(GDT + FREE, descriptor(0, 0xfff, 0x4093));
  guest.set64(IDT + 13 * 8, gate(NEW_TSS, 0, 0x85));
  guest.set64(GDT + OTHER_TSS, descriptor(OTHER, 0x67, 0x89));
  fillTask(OTHER, 32, { eip: START + 0x80 });
  guest.set64(IDT + 12 * 8, gate(OTHER_TSS, 0, 0x85));
  guest.setGpr("rax", 0n);
  assert.is(runCode(guest, "8e d0"), -1);
  assert.is(guest.rip, START + 0x81);
  assert.is(guest.u32(STACK_NEW - 4), 1);
  assert.is(guest.u16(OTHER), NEW_TSS);
});

task("tasks do not exist in long mode: see transfers_long.test.ts; CALL to itself is busy", () => {
  world(32, 32);
  assert.is(runCode(guest, `9a 00 00 00 00 ${TR.toString(16)} 00`), 13);
  assert.is(guest.u32(Number(guest.gpr("rsp"))), TR);
});
task.run();
