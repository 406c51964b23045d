/** Where a pCPU's time goes: after each stay in the core, its length is put down to the block that the stay ended at. With stays much
 *  shorter than what is of interest that is sampling by time, and costs nothing in between. */
import { Exit } from "../../assembly/abi/exit";
import { JitOff } from "../../assembly/abi/jit";
import { PcpuOff } from "../../assembly/abi/layout";
import { BlockOff, RecOff } from "../../assembly/abi/record";
import { Handler } from "../../assembly/cpu/handler";
import type { Core } from "./core";
import { pcpuBase } from "./kick";

/** ns in the core between two samples. */
export const SAMPLE_NS = 50_000;
const REPORT_NS = 200e6;
const EXITS: Readonly<Record<Exit, string>> = {
  [Exit.none]: "none",
  [Exit.budget]: "time to look",
  [Exit.hypercall]: "hypercall",
  [Exit.hlt]: "HLT",
  [Exit.request]: "request",
  [Exit.tripleFault]: "triple fault",
  [Exit.debugExit]: "debug exit",
  [Exit.bug]: "bug",
  [Exit.difference]: "difference",
};

/** A place in the guest: what a sample is put down to. */
export interface ProfilePlace {
  readonly domid: number;
  readonly user: boolean;
  /** The block belongs to a translated region. Once in a while one of those is interpreted all the same. */
  readonly translated: boolean;
  readonly rip: bigint;
}

/** What happened since the last report. */
export interface ProfileReport {
  readonly places: readonly (ProfilePlace & { readonly ns: number })[];
  /** Returns of the core, by reason. */
  readonly exits: readonly (readonly [reason: string, count: number])[];
  readonly instructions: number;
  readonly translations: { readonly count: number; readonly bytes: number; readonly ns: number };
}

export class Profiler {
  private readonly places = new Map<string, ProfilePlace & { ns: number }>();
  private readonly exits = new Map<string, number>();
  private instructions = 0;
  private last = 0;

  constructor(
    private readonly core: Core,
    private readonly send: (report: ProfileReport) => void,
  ) {}

  /** The core has come back after `ns` and so many instructions. */
  note(exit: Exit, ns: number, instructions: number, now: number): void {
    const { memory, pcpu, rip } = this.core;
    const base = pcpuBase(pcpu);
    const head = memory.get32(base + PcpuOff.JIT + JitOff.endedAt);
    const inRegion = head !== 0 && (memory.get16(head + RecOff.handler) === Handler.region || (memory.get8(head + BlockOff.records) & BlockOff.IN_REGION) !== 0);
    const translated = exit === Exit.budget && inRegion;
    const user = memory.get32(base + PcpuOff.cpl) === 3;
    const domid = memory.get32(base + PcpuOff.domid);
    const key = `${domid} ${user} ${translated} ${rip}`;
    const place = this.places.get(key);
    if (place) place.ns += ns;
    else this.places.set(key, { domid, user, translated, rip, ns });
    const reason = EXITS[exit] ?? String(exit);
    this.exits.set(reason, (this.exits.get(reason) ?? 0) + 1);
    this.instructions += instructions;
    if (now - this.last > REPORT_NS) this.flush(now);
  }

  flush(now: number): void {
    this.last = now;
    if (this.exits.size === 0) return;
    this.send({ places: [...this.places.values()], exits: [...this.exits], instructions: this.instructions, translations: this.core.translations() });
    this.places.clear();
    this.exits.clear();
    this.instructions = 0;
  }
}

/** Reports of all pCPUs put together. */
export class Profile {
  readonly places = new Map<string, ProfilePlace & { ns: number }>();
  readonly exits = new Map<string, number>();
  readonly translations = { count: 0, bytes: 0, ns: 0 };
  instructions = 0;

  add(report: ProfileReport): void {
    for (const place of report.places) {
      const key = `${place.domid} ${place.user} ${place.translated} ${place.rip}`;
      const sum = this.places.get(key);
      if (sum) sum.ns += place.ns;
      else this.places.set(key, { ...place });
    }
    for (const [reason, count] of report.exits) this.exits.set(reason, (this.exits.get(reason) ?? 0) + count);
    this.instructions += report.instructions;
    this.translations.count += report.translations.count;
    this.translations.bytes += report.translations.bytes;
    this.translations.ns += report.translations.ns;
  }
}
