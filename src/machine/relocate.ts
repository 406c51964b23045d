/** Moves the core from one pCPU block to another.
 *
 *  The core addresses its pCPU block by constants (`PCPU` in assembly/cpu/pcpu.ts), because a base in a local or global costs
 *  up to a quarter of the interpreter's speed. All workers share one memory, so each needs a module whose constants
 *  point at its own block: this walks the code section and adds `n * PCPU_STRIDE` to every constant inside block 0,
 *  as an `i32.const`, as an offset of a memory instruction, or negated (binaryen turns `x - C` into `x + -C`).
 *  Every such number takes four LEB128 bytes before and after, so nothing moves. See docs/adr/0002-relocated-core.md.
 *
 *  Encodings: WebAssembly Core Specification, "Binary Format", with the SIMD and threads extensions. */
import { JitOff } from "../../assembly/abi/jit";
import { PcpuOff, Region } from "../../assembly/abi/layout";

export class RelocationError extends Error {
  override name = "RelocationError";
}

export interface Relocated {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many numbers were rewritten: constants, negated constants, offsets. */
  readonly constants: number;
  readonly negated: number;
  readonly offsets: number;
}

const LOW = Region.PCPUS - 256; // binaryen turns PCPU + (n - 1) * 8 into n * 8 + (PCPU - 8); nothing else is there
const HIGH = Region.PCPUS + PcpuOff.JIT + JitOff.SIZE; // inclusive: the end of the block is a legitimate bound

/** A copy of the module `wasm` whose pCPU block is number `pcpu`. */
export function relocate(wasm: Uint8Array, pcpu: number): Relocated {
  if (!Number.isInteger(pcpu) || pcpu < 0 || pcpu >= Region.MAX_PCPUS) throw new RelocationError(`no pCPU ${pcpu}`);
  return new Relocator(wasm, pcpu * Region.PCPU_STRIDE).run();
}

const enum Section {
  Global = 6,
  Code = 10,
  Data = 11,
}

/** What follows an opcode byte. */
const enum Imm {
  none,
  block, // s33 block type
  u32,
  u32u32,
  brTable,
  i32,
  i64,
  f32,
  f64,
  memarg,
  selectTypes,
  invalid,
}

class Relocator {
  private readonly bytes: Uint8Array<ArrayBuffer>;
  private at = 8;
  private constants = 0;
  private negated = 0;
  private offsets = 0;

  constructor(
    wasm: Uint8Array,
    private readonly shift: number,
  ) {
    this.bytes = new Uint8Array(wasm);
    const header = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
    if (header.some((byte, i) => this.bytes[i] !== byte)) throw new RelocationError("not a WebAssembly module");
  }

  run(): Relocated {
    while (this.at < this.bytes.length) {
      const id = this.bytes[this.at++];
      const end = this.u32() + this.at;
      if (end > this.bytes.length) throw new RelocationError(`section ${id} is truncated`);
      if (id === Section.Global) this.globals();
      else if (id === Section.Code) this.code();
      else if (id === Section.Data) this.dataOffsets();
      else this.at = end;
      if (this.at !== end) throw new RelocationError(`section ${id} does not end where it says`);
    }
    const { bytes, constants, negated, offsets } = this;
    return { bytes, constants, negated, offsets };
  }

  private globals(): void {
    for (let n = this.u32(); n > 0; n--) {
      this.at += 2; // value type, mutability
      this.expression();
    }
  }

  private code(): void {
    for (let n = this.u32(); n > 0; n--) {
      const end = this.u32() + this.at;
      for (let groups = this.u32(); groups > 0; groups--) {
        this.u32();
        this.at += 1; // count and type of locals
      }
      this.expression();
      if (this.at !== end) throw new RelocationError("a function body does not end where it says");
    }
  }

  /** Segments hold constant tables, so none may be aimed at a pCPU block: it would be rewritten by each worker. */
  private dataOffsets(): void {
    for (let n = this.u32(); n > 0; n--) {
      const kind = this.u32();
      if (kind === 2) this.u32();
      const before = this.constants;
      if (kind !== 1) this.expression();
      if (this.constants !== before) throw new RelocationError("a data segment initializes a pCPU block");
      const size = this.u32();
      this.at += size;
    }
  }

  /** Instructions up to the `end` that closes the body. */
  private expression(): void {
    for (let depth = 1; depth > 0; ) {
      const opcode = this.bytes[this.at++];
      switch (OPCODES[opcode] as Imm) {
        case Imm.none:
          if (opcode === 0x0b) depth--;
          break;
        case Imm.block:
          this.s64();
          depth++;
          break;
        case Imm.u32:
          this.u32();
          break;
        case Imm.u32u32:
          this.u32();
          this.u32();
          break;
        case Imm.brTable:
          for (let n = this.u32() + 1; n > 0; n--) this.u32();
          break;
        case Imm.i32:
          this.constant();
          break;
        case Imm.i64:
          this.s64();
          break;
        case Imm.f32:
          this.at += 4;
          break;
        case Imm.f64:
          this.at += 8;
          break;
        case Imm.memarg:
          this.memarg();
          break;
        case Imm.selectTypes:
          for (let n = this.u32(); n > 0; n--) this.at++;
          break;
        default:
          if (opcode === 0xfc) this.bulk(this.u32());
          else if (opcode === 0xfd) this.simd(this.u32());
          else if (opcode === 0xfe) this.atomic(this.u32());
          else throw new RelocationError(`unknown opcode 0x${opcode?.toString(16)} at ${this.at - 1}`);
      }
      if (this.at > this.bytes.length) throw new RelocationError("code is truncated");
    }
  }

  /** 0xFC: saturating conversions, bulk memory, tables. */
  private bulk(op: number): void {
    if (op <= 7) return;
    if (op === 8 || op === 10 || op === 12 || op === 14) {
      this.u32(); // memory.init, memory.copy, table.init, table.copy
      this.u32();
    } else if (op <= 17) this.u32(); // data.drop, memory.fill, elem.drop, table.grow/size/fill
    else throw new RelocationError(`unknown opcode 0xfc ${op}`);
  }

  /** 0xFD: 128-bit SIMD. */
  private simd(op: number): void {
    if (op <= 11 || op === 92 || op === 93) this.memarg();
    else if (op === 12 || op === 13)
      this.at += 16; // v128.const, i8x16.shuffle
    else if (op >= 21 && op <= 34)
      this.at += 1; // extract_lane, replace_lane
    else if (op >= 84 && op <= 91) {
      this.memarg(); // load_lane, store_lane
      this.at += 1;
    } else if (op > 0x113) throw new RelocationError(`unknown opcode 0xfd ${op}`);
  }

  /** 0xFE: threads. */
  private atomic(op: number): void {
    if (op === 3)
      this.at += 1; // atomic.fence
    else if (op <= 0x4e) this.memarg();
    else throw new RelocationError(`unknown opcode 0xfe ${op}`);
  }

  private constant(): void {
    const start = this.at;
    const value = Number(this.s64());
    if (value >= LOW && value <= HIGH) {
      this.rewrite(start, value + this.shift);
      this.constants++;
    } else if (-value >= LOW && -value <= HIGH) {
      this.rewrite(start, value - this.shift);
      this.negated++;
    }
  }

  private memarg(): void {
    const align = this.u32();
    if (align & 0x40) this.u32(); // multi-memory index
    const start = this.at;
    const offset = this.u32();
    if (offset < LOW || offset > HIGH) return;
    this.rewrite(start, offset + this.shift);
    this.offsets++;
  }

  /** Puts `value` where a four-byte LEB128 number is. Up to 2^27 signed and unsigned encodings agree on the length. */
  private rewrite(start: number, value: number): void {
    if (this.at - start !== 4 || Math.abs(value) >= 1 << 27) throw new RelocationError(`a number at ${start} would change its length`);
    for (let i = 0; i < 4; i++) this.bytes[start + i] = ((value >> (7 * i)) & 0x7f) | (i < 3 ? 0x80 : 0);
  }

  private u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new RelocationError("module is truncated");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RelocationError("a number is too long");
  }

  private s64(): bigint {
    let value = 0n;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new RelocationError("module is truncated");
      value |= BigInt(byte & 0x7f) << BigInt(shift);
      if (byte < 0x80) return BigInt.asIntN(shift + 7, value);
    }
    throw new RelocationError("a number is too long");
  }
}

/** Immediates by opcode: WebAssembly Core Specification, "Instructions". */
const OPCODES: readonly Imm[] = Array.from({ length: 256 }, (_, op) => {
  if (op >= 0x28 && op <= 0x3e) return Imm.memarg;
  if (op >= 0x45 && op <= 0xc4) return Imm.none; // comparison, arithmetic, conversion, sign extension
  switch (op) {
    case 0x00: // unreachable
    case 0x01: // nop
    case 0x05: // else
    case 0x0b: // end
    case 0x0f: // return
    case 0x1a: // drop
    case 0x1b: // select
    case 0xd1: // ref.is_null
      return Imm.none;
    case 0x02: // block
    case 0x03: // loop
    case 0x04: // if
      return Imm.block;
    case 0x0c: // br
    case 0x0d: // br_if
    case 0x10: // call
    case 0x12: // return_call
    case 0x20: // local.get
    case 0x21: // local.set
    case 0x22: // local.tee
    case 0x23: // global.get
    case 0x24: // global.set
    case 0x25: // table.get
    case 0x26: // table.set
    case 0x3f: // memory.size
    case 0x40: // memory.grow
    case 0xd2: // ref.func
      return Imm.u32;
    case 0x11: // call_indirect
    case 0x13: // return_call_indirect
      return Imm.u32u32;
    case 0x0e:
      return Imm.brTable;
    case 0x1c:
      return Imm.selectTypes;
    case 0x41:
      return Imm.i32;
    case 0x42:
      return Imm.i64;
    case 0x43:
      return Imm.f32;
    case 0x44:
      return Imm.f64;
    case 0xd0: // ref.null
      return Imm.u32;
    default:
      return Imm.invalid;
  }
});
