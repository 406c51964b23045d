/** RAM and its linear addresses: two-level paging with 4 MiB pages (SDM Vol.3A "32-Bit Paging"), a TLB for each of reading,
 *  writing and executing.
 *
 *  The TLB has an entry for every linear page, supervisor's first, then user's: `(physical ^ linear page) | 1`, 0 if absent. The
 *  lowest bit vanishes in the index of a 32-bit access. An entry for writing exists only for pages that are writable, marked
 *  dirty and hold no decoded code. Entries for executing hold the start of the page's table of records (code_cache.ts). */
import { Pfec, Pte, Vector } from "../../assembly/abi/x86";

export const USER = 1 << 20;
const LIST = 1 << 14;
const PG = 1 << 31;
const WP = 1 << 16;
const PSE = 1 << 4;

/** Thrown for every fault: what it is stands in the machine. */
export const FAULT = { name: "fault" };

export abstract class Paging {
  readonly ram8: Uint8Array;
  readonly ram16: Uint16Array;
  readonly ram32: Int32Array;
  readonly ramDouble: Float64Array;
  readonly ramBytes: number;
  readonly tlbR = new Int32Array(2 * USER);
  readonly tlbW = new Int32Array(2 * USER);
  readonly tlbX = new Int32Array(2 * USER);
  private readonly list = new Int32Array(LIST);
  private listed = 0;
  /** 4 MiB regions with a large page in the TLB, which INVLPG of any address in them ends. */
  private readonly large = new Uint8Array(1024);
  /** Physical pages that hold decoded code, and their 64-byte chunks that do. */
  readonly codePage: Uint8Array;
  readonly codeChunk: Uint8Array;

  readonly cr = new Int32Array(8);
  /** USER at privilege level 3, else 0. */
  user = 0;
  faultVector = 0;
  /** -1 where the exception has no error code. */
  faultError = -1;

  constructor(memoryBytes: number) {
    this.ramBytes = (memoryBytes + 4095) & ~4095;
    const buffer = new ArrayBuffer(this.ramBytes);
    this.ram8 = new Uint8Array(buffer);
    this.ram16 = new Uint16Array(buffer);
    this.ram32 = new Int32Array(buffer);
    this.ramDouble = new Float64Array(buffer);
    this.codePage = new Uint8Array(this.ramBytes >>> 12);
    this.codeChunk = new Uint8Array(this.ramBytes >>> 6);
  }

  /** A page with decoded code is about to change. */
  abstract forgetCode(page: number): void;

  raise(vector: number, error = -1): never {
    this.faultVector = vector;
    this.faultError = error;
    throw FAULT;
  }

  private pageFault(lin: number, present: boolean, write: boolean, user: number, reserved = false): never {
    this.cr[2] = lin;
    this.raise(Vector.PF, (present ? Pfec.P : 0) | (write ? Pfec.W : 0) | (user ? Pfec.U : 0) | (reserved ? Pfec.RSVD : 0));
  }

  private physical32(at: number): number {
    return at >>> 0 < this.ramBytes ? this.ram32[at >>> 2] : -1;
  }

  private setBits(at: number, bits: number): void {
    if (at >>> 0 >= this.ramBytes || (this.ram32[at >>> 2] & bits) === bits) return;
    this.ram32[at >>> 2] |= bits;
  }

  /** Physical address of `lin`; #PF if there is none. Fills the TLB. */
  translate(lin: number, write: boolean, user: number): number {
    const index = (lin >>> 12) | user;
    const hit = write ? this.tlbW[index] : this.tlbR[index];
    if (hit !== 0) return (hit ^ lin) ^ 1;
    let page = lin & -4096;
    if (this.cr[0] & PG) page = this.walk(lin, write, user);
    if (page >>> 0 < this.ramBytes) {
      this.note(index);
      const entry = (page ^ (lin & -4096)) | 1;
      this.tlbR[index] = entry;
      if (write && this.codePage[page >>> 12] === 0) this.tlbW[index] = entry;
    }
    return page | (lin & 4095);
  }

  private walk(lin: number, write: boolean, user: number): number {
    const pdeAt = (this.cr[3] & -4096) | ((lin >>> 22) << 2);
    const pde = this.physical32(pdeAt);
    if (!(pde & Pte.P)) this.pageFault(lin, false, write, user);
    const large = (pde & Pte.PS) !== 0 && (this.cr[4] & PSE) !== 0;
    if (large && pde & 0x3fe000) this.pageFault(lin, true, write, user, true);
    let pteAt = pdeAt;
    let pte = pde;
    let rights = pde;
    if (!large) {
      pteAt = (pde & -4096) | ((lin >>> 10) & 0xffc);
      pte = this.physical32(pteAt);
      if (!(pte & Pte.P)) this.pageFault(lin, false, write, user);
      rights &= pte;
    }
    // SDM Vol.3A "Determination of Access Rights"
    if (user && !(rights & Pte.US)) this.pageFault(lin, true, write, user);
    if (write && !(rights & Pte.RW) && (user || this.cr[0] & WP)) this.pageFault(lin, true, write, user);
    if (!large) this.setBits(pdeAt, Pte.A);
    this.setBits(pteAt, write ? Pte.A | Pte.D : Pte.A);
    if (!large) return pte & -4096;
    this.large[lin >>> 22] = 1;
    return (pde & 0xffc00000) | (lin & 0x3ff000);
  }

  /** Remembers that an entry is in use, so that a flush need not look at two million. */
  note(index: number): void {
    if (this.tlbR[index] | this.tlbW[index] | this.tlbX[index]) return;
    if (this.listed === LIST) this.flush();
    this.list[this.listed++] = index;
  }

  flush(): void {
    for (let i = 0; i < this.listed; i++) {
      const index = this.list[i];
      this.tlbR[index] = this.tlbW[index] = this.tlbX[index] = 0;
    }
    this.listed = 0;
    this.large.fill(0);
  }

  flushPage(lin: number): void {
    if (this.large[lin >>> 22]) {
      this.flush();
      return;
    }
    for (const index of [lin >>> 12, (lin >>> 12) | USER]) this.tlbR[index] = this.tlbW[index] = this.tlbX[index] = 0;
  }

  /** No stores past this module into a page from now on. */
  watchPage(page: number): void {
    for (let i = 0; i < this.listed; i++) {
      const index = this.list[i];
      const entry = this.tlbW[index];
      if (entry !== 0 && ((entry ^ (index << 12)) & -4096) >>> 12 === page) this.tlbW[index] = 0;
    }
  }

  /** Forgets what executing found where, in every address space. */
  dropExecutable(): void {
    for (let i = 0; i < this.listed; i++) this.tlbX[this.list[i]] = 0;
  }

  // Accesses at the current privilege; what is no RAM reads as ones.

  read8(lin: number): number {
    const e = this.tlbR[(lin >>> 12) | this.user];
    const at = e !== 0 ? e ^ lin ^ 1 : this.translate(lin, false, this.user);
    return at >>> 0 < this.ramBytes ? this.ram8[at] : 0xff;
  }

  read16(lin: number): number {
    if ((lin & 4095) > 4094) return this.readAcross(lin, 2, this.user);
    const e = this.tlbR[(lin >>> 12) | this.user];
    const at = e !== 0 ? e ^ lin ^ 1 : this.translate(lin, false, this.user);
    return at >>> 0 < this.ramBytes ? this.ram8[at] | (this.ram8[at + 1] << 8) : 0xffff;
  }

  read32(lin: number): number {
    return this.readFor32(lin, this.user);
  }

  readFor32(lin: number, user: number): number {
    if ((lin & 4095) > 4092) return this.readAcross(lin, 4, user);
    const e = this.tlbR[(lin >>> 12) | user];
    const at = e !== 0 ? e ^ lin ^ 1 : this.translate(lin, false, user);
    if (at >>> 0 >= this.ramBytes) return -1;
    if ((at & 3) === 0) return this.ram32[at >>> 2];
    const ram = this.ram8;
    return ram[at] | (ram[at + 1] << 8) | (ram[at + 2] << 16) | (ram[at + 3] << 24);
  }

  private readAcross(lin: number, size: number, user: number): number {
    this.translate(lin, false, user);
    this.translate((lin | 4095) + 1, false, user);
    let value = 0;
    for (let i = 0; i < size; i++) {
      const at = this.translate((lin + i) | 0, false, user);
      value |= (at >>> 0 < this.ramBytes ? this.ram8[at] : 0xff) << (i * 8);
    }
    return value;
  }

  write8(lin: number, value: number): void {
    const e = this.tlbW[(lin >>> 12) | this.user];
    if (e !== 0) this.ram8[e ^ lin ^ 1] = value;
    else this.store8(this.translate(lin, true, this.user), value);
  }

  write16(lin: number, value: number): void {
    this.checkWrite(lin, 2);
    this.write8(lin, value);
    this.write8((lin + 1) | 0, value >> 8);
  }

  write32(lin: number, value: number): void {
    this.writeFor32(lin, value, this.user);
  }

  writeFor32(lin: number, value: number, user: number): void {
    const e = this.tlbW[(lin >>> 12) | user];
    if (e !== 0 && (lin & 3) === 0) {
      this.ram32[(e ^ lin) >>> 2] = value;
      return;
    }
    const at = this.translate(lin, true, user);
    if ((lin & 4095) > 4092) {
      this.translate((lin | 4095) + 1, true, user);
      for (let i = 0; i < 4; i++) this.store8(this.translate((lin + i) | 0, true, user), value >> (i * 8));
    } else {
      if (at >>> 0 >= this.ramBytes) return;
      if (this.codePage[at >>> 12] && (this.codeChunk[at >>> 6] | this.codeChunk[(at + 3) >>> 6])) this.forgetCode(at >>> 12);
      if ((at & 3) === 0) this.ram32[at >>> 2] = value;
      else for (let i = 0; i < 4; i++) this.ram8[at + i] = value >> (i * 8);
    }
  }

  /** Faults as a write of `size` bytes would. */
  checkWrite(lin: number, size: number): void {
    if (this.tlbW[(lin >>> 12) | this.user] === 0) this.translate(lin, true, this.user);
    if ((lin & 4095) + size > 4096) this.translate((lin | 4095) + 1, true, this.user);
  }

  checkRead(lin: number, size: number): void {
    this.translate(lin, false, this.user);
    if ((lin & 4095) + size > 4096) this.translate((lin | 4095) + 1, false, this.user);
  }

  private store8(at: number, value: number): void {
    if (at >>> 0 >= this.ramBytes) return;
    if (this.codePage[at >>> 12] && this.codeChunk[at >>> 6]) this.forgetCode(at >>> 12);
    this.ram8[at] = value;
  }

  /** Physical memory from outside: loaders and devices. */
  writePhysical(address: number, bytes: Uint8Array): void {
    if (address < 0 || address + bytes.length > this.ramBytes) throw new RangeError(`${bytes.length} bytes at 0x${address.toString(16)} are not in memory`);
    for (let page = address >>> 12; page << 12 < address + bytes.length; page++) if (this.codePage[page]) this.forgetCode(page);
    this.ram8.set(bytes, address);
  }
}
