/** Returns, far calls and jumps, call gates, software interrupts and segment loads in 32-bit protected mode, over all combinations
 *  of CPL, RPL, descriptor type, DPL and P: who may go where, and with which fault not (tests/cpu/system/reference.ts). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { descriptor, gate, Guest } from "./guest";
import { type Descriptor, KINDS, loadOf, type Outcome, type Selected, throughGate, throughIdt, transferTo, returnTo, TYPE } from "./reference";
import { CODE, GDT, haltedIn, IDT, KCODE, KDATA, protectedMode, setGate32, SPARE, STACK0, TSS } from "./worlds";

const guest = await Guest.create();
const privilege = suite("privilege checks");

/** Descriptors under test, and code and data segments of every level. */
const FIRST = SPARE;
const SECOND = SPARE + 8;
const codeOf = (level: number) => (0x50 + level * 16) | level;
const dataOf = (level: number) => (0x58 + level * 16) | level;
/** Where transfers lead: INT 51h there tells by its frame where it went. */
const TARGET = 0xb000;
const ARRIVED = 0x51;
const stackOf = (level: number) => STACK0 + 0x1000 * level;
const OUTER_STACK = 0x34000;
const OLD_STACK = 0x36000;
const EVERY = [0, 1, 2, 3];

function world(): void {
  protectedMode(guest, 0);
  setGate32(guest, ARRIVED, 0xee);
  for (const level of EVERY) {
    guest.set64(GDT + (codeOf(level) & ~3), descriptor(0, 0xfffff, 0xc09b | (level << 5)));
    guest.set64(GDT + (dataOf(level) & ~3), descriptor(0, 0xfffff, 0xc093 | (level << 5)));
    if (level === 3) continue;
    guest.set32(TSS + 4 + level * 8, stackOf(level));
    guest.set32(TSS + 8 + level * 8, level ? dataOf(level) : KDATA);
  }
  guest.hex(TARGET, "cd 51");
}

function put(selector: number, d: Descriptor): void {
  guest.set64(GDT + selector, descriptor(0, 0xfffff, 0xc000 | (d.present ? 0x80 : 0) | (d.dpl << 5) | TYPE[d.kind]));
}

/** Runs `code` at `cpl` and says what came of it: a fault with its error code, or the CPL of what was reached. */
function attempt(cpl: number, code: readonly number[]): Outcome {
  const dpl = cpl << 5;
  guest.segment(Seg.cs, cpl ? codeOf(cpl) : KCODE, 0, 0xffffffff, 0xc09b | dpl);
  guest.segment(Seg.ss, cpl ? dataOf(cpl) : KDATA, 0, 0xffffffff, 0xc093 | dpl);
  for (const seg of [Seg.ds, Seg.es, Seg.fs, Seg.gs]) guest.segment(seg, 0x5b | (3 << 4), 0, 0xffffffff, 0xc0f3);
  guest.setWord(PcpuOff.cpl, cpl);
  guest.setField(PcpuOff.rflags, 2n);
  guest.setGpr("rsp", BigInt(OLD_STACK));
  guest.bytes(CODE, ...code, 0xf4);
  guest.run(CODE);
  const vector = haltedIn(guest);
  const sp = Number(guest.gpr("rsp"));
  if (vector === ARRIVED) {
    assert.is(guest.u32(sp), TARGET + 2, "EIP");
    return { cpl: guest.u32(sp + 4) & 3 };
  }
  if (vector < 0) return { cpl: guest.cpl };
  const before = guest.u32(sp + 4);
  assert.ok(before >= CODE && before < CODE + code.length, `a fault is the instruction's own: vector ${vector} at ${before.toString(16)}`);
  assert.is(guest.u32(sp + 8) & 3, cpl, "CS of the fault");
  return { fault: { vector, error: guest.u32(sp) } };
}

function* descriptors(): Generator<Descriptor> {
  for (const kind of KINDS) for (const dpl of EVERY) for (const present of [true, false]) yield { kind, dpl, present };
}
/** Every selector of `at` with every descriptor there, and a null selector. */
function* selected(at: number): Generator<Selected> {
  for (const descriptor of descriptors()) for (const rpl of EVERY) yield { selector: at | rpl, descriptor };
  for (const selector of EVERY) yield { selector };
}

let compared = 0;
function same(got: Outcome, want: Outcome, what: object): void {
  compared++;
  if (got.cpl !== want.cpl || got.fault?.vector !== want.fault?.vector || got.fault?.error !== want.fault?.error) assert.equal(got, want, JSON.stringify(what));
}
const word = (x: number) => [x & 255, (x >> 8) & 255, (x >> 16) & 255, x >>> 24];

for (const [name, opcode, flags] of [["IRETD", 0xcf, true], ["RETF", 0xcb, false]] as const)
  privilege(`${name} to any level, with any CS and SS`, () => {
    world();
    const good: Selected[] = EVERY.map((level) => ({ selector: SECOND | level, descriptor: { kind: "writable", dpl: level, present: true } }));
    for (const cpl of EVERY)
      for (const cs of selected(FIRST)) {
        if (cs.descriptor) put(FIRST, cs.descriptor);
        // SS matters to a return to an outer level
        const outer = cs.descriptor?.present && (cs.selector & 3) > cpl && returnTo(cpl, cs, good[cs.selector & 3]).cpl !== undefined;
        for (const ss of outer ? selected(SECOND) : good) {
          if (ss.descriptor) put(SECOND, ss.descriptor);
          [TARGET, cs.selector, ...(flags ? [2] : []), OUTER_STACK, ss.selector].forEach((x, i) => void guest.set32(OLD_STACK + i * 4, x));
          const got = attempt(cpl, [opcode]);
          same(got, returnTo(cpl, cs, ss), { cpl, cs, ss });
          if (got.fault) continue;
          assert.is(guest.gpr("rsp"), BigInt(got.cpl ? STACK0 - 20 : OLD_STACK + (flags ? 12 : 8) - 12));
          if (got.cpl !== 0) assert.is(guest.u32(STACK0 - 8), got.cpl === cpl ? OLD_STACK + (flags ? 12 : 8) : OUTER_STACK, "ESP");
        }
      }
  });

for (const [name, opcode] of [["CALL", 0x9a], ["JMP", 0xea]] as const) {
  privilege(`far ${name} to any code segment`, () => {
    world();
    for (const cpl of EVERY)
      for (const cs of selected(FIRST)) {
        if (cs.descriptor) put(FIRST, cs.descriptor);
        same(attempt(cpl, [opcode, ...word(TARGET), ...word(cs.selector).slice(0, 2)]), transferTo(cpl, cs), { cpl, cs });
      }
  });

  privilege(`far ${name} through any 32-bit call gate`, () => {
    world();
    for (const cpl of EVERY)
      for (const dpl of EVERY)
        for (const present of [true, false])
          for (const rpl of EVERY)
            for (const cs of selected(SECOND)) {
              if ((cs.selector & 3) !== 0 && (cs.selector & 3) !== 3) continue; // the target's RPL does not matter
              if (cs.descriptor) put(SECOND, cs.descriptor);
              guest.set64(GDT + FIRST, gate(cs.selector, TARGET, (present ? 0x80 : 0) | (dpl << 5) | 0x0c));
              const through: Selected = { selector: FIRST | rpl, descriptor: { kind: "system", dpl, present } };
              const got = attempt(cpl, [opcode, ...word(0xdeadbeef), ...word(through.selector).slice(0, 2)]);
              same(got, throughGate(cpl, through, cs, name === "JMP"), { cpl, through, cs });
            }
  });
}

privilege("INT n through any gate", () => {
  world();
  const VECTOR = 0x60;
  for (const cpl of EVERY)
    for (const type of [...Array(16).keys()]) {
      if (type === 5) continue; // a task gate: tests/cpu/system/legacy.test.ts
      const narrow = type === 6 || type === 7;
      for (const dpl of EVERY)
        for (const present of [true, false])
          for (const cs of selected(SECOND)) {
            if ((cs.selector & 3) !== 0 && (cs.selector & 3) !== 3) continue;
            const legal = type === 14 || type === 15 || narrow;
            if (!legal && cs.descriptor && cs.descriptor.kind !== "code") continue;
            if (cs.descriptor) put(SECOND, cs.descriptor);
            guest.set64(IDT + VECTOR * 8, gate(cs.selector, TARGET, (present ? 0x80 : 0) | (dpl << 5) | type));
            same(attempt(cpl, [0xcd, VECTOR]), throughIdt(cpl, VECTOR, { dpl, present, legal }, cs), { cpl, type, dpl, present, cs });
          }
    }
});

for (const [name, modrm, stack] of [["DS", 0xd8, false], ["SS", 0xd0, true]] as const)
  privilege(`MOV to ${name} of any selector`, () => {
    world();
    for (const cpl of EVERY)
      for (const s of selected(FIRST)) {
        if (s.descriptor) put(FIRST, s.descriptor);
        guest.setGpr("rax", BigInt(s.selector));
        const got = attempt(cpl, [0x8e, modrm, 0xe9, ...word(TARGET - (CODE + 7))]); // then INT 51h at the same level
        same(got, loadOf(cpl, stack, s), { cpl, name, s });
      }
  });

privilege("so many combinations were compared", () => {
  console.log(`transfers and loads: ${compared} combinations, 0 mismatches`);
  assert.ok(compared > 30_000);
});
privilege.run();
