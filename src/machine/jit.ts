/** The host's part of the translator (assembly/cpu/jit): it makes modules out of the bytes the core emitted and puts their
 *  functions into the core's table. */
import { Check, CheckOff, JitMemory, JitOff, RegionOff } from "../../assembly/abi/jit";
import { PcpuOff, Region } from "../../assembly/abi/layout";
import { pcpuBase } from "./kick";
import type { MachineMemory } from "./memory";

/** Exports of the core that emitted modules call, in the order of assembly/cpu/jit/imports.ts. */
const IMPORTS = ["jitMissR", "jitMissW", "jitStored", "jitCold", "jitBadTarget", "jitCond", "jitCarry", "keepFlags", "jitX87Enter", "jitX87Leave", "jitX87", "jitX87Memory", "jitPage",
  "addValue", "mulValue", "subValue", "subrValue", "divValue", "divrValue", "addDouble", "mulDouble", "subDouble", "subrDouble", "divDouble", "divrDouble",
  "jitX87Odd", "jitX87Compare", "jitX87CompareDouble", "sqrtRegister", "jitX87Integer", "jitX87Double", "jitX87Give", "jitX87Control", "jitSpanR", "jitSpanW", "jitDoubt", "jitStraddle"];

/** The host's optimizing compiler takes 2 ms for each KB of a function below 4 KB, 20 ms for each of one above 16 KB, and 10 MiB of memory
 *  that its allocator keeps (docs/performance.md). Below this hot nests of loops would be cut. */
const MOST_INSNS = 400;

/** Slices that have to end at a block before its region is translated: until then interpreting it has taken as long as a translation does and
 *  what it spares afterwards, so translating never costs more than twice what the best choice would have. */
const THRESHOLD = 48; // until costs were measured
const THRESHOLDS = { least: 16, most: 128 } as const;
const CROSSED = 1000; // as long as the host's optimizing compiler takes for one region, or longer
const SLICE_US = 20; // of interpretation
const SPARED = 0.6; // of it, by a translation
/** What the host adds at the first call, when it compiles, and the translator before. */
const US_PER_KB = 100;

export interface JitTuning {
  /** Everything translated is checked against the interpreter as it runs; a difference ends the domain. Slow. */
  readonly check?: boolean;
  /** Instructions a region may have. */
  readonly insns?: number;
  /* For tests that want translations early. */
  readonly threshold?: number;
  /** Slices that have to end in a region that hands over often, before regions are made of the way that code takes from there (1000). */
  readonly crossed?: number;
  /** Instructions between two looks at requests and interrupts (8000). */
  readonly slice?: number;
}

/** What the translators of a machine have done. */
export interface JitStatistics {
  readonly regions: number;
  /** Of WebAssembly. */
  readonly bytes: number;
  /** Entries of regions compared with the interpreter, and those that could not be. */
  readonly checked: number;
  readonly unchecked: number;
}

export function jitStatistics(memory: MachineMemory, pcpus: number): JitStatistics {
  const sum = { regions: 0, bytes: 0, checked: 0, unchecked: 0 };
  for (let n = 0; n < pcpus; n++) {
    const jit = pcpuBase(n) + PcpuOff.JIT;
    const word = (offset: number) => memory.get32(offset) >>> 0;
    sum.regions += word(jit + JitOff.translated);
    sum.bytes += word(jit + JitOff.bytes);
    const checker = word(jit + JitOff.checkAt);
    if (checker === 0) continue;
    sum.checked += word(checker + CheckOff.checked);
    sum.unchecked += word(checker + CheckOff.given);
  }
  return sum;
}

export class Jit {
  private functions: unknown[] = [];
  /** A module on its way to the host, which copies it again. */
  private readonly bytes = new Uint8Array(JitOff.x87 - JitOff.module);
  private table: WebAssembly.Table | undefined;
  private costUs = THRESHOLD * SLICE_US * SPARED; // of one translation, by the quicker ones of late
  private adapts = false;
  private done = { count: 0, bytes: 0, ns: 0 };

  constructor(
    private readonly memory: MachineMemory,
    private readonly pcpu: number,
  ) {}

  /** Lets the core translate; from now on it may call install(). */
  enable(exports: Readonly<Record<string, unknown>>, tuning: JitTuning = {}): void {
    this.functions = IMPORTS.map((name) => exports[name]);
    this.table = exports.table as WebAssembly.Table;
    const jit = pcpuBase(this.pcpu) + PcpuOff.JIT;
    this.memory.set32(jit + JitOff.table, this.table.grow(RegionOff.MAX));
    this.memory.set32(jit + JitOff.threshold, tuning.threshold ?? THRESHOLD);
    this.adapts = tuning.threshold === undefined;
    this.memory.set32(pcpuBase(this.pcpu) + PcpuOff.crossed, tuning.crossed ?? CROSSED);
    this.memory.set32(jit + JitOff.mostInsns, tuning.insns ?? MOST_INSNS);
    if (tuning.check) {
      this.memory.set32(jit + JitOff.checkAt, this.memory.get32(pcpuBase(this.pcpu) + PcpuOff.codeBase) + Region.CODE_SIZE - CheckOff.SIZE);
      this.memory.set32(jit + JitOff.check, Check.idle);
      (exports.dropCode as () => void)(); // the end of the record cache is the checker's from now on
    }
    if (tuning.slice) this.memory.set32(jit + JitOff.slice, tuning.slice);
    const shared = typeof SharedArrayBuffer === "function" && this.memory.memory.buffer instanceof SharedArrayBuffer;
    this.memory.set32(jit + JitOff.memory, shared ? JitMemory.shared : JitMemory.unshared);
  }

  /** Nobody will call these again: what the host keeps about them can go. */
  drop(slot: number, count: number): void {
    for (let n = 0; n < count; n++) this.table?.set(slot + n, null);
  }

  /** What was installed since the last time somebody asked. */
  takeTranslations(): { count: number; bytes: number; ns: number } {
    const { done } = this;
    this.done = { count: 0, bytes: 0, ns: 0 };
    return done;
  }

  /** A translation took this long; how hot code has to be for the next one. */
  private adapt(tookUs: number): void {
    // a thread that was preempted meanwhile measures anything: what is less counts for more
    this.costUs = tookUs > this.costUs ? this.costUs * 1.03 : this.costUs + (tookUs - this.costUs) / 8;
    const slices = Math.round(this.costUs / SLICE_US / SPARED);
    this.memory.set32(pcpuBase(this.pcpu) + PcpuOff.JIT + JitOff.threshold, Math.min(Math.max(slices, THRESHOLDS.least), THRESHOLDS.most));
  }

  /** False if the host will not make code now: a content security policy, or its limits. */
  install(at: number, length: number, slot: number): boolean {
    const began = performance.now();
    try {
      this.bytes.set(this.memory.u8.subarray(at, at + length)); // hosts do not take it from shared memory
      const module = new WebAssembly.Module(this.bytes.subarray(0, length));
      // a table of its own: one shared by all would keep every instance alive that ever imported it
      const t = new WebAssembly.Table({ element: "anyfunc", initial: this.functions.length });
      this.functions.forEach((body, i) => t.set(i, body));
      const instance = new WebAssembly.Instance(module, { x: { m: this.memory.memory, t } });
      this.table?.set(slot, instance.exports.f as () => number);
      const tookMs = performance.now() - began;
      this.done.count++;
      this.done.bytes += length;
      this.done.ns += tookMs * 1e6;
      if (this.adapts) this.adapt(tookMs * 1000 + (length / 1024) * US_PER_KB);
      return true;
    } catch {
      return false;
    }
  }
}
