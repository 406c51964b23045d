/** What docs/isa.md says: an instruction is taken if its CPUID feature is reported, and refused if not, with no exception that is
 *  not written down. The opcode maps are those of iced-x86, the answers those of the core itself. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { MSRS } from "../../../src/spec/isa/choices";
import { ALL_ROWS, bytesOf, type Encoding } from "../../../src/spec/isa/encodings";
import { FEATURES, REFUSED, TAKEN } from "../../../src/spec/isa/features";
import { isReported, unmet, walkOpcodes } from "../../../src/spec/isa/walk";
import { CODE, type Case, MEMORY } from "../../hardware/native";
import { BatchPc } from "../../support/batch_pc";
import { TestPc } from "../../support/test_pc";

const isa = suite("the instruction set as documented");
const { known, invalid } = walkOpcodes();
const ENV = { 64: 0, 32: 1, 16: 3 } as const;
const text = (e: Encoding) => `${e.bits}-bit ${bytesOf(e).slice(0, 7).map((b) => b.toString(16).padStart(2, "0")).join(" ")}`;

isa("the walk meets every instruction, but for those of processors long gone and forms that a prefix alone makes", () => {
  // address-size forms of LOOP and JCXZ, x87 instructions with FWAIT before them, directives
  const forms = /^(Declare|Zero_bytes|Loopn?e?_rel8_(64_ECX|16_RCX)|J[er]cxz_rel8_|F(st|cl|in|sa|en|di|set|rst)[a-z]*(_|$)|Hreset|Lkgs_rm16|Montmul_|Fnst(dw|sg)_AX)/;
  // behind decoder options: 286 and 386 prototypes, Cyrix, Centaur, MPX, Itanium
  const gone = /^(Popw_CS|Jmpe_|Storeall|Loadall|Cl1invmb|Umov|Bnd|Mov_(r32_tr|tr_r32)|[XI]bts_|Cmpxchg486|Pcommit|Ud0$|Rdshr|Wrshr|[SD]mint|Rdm$|[SR]v|Rs[dlt]|Bb[01]_|Cpu_|Altinst|P(aveb|addsiw|magw|distib|subsiw|m[vu]|machr)|Cyrix|Ftstp|Fri|Rdudbg|Wrudbg)/;
  assert.equal(unmet(known, (code) => forms.test(code) || gone.test(code)), []);
});

isa("every row takes an instruction that iced-x86 knows", () => {
  const taken = new Set(known.map((k) => k.row));
  assert.equal(ALL_ROWS.filter((row) => !taken.has(row)).map((row) => `${row.opcode} ${row.mnemonic}`), []);
});

isa("no row takes what iced-x86 says is invalid", () => {
  assert.equal(invalid.map(({ encoding, row }) => `${text(encoding)}: ${row.mnemonic}`).slice(0, 9), []);
});

isa("every instruction of a reported feature has a row, no other has one, except those written down", () => {
  const wrong: string[] = [];
  for (const k of known) {
    const reported = isReported(k.features);
    if (k.row && !reported && !TAKEN[k.code]) wrong.push(`${k.code} is taken: ${text(k.encoding)}`);
    if (!k.row && reported && !REFUSED.some(([name]) => name.test(k.code))) wrong.push(`${k.code} is refused: ${text(k.encoding)}`);
  }
  assert.equal(wrong, []);
});

isa("the decoder takes what the rows take", async () => {
  const pc = await BatchPc.create();
  const wrong: string[] = [];
  known.forEach((k, i) => {
    const rip = (k.bits === 16 ? 0 : CODE) + 0x100 + (i % 200) * 256;
    const c: Case = { env: ENV[k.bits], rip, step: true, repeats: true, code: Uint8Array.from(bytesOf(k.encoding)), gpr: new BigUint64Array(16), rflags: 0, memory: new Uint8Array(MEMORY) };
    const { refused } = pc.decode(c);
    if (refused !== (k.row === undefined)) wrong.push(`${k.code} is ${refused ? "refused" : "taken"}: ${text(k.encoding)}`);
  });
  assert.equal(wrong.slice(0, 9), []);
});

let pc: TestPc;
isa.before(async () => {
  pc = await TestPc.create();
});

isa("CPUID reports what the document says", () => {
  const wrong: string[] = [];
  for (const [name, { bit, absent }] of Object.entries(FEATURES)) {
    if (!bit) continue;
    const [leaf, sub, register, n] = bit;
    const out = pc.run(Uint8Array.of(0x0f, 0xa2), 64, { regs: { rax: BigInt(leaf), rcx: BigInt(sub) } });
    const set = ((out.regs[`r${register.slice(1)}` as "rax"] >> BigInt(n)) & 1n) === 1n;
    if (set !== (absent === undefined)) wrong.push(`${name} is ${set ? "" : "not "}reported`);
  }
  assert.equal(wrong, []);
});

isa("MSRs that are not written down are #GP(0), those that are can be read", () => {
  const listed = new Map<number, boolean>();
  for (const [numbers, behaviour] of MSRS)
    for (const part of numbers.replace(/ \(.*?\)/g, "").split(", ")) {
      const [first, last] = part.split(" to ").map((n) => Number.parseInt(n, 16));
      for (let n = first; n <= (last ?? first); n++) listed.set(n, !/reading is #GP/.test(behaviour));
    }
  const numbers = [...Array(0xc00).keys(), ...[0x40000000, 0xc0000000, 0xc0000200, 0xc0010000, 0xc0011000].flatMap((from) => [...Array(0x200).keys()].map((n) => from + n))];
  const wrong: string[] = [];
  for (const n of numbers) {
    if (n >= 0x800 && n < 0x840) continue; // x2APIC mode is off
    const out = pc.run(Uint8Array.of(0x0f, 0x32), 64, { regs: { rcx: BigInt(n) } });
    const readable = out.fault?.vector !== Vector.GP;
    if (readable !== (listed.get(n) ?? false)) wrong.push(`${n.toString(16)} is ${readable ? "" : "not "}readable`);
  }
  assert.equal(wrong, []);
});

isa.run();
