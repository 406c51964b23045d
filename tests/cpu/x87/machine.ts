/** Runs single x87 instructions on the core: encodes nothing, looks the bytes up in the rows of src/spec/x87. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { RecFlag, RecOff } from "../../../assembly/abi/record";
import { X87 } from "../../../src/spec/x87";
import { buildFixture, env, fixtureMemory } from "../../support/asc_fixture";

const MODULE = buildFixture("tests/cpu/x87/fixture/x87.ts", {
  replace: {
    "assembly/cpu/access.ts": "tests/cpu/x87/fixture/access.ts",
    "assembly/cpu/helpers/segment.ts": "tests/cpu/x87/fixture/segment.ts",
    "assembly/cpu/helpers/mode.ts": "tests/cpu/x87/fixture/mode.ts",
  },
});

/** `enum Op` of assembly/cpu/opcodes.gen.ts, which is no module TypeScript could run. */
const root = (globalThis as { XENOLITH_ROOT?: string }).XENOLITH_ROOT ?? process.cwd();
const generated = readFileSync(join(root, "assembly/cpu/opcodes.gen.ts"), "utf8").match(/enum Op \{([^}]*)\}/)?.[1] ?? "";
const OPS = new Map([...generated.matchAll(/(\w+) = (\d+)/g)].map(([, name, number]) => [name, Number(number)]));

/** The Op of an encoding without its prefixes, or undefined where no row has it. */
export function opOf(bytes: readonly number[]): number | undefined {
  const row = X87.find(({ opcode }) => {
    const parts = opcode.replace("NP ", "").split(" ");
    const fixed = parts.filter((part) => /^[0-9A-F]{2}$/.test(part)).map((part) => Number.parseInt(part, 16));
    if (!fixed.every((byte, i) => bytes[i] === byte)) return false;
    const field = parts.find((part) => /^\/\d$/.test(part));
    if (field === undefined) return fixed.length === bytes.length;
    const modrm = bytes[fixed.length];
    return ((modrm >> 3) & 7) === Number(field[1]) && (parts.includes("mem") ? modrm < 0xc0 : modrm >= 0xc0);
  });
  return row && OPS.get(row.op ?? row.mnemonic);
}

export class X87Machine {
  static readonly OPERAND = 0x6000000;
  private static readonly RECORD = 0x6100000;
  readonly view: DataView;
  readonly bytes: Uint8Array;

  private constructor(
    memory: WebAssembly.Memory,
    readonly exports: {
      performX87(u: number): number;
      status(): number;
      initFpu(): void;
      mmxTransition(): void;
      repeat(u: number, n: number): void;
    },
  ) {
    this.view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    exports.initFpu();
    this.set32(PcpuOff.cr0, 0x80000033);
    this.set32(PcpuOff.cr4, 0x40200);
    this.set32(PcpuOff.xcr0, 3);
    this.set32(PcpuOff.mode, 2);
  }

  static async create(): Promise<X87Machine> {
    const memory = fixtureMemory(128);
    const instance = await WebAssembly.instantiate(await MODULE, env(memory));
    return new X87Machine(memory, instance.exports as never);
  }

  get16(offset: number): number { return this.view.getUint16(Region.PCPUS + offset, true); }
  set16(offset: number, value: number): void { this.view.setUint16(Region.PCPUS + offset, value, true); }
  get32(offset: number): number { return this.view.getUint32(Region.PCPUS + offset, true); }
  set32(offset: number, value: number): void { this.view.setUint32(Region.PCPUS + offset, value, true); }
  get64(offset: number): bigint { return this.view.getBigUint64(Region.PCPUS + offset, true); }
  set64(offset: number, value: bigint): void { this.view.setBigUint64(Region.PCPUS + offset, value, true); }
  /** The ten bytes of physical register `n`. */
  register(n: number): Uint8Array {
    const at = Region.PCPUS + PcpuOff.fpr + n * 16;
    return this.bytes.subarray(at, at + 10);
  }
  /** Memory operand, always at OPERAND. */
  operand(length: number): Uint8Array {
    return this.bytes.subarray(X87Machine.OPERAND, X87Machine.OPERAND + length);
  }

  /** Prepares the record of an instruction whose memory operand, if any, is at `at`. */
  prepare(bytes: readonly number[], operandSize = 4, at = X87Machine.OPERAND): number {
    const op = opOf(bytes);
    if (op === undefined) throw new Error(`no row for ${bytes.map((byte) => byte.toString(16)).join(" ")}`);
    const { view } = this, u = X87Machine.RECORD, modrm = bytes[bytes.length - 1];
    const isMemory = bytes.length > 1 && modrm < 0xc0;
    for (let i = 0; i < RecOff.SIZE; i += 4) view.setUint32(u + i, 0, true);
    view.setUint16(u + RecOff.desc, operandSize | 0x80, true);
    view.setUint8(u + RecOff.reg, (modrm >> 3) & 7);
    view.setUint8(u + RecOff.rm, modrm & 7);
    view.setUint8(u + RecOff.len, bytes.length);
    view.setUint8(u + RecOff.flags, isMemory ? RecFlag.mem : 0);
    view.setUint16(u + RecOff.off, 0x123, true);
    view.setUint8(u + RecOff.base, PcpuOff.zero);
    view.setUint8(u + RecOff.index, PcpuOff.zero);
    view.setInt32(u + RecOff.disp, at, true);
    view.setBigUint64(u + RecOff.mask, (1n << 64n) - 1n, true);
    view.setUint16(u + RecOff.op, op, true);
    return u;
  }

  /** Vector of the fault the instruction raises, -1 if none. */
  run(bytes: readonly number[], operandSize = 4, at = X87Machine.OPERAND): number {
    this.set32(PcpuOff.faultVector, -1);
    const next = this.exports.performX87(this.prepare(bytes, operandSize, at));
    return next === 0 ? this.view.getInt32(Region.PCPUS + PcpuOff.faultVector, true) : -1;
  }
}
