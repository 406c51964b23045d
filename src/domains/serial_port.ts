/** The control thread's end of an HVM domain's COM1: what the console backend uses in place of an event channel. The devices
 *  ring the control doorbell when their ring has something; we kick the vCPU, whose thread then looks at its UART. */
import { VcpuRequest } from "../../assembly/abi/layout";
import type { EventPort } from "../io/bus";
import { ByteRing } from "../io/ring";
import { kick, ringControl } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { PcPage, serialRings } from "./pc_page";

/** Rings emptied in one go before others get their turn. */
const TURNS = 8;

export class SerialPort implements EventPort {
  private readonly out: ByteRing;
  private callback: (() => void) | null = null;

  constructor(
    private readonly memory: MachineMemory,
    private readonly vcpu: number,
    private readonly page: number,
  ) {
    this.out = new ByteRing(memory, serialRings(page).out);
  }

  notify(): void {
    kick(this.memory, this.vcpu, VcpuRequest.time);
  }

  onEvent(callback: () => void): void {
    this.callback = callback;
  }

  close(): void {
    this.callback = null;
  }

  /** The doorbell has rung. The guest rings only for the first byte in an empty ring: what is left must be looked at again. */
  poll(): void {
    for (let turn = 0; turn < TURNS; turn++) {
      this.callback?.();
      if (this.out.used <= 0) return;
    }
    ringControl(this.memory);
  }

  /** The debug-exit status, if the guest has ended so. */
  get exitStatus(): number | undefined {
    const { memory, page } = this;
    return memory.load(page + PcPage.exited) !== 0 ? memory.get32(page + PcPage.exitStatus) : undefined;
  }
}
