/** Ports on which programs without a screen say how far they have got: 0x80, the PC's POST port, and 0x190, the PS/2's. A new
 *  code is a line of the log; repetitions, as kernels make to pass the time, are not. */
import type { AccessSize, PioDevice } from "./bus";

export const POST_PORTS = [
  { base: 0x80, length: 1 },
  { base: 0x190, length: 1 },
] as const;

export class PostCode implements PioDevice {
  private last = -1;

  constructor(
    private readonly port: number,
    private readonly sink: (line: string) => void,
  ) {}

  read(): number {
    return -1;
  }

  write(_offset: number, size: AccessSize, value: number): void {
    if (value === this.last) return;
    this.last = value;
    this.sink(`port 0x${this.port.toString(16)}: POST code 0x${value.toString(16).padStart(2 * size, "0")}`);
  }
}
