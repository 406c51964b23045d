/** LAR, LSL, VERR and VERW over every descriptor type, DPL, P, RPL and CPL; LLDT and LTR over every type: which selectors they accept, with which
 *  fault they refuse (SDM Vol.2A LAR, LLDT, LSL, Vol.2B LTR, VERR; AMD APM Vol.3: system types in long mode). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { descriptor, Guest } from "./guest";
import { CODE, GDT, longMode, protectedMode, runCode, setGate32, setGate64, SPARE } from "./worlds";

const guest = await Guest.create();
const queries = suite("Questions about descriptors");
const ZF = 0x40;
const DONE = 0x80;
const LIMIT = 0x12345;
const EVERY = [0, 1, 2, 3];

const isCode = (type: number) => (type & 0x18) === 0x18;
const isSegment = (type: number) => type >= 0x10;
/** TSS, LDT and gates LAR and LSL know. */
const SYSTEM = { lar: { legacy: [1, 2, 3, 4, 5, 9, 11, 12], long: [2, 9, 11, 12] }, lsl: { legacy: [1, 2, 3, 9, 11], long: [2, 9, 11] } };

function visible(type: number, dpl: number, rpl: number, cpl: number): boolean {
  return (isCode(type) && (type & 4) !== 0) || (dpl >= rpl && dpl >= cpl);
}
function answers(op: "lar" | "lsl" | "verr" | "verw", type: number, dpl: number, rpl: number, cpl: number, mode: "legacy" | "long"): boolean {
  if (!visible(type, dpl, rpl, cpl)) return false;
  if (op === "lar" || op === "lsl") return isSegment(type) || SYSTEM[op][mode].includes(type);
  if (!isSegment(type)) return false;
  return op === "verr" ? !isCode(type) || (type & 2) !== 0 : !isCode(type) && (type & 2) !== 0;
}

/** ecx: selector; the answer in eax. */
const CODES = { lar: "0f 02 c1", lsl: "0f 03 c1", verr: "0f 00 e1", verw: "0f 00 e9" } as const;

for (const mode of ["legacy", "long"] as const)
  queries(`LAR, LSL, VERR, VERW in ${mode} mode`, () => {
    for (const cpl of mode === "long" ? [0, 3] : EVERY)
      for (let type = 0; type < 32; type++)
        for (const dpl of EVERY)
          for (const present of [0x80, 0]) {
            if ((!present || (isSegment(type) && type & 1)) && dpl !== 3) continue;
            // all four questions and all RPLs in one program: answers and ZF are stored one after the other
            if (mode === "long") longMode(guest, cpl);
            else protectedMode(guest, cpl === 3 ? 3 : 0);
            if (cpl === 1 || cpl === 2) {
              guest.setWord(PcpuOff.cpl, cpl);
              guest.segment(Seg.cs, 8 | cpl, 0, 0xffffffff, 0xc09b | (cpl << 5));
              guest.segment(Seg.ss, 16 | cpl, 0, 0xffffffff, 0xc093 | (cpl << 5));
            }
            if (mode === "long") setGate64(guest, DONE, 0xee);
            else setGate32(guest, DONE, 0xee);
            guest.set64(GDT + SPARE, descriptor(0x5000, LIMIT, present | (dpl << 5) | type | 0x8000));
            const program: string[] = [];
            const wanted: number[] = [];
            for (const rpl of EVERY)
              for (const op of ["lar", "lsl", "verr", "verw"] as const) {
                const yes = answers(op, type, dpl, rpl, cpl, mode);
                // mov eax, 77; mov ecx, selector; op; pushf; pop rdx; stosd; xchg eax, edx; stosd
                program.push(`b8 77 00 00 00 b9 ${(SPARE | rpl).toString(16)} 00 00 00 ${CODES[op]} 9c 5a ab 92 ab`);
                const access = ((present | (dpl << 5) | type) << 8) | 0x810000;
                wanted.push(!yes ? 0x77 : op === "lar" ? access : op === "lsl" ? ((LIMIT << 12) | 0xfff) >>> 0 : 0x77, yes ? ZF : 0);
              }
            guest.setGpr("rdi", 0xa000n);
            assert.is(runCode(guest, `${program.join(" ")} cd 80`), DONE);
            const got = wanted.map((_, i) => (i % 2 ? guest.u32(0xa000 + i * 4) & ZF : guest.u32(0xa000 + i * 4)));
            assert.equal(got, wanted, `type ${type}, DPL ${dpl}, P ${present}, CPL ${cpl}, at ${CODE}`);
          }
  });

queries("selectors that are null, beyond a table, or in an LDT that is not there have no answer", () => {
  for (const selector of [0, 1, 2, 3, 0x108, 0xfff8, SPARE | 4])
    for (const code of Object.values(CODES)) {
      protectedMode(guest, 0);
      guest.set64(GDT, descriptor(0, 0xfffff, 0xc093));
      guest.set64(GDT + SPARE, descriptor(0, 0xfffff, 0xc093));
      guest.setGpr("rcx", BigInt(selector));
      guest.setField(PcpuOff.rflags, 0x42n);
      assert.is(runCode(guest, `${code} f4`), -1);
      assert.is(guest.flags & ZF, 0, `${code} of ${selector.toString(16)}`);
    }
});

for (const mode of ["legacy", "long"] as const)
  queries(`LLDT and LTR of every type in ${mode} mode`, () => {
    for (const [name, code, good] of [["LLDT", "0f 00 d1", [2]], ["LTR", "0f 00 d9", mode === "long" ? [9] : [1, 9]]] as const)
      for (let type = 0; type < 32; type++)
        for (const present of [0x80, 0])
          for (const place of ["GDT", "LDT"] as const) {
            if (mode === "long") longMode(guest, 0);
            else protectedMode(guest, 0);
            const d = descriptor(0x5000, 0x67, present | type);
            guest.set64(GDT + SPARE, d);
            guest.set64(GDT + SPARE + 8, 0n);
            if (place === "LDT") guest.segment(Seg.ldtr, SPARE, GDT, 0xff, 0x82);
            const selector = place === "LDT" ? SPARE | 4 : SPARE;
            guest.setGpr("rcx", BigInt(selector));
            const accepted = (good as readonly number[]).includes(type) && place === "GDT";
            const vector = !accepted ? 13 : present ? -1 : 11;
            const what = `${name} of type ${type}, P ${present}, in the ${place}`;
            assert.is(runCode(guest, `${code} f4`), vector, what);
            if (vector >= 0) {
              const sp = Number(guest.gpr("rsp"));
              assert.is(mode === "long" ? Number(guest.u64(sp)) : guest.u32(sp), selector, what);
              continue;
            }
            const seg = name === "LLDT" ? Seg.ldtr : Seg.tr;
            assert.equal([guest.selector(seg), guest.word(PcpuOff.segLimit + seg * 4), Number(guest.field(PcpuOff.ldtBase + (seg - Seg.ldtr) * 8))], [SPARE, 0x67, 0x5000], what);
            if (name === "LTR") assert.is(Number(guest.u64(GDT + SPARE) >> 40n) & 0xff, 0x80 | type | 2, "busy");
          }
  });

queries("LLDT of a null selector leaves no LDT; in long mode the base has 64 bits, and is canonical", () => {
  protectedMode(guest, 0);
  guest.segment(Seg.ldtr, SPARE, GDT, 0xff, 0x82);
  guest.setGpr("rcx", 2n);
  guest.setGpr("rax", BigInt(SPARE | 4));
  assert.is(runCode(guest, "0f 00 d1 8e d8"), 13);
  for (const [high, vector] of [[0x7fffn, -1], [0x8000n, 13], [0xffff8000n, -1]] as const) {
    longMode(guest, 0);
    guest.set64(GDT + SPARE, descriptor(0x5000, 0x67, 0x82));
    guest.set64(GDT + SPARE + 8, high);
    guest.setGpr("rcx", BigInt(SPARE));
    assert.is(runCode(guest, "0f 00 d1 f4"), vector);
    if (vector < 0) assert.is(guest.field(PcpuOff.ldtBase), (high << 32n) | 0x5000n);
  }
});
queries.run();
