/** Two bare processors, one that translates everything that loops and one that interprets: they must agree in all a guest can see. */
import { createHash } from "node:crypto";
import * as assert from "uvu/assert";
import { Exit } from "../../assembly/abi/exit";
import { JitOff } from "../../assembly/abi/jit";
import { PcpuOff, Region } from "../../assembly/abi/layout";
import type { JitTuning } from "../../src/machine/jit";
import { describeDifference } from "../../src/machine/jit_check";
import { type Bits, EAGER, LAYOUT, type Outcome, type Start, TestPc, assemble } from "./test_pc";

export class Twins {
  private constructor(
    readonly translated: TestPc,
    readonly interpreted: TestPc,
  ) {}

  /** `tuning`: of the translator, where it is not to be as eager as usual. */
  static async create(options: Parameters<typeof TestPc.create>[0] = {}, tuning: JitTuning = {}): Promise<Twins> {
    return new Twins(await TestPc.create({ ...options, jit: { ...EAGER, ...tuning } }), await TestPc.create({ ...options, jit: false }));
  }

  /** Runs NASM source or code on both, `prepare` before; compares outcome and the page of data; gives the outcome. */
  run(source: string | Uint8Array, bits: Bits, start: Start = {}, prepare: (pc: TestPc) => void = () => {}, budget?: number): Outcome {
    const code = typeof source === "string" ? assemble(source, bits) : source;
    const [left, right] = [this.translated, this.interpreted].map((pc) => {
      pc.guest.fill(LAYOUT.data, 0x3000, 0);
      prepare(pc);
      const before = this.retired(pc);
      const outcome = pc.run(code, bits, start, budget);
      if (outcome.exit === Exit.difference) assert.unreachable(describeDifference(pc.mem, 0).join("\n"));
      return { ...outcome, retired: this.retired(pc) - before, data: createHash("sha256").update(pc.guest.read(LAYOUT.data, 0x3000)).digest("hex") };
    });
    assert.equal(left, right);
    return left;
  }

  private retired(pc: TestPc): bigint {
    return pc.mem.get64(Region.PCPUS + PcpuOff.retired);
  }

  /** Regions made so far. */
  get regions(): number {
    return this.translated.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated);
  }
}
