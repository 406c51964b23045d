/** The bare PC of an HVM domain on its processor's thread: connects the devices (src/io/pc.ts) to machine memory, the local
 *  APICs and the control thread. One vCPU, which stays on one pCPU as long as it lives: the devices are objects of that
 *  thread. */
import { ApicOff, InitBit } from "../../assembly/abi/apic";
import { Exit } from "../../assembly/abi/exit";
import { DomainOff, IntrLine, MachineOff, P2m, PcpuOff, Region, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { vcpuAddr } from "../hypervisor/domain_table";
import { shutdownDomain } from "../hypervisor/shutdown";
import { type ApicMessage, DeliveryMode } from "../io/ioapic";
import { type ExtraDevices, Pc, type PcHost } from "../io/pc";
import { ByteRing } from "../io/ring";
import type { Clock } from "../machine/clock";
import { getPage, putPage } from "../machine/frames";
import { kick, pcpuBase, ringControl } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { p2mGet, p2mMfn, p2mShow, p2mType } from "../machine/p2m";
import { GuardedDevice } from "./guarded_device";
import { PIC_VECTORS } from "./pc_firmware";
import { PcPage, pcPage, serialRings } from "./pc_page";

const MIB_PAGES = 256;
/** The I/O APIC knows 8-bit destinations; this one is all processors. */
const BROADCAST = 0xff;
const X2APIC_ENABLED = 1 << 10; // IA32_APIC_BASE.EXTD

export interface PcParts {
  readonly memory: MachineMemory;
  /** Address of the domain block. */
  readonly domain: number;
  readonly pcpu: number;
  readonly clock: Clock;
  readonly extra?: ExtraDevices;
  log(line: string): void;
}

export function createPc(parts: PcParts): Pc {
  const { memory, domain } = parts;
  const page = pcPage(memory, domain);
  const header = Region.MACHINE;
  const epochNs = Number(memory.get64(header + MachineOff.wallSec)) * 1e9 + memory.get32(header + MachineOff.wallNsec);
  const host = new Host(parts, page);
  const pc = new Pc(host, {
    epochMs: epochNs / 1e6,
    lowRam: memory.get32(page + PcPage.lowRam) * 4096,
    highRam: memory.get32(page + PcPage.highRam) * 4096,
    debugExit: memory.get32(page + PcPage.debugExit) !== 0,
    extra: parts.extra && guarded(parts.extra, (error) => host.fail(error)),
  });
  if (memory.get32(page + PcPage.afterFirmware) !== 0) pc.leaveFirmware(PIC_VECTORS);
  return pc;
}

function guarded(extra: ExtraDevices, fail: (error: Error) => void): ExtraDevices {
  const failed = (error: Error): void => {
    extra.failure ??= error;
    fail(error);
  };
  const guard = (kind: string) => ({ range, device }: ExtraDevices["ports"][number]) => ({
    range,
    device: new GuardedDevice(device, `${kind} 0x${range.base.toString(16)}`, failed),
  });
  return { ports: extra.ports.map(guard("port")), mmio: extra.mmio.map(guard("device memory")) };
}

class Host implements PcHost {
  readonly clock: Clock;
  readonly console: SerialEnd;
  private readonly vcpu: number;
  /** p2m entries behind the closed A20 gate, and what is shown in their place. */
  private hidden: { readonly gfn: number; readonly entry: number; readonly shown: number }[] = [];

  constructor(
    private readonly parts: PcParts,
    private readonly page: number,
  ) {
    this.clock = parts.clock;
    this.vcpu = vcpuAddr(parts.memory, parts.domain, 0);
    this.console = new SerialEnd(parts.memory, page, () => this.leave());
  }

  log(line: string): void {
    this.parts.log(line);
  }

  intr(lint0: boolean, ioApic: boolean): void {
    this.parts.memory.store(this.vcpu + VcpuOff.intr, (lint0 ? IntrLine.lint0 : 0) | (ioApic ? IntrLine.ioApic : 0));
  }

  deliver(message: ApicMessage): void {
    const { memory, domain } = this.parts;
    const vcpus = memory.get32(domain + DomainOff.vcpus);
    for (let id = 0; id < vcpus; id++) {
      const vcpu = vcpuAddr(memory, domain, id);
      if (!this.isDestination(vcpu, id, message)) continue;
      this.deliverTo(vcpu, message);
      if (message.mode === DeliveryMode.lowest) return;
    }
  }

  /** SDM Vol.3A "Determining IPI Destination". */
  private isDestination(vcpu: number, id: number, { logical, destination }: ApicMessage): boolean {
    if (!logical) return destination === BROADCAST || destination === 2 * id;
    const { memory } = this.parts;
    const pcpu = memory.load(vcpu + VcpuOff.pcpu);
    const state = pcpu >= 0 ? pcpuBase(pcpu) : vcpu + VcpuOff.image;
    // an x2APIC sees 8 bits as the lowest of 32: members of cluster 0 ("Determining IPI Destination in x2APIC Mode")
    if (memory.get32(state + PcpuOff.apicBase) & X2APIC_ENABLED) return 2 * id < 16 && (destination & (1 << (2 * id))) !== 0;
    if (destination === BROADCAST) return true;
    const apic = state + PcpuOff.apic;
    const mine = memory.get32(apic + ApicOff.ldr) >>> 24;
    if (memory.get32(apic + ApicOff.dfr) >>> 28 === 15) return (destination & mine) !== 0;
    return destination >> 4 === mine >> 4 && (destination & mine & 15) !== 0;
  }

  private deliverTo(vcpu: number, { mode, vector, level }: ApicMessage): void {
    const { memory } = this.parts;
    switch (mode) {
      case DeliveryMode.fixed:
      case DeliveryMode.lowest: {
        const word = 4 * (vector >> 5);
        const bit = 1 << (vector & 31);
        if (level) memory.or(vcpu + VcpuOff.apicLevel + word, bit);
        else memory.and(vcpu + VcpuOff.apicLevel + word, ~bit);
        memory.or(vcpu + VcpuOff.apicPosted + word, bit);
        break;
      }
      case DeliveryMode.nmi:
        memory.or(vcpu + VcpuOff.apicInit, InitBit.nmi);
        break;
      case DeliveryMode.init:
        memory.or(vcpu + VcpuOff.apicInit, InitBit.init);
        break;
      default:
        return;
    }
    kick(memory, vcpu, VcpuRequest.apic);
  }

  /** Address line 20 is held at 0: each odd MiB of RAM shows the even one below. */
  a20(open: boolean): void {
    const { memory, domain } = this.parts;
    for (const { gfn, entry, shown } of this.hidden.splice(0)) {
      p2mShow(memory, domain, gfn, entry);
      if (shown) putPage(memory, p2mMfn(shown));
    }
    if (!open) {
      const end = memory.get32(this.page + PcPage.lowRam);
      for (let mib = MIB_PAGES; mib < end; mib += 2 * MIB_PAGES) {
        for (let gfn = mib; gfn < mib + MIB_PAGES && gfn < end; gfn++) {
          const shown = this.alias(gfn - MIB_PAGES);
          this.hidden.push({ gfn, entry: p2mShow(memory, domain, gfn, shown), shown });
        }
      }
    }
    memory.or(this.vcpu + VcpuOff.request, VcpuRequest.flush);
    this.leave();
  }

  /** An entry that shows the domain's own page at `gfn` once more. Hypercalls can neither free what it shows nor put something else in its place.
   *  What others have granted to the domain it may give back at any time: that is not shown. */
  private alias(gfn: number): number {
    const { memory, domain } = this.parts;
    const entry = p2mGet(memory, domain, gfn);
    const type = p2mType(entry);
    const mfn = p2mMfn(entry);
    if ((type !== P2m.ram_rw && type !== P2m.ram_ro) || !getPage(memory, mfn, memory.get32(domain + DomainOff.domid))) return 0;
    return mfn | ((type === P2m.ram_rw ? P2m.alias_rw : P2m.alias_ro) << P2m.TYPE_SHIFT);
  }

  reset(): void {
    this.end(Xen.SHUTDOWN_reboot);
  }

  powerOff(): void {
    this.end(Xen.SHUTDOWN_poweroff);
  }

  debugExit(status: number): void {
    const { memory } = this.parts;
    memory.set32(this.page + PcPage.exitStatus, status);
    memory.store(this.page + PcPage.exited, 1);
    this.end(Xen.SHUTDOWN_poweroff);
  }

  /** A device of the program's own has failed. */
  fail(error: Error): void {
    this.log(error.message);
    this.end(Xen.SHUTDOWN_crash);
  }

  private end(reason: number): void {
    shutdownDomain(this.parts.memory, this.parts.domain, reason);
    this.leave();
  }

  /** Makes the core return after the port access it is at: no further instruction runs before somebody has looked. */
  private leave(): void {
    this.parts.memory.store(pcpuBase(this.parts.pcpu) + PcpuOff.exit, Exit.debugExit);
  }
}

/** COM1's other end: rings to and from the control thread. */
class SerialEnd {
  private readonly out: ByteRing;
  private readonly in: ByteRing;
  private readonly byte = new Uint8Array(1);

  constructor(
    private readonly memory: MachineMemory,
    page: number,
    private readonly yieldCore: () => void,
  ) {
    const rings = serialRings(page);
    this.out = new ByteRing(memory, rings.out);
    this.in = new ByteRing(memory, rings.in);
  }

  get waiting(): boolean {
    return this.in.used > 0;
  }
  get room(): boolean {
    return this.out.used < 2048;
  }

  send(byte: number): boolean {
    this.byte[0] = byte;
    if (this.out.put(this.byte) === 0) {
      ringControl(this.memory);
      this.yieldCore(); // on one thread the reader gets its turn only so
      return false;
    }
    if (this.out.used === 1) ringControl(this.memory); // it may have seen the ring empty; else it looks again
    return true;
  }

  receive(): number {
    const bytes = this.in.take(1);
    if (bytes.length === 0) return -1;
    if (this.in.used === 0) ringControl(this.memory); // more may wait for room
    return bytes[0];
  }
}
