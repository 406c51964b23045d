/** Port 0xF4 of QEMU's isa-debug-exit device, with which test programs end: writing `code` ends the domain, and the status of
 *  the program that runs it becomes (code << 1) | 1, never 0. */
import type { AccessSize, PioDevice } from "./bus";

export const DEBUG_EXIT_PORTS = { base: 0xf4, length: 4 } as const;

export class DebugExit implements PioDevice {
  constructor(private readonly exit: (status: number) => void) {}

  read(): number {
    return 0;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.exit(((value << 1) | 1) >>> 0);
  }
}
