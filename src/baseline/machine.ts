/** A 32-bit PC reduced to processor, RAM and ports, in plain TypeScript: the yardstick the WebAssembly core is measured and
 *  checked against. It starts in flat protected mode without paging, as PVH and multiboot kernels expect it. */
import { Flag } from "../../assembly/abi/x86";
import { BaselineCore, type PortSize } from "./core";
import { Attr, Seg } from "./cpu";
import { loadElf32 } from "./elf";
import { perform } from "./exec";
import { deliverFault, externalInterrupt } from "./interrupts";
import { makeSlice, type Slice } from "./interpreter";
import { FAULT } from "./paging";
import { Registers } from "./registers";
import { WARM_UP_BYTES, warmUp } from "./warm_up";
import { initialize } from "./x87";

export type { PortSize } from "./core";

export interface BaselineOptions {
  /** RAM from address 0; a multiple of 4096 below 2 GiB. */
  readonly memoryBytes: number;
  /** Value of an IN; all ones without it. */
  readonly onPortRead?: (port: number, size: PortSize) => number;
  readonly onPortWrite?: (port: number, value: number, size: PortSize) => void;
  /** What is not implemented, once each. */
  readonly log?: (text: string) => void;
}

/** Why `run` returned. "halt": HLT waits for an interrupt; "shutdown": triple fault; "stop": somebody called `stop`. */
export type BaselineReason = "budget" | "halt" | "shutdown" | "stop";

export interface BaselineRun {
  readonly reason: BaselineReason;
  /** Completed by this call; a REP instruction counts once. */
  readonly instructions: number;
}

/** Instructions after which the interpreter returns: often, since engines replace a function by better code where it is entered. */
const SLICE = 1 << 14;
/** A slice ends within this many instructions of its budget; the rest is stepped. */
const MARGIN = 128;
const HVM_START_MAGIC = 0x336ec578;

export class BaselineMachine {
  private readonly core: BaselineCore;
  private readonly slice: Slice;
  private readonly pending: number[] = [];
  readonly registers: Registers;

  constructor(options: BaselineOptions) {
    if (!(options.memoryBytes > 0 && options.memoryBytes < 2 ** 31)) throw new RangeError(`memoryBytes must be below 2 GiB, not ${options.memoryBytes}`);
    this.core = new BaselineCore(
      options.memoryBytes,
      options.onPortRead ?? ((_port, size) => (size === 4 ? 0xffffffff : (1 << (size * 8)) - 1)),
      options.onPortWrite ?? (() => {}),
      options.log ?? (() => {}),
    );
    this.slice = makeSlice(this.core, perform);
    this.registers = new Registers(this.core);
    this.reset();
    if (options.memoryBytes >= WARM_UP_BYTES) {
      warmUp(this.core, this.slice);
      this.reset();
    }
  }

  /** Registers as for a PVH kernel (Xen's docs/misc/pvh.pandoc), which suits others too; memory stays. JavaScript engines
   *  make their best code for the first machine of a process: to measure several programs, reset one. */
  reset(): void {
    const { core } = this;
    core.reg.fill(0, 0, 8);
    core.cr.fill(0);
    core.cr[0] = 0x11;
    core.eflags = 0;
    core.setCpl(0);
    core.flush();
    const data = Attr.P | Attr.S | Attr.DB | Attr.G | Attr.WRITABLE | Attr.ACCESSED;
    for (const seg of [Seg.es, Seg.ss, Seg.ds, Seg.fs, Seg.gs]) core.setSegment(seg, 0, 0, 0xffffffff, data);
    core.setSegment(Seg.cs, 0, 0, 0xffffffff, data | Attr.CODE);
    core.setSegment(Seg.tr, 0, 0, 0x67, Attr.P | 11);
    core.setSegment(Seg.ldtr, 0, 0, 0, 0);
    core.pc = 0;
    core.halted = core.shutdown = core.interruptShadow = core.faulted = false;
    core.table.fill(0);
    core.dr.fill(0);
    core.msr.clear();
    core.instructions = 0;
    initialize(core);
    core.xmm64.fill(0);
    core.mxcsr = 0x1f80;
    this.pending.length = 0;
  }

  /** Bytes into RAM. */
  load(address: number, bytes: Uint8Array): void {
    this.core.writePhysical(address, bytes);
  }

  /** RAM itself. After writing instructions that may have run already call `load` or `codeChanged`. */
  get memory(): Uint8Array {
    return this.core.ram8;
  }

  codeChanged(): void {
    this.core.forgetAll();
  }

  /** Places a 32-bit x86 ELF file by its physical addresses and points EIP at its PVH entry, or its entry if it has none. PVH
   *  kernels find an hvm_start_info with `commandLine` behind EBX. */
  loadElf(bytes: Uint8Array, commandLine = ""): void {
    const { core } = this;
    const { pvhEntry, entry, end } = loadElf32(bytes, (address, part, length) => {
      core.writePhysical(address, part);
      if (length > part.length) core.writePhysical(address + part.length, new Uint8Array(length - part.length));
    });
    core.pc = (pvhEntry ?? entry) | 0;
    if (pvhEntry === null) return;
    const at = (end + 4095) & ~4095;
    const text = new TextEncoder().encode(`${commandLine}\0`);
    const info = new Uint8Array(64 + 24 + text.length);
    const view = new DataView(info.buffer);
    view.setUint32(0, HVM_START_MAGIC, true);
    view.setUint32(4, 1, true);
    view.setUint32(24, at + 88, true); // cmdline_paddr
    view.setUint32(40, at + 64, true); // memmap_paddr, of one entry
    view.setUint32(48, 1, true);
    view.setUint32(64 + 8, core.ramBytes, true);
    view.setUint32(64 + 16, 1, true); // RAM
    info.set(text, 88);
    core.writePhysical(at, info);
    core.reg[3] = at;
  }

  /** An interrupt from outside, delivered when the processor takes interrupts. */
  interrupt(vector: number): void {
    this.pending.push(vector & 0xff);
    this.core.leave = true;
  }

  /** Ends the run after the current instruction; for port handlers. */
  stop(): void {
    this.core.stopAsked = true;
    this.core.leave = true;
  }

  run(maxInstructions: number): BaselineRun {
    const { core } = this;
    let done = 0;
    core.stopAsked = false;
    while (!core.shutdown) {
      if (core.stopAsked) return { reason: "stop", instructions: done };
      if (this.pending.length > 0 && core.control & Flag.IF && !core.interruptShadow) {
        externalInterrupt(core, this.pending.shift()!);
        continue;
      }
      if (core.halted) return { reason: "halt", instructions: done };
      const left = maxInstructions - done;
      if (left <= 0) return { reason: "budget", instructions: done };
      const stepping = core.interruptShadow || left <= MARGIN || (core.control & Flag.TF) !== 0;
      const ran = stepping ? this.step() : this.forward(Math.min(SLICE, left - MARGIN));
      done += ran;
      core.instructions += ran;
    }
    return { reason: "shutdown", instructions: done };
  }

  private forward(count: number): number {
    const { core } = this;
    core.leave = false;
    core.sliceWords = count * 4 - 1;
    const left = this.slice(0, core.sliceWords);
    this.afterSlice();
    return (core.sliceWords - left) >> 2;
  }

  private step(): number {
    const { core } = this;
    core.leave = false;
    const trap = (core.control & Flag.TF) !== 0;
    core.interruptShadow = false;
    core.sliceWords = 3;
    let left = 3;
    try {
      const start = core.decodeStep(core.pc);
      left = this.slice(start, 3);
    } catch (e) {
      if (e !== FAULT) throw e;
      core.faulted = true; // by fetching
    }
    const faulted = core.faulted;
    this.afterSlice();
    if (trap && !faulted) {
      core.dr[6] |= 1 << 14;
      core.faultVector = 1;
      core.faultError = -1;
      deliverFault(core);
    }
    return (3 - left) >> 2;
  }

  private afterSlice(): void {
    const { core } = this;
    if (!core.faulted) return;
    core.faulted = false;
    deliverFault(core);
  }
}
