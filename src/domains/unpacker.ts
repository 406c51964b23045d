/** The unpacker's module (assembly/unpack) and the memory it works in. It is embedded: a few KB that every program with kernels needs. */
import { UnpackOff, type Unpacked } from "../../assembly/abi/unpack";
import sharedModule from "../../build/unpack.shared.wasm";
import unsharedModule from "../../build/unpack.wasm";

/** Where something is unpacked: the unpacker's working memory and the output, both in one WebAssembly memory. */
export interface Room {
  readonly memory: WebAssembly.Memory;
  /** Address of UnpackOff.SIZE bytes. */
  readonly work: number;
  /** Address of the output, all zeros. */
  readonly start: number;
  /** Bytes that fit. */
  readonly size: number;
  /** Makes room for `size` bytes, where it can. */
  grow?(size: number): void;
}

const WASM_PAGE = 65536;
/** Work is given to the module in pieces: hosts replace a function by better code only when it is called. */
export const PIECE = 1 << 18;

/** A memory for one output alone. It goes when nobody refers to the output any more. */
export class OwnRoom implements Room {
  readonly memory: WebAssembly.Memory;
  readonly work = 0;
  readonly start = UnpackOff.SIZE;

  constructor(expected: number, limit: number) {
    const pages = (size: number) => Math.ceil((UnpackOff.SIZE + size) / WASM_PAGE);
    this.memory = new WebAssembly.Memory({ initial: pages(Math.min(expected, limit)), maximum: pages(limit) });
  }
  get size(): number {
    return this.memory.buffer.byteLength - this.start;
  }
  grow(size: number): void {
    this.memory.grow(Math.ceil((size - this.size) / WASM_PAGE));
  }
}

/** assembly/unpack/index.ts. */
interface UnpackExports {
  prepareChecks(work: number): void;
  crc32(work: number, at: number, length: number, crc: number): number;
  crc32Zeros(length: number, crc: number): number;
  crc64(work: number, at: number, length: number, crc: bigint): bigint;
  lzmaReset(work: number): void;
  lzmaDecode(work: number, stop: number, base: number, size: number): Unpacked;
  unfilterX86(work: number, at: number, length: number, position: number, from: number, end: number): number;
}

export class Unpacker {
  private constructor(
    readonly room: Room,
    readonly exports: UnpackExports,
  ) {
    exports.prepareChecks(room.work);
    this.set(UnpackOff.runs, 0);
  }

  static async create(room: Room): Promise<Unpacker> {
    const isShared = typeof SharedArrayBuffer !== "undefined" && room.memory.buffer instanceof SharedArrayBuffer;
    const { instance } = await WebAssembly.instantiate(isShared ? sharedModule : unsharedModule, { env: { memory: room.memory } });
    return new Unpacker(room, instance.exports as unknown as UnpackExports);
  }

  get(field: UnpackOff): number {
    return this.view.getUint32(field, true);
  }
  set(field: UnpackOff, value: number): void {
    this.view.setUint32(field, value, true);
  }

  /** Puts packed bytes where the module can read them; returns their address. */
  show(bytes: Uint8Array): number {
    const at = this.room.work + UnpackOff.window;
    new Uint8Array(this.room.memory.buffer, at, UnpackOff.WINDOW_SIZE).set(bytes);
    return at;
  }

  crc32(bytes: Uint8Array): number {
    let crc = 0;
    for (let at = 0; at < bytes.length; at += UnpackOff.WINDOW_SIZE) {
      const piece = bytes.subarray(at, at + UnpackOff.WINDOW_SIZE);
      crc = this.exports.crc32(this.room.work, this.show(piece), piece.length, crc);
    }
    return crc >>> 0;
  }

  /* Of the output, from `first` up to `end`. Its runs of zeros were never written to; CRC32 and filter do not look at them. */
  outputCrc32(first: number, end: number): number {
    let crc = 0;
    for (const [from, to, zeros] of this.pieces(first, end)) {
      crc = zeros ? this.exports.crc32Zeros(to - from, crc) : this.exports.crc32(this.room.work, this.room.start + from, to - from, crc);
    }
    return crc >>> 0;
  }
  outputCrc64(first: number, end: number): bigint {
    let crc = 0n;
    for (let at = first; at < end; at += PIECE) crc = this.exports.crc64(this.room.work, this.room.start + at, Math.min(PIECE, end - at), crc);
    return BigInt.asUintN(64, crc);
  }
  unfilterX86(first: number, end: number, position: number): void {
    const { start, work } = this.room;
    const length = end - first;
    this.set(UnpackOff.mask, 0);
    this.set(UnpackOff.previous, 0xffffffff);
    let at = 0;
    for (const [from, to, zeros] of this.pieces(first, end)) {
      at = Math.max(at, from - first); // a converted operand may end behind its piece
      if (!zeros) at = this.exports.unfilterX86(work, start + first, length, position, at, to - first) >>> 0;
    }
  }

  /** What the unpacker is to be given at once, and its runs of zeros, in turn. */
  private *pieces(first: number, end: number): Generator<readonly [from: number, to: number, zeros: boolean]> {
    const { memory, work, start } = this.room;
    const runs = new Uint32Array(memory.buffer, work + UnpackOff.zeroRuns, 2 * this.get(UnpackOff.runs)).map((at) => at - start);
    for (let at = first, n = 0; at < end; ) {
      while (n < runs.length && runs[n + 1] <= at) n += 2;
      const zeros = n < runs.length && runs[n] <= at;
      const to = Math.min(end, zeros ? runs[n + 1] : Math.min(at + PIECE, runs[n] ?? end));
      yield [at, to, zeros];
      at = to;
    }
  }

  private get view(): DataView {
    return new DataView(this.room.memory.buffer, this.room.work, UnpackOff.crc32);
  }
}
