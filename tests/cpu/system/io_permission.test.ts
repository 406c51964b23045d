/** Who may use which ports (SDM Vol.1 "Protecting I/O"): IOPL, and the I/O permission bitmap of the TSS, of which two bytes are read whatever the
 *  port and the width: random maps, bases and limits, in protected, virtual-8086 and 64-bit mode, by IN, OUT, INS and OUTS. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Random } from "../../support/random";
import { Guest } from "./guest";
import { KDATA, longMode, protectedMode, runCode, setGate32, setGate64, TR, TSS, v86Mode } from "./worlds";

const guest = await Guest.create();
const io = suite("I/O permission");
/** A TSS with room behind it. */
const MAP_TSS = 0x50000;
const DONE = 0x80;
const GP = 13;

interface Rights {
  readonly mode: "protected" | "v86" | "long";
  readonly cpl: number;
  readonly iopl: number;
  /** Limit of the TSS, and where its bitmap begins. */
  readonly limit: number;
  readonly base: number;
  readonly narrow?: boolean;
}
function allowed({ mode, cpl, iopl, limit, base, narrow }: Rights, port: number, size: number): boolean {
  if (mode !== "v86" && cpl <= iopl) return true;
  if (narrow || limit < 0x67) return false;
  const at = base + Math.floor(port / 8);
  if (at + 1 > limit) return false;
  for (let i = 0; i < size; i++) {
    const bit = (port % 8) + i;
    if ((guest.ram[MAP_TSS + at + (bit >> 3)] >> (bit & 7)) & 1) return false;
  }
  return true;
}

function enter(rights: Rights): void {
  if (rights.mode === "long") longMode(guest, rights.cpl);
  else if (rights.mode === "v86") v86Mode(guest, rights.iopl);
  else protectedMode(guest, rights.cpl);
  if (rights.mode === "long") setGate64(guest, DONE, 0xee);
  else setGate32(guest, DONE, 0xee);
  guest.setField(PcpuOff.rflags, (guest.field(PcpuOff.rflags) & ~0x3000n) | BigInt(rights.iopl << 12));
  guest.segment(Seg.tr, TR, MAP_TSS, rights.limit, rights.narrow ? 0x83 : 0x8b);
  guest.ram.copyWithin(MAP_TSS, TSS, TSS + 0x68);
  if (rights.narrow) {
    guest.set16(MAP_TSS + 2, 0xf000);
    guest.set16(MAP_TSS + 4, KDATA);
  }
  guest.set16(MAP_TSS + 0x66, rights.base);
}

/** Instructions by width: port in DX or immediate. */
const FORMS: readonly (readonly [code: string, size: number, immediate: boolean])[] = [
  ["ec", 1, false],
  ["ed", 4, false],
  ["66 ed", 2, false],
  ["ee", 1, false],
  ["ef", 4, false],
  ["66 ef", 2, false],
  ["e4", 1, true],
  ["e5", 4, true],
  ["66 e7", 2, true],
  ["6c", 1, false],
  ["6d", 4, false],
  ["66 6f", 2, false],
  ["f3 6e", 1, false],
];

io("900 random accesses", () => {
  const random = new Random("I/O permission");
  const seen = [0, 0];
  for (let i = 0; i < 900; i++) {
    const mode = random.pick(["protected", "protected", "v86", "long"] as const);
    const cpl = mode === "v86" ? 3 : random.pick([0, 1, 2, 3, 3, 3].slice(mode === "long" ? 5 : 0));
    const base = random.pick([0x68, 0x68, 0x70, 0x88, 0x67, 0x60, 0x2000, 0xffff, 0]);
    const limit = random.pick([0x2100, 0x2100, 0x90, 0x67, 0x66, Math.max(0x20, base + random.between(0, 20)), base + 0x2000]);
    const rights: Rights = { mode, cpl, iopl: mode === "v86" ? random.pick([0, 3]) : random.below(4), limit, base, narrow: mode === "protected" && random.chance(0.05) };
    const [form, size, immediate] = random.pick(FORMS);
    const near = Math.max(0, (limit - base) * 8 + random.between(-12, 12));
    const port = immediate ? random.below(256) : random.pick([random.below(0x80), random.below(0x200), near & 0xffff, 0xffff, 0xfff8, 0xfffe]);
    enter(rights);
    for (const from of [0x68, base + (port >> 3) - 16]) for (let at = Math.max(0x68, from); at < Math.max(0x68, from) + 0x40; at++) guest.ram[MAP_TSS + at] = random.chance(0.1) ? 1 << random.below(8) : 0;
    guest.set16(MAP_TSS + 0x66, rights.base);
    guest.setGpr("rdx", BigInt(port));
    guest.setGpr("rdi", 0x9000n);
    guest.setGpr("rsi", 0x9000n);
    guest.setGpr("rcx", 2n);
    const text = `${immediate ? `${form} ${port.toString(16)}` : form}`;
    const prefixed = mode === "v86" && size > 1 ? (text.startsWith("66 ") ? text.slice(3) : `66 ${text}`) : text;
    const may = allowed(rights, port, size);
    const got = runCode(guest, `${prefixed} 0f 0b`); // UD2: it got past
    assert.is(got, may ? 6 : GP, `${JSON.stringify(rights)}: ${prefixed}, port ${port.toString(16)}`);
    if (!may) assert.is(guest.out.length, 0);
    seen[may ? 1 : 0]++;
  }
  assert.ok(seen[0] > 200 && seen[1] > 200, seen.join());
});

io("real mode asks nobody", () => {
  protectedMode(guest, 3);
  guest.setField(PcpuOff.cr0, 0x10n);
  guest.setWord(PcpuOff.cpl, 0);
  guest.setWord(PcpuOff.segLimit + Seg.tr * 4, 0);
  guest.hex(0x8000, "e4 80 f4");
  guest.run(0x8000);
  assert.is(guest.rip, 0x8003);
});
io.run();
