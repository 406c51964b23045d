/** Ports: who may use them (SDM Vol.1 "I/O Privilege Level", "I/O Permission Bit Map"), and what is behind them. */
import type { BaselineCore, PortSize } from "./core";
import { Attr, Seg } from "./cpu";

export function portAllowed(m: BaselineCore, port: number, size: number): void {
  if (m.cpl <= m.iopl) return;
  // only a 32-bit TSS has a bit map
  if (!(m.attr[Seg.tr] & 8) || !(m.attr[Seg.tr] & Attr.P) || m.limit[Seg.tr] < 0x67) m.gp();
  const map = m.readFor32((m.base[Seg.tr] + 0x64) | 0, 0) >>> 16;
  const at = map + (port >>> 3);
  if (at + 1 > m.limit[Seg.tr]) m.gp();
  const bits = m.readFor32((m.base[Seg.tr] + at) | 0, 0) & 0xffff;
  if ((bits >> (port & 7)) & ((1 << size) - 1)) m.gp();
}

export function readPort(m: BaselineCore, port: number, size: number): number {
  m.leave = true; // whoever answers may want an interrupt, or the end of the run
  return m.portRead(port, size as PortSize) | 0;
}

export function writePort(m: BaselineCore, port: number, value: number, size: number): void {
  m.leave = true;
  m.portWrite(port, size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff), size as PortSize);
}
