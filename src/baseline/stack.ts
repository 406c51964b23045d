/** The stack at the size that SS gives it. A push is committed by `commit`, after all that may fault. */
import type { BaselineCore } from "./core";
import { Attr, Seg } from "./cpu";

export const stackMask = (m: BaselineCore) => (m.attr[Seg.ss] & Attr.DB ? -1 : 0xffff);

export function setStackPointer(m: BaselineCore, value: number): void {
  if (m.attr[Seg.ss] & Attr.DB) m.reg[4] = value;
  else m.reg16[8] = value;
}

/** Several pushes or pops that change ESP together at the end. */
export class Stack {
  private pointer: number;
  private readonly mask: number;

  constructor(
    private readonly m: BaselineCore,
    private readonly width: number,
  ) {
    this.mask = stackMask(m);
    this.pointer = m.reg[4] & this.mask;
  }

  push(value: number): void {
    this.pointer = (this.pointer - (1 << this.width)) & this.mask;
    this.m.store(this.m.linear(Seg.ss, this.pointer, 1 << this.width, true), this.width, value);
  }
  pop(): number {
    const value = this.m.load(this.m.linear(Seg.ss, this.pointer, 1 << this.width, false), this.width);
    this.skip(1 << this.width);
    return value;
  }
  skip(bytes: number): void {
    this.pointer = (this.pointer + bytes) & this.mask;
  }
  commit(): void {
    setStackPointer(this.m, this.pointer);
  }
}

export function push(m: BaselineCore, width: number, value: number): void {
  const pointer = (m.reg[4] - (1 << width)) & stackMask(m);
  m.store(m.linear(Seg.ss, pointer, 1 << width, true), width, value);
  setStackPointer(m, pointer);
}

/** The value on top; ESP stays. */
export function peek(m: BaselineCore, width: number): number {
  return m.load(m.linear(Seg.ss, m.reg[4] & stackMask(m), 1 << width, false), width);
}
