/** The control domain's event channels, each with its callback: what backends get as EventPort. */
import type { ControlPort } from "../hypervisor/control";
import type { EventPort } from "../io/bus";
import { DomainError } from "./errors";

export class ControlEvents {
  private readonly callbacks = new Map<number, () => void>();
  /** Ports whose event came before their backend was ready for it. */
  private readonly early = new Set<number>();

  constructor(private readonly control: ControlPort) {}

  /** A port of domain `domid` connected to a new one of ours: its number for the guest, and our end. */
  connect(domid: number): { guestPort: number; port: EventPort } {
    const guestPort = this.control.allocUnboundIn(domid);
    const local = guestPort > 0 ? this.control.bindInterdomain(domid, guestPort) : guestPort;
    if (local <= 0) throw new DomainError(String(domid), `no event channel can be made for it (error ${local})`);
    const port: EventPort = {
      notify: () => void this.control.notify(local),
      onEvent: (callback) => {
        this.callbacks.set(local, callback);
        if (this.early.delete(local)) callback();
      },
      close: () => {
        this.callbacks.delete(local);
        this.early.delete(local);
        this.control.close(local);
      },
    };
    return { guestPort, port };
  }

  /** Delivers what is pending. Events raised meanwhile ring the doorbell again. */
  dispatch(): void {
    for (const port of this.control.takeControlEvents()) {
      const callback = this.callbacks.get(port);
      if (callback) callback();
      else this.early.add(port);
    }
  }
}
