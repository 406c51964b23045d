/** The MMX and SSE semantics without the rest of the processor: registers are set, one record is performed, registers are
 *  read. Memory operands reach 64 bytes at MEMORY, nothing else (fixture/access.ts). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { RecFlag, RecOff } from "../../../assembly/abi/record";
import { buildFixture, env, fixtureMemory, Unwound } from "../../support/asc_fixture";
import type { Form, Place } from "./forms";

const root: string = (globalThis as { XENOLITH_ROOT?: string }).XENOLITH_ROOT ?? process.cwd();

/** `enum Op` as compiled into the fixture. */
export const OP = new Map(
  [...readFileSync(join(root, "assembly/cpu/opcodes.gen.ts"), "utf8").split("enum Op {")[1].split("}")[0].matchAll(/(\w+) = (\d+)/g)].map((m) => [
    m[1],
    Number(m[2]),
  ]),
);

export const MEMORY = 0x7000000;
export const MEMORY_SIZE = 64;
const RECORD = 0x6f00000;

export class SseMachine {
  readonly view: DataView;
  private constructor(
    readonly memory: WebAssembly.Memory,
    private readonly exports: { performSse(u: number): number; performMmx(u: number): number },
  ) {
    this.view = new DataView(memory.buffer);
  }

  static async create(): Promise<SseMachine> {
    const module = await buildFixture("tests/cpu/sse/fixture/sse.ts", {
      replace: {
        "assembly/cpu/access.ts": "tests/cpu/sse/fixture/access.ts",
        "assembly/cpu/helpers/segment.ts": "tests/cpu/sse/fixture/segment.ts",
        "assembly/cpu/helpers/x87_state.ts": "tests/cpu/sse/fixture/x87_state.ts",
      },
    });
    const memory = fixtureMemory();
    const instance = await WebAssembly.instantiate(module, env(memory));
    const machine = new SseMachine(memory, instance.exports as never);
    machine.reset();
    return machine;
  }

  private at(offset: number): number {
    return Region.PCPUS + offset;
  }
  u64(offset: number): bigint {
    return this.view.getBigUint64(this.at(offset), true);
  }
  setU64(offset: number, x: bigint): void {
    this.view.setBigUint64(this.at(offset), x, true);
  }
  u32(offset: number): number {
    return this.view.getUint32(this.at(offset), true);
  }
  setU32(offset: number, x: number): void {
    this.view.setUint32(this.at(offset), x, true);
  }

  /** SSE enabled with a handler for #XM, all status flags set as the recorder does. */
  reset(): void {
    this.setU64(PcpuOff.cr0, 0x80000031n);
    this.setU64(PcpuOff.cr4, 0x620n);
    this.setU32(PcpuOff.mxcsr, 0x1f80);
    this.setU32(PcpuOff.fsw, 0);
    this.setU64(PcpuOff.rflags, 0x8d7n);
    this.setU32(PcpuOff.flagsKind, 0);
    this.setU32(PcpuOff.faultVector, -1);
  }

  place(where: Place): number {
    switch (where) {
      case "xmm0": return PcpuOff.xmm;
      case "xmm1": return PcpuOff.xmm + 16;
      case "xmm2": return PcpuOff.xmm + 32;
      case "mm1": return PcpuOff.fpr + 16;
      case "mm2": return PcpuOff.fpr + 32;
      case "rcx": return PcpuOff.gpr + 8;
      case "rdx": return PcpuOff.gpr + 16;
      case "none": return PcpuOff.gpr;
    }
  }

  /** Writes the record of `form` with reg = 1 and rm = 2, or with a memory operand at `address`. */
  encode(form: Pick<Form, "op" | "mmx" | "wide">, immediate: number, address?: number, size = form.wide ? 8 : 4): void {
    const { view } = this;
    const op = OP.get(form.op);
    if (op === undefined) throw new Error(`no Op.${form.op}`);
    for (let i = 0; i < RecOff.SIZE; i += 4) view.setUint32(RECORD + i, 0, true);
    view.setUint16(RECORD + RecOff.op, op, true);
    view.setUint16(RECORD + RecOff.desc, size | 0x80, true);
    view.setUint8(RECORD + RecOff.reg, 1);
    view.setUint8(RECORD + RecOff.rm, 2);
    view.setInt32(RECORD + RecOff.imm, (immediate << 24) >> 24, true);
    if (address === undefined) return;
    view.setUint8(RECORD + RecOff.flags, RecFlag.mem);
    view.setUint8(RECORD + RecOff.base, PcpuOff.zero);
    view.setUint8(RECORD + RecOff.index, PcpuOff.zero);
    view.setInt32(RECORD + RecOff.disp, address, true);
    view.setBigUint64(RECORD + RecOff.mask, 0xffffffffffffffffn, true);
  }

  /** Performs the encoded record. True if it went on, false with a fault pending. */
  perform(mmx: boolean): boolean {
    try {
      return (mmx ? this.exports.performMmx(RECORD) : this.exports.performSse(RECORD)) === RECORD + RecOff.SIZE;
    } catch (error) {
      if (error instanceof Unwound) return false;
      throw error;
    }
  }

  /** The pending exception, -1 none; forgets it. */
  takeFault(): number {
    const vector = this.u32(PcpuOff.faultVector) | 0;
    this.setU32(PcpuOff.faultVector, -1);
    return vector;
  }
}
