/** The page an HVM domain's devices share with the control thread (HvDomain.platform): the bytes of COM1 in the rings of a PV
 *  console (src/io/console.ts), then what the devices were configured with and how the guest ended. Written by us only:
 *  the guest cannot reach it. */
import { DomainOff, FrameType } from "../../assembly/abi/layout";
import { HvDomain } from "../hypervisor/state";
import { XenconsOff } from "../io/console";
import type { ByteRingPlace } from "../io/ring";
import { allocFrame } from "../machine/frames";
import { type MachineMemory, PAGE_SHIFT } from "../machine/memory";
import { DomainError } from "./errors";

export const enum PcPage {
  debugExit = XenconsOff.SIZE, // u32, 1: port 0xF4 is there
  exited = debugExit + 4, // i32, 1: the guest has used it
  exitStatus = exited + 4, // u32
  lowRam = exitStatus + 4, // u32, pages of RAM below 4 GiB, the hole under 1 MiB included
  highRam = lowRam + 4, // u32, pages above
  afterFirmware = highRam + 4, // u32, 1: the devices begin as firmware leaves them
}

export interface PcPageConfig {
  readonly debugExit: boolean;
  readonly afterFirmware: boolean;
  /** Bytes. */
  readonly lowRam: number;
  readonly highRam: number;
}

/** Gives the domain at block address `domain` its page. */
export function createPcPage(mem: MachineMemory, domain: number, config: PcPageConfig): number {
  const domid = mem.get32(domain + DomainOff.domid);
  const mfn = allocFrame(mem, domid, FrameType.hv);
  if (!mfn) throw new DomainError(String(domid), "the machine's memory is used up.");
  mem.set32(domain + HvDomain.platform, mfn);
  const page = pcPage(mem, domain);
  mem.set32(page + PcPage.debugExit, config.debugExit ? 1 : 0);
  mem.set32(page + PcPage.afterFirmware, config.afterFirmware ? 1 : 0);
  mem.set32(page + PcPage.lowRam, config.lowRam >>> PAGE_SHIFT);
  mem.set32(page + PcPage.highRam, Math.floor(config.highRam / 2 ** PAGE_SHIFT));
  return page;
}

/** Its address. */
export function pcPage(mem: MachineMemory, domain: number): number {
  return (mem.get32(domain + HvDomain.platform) << PAGE_SHIFT) >>> 0;
}

/** The two rings of COM1, by their direction as the guest sees it. */
export function serialRings(page: number): { readonly in: ByteRingPlace; readonly out: ByteRingPlace } {
  return {
    in: { buffer: page + XenconsOff.in, size: 1024, cons: page + XenconsOff.in_cons, prod: page + XenconsOff.in_prod },
    out: { buffer: page + XenconsOff.out, size: 2048, cons: page + XenconsOff.out_cons, prod: page + XenconsOff.out_prod },
  };
}
