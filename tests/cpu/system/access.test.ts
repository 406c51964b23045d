/** Accesses by instructions, through page tables of every kind: what faults, with which error code and CR2, at every CPL and with
 *  every control bit that matters (SDM Vol.3A "Access Rights", "Page-Fault Exceptions"). Expected values come from
 *  tests/mmu/reference_walk.ts. The TLB is emptied only where software would have to: CPL, AC and the kind of access change
 *  with translations kept. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Cr4 } from "../../../assembly/abi/x86";
import { type Access, type Control, referenceWalk } from "../../mmu/reference_walk";
import { Guest } from "./guest";
import { CODE, haltedIn, KCODE, KDATA, longMode, protectedMode, setGate32, setGate64, STACK, UCODE, UCODE32, UDATA } from "./worlds";

type Paging = "4-level" | "PAE" | "32-bit";

const guest = await Guest.create();

/** The page under test; what is below 2 MiB is mapped for the supervisor, but for the code of CPL 3. */
const LIN = 0x1f000000;
const FRAME = 0x200000;
const USER_CODE = 0x9000;
const TABLES = 0x100000;
const [PDPT, PD, PT, LOW] = [0x1000, 0x2000, 0x3000, 0x4000].map((offset) => TABLES + offset);
const [RW, US, PS] = [2n, 4n, 0x80n];
const NX = 1n << 63n;
const AC = 0x40000;
/** INT 50h through a gate for all: the access was allowed. The same bytes are written by the test's write. */
const DONE = 0x50;
const BYTES = 0x909050cd;

const KINDS: readonly (readonly [level: 0 | 3, access: Access])[] = [
  ...([0, 3] as const).flatMap((level) => (["read", "write", "fetch"] as const).map((kind) => [level, { user: level === 3, kind }] as const)),
  [0, { user: false, implicit: true, kind: "read" }],
  [3, { user: false, implicit: true, kind: "read" }],
];

function world(paging: Paging): void {
  if (paging === "4-level") longMode(guest, 0);
  else protectedMode(guest, 0);
  (paging === "4-level" ? setGate64 : setGate32)(guest, DONE, 0xee);
  if (paging === "32-bit") {
    guest.set32(TABLES, LOW + 7);
    for (let i = 0; i < 1024; i++) guest.set32(LOW + i * 4, (i << 12) | (i === USER_CODE >> 12 ? 7 : 3));
  } else {
    guest.set64(TABLES, BigInt(paging === "PAE" ? PD + 1 : PDPT + 7));
    guest.set64(PDPT, BigInt(PD + 7));
    guest.set64(PD, BigInt(LOW + 7));
    for (let i = 0; i < 512; i++) guest.set64(LOW + i * 8, BigInt((i << 12) | (i === USER_CODE >> 12 ? 7 : 3)));
  }
  for (const frame of [0, FRAME]) guest.set32(frame, BYTES);
  guest.setField(PcpuOff.cr3, BigInt(TABLES));
}

/** The entries that map LIN at its two lowest levels. */
function mapTo(paging: Paging, upper: bigint, leaf: bigint): void {
  if (paging === "32-bit") {
    guest.set32(TABLES + (LIN >>> 22) * 4, Number(upper));
    guest.set32(PT + ((LIN >>> 12) & 1023) * 4, Number(leaf));
  } else {
    guest.set64(PD + (LIN >>> 21) * 8, upper);
    guest.set64(PT + ((LIN >>> 12) & 511) * 8, leaf);
  }
}

function load(paging: Paging, c: Control): void {
  guest.setField(PcpuOff.cr0, BigInt((c.wp ? 0x10000 : 0) + 0x80000033));
  guest.setField(PcpuOff.cr4, BigInt((c.pae ? Cr4.PAE : 0) | (c.pse ? Cr4.PSE : 0) | (c.smep ? Cr4.SMEP : 0) | (c.smap ? Cr4.SMAP : 0)));
  guest.setField(PcpuOff.efer, BigInt((paging === "4-level" ? 0x501 : 1) | (c.nxe ? 0x800 : 0)));
  guest.core.flushTlbAll();
}

/** Performs the access by an instruction at CPL `level`; the vector it ended in. */
function perform(paging: Paging, level: number, access: Access, ac: boolean): number {
  const long = paging === "4-level";
  const dpl = level << 5;
  guest.segment(Seg.cs, level ? (long ? UCODE : UCODE32) : KCODE, 0, 0xffffffff, (long ? 0xa09b : 0xc09b) | dpl);
  for (const seg of [Seg.ss, Seg.ds]) guest.segment(seg, level ? UDATA : KDATA, 0, 0xffffffff, 0xc093 | dpl);
  guest.segment(Seg.ldtr, 0x48, LIN, 0xfff, 0x82);
  guest.setWord(PcpuOff.cpl, level);
  guest.setField(PcpuOff.rflags, BigInt(2 | (ac ? AC : 0)));
  guest.setGpr("rsp", BigInt(STACK));
  guest.setGpr("rbx", BigInt(LIN));
  guest.setGpr("rcx", 0xcn); // the second entry of the LDT
  guest.setGpr("rax", BigInt(BYTES));
  // verr cx: the descriptor is read as the supervisor whatever CPL is
  const code = level ? USER_CODE : CODE;
  guest.hex(code, access.implicit ? "0f 00 e1 cd 50" : access.kind === "read" ? "8b 0b cd 50" : "89 03 cd 50");
  guest.run(access.kind === "fetch" ? LIN : code);
  return haltedIn(guest);
}

function* controls(paging: Paging): Generator<Control> {
  for (let bits = 0; bits < 16; bits++) {
    const on = (n: number) => ((bits >> n) & 1) === 1;
    const wide = paging !== "32-bit";
    yield { pg: true, wp: on(0), smep: on(1), smap: on(2), nxe: wide && on(3), pse: !wide && on(3), ac: false, pae: wide, lma: paging === "4-level", cr3: TABLES };
  }
}

const access = suite("accesses through page tables");
let compared = 0;

for (const paging of ["4-level", "PAE", "32-bit"] as const)
  access(`${paging} paging, all rights of the last level, those of the one above, and all controls`, () => {
    world(paging);
    const wide = paging !== "32-bit";
    const wrong: string[] = [];
    const table = BigInt(PT);
    const large = wide ? BigInt(FRAME) : 0n;
    const reserved = wide ? 1n << 51n : 1n << 21n; // of a large page in 32-bit paging
    const uppers = [7n, 7n & ~RW, 7n & ~US, 6n, ...(wide ? [7n | NX, 7n | reserved] : [])].map((flags) => table | flags);
    for (const flags of [7n, 5n, 3n, ...(wide ? [7n | NX] : []), 7n | (wide ? 1n << 13n : reserved)]) uppers.push(large | PS | flags);
    const leaves: bigint[] = [0n, 6n].map((flags) => BigInt(FRAME) | flags);
    for (let bits = 0; bits < 16; bits++) leaves.push(BigInt(FRAME) | 1n | BigInt((bits & 3) << 1) | (wide && bits & 4 ? NX : 0n) | (wide && bits & 8 ? 1n << 51n : 0n));
    for (const upper of uppers)
      for (const leaf of upper & PS ? leaves.slice(0, 1) : leaves.slice(0, wide ? 18 : 6)) {
        for (const control of controls(paging)) {
          if (upper & PS && !wide && !control.pse) continue; // PS is ignored: an ordinary table
          mapTo(paging, upper, leaf);
          load(paging, control);
          for (const [level, kind] of KINDS) {
            for (const ac of [false, true]) {
              const want = referenceWalk({ ...control, ac }, kind, BigInt(LIN), (gpa) => guest.u32(gpa));
              const vector = perform(paging, level, kind, ac);
              compared++;
              const sp = Number(guest.gpr("rsp"));
              const error = paging === "4-level" ? Number(guest.u64(sp)) : guest.u32(sp);
              const cr2 = Number(guest.field(PcpuOff.cr2));
              const right = want.ok ? vector === DONE : vector === 14 && error === want.error && cr2 === LIN + (kind.implicit ? 8 : 0);
              if (!right) wrong.push(`${JSON.stringify({ control, level, kind, ac })} upper ${upper.toString(16)} leaf ${leaf.toString(16)}: vector ${vector} error ${error}, not ${want.ok ? "allowed" : want.error}`);
            }
          }
        }
      }
    assert.is(wrong.length, 0, `${wrong.length} of ${compared}:\n${wrong.slice(0, 5).join("\n")}`);
  });

access("so many accesses were compared", () => {
  console.log(`accesses: ${compared} combinations, 0 mismatches`);
  assert.ok(compared > 50_000);
});

access.run();
