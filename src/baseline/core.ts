/** What the interpreter and the performers of cold instructions share: the processor with its ports and the state of a run. */
import { CodeCache } from "./code_cache";

export type PortSize = 1 | 2 | 4;

export class BaselineCore extends CodeCache {
  /** Words of records left of the slice's budget before the cold instruction that runs. */
  left = 0;
  sliceWords = 0;
  faulted = false;
  readonly fpu = new Float64Array(8);
  /** 1 where a register holds something, by physical register. */
  readonly fpuUsed = new Uint8Array(8);
  fpuControl = 0x37f;
  fpuStatus = 0;
  fpuTop = 0;
  mxcsr = 0x1f80;
  /** XMM0..7, and two registers that instructions use within (sse.ts), in views of one buffer. */
  readonly xmm64 = new Float64Array(10 * 2);
  readonly xmmSingle = new Float32Array(this.xmm64.buffer);
  readonly xmm32 = new Int32Array(this.xmm64.buffer);
  readonly xmm16 = new Uint16Array(this.xmm64.buffer);
  readonly xmm8 = new Uint8Array(this.xmm64.buffer);

  constructor(
    memoryBytes: number,
    readonly portRead: (port: number, size: PortSize) => number,
    readonly portWrite: (port: number, value: number, size: PortSize) => void,
    private readonly notice: (text: string) => void,
  ) {
    super(memoryBytes);
  }

  private readonly told = new Set<string>();
  /** Once for each text. */
  log(text: string): void {
    if (this.told.has(text)) return;
    this.told.add(text);
    this.notice(text);
  }

  setLazy(kind: number, result: number, a: number, b: number, carry: number): void {
    this.fk = kind;
    this.fr = result;
    this.fa = a;
    this.fb = b;
    this.fc = carry;
  }

  readToWrite(lin: number): number {
    this.checkWrite(lin, 4);
    return this.read32(lin);
  }

  // Parts of the record at `u`.

  /** Offset of its memory operand in its segment. */
  offsetOf(u: number): number {
    const w = this.ops[u];
    const offset = (this.reg[(w >>> 14) & 15] + (this.reg[(w >>> 18) & 15] << ((w >>> 22) & 3)) + this.ops[u + 2]) | 0;
    return (w >>> 27) & 1 ? offset & 0xffff : offset;
  }

  /** Linear address of `size` bytes of its memory operand. */
  address(u: number, size: number, write: boolean): number {
    return this.linear((this.ops[u] >>> 24) & 7, this.offsetOf(u), size, write);
  }

  getReg(n: number, width: number): number {
    if (width === 2) return this.reg[n];
    if (width === 1) return (this.reg[n] << 16) >> 16;
    return (this.reg8[((n & 3) << 2) | (n >> 2)] << 24) >> 24;
  }

  setReg(n: number, width: number, value: number): void {
    if (width === 2) this.reg[n] = value;
    else if (width === 1) this.reg16[n << 1] = value;
    else this.reg8[((n & 3) << 2) | (n >> 2)] = value;
  }

  /** Sign-extended. */
  load(lin: number, width: number): number {
    if (width === 2) return this.read32(lin);
    if (width === 1) return (this.read16(lin) << 16) >> 16;
    return (this.read8(lin) << 24) >> 24;
  }

  store(lin: number, width: number, value: number): void {
    if (width === 2) this.write32(lin, value);
    else if (width === 1) this.write16(lin, value);
    else this.write8(lin, value);
  }
}
