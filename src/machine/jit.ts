/** The host's part of the translator (assembly/cpu/jit): it makes modules out of the bytes the core emitted and puts their
 *  functions into the core's table. */
import { JitMemory, JitOff, RegionOff } from "../../assembly/abi/jit";
import { PcpuOff } from "../../assembly/abi/layout";
import { pcpuBase } from "./kick";
import type { MachineMemory } from "./memory";

/** Exports of the core that emitted modules import, in the order of assembly/cpu/jit/imports.ts. */
const IMPORTS = ["jitMissR", "jitMissW", "jitStored", "jitCold", "linkTaken", "linkFall", "jitBadTarget", "jumpCached", "jitCond", "jitCarry", "keepFlags"];

/** Slices that have to end at a block before its region is translated. A slice is about 20 us of interpretation, and making and
 *  instantiating a module takes the host the time of some 65 (docs/performance.md). */
const THRESHOLD = 64;

/** For tests that want translations early. */
export interface JitTuning {
  readonly threshold?: number;
  /** Instructions between two looks at requests and interrupts (8000). */
  readonly slice?: number;
}

export class Jit {
  private imports: WebAssembly.Imports = {};
  private table: WebAssembly.Table | undefined;

  constructor(
    private readonly memory: MachineMemory,
    private readonly pcpu: number,
  ) {}

  /** Lets the core translate; from now on it may call install(). */
  enable(exports: WebAssembly.Exports, tuning: JitTuning = {}): void {
    const x: Record<string, WebAssembly.ImportValue> = { m: this.memory.memory };
    IMPORTS.forEach((name, i) => {
      x[String.fromCharCode(0x61 + i)] = exports[name];
    });
    this.imports = { x };
    this.table = exports.table as WebAssembly.Table;
    const jit = pcpuBase(this.pcpu) + PcpuOff.JIT;
    this.memory.set32(jit + JitOff.table, this.table.grow(RegionOff.MAX));
    this.memory.set32(jit + JitOff.threshold, tuning.threshold ?? THRESHOLD);
    if (tuning.slice) this.memory.set32(jit + JitOff.slice, tuning.slice);
    const shared = typeof SharedArrayBuffer === "function" && this.memory.memory.buffer instanceof SharedArrayBuffer;
    this.memory.set32(jit + JitOff.memory, shared ? JitMemory.shared : JitMemory.unshared);
  }

  /** False if the host will not make code now: a content security policy, or its limits. */
  install(at: number, length: number, slot: number): boolean {
    try {
      const module = new WebAssembly.Module(this.memory.u8.slice(at, at + length));
      const instance = new WebAssembly.Instance(module, this.imports);
      this.table?.set(slot, instance.exports.f as () => number);
      return true;
    } catch {
      return false;
    }
  }
}
