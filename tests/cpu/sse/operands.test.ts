/** Operands and availability: memory forms compute what register forms do and touch exactly their bytes; 16-byte operands
 *  must be aligned (SDM Vol.2A "Instruction Exception Specification", types 4 and 5); CR0, CR4 and pending x87 exceptions
 *  refuse instructions; MMX instructions change the x87 tags. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { Random, casesOf } from "./cases";
import { FORMS, type Form } from "./forms";
import { MEMORY, MEMORY_SIZE, SseMachine } from "./machine";

const operands = suite("SSE operands");
let machine: SseMachine;
operands.before(async () => {
  machine = await SseMachine.create();
});
operands.before.each(() => machine.reset());

const UD = 6;
const NM = 7;
const GP = 13;
const PF = 14;
const MF = 16;
const XM = 19;

const form = (op: string, key = ""): Form => {
  const found = FORMS.find((f) => f.op === op && f.key.includes(key));
  if (!found) throw new Error(`no form ${op}`);
  return found;
};

/** Bytes of the memory operand, from its size letter (SDM Vol.2D "Codes for Operand Type"). */
function memoryBytes(f: Form): number {
  const operand = f.row.operands.split(",").find((o) => /^[WQE]/.test(o));
  const size = operand?.slice(1) ?? "";
  if (size === "y" || size === "v") return f.wide ? 8 : 4;
  return { b: 1, w: 2, d: 4, ss: 4, q: 8, sd: 8, x: 16, ps: 16, pd: 16, dq: 16 }[size] ?? 0;
}
const isStore = (f: Form) => /^[WQE]/.test(f.row.operands);
const memory = () => new Uint8Array(machine.memory.buffer, MEMORY, MEMORY_SIZE);
const pcpu = (offset: number, length: number) => new Uint8Array(machine.memory.buffer, Region.PCPUS + offset, length);

const WITH_MEMORY = FORMS.filter((f) => memoryBytes(f) > 0);
/** Loads that clear the rest of the register only when the source is memory. */
const CLEARS = ["movss", "movsd"];

for (const f of WITH_MEMORY.filter((f) => !isStore(f)))
  operands(`${f.op} ${f.row.operands}${f.wide ? " W" : ""} reads ${memoryBytes(f)} bytes of memory as it reads a register`, () => {
    const bytes = memoryBytes(f);
    const source = f.row.operands.includes("Q") ? PcpuOff.fpr + 32 : f.row.operands.includes(",E") ? PcpuOff.gpr + 16 : PcpuOff.xmm + 32;
    const r = new Random(f.bytes.length * 77 + f.bytes[f.bytes.length - 2]);
    let tried = 0;
    for (const c of casesOf(f)) {
      if (r.below(4)) continue;
      if (++tried > 12) break;
      const outcome = [undefined, MEMORY + MEMORY_SIZE - bytes].map((address) => {
        machine.reset();
        for (let i = 0; i < 6; i++) machine.setU64(PcpuOff.xmm + i * 8, c.xmm[i]);
        [c.mm1, c.mm2].forEach((x, i) => void machine.setU64(PcpuOff.fpr + 16 + i * 16, x));
        [c.rax, c.rcx, c.rdx].forEach((x, i) => void machine.setU64(PcpuOff.gpr + i * 8, x));
        machine.setU32(PcpuOff.mxcsr, c.mxcsr);
        if (CLEARS.includes(f.op)) {
          machine.setU64(PcpuOff.xmm + 16, 0n);
          machine.setU64(PcpuOff.xmm + 24, 0n);
        }
        memory().fill(0xcc);
        memory().set(pcpu(source, bytes), MEMORY_SIZE - bytes);
        // For INSERTPS from memory the source element is not selected.
        machine.encode(f, f.op === "insertps" ? c.immediate & 0x3f : c.immediate, address);
        const went = machine.perform(f.mmx);
        const place = machine.place(f.place);
        const result = f.size ? [...pcpu(place, f.size)] : [];
        return [went, machine.takeFault(), result, machine.u32(PcpuOff.rflags), machine.u32(PcpuOff.mxcsr)];
      });
      assert.equal(outcome[1], outcome[0]);
    }
    assert.ok(tried > 0);
  });

for (const f of WITH_MEMORY.filter(isStore))
  operands(`${f.op} ${f.row.operands}${f.wide ? " W" : ""} stores ${memoryBytes(f)} bytes`, () => {
    const bytes = memoryBytes(f);
    for (let i = 0; i < 6; i++) machine.setU64(PcpuOff.xmm + i * 8, 0x0102030405060708n * BigInt(i + 1));
    [3n, 5n].forEach((x, i) => void machine.setU64(PcpuOff.fpr + 16 + i * 16, 0x1112131415161718n * x));
    machine.encode(f, 1);
    assert.ok(machine.perform(f.mmx));
    const expected = [...pcpu(machine.place(f.place), bytes)];
    memory().fill(0xcc);
    machine.encode(f, 1, MEMORY + MEMORY_SIZE - bytes);
    assert.ok(machine.perform(f.mmx));
    assert.equal([...memory().subarray(MEMORY_SIZE - bytes)], expected);
    assert.ok(memory().subarray(0, MEMORY_SIZE - bytes).every((x) => x === 0xcc));
  });

operands("16-byte operands must be aligned, except for MOVU, LDDQU and the string comparisons", () => {
  for (const f of WITH_MEMORY.filter((f) => memoryBytes(f) === 16)) {
    machine.reset();
    memory().fill(0);
    machine.encode(f, 0, MEMORY + 8);
    const went = machine.perform(f.mmx);
    const vector = machine.takeFault();
    if (/^(movups|pcmp[ei]str)/.test(f.op)) assert.ok(went, f.key);
    else assert.is(vector, GP, f.key);
  }
  machine.encode(form("mmx_paddb"), 0, MEMORY + 3);
  assert.ok(machine.perform(true));
});

operands("a faulting load changes nothing", () => {
  machine.setU64(PcpuOff.xmm + 16, 0x123n);
  machine.setU32(PcpuOff.fsw, 0x3800);
  for (const op of ["addsd", "paddb", "movss", "mmx_paddb", "cvtps2pi"]) {
    const f = form(op);
    machine.encode(f, 0, MEMORY + MEMORY_SIZE);
    assert.not(machine.perform(f.mmx));
    assert.is(machine.takeFault(), PF);
    assert.is(machine.u64(PcpuOff.xmm + 16), 0x123n);
    assert.is(machine.u32(PcpuOff.fsw) & 0xffff, 0x3800);
  }
});

//           instruction     CR0.EM  CR0.TS  CR4.OSFXSR=0  x87 exception pending
const REFUSALS = [
  ["paddb", UD, NM, UD, -1],
  ["addsd", UD, NM, UD, -1],
  ["mmx_paddb", UD, NM, -1, MF],
  ["mmx_psadbw", UD, NM, -1, MF],
  ["cvtps2pi", UD, NM, UD, MF],
  ["movdq2q", UD, NM, UD, MF],
] as const;
for (const [op, em, ts, osfxsr, pending] of REFUSALS)
  operands(`${op} is refused as CR0, CR4 and FSW say`, () => {
    const f = form(op);
    const attempt = (set: () => void) => {
      machine.reset();
      set();
      machine.encode(f, 0);
      machine.perform(f.mmx);
      return machine.takeFault();
    };
    assert.is(attempt(() => {}), -1);
    assert.is(attempt(() => machine.setU64(PcpuOff.cr0, 0x80000035n)), em);
    assert.is(attempt(() => machine.setU64(PcpuOff.cr0, 0x80000039n)), ts);
    assert.is(attempt(() => machine.setU64(PcpuOff.cr0, 0x8000003dn)), UD);
    assert.is(attempt(() => machine.setU64(PcpuOff.cr4, 0x420n)), osfxsr);
    assert.is(attempt(() => machine.setU32(PcpuOff.fsw, 0x80)), pending);
  });

operands("CVTPI2PD from memory leaves the x87 state alone", () => {
  machine.setU32(PcpuOff.fsw, 0x3880);
  machine.encode(form("cvtpi2pd"), 0, MEMORY);
  assert.ok(machine.perform(false));
  assert.is(machine.u32(PcpuOff.fsw) & 0xffff, 0x3880);
});

operands("an unmasked exception is #XM, or #UD without CR4.OSXMMEXCPT", () => {
  for (const [cr4, vector] of [[0x620n, XM], [0x220n, UD]] as const) {
    machine.reset();
    machine.setU64(PcpuOff.cr4, cr4);
    machine.setU32(PcpuOff.mxcsr, 0x1f80 & ~(4 << 7));
    machine.setU64(PcpuOff.xmm + 16, 0x3ff0000000000000n);
    machine.setU64(PcpuOff.xmm + 32, 0n);
    machine.encode(form("divsd"), 0);
    assert.not(machine.perform(false));
    assert.is(machine.takeFault(), vector);
    assert.is(machine.u32(PcpuOff.mxcsr) & 0x3f, 4);
    assert.is(machine.u64(PcpuOff.xmm + 16), 0x3ff0000000000000n);
  }
});

/** Check value of CRC-32C: the digits 1 to 9 give E3069283h. */
operands("CRC32 accumulates CRC-32C in every width, whatever CR0 and CR4 say", () => {
  machine.setU64(PcpuOff.cr0, 0x8000003dn);
  machine.setU64(PcpuOff.cr4, 0x20n);
  const digits = [0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39];
  for (const [first, rest] of [[8, 1], [4, 1], [2, 1], [1, 1]] as const) {
    machine.setU64(PcpuOff.gpr + 8, 0xffff_ffff_ffff_ffffn);
    memory().set(digits);
    for (let at = 0; at < 9; ) {
      const size = 9 - at >= first ? first : rest;
      machine.encode({ op: size === 1 ? "crc32_byte" : "crc32", mmx: false, wide: size === 8 }, 0, MEMORY + at, size);
      assert.ok(machine.perform(false));
      at += size;
    }
    assert.is(machine.u64(PcpuOff.gpr + 8) ^ 0xffffffffn, 0xe3069283n);
  }
});

operands("MMX instructions mark the whole x87 stack used, EMMS empties it, both make TOP 0", () => {
  const tags = () => pcpu(PcpuOff.ftag, 1)[0];
  machine.setU32(PcpuOff.fsw, 0x3800);
  pcpu(PcpuOff.ftag, 1)[0] = 0x80;
  machine.setU64(PcpuOff.fpr + 24, 0n);
  machine.encode(form("mmx_pxor"), 0);
  assert.ok(machine.perform(true));
  assert.is(tags(), 0xff);
  assert.is(machine.u32(PcpuOff.fsw) & 0xffff, 0);
  assert.is(machine.u64(PcpuOff.fpr + 24) & 0xffffn, 0xffffn, "sign and exponent of the written register are ones");
  machine.setU32(PcpuOff.fsw, 0x1800);
  machine.encode({ op: "mmx_emms", mmx: true, wide: false }, 0);
  assert.ok(machine.perform(true));
  assert.is(tags(), 0);
  assert.is(machine.u32(PcpuOff.fsw) & 0xffff, 0);
});

operands("MASKMOVDQU and MASKMOVQ store the bytes whose mask bit 7 is set at [rDI]", () => {
  machine.setU64(PcpuOff.gpr + 7 * 8, BigInt(MEMORY + 4));
  pcpu(PcpuOff.xmm + 16, 16).set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
  pcpu(PcpuOff.xmm + 32, 16).set([0x80, 0x7f, 0xff, 0, 0, 0, 0, 0x80, 0x80, 0, 0, 0, 0, 0, 0, 0x81]);
  memory().fill(0xcc);
  machine.encode({ op: "maskmovdqu", mmx: false, wide: false }, 0);
  assert.ok(machine.perform(false));
  const expected = new Array(24).fill(0xcc);
  for (const i of [0, 2, 7, 8, 15]) expected[4 + i] = i + 1;
  assert.equal([...memory().subarray(0, 24)], expected);

  pcpu(PcpuOff.fpr + 16, 8).set([1, 2, 3, 4, 5, 6, 7, 8]);
  pcpu(PcpuOff.fpr + 32, 8).set([0, 0x80, 0, 0, 0, 0, 0, 0xff]);
  memory().fill(0xcc);
  machine.encode({ op: "mmx_maskmovq", mmx: true, wide: false }, 0);
  assert.ok(machine.perform(true));
  assert.equal([...memory().subarray(4, 12)], [0xcc, 2, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 8]);

  machine.setU64(PcpuOff.gpr + 7 * 8, 0n);
  pcpu(PcpuOff.xmm + 32, 16).fill(0x7f);
  machine.encode({ op: "maskmovdqu", mmx: false, wide: false }, 0);
  assert.ok(machine.perform(false), "an all-zero mask touches no memory");
});

/** RCPPS and RSQRTPS promise a relative error of at most 1.5 * 2^-12 (SDM Vol.2B). */
operands("RCPSS and RSQRTSS are within 1.5 * 2^-12", () => {
  const r = new Random(7);
  const f32 = new Float32Array(1);
  const bits = new Uint32Array(f32.buffer);
  for (let i = 0; i < 20000; i++) {
    bits[0] = ((1 + r.below(250)) << 23) | r.below(1 << 23);
    const x = f32[0];
    for (const [op, exact] of [["rcpss", 1 / x], ["rsqrtss", 1 / Math.sqrt(x)]] as const) {
      machine.setU64(PcpuOff.xmm + 32, BigInt(bits[0]));
      machine.encode({ op, mmx: false, wide: false }, 0);
      assert.ok(machine.perform(false));
      const y = new DataView(machine.memory.buffer).getFloat32(Region.PCPUS + PcpuOff.xmm + 16, true);
      assert.ok(Math.abs(y - exact) <= exact * 1.5 * 2 ** -12, `${op} ${x}: ${y}`);
    }
  }
});

//           source      RCPSS       RSQRTSS
const APPROXIMATED = [
  [0x00000000, 0x7f800000, 0x7f800000],
  [0x80000000, 0xff800000, 0xff800000],
  [0x00000001, 0x7f800000, 0x7f800000], // denormals count as zero
  [0x80000001, 0xff800000, 0xff800000],
  [0x7f800000, 0x00000000, 0x00000000],
  [0xff800000, 0x80000000, 0xffc00000],
  [0x7f800001, 0x7fc00001, 0x7fc00001],
  [0xbf800000, 0xbf800000, 0xffc00000],
  [0x7f7fffff, 0x00000000, undefined], // a tiny result is zero
] as const;
operands("RCPPS and RSQRTPS of special values", () => {
  for (const [source, rcp, rsqrt] of APPROXIMATED)
    for (const [op, expected] of [["rcpps", rcp], ["rsqrtps", rsqrt]] as const) {
      if (expected === undefined) continue;
      machine.setU64(PcpuOff.xmm + 32, (BigInt(source) << 32n) | BigInt(source));
      machine.setU64(PcpuOff.xmm + 40, (BigInt(source) << 32n) | BigInt(source));
      machine.encode({ op, mmx: false, wide: false }, 0);
      assert.ok(machine.perform(false));
      for (let i = 0; i < 4; i++) assert.is(machine.u32(PcpuOff.xmm + 16 + i * 4), expected, `${op} ${source.toString(16)}`);
      assert.is(machine.u32(PcpuOff.mxcsr), 0x1f80, "no exceptions");
    }
});

operands.run();
