/** Frames of the machine that an image is unpacked into, one after the other. Those it fills become the domain's RAM, so most of a kernel is
 *  written once and never copied. They are the hypervisor's until then; with them the unpacker's working memory. */
import { FrameType } from "../../assembly/abi/layout";
import { UnpackOff } from "../../assembly/abi/unpack";
import { allocRun, freeFrames, giveFrame, markUnused } from "../machine/frames";
import { type MachineMemory, PAGE_SIZE } from "../machine/memory";
import type { ImagePart } from "./kernel_store";
import type { Room } from "./unpacker";

const WORK_PAGES = UnpackOff.SIZE / PAGE_SIZE;

export class ImageFrames implements Room {
  /** 1 for each frame, of the image and then of the working memory, that has not been given away. */
  private readonly held: Uint8Array;
  private zeros: Uint8Array | undefined;

  private constructor(
    private readonly mem: MachineMemory,
    private readonly first: number,
    private readonly pages: number,
  ) {
    this.held = new Uint8Array(pages + WORK_PAGES).fill(1);
  }

  /** Room for an image of that size, and a little more, so that one that is larger shows; null if there is none in one piece. */
  static claim(mem: MachineMemory, bytes: number): ImageFrames | null {
    const pages = Math.ceil(bytes / PAGE_SIZE) + 1;
    const first = allocRun(mem, pages + WORK_PAGES);
    return first === 0 ? null : new ImageFrames(mem, first, pages);
  }

  get memory(): WebAssembly.Memory {
    return this.mem.memory;
  }
  get start(): number {
    return this.first * PAGE_SIZE;
  }
  get size(): number {
    return this.pages * PAGE_SIZE;
  }
  get work(): number {
    return this.start + this.size;
  }

  /** The first `size` bytes of the image. */
  bytes(size: number): Uint8Array {
    return this.mem.u8.subarray(this.start, this.start + size);
  }

  /** Nothing was unpacked, but these parts written. */
  leaveZeros(parts: readonly ImagePart[]): void {
    const zeros = new Uint8Array(this.held.length).fill(1);
    for (const { from, to } of parts) zeros.fill(0, Math.floor(from / PAGE_SIZE), Math.ceil(to / PAGE_SIZE));
    this.zeros = zeros;
  }

  /** Where the first `size` bytes have something else than zeros, in whole pages. What the unpacker has not touched is not read, either. */
  parts(size: number): ImagePart[] {
    const zeros = this.untouched();
    const parts: { from: number; to: number }[] = [];
    for (let page = 0; page * PAGE_SIZE < size; page++) {
      if (zeros[page] || this.isZero(page)) continue;
      const from = page * PAGE_SIZE;
      const to = Math.min(size, from + PAGE_SIZE);
      const last = parts.at(-1);
      if (last?.to === from) last.to = to;
      else parts.push({ from, to });
    }
    return parts;
  }

  /** Makes the frames with `count` of the image's pages the domain's: their mfns. */
  give(page: number, count: number, domid: number): number[] {
    const mfns: number[] = [];
    const zeros = this.untouched();
    for (let n = page; n < page + count; n++) {
      if (this.held[n] !== 1) throw new RangeError(`page ${n} of the image has been given away`);
      this.held[n] = 0;
      giveFrame(this.mem, this.first + n, domid, FrameType.ram, zeros[n] === 1);
      mfns.push(this.first + n);
    }
    return mfns;
  }

  /** Returns what has not been given away; lowest frames will be used first again. */
  release(): void {
    const mfns: number[] = [];
    const zeros = this.untouched();
    for (let n = this.held.length - 1; n >= 0; n--) {
      if (!this.held[n]) continue;
      if (zeros[n]) markUnused(this.mem, this.first + n); // whoever gets it next need not clear it
      mfns.push(this.first + n);
    }
    freeFrames(this.mem, mfns);
    this.held.fill(0);
  }

  private isZero(page: number): boolean {
    const from = (this.start + page * PAGE_SIZE) / 4;
    for (let n = from; n < from + PAGE_SIZE / 4; n++) if (this.mem.u32[n] !== 0) return false;
    return true;
  }

  /** 1 for each page that the unpacker has left as it was. To be asked when it has finished. */
  private untouched(): Uint8Array {
    if (this.zeros) return this.zeros;
    this.zeros = new Uint8Array(this.held.length);
    const runs = this.mem.u32.subarray((this.work + UnpackOff.zeroRuns) >>> 2);
    for (let n = 0; n < this.mem.get32(this.work + UnpackOff.runs); n++) {
      this.zeros.fill(1, Math.ceil((runs[2 * n] - this.start) / PAGE_SIZE), Math.floor((runs[2 * n + 1] - this.start) / PAGE_SIZE));
    }
    return this.zeros;
  }
}
