/** Port 0x61, the PC's "system control port B": gate and output of timer 2, the speaker, and the bit that memory refresh
 *  toggles every 15 us, which old delay loops count. */
import type { Clock } from "../machine/clock";
import { ByteDevice } from "./bus";
import type { Pit8254 } from "./pit8254";

export const PORT61 = { base: 0x61, length: 1 } as const;

const enum Bit {
  GATE2 = 0x01,
  SPEAKER = 0x02,
  CHECKS = 0x0c, // parity and channel check off
  REFRESH = 0x10,
  OUT2 = 0x20,
}
const REFRESH_NS = 15_085; // 18 pulses of the 8254

export class Port61 extends ByteDevice {
  private kept = 0;

  constructor(
    private readonly pit: Pit8254,
    private readonly clock: Clock,
  ) {
    super();
  }

  readByte(): number {
    const refresh = Math.floor(this.clock.nowNs() / REFRESH_NS) & 1;
    return this.kept | (this.pit.gate2 ? Bit.GATE2 : 0) | (refresh ? Bit.REFRESH : 0) | (this.pit.out2 ? Bit.OUT2 : 0);
  }

  writeByte(_offset: number, value: number): void {
    this.kept = value & (Bit.SPEAKER | Bit.CHECKS);
    this.pit.setGate2((value & Bit.GATE2) !== 0);
  }
}
