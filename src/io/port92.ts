/** Port 0x92, the PS/2's "system control port A": bit 1 is the A20 gate, bit 0 resets the processor when it rises. */
import type { A20Gate } from "./a20";
import { ByteDevice } from "./bus";

export const PORT92 = { base: 0x92, length: 1 } as const;

const enum Bit {
  RESET = 0x01,
  A20 = 0x02,
}

export class Port92 extends ByteDevice {
  private kept = 0;

  constructor(
    private readonly a20: A20Gate,
    private readonly reset: () => void,
  ) {
    super();
  }

  readByte(): number {
    return this.kept | (this.a20.isOpen ? Bit.A20 : 0);
  }

  writeByte(_offset: number, value: number): void {
    const rises = value & ~this.kept & Bit.RESET;
    this.kept = value & ~Bit.A20;
    this.a20.set((value & Bit.A20) !== 0);
    if (rises) this.reset();
  }
}
