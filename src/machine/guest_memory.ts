/** A domain's memory by guest-physical address, with the privileges of the control domain: for builders and backends.
 *  Accesses may cross pages; holes and device pages are a RangeError that names the address. Aligned accesses of
 *  16 to 64 bits are single accesses, as rings and event words need. */
import { P2m } from "../../assembly/abi/layout";
import { hostWrote } from "./code_pages";
import { type MachineMemory, PAGE_SHIFT, PAGE_SIZE } from "./memory";
import { p2mGet, p2mMfn, p2mType } from "./p2m";

export class GuestMemory {
  constructor(
    readonly mem: MachineMemory,
    /** Address of the domain block. */
    readonly domain: number,
  ) {}

  /** Machine address behind `gpa`; good to the end of the page. */
  maddr(gpa: number): number {
    const at = this.lookup(gpa);
    if (!at) throw new RangeError(`no memory at guest-physical address 0x${gpa.toString(16)}`);
    return at;
  }

  /** Whether all of `length` bytes at `gpa` are memory. */
  has(gpa: number, length = 1): boolean {
    if (!(gpa >= 0)) return false;
    for (let page = gpa - (gpa % PAGE_SIZE); page < gpa + length; page += PAGE_SIZE) if (!this.lookup(page)) return false;
    return true;
  }

  read(gpa: number, length: number): Uint8Array<ArrayBuffer> {
    this.check(gpa, length);
    const bytes = new Uint8Array(length);
    this.pieces(gpa, length, (at, done, part) => bytes.set(this.mem.u8.subarray(at, at + part), done));
    return bytes;
  }

  write(gpa: number, bytes: Uint8Array): void {
    this.check(gpa, bytes.length);
    this.pieces(gpa, bytes.length, (at, done, part) => {
      this.mem.u8.set(bytes.subarray(done, done + part), at);
      hostWrote(this.mem, at, part);
    });
  }

  fill(gpa: number, length: number, value: number): void {
    this.check(gpa, length);
    this.pieces(gpa, length, (at, _done, part) => {
      this.mem.u8.fill(value, at, at + part);
      hostWrote(this.mem, at, part);
    });
  }

  get8(gpa: number): number {
    return this.mem.u8[this.maddr(gpa)];
  }
  get16(gpa: number): number {
    return inPage(gpa, 2) ? this.mem.view.getUint16(this.maddr(gpa), true) : view(this.read(gpa, 2)).getUint16(0, true);
  }
  get32(gpa: number): number {
    return inPage(gpa, 4) ? this.mem.view.getUint32(this.maddr(gpa), true) : view(this.read(gpa, 4)).getUint32(0, true);
  }
  get64(gpa: number): bigint {
    return inPage(gpa, 8) ? this.mem.view.getBigUint64(this.maddr(gpa), true) : view(this.read(gpa, 8)).getBigUint64(0, true);
  }

  set8(gpa: number, value: number): void {
    const at = this.maddr(gpa);
    this.mem.u8[at] = value;
    hostWrote(this.mem, at, 1);
  }
  set16(gpa: number, value: number): void {
    this.put(gpa, 2, (target, at) => target.setUint16(at, value, true));
  }
  set32(gpa: number, value: number): void {
    this.put(gpa, 4, (target, at) => target.setUint32(at, value, true));
  }
  set64(gpa: number, value: bigint): void {
    this.put(gpa, 8, (target, at) => target.setBigUint64(at, value, true));
  }

  private put(gpa: number, size: number, store: (target: DataView, at: number) => void): void {
    if (inPage(gpa, size)) {
      const at = this.maddr(gpa);
      store(this.mem.view, at);
      hostWrote(this.mem, at, size);
    } else {
      const bytes = new Uint8Array(size);
      store(view(bytes), 0);
      this.write(gpa, bytes);
    }
  }

  private lookup(gpa: number): number {
    const entry = p2mGet(this.mem, this.domain, Math.floor(gpa / PAGE_SIZE));
    const type = p2mType(entry);
    if (type === P2m.none || type === P2m.mmio) return 0;
    return (p2mMfn(entry) << PAGE_SHIFT >>> 0) + (gpa % PAGE_SIZE);
  }

  /** Nothing is read or written of a range with a hole. */
  private check(gpa: number, length: number): void {
    if (!Number.isSafeInteger(gpa) || gpa < 0 || length < 0) throw new RangeError(`guest-physical range ${gpa}, ${length} bytes`);
    for (let at = gpa; at < gpa + length; at = nextPage(at)) this.maddr(at);
  }

  private pieces(gpa: number, length: number, use: (at: number, done: number, part: number) => void): void {
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, PAGE_SIZE - ((gpa + done) % PAGE_SIZE));
      use(this.maddr(gpa + done), done, part);
      done += part;
    }
  }
}

function inPage(gpa: number, size: number): boolean {
  return (gpa % PAGE_SIZE) + size <= PAGE_SIZE;
}

function nextPage(gpa: number): number {
  return gpa - (gpa % PAGE_SIZE) + PAGE_SIZE;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
