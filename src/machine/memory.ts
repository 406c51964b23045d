/** The machine's linear memory with typed views and the two primitives every table needs: atomic words and spinlocks.
 *  A machine address (maddr) is a byte offset. Works on shared and on unshared memory. */
import { MachineOff, Region } from "../../assembly/abi/layout";

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;

/** Looks at a lock that is taken before waiting for a while, and how long. */
const SPINS = 200;
const REST_MS = 0.05;

export class MachineMemory {
  readonly buffer: ArrayBufferLike;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
  readonly f64: Float64Array;
  readonly view: DataView;
  readonly shared: boolean;
  private mayWait = true;
  /** Told of every `notify` made through this object: how threads of one event loop, or hosts without
   *  Atomics.waitAsync, hear a doorbell. */
  onNotify?: (at: number) => void;

  constructor(readonly memory: WebAssembly.Memory) {
    this.buffer = memory.buffer as ArrayBufferLike;
    this.u8 = new Uint8Array(this.buffer);
    this.u16 = new Uint16Array(this.buffer);
    this.i32 = new Int32Array(this.buffer);
    this.u32 = new Uint32Array(this.buffer);
    this.u64 = new BigUint64Array(this.buffer);
    this.f64 = new Float64Array(this.buffer);
    this.view = new DataView(this.buffer);
    this.shared = typeof SharedArrayBuffer !== "undefined" && this.buffer instanceof SharedArrayBuffer;
  }

  /* Aligned accesses by byte address. */
  get8(at: number): number {
    return this.u8[at];
  }
  set8(at: number, value: number): void {
    this.u8[at] = value;
  }
  get16(at: number): number {
    return this.u16[at >>> 1];
  }
  set16(at: number, value: number): void {
    this.u16[at >>> 1] = value;
  }
  get32(at: number): number {
    return this.u32[at >>> 2];
  }
  set32(at: number, value: number): void {
    this.u32[at >>> 2] = value;
  }
  get64(at: number): bigint {
    return this.u64[at >>> 3];
  }
  set64(at: number, value: bigint): void {
    this.u64[at >>> 3] = value;
  }
  getF64(at: number): number {
    return this.f64[at >>> 3];
  }
  setF64(at: number, value: number): void {
    this.f64[at >>> 3] = value;
  }

  /* Atomic 32-bit words (signed results). */
  load(at: number): number {
    return Atomics.load(this.i32, at >>> 2);
  }
  store(at: number, value: number): void {
    Atomics.store(this.i32, at >>> 2, value);
  }
  add(at: number, value: number): number {
    return Atomics.add(this.i32, at >>> 2, value);
  }
  or(at: number, bits: number): number {
    return Atomics.or(this.i32, at >>> 2, bits);
  }
  and(at: number, bits: number): number {
    return Atomics.and(this.i32, at >>> 2, bits);
  }
  exchange(at: number, value: number): number {
    return Atomics.exchange(this.i32, at >>> 2, value);
  }
  compareExchange(at: number, expected: number, value: number): number {
    return Atomics.compareExchange(this.i32, at >>> 2, expected, value);
  }
  notify(at: number): void {
    if (this.shared) Atomics.notify(this.i32, at >>> 2);
    this.onNotify?.(at);
  }

  /** Runs `body` under the spinlock at `at`. Sections are short and never nest on the same lock.
   *  Lock order: domainLock, then a domain's lock (lower domid first), then freeLock. */
  locked<T>(at: number, body: () => T): T {
    for (let tries = 0; Atomics.compareExchange(this.i32, at >>> 2, 0, 1) !== 0; tries++) if (tries > SPINS) this.rest(at);
    try {
      return body();
    } finally {
      Atomics.store(this.i32, at >>> 2, 0);
    }
  }

  /** Sections being short, who holds the lock for so long has lost its processor, perhaps to us. */
  private rest(at: number): void {
    if (!this.mayWait) return;
    try {
      Atomics.wait(this.i32, at >>> 2, 1, REST_MS);
    } catch {
      this.mayWait = false; // a page's own thread
    }
  }

  /** Number of mfns in the memory. */
  get frames(): number {
    return this.get32(Region.MACHINE + MachineOff.frames);
  }
}
