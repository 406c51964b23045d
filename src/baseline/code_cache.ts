/** Where decoded instructions are kept. Each physical page with code has a table from offset to record; records stand in
 *  blocks of straight code, which a jump may enter anywhere. A block's header record holds the page's previous block and the
 *  block's end. When a byte of decoded code changes, the whole page is forgotten: its records become `stale`. */
import { Cpu } from "./cpu";
import { Decoder } from "./decode";
import { Cold, Op, STRIDE } from "./ops";
import { FAULT } from "./paging";
import { fuse } from "./specialize";

const SLOTS = 2048;
const RECORDS = 1 << 19;
/** Record 0 is the look-up; a single step is decoded into the next ones. */
const STEP = STRIDE;
export const FIRST = 8 * STRIDE;
const LONGEST = 96;
/** Tables of pages with code that does not fit, and the empty table, are slot 0. */
const PAGE = 4096;

export abstract class CodeCache extends Cpu {
  readonly ops = new Int32Array(RECORDS * STRIDE);
  readonly entries = new Int32Array(SLOTS * PAGE);
  private readonly decoder = new Decoder(this.ops);
  private used = FIRST;
  private slots = 1;
  private readonly slotOf = new Int32Array(this.codePage.length);
  private readonly slotPage = new Int32Array(SLOTS);
  private readonly slotStamp = new Int32Array(SLOTS);
  private readonly lastBlock = new Int32Array(SLOTS);
  private readonly free: number[] = [];
  /** Times a page's code was forgotten, for code that reaches into it from the page before. */
  private readonly version = new Int32Array(this.codePage.length);
  private readonly across = new Uint8Array(32);
  /** The stamp that the entries for executing in the TLB belong to. */
  private stampInTlb = 0;
  /** Records move: links known before are void. */
  moved = false;

  /** The record for the instruction at `lin`; #PF or #GP if there is none. */
  find(lin: number): number {
    if (this.stamp !== this.stampInTlb) {
      this.dropExecutable();
      this.stampInTlb = this.stamp;
    }
    if (!(this.stamp & 2)) {
      const offset = (lin - this.base[1]) >>> 0;
      if (offset > this.limit[1]) this.gp();
    }
    const at = this.translate(lin, false, this.user);
    if (at >>> 0 >= this.ramBytes) {
      this.decodeStep(lin);
      return STEP;
    }
    const page = at >>> 12;
    let slot = this.slotOf[page];
    if (slot !== 0 && this.slotStamp[slot] !== this.stamp) {
      this.forgetCode(page);
      slot = 0;
    }
    if (slot === 0) slot = this.take(page);
    const index = (lin >>> 12) | this.user;
    this.note(index);
    this.tlbX[index] = slot * PAGE;
    const found = this.entries[slot * PAGE + (at & 4095)];
    return found !== 0 ? found : this.decodeBlock(lin, at, slot);
  }

  private take(page: number): number {
    let slot = this.free.pop() ?? 0;
    if (slot === 0) {
      if (this.slots === SLOTS) this.forgetAll();
      slot = this.slots++;
    }
    this.slotOf[page] = slot;
    this.slotPage[slot] = page;
    this.slotStamp[slot] = this.stamp;
    this.lastBlock[slot] = 0;
    this.watch(page);
    return slot;
  }

  private watch(page: number): void {
    if (this.codePage[page]) return;
    this.codePage[page] = 1;
    this.watchPage(page);
  }

  forgetAll(): void {
    for (let page = 0; page < this.codePage.length; page++) if (this.codePage[page]) this.forgetCode(page);
    this.free.length = 0;
    this.slots = 1;
    this.used = FIRST;
    this.moved = true;
  }

  forgetCode(page: number): void {
    this.version[page]++;
    this.codeChunk.fill(0, page << 6, (page + 1) << 6);
    this.codePage[page] = 0;
    const slot = this.slotOf[page];
    if (slot === 0) return;
    const { ops, entries } = this;
    const table = slot * PAGE;
    for (let block = this.lastBlock[slot]; block !== 0; block = ops[block + 1]) {
      for (let u = block + STRIDE; u < ops[block + 2]; u += STRIDE) {
        ops[u] = Op.stale;
        entries[table + (ops[u + 3] & 4095)] = 0;
      }
    }
    this.slotOf[page] = 0;
    this.free.push(slot);
    this.dropExecutable();
  }

  private decodeBlock(lin: number, at: number, slot: number): number {
    if (this.used + (LONGEST + 4) * STRIDE > this.ops.length) {
      this.forgetAll();
      return this.find(lin);
    }
    const { ops, entries, decoder, stamp } = this;
    const page = at >>> 12;
    const table = slot * PAGE;
    const block = this.used;
    const first = block + STRIDE;
    let u = first;
    let offset = at & 4095;
    const pageEnd = (at | 4095) + 1;
    for (let n = 0; ; n++) {
      if (n === LONGEST || offset === PAGE) {
        ops[u] = Op.next;
        ops[u + 1] = offset;
        ops[u + 3] = offset & 4095;
        u += STRIDE;
        break;
      }
      const known = entries[table + offset];
      if (known !== 0) {
        ops[u] = Op.goto;
        ops[u + 1] = known;
        ops[u + 3] = offset;
        u += STRIDE;
        break;
      }
      const start = (page << 12) | offset;
      let length = decoder.decode(this.ram8, start, pageEnd, offset, u, stamp);
      entries[table + offset] = u;
      if (length === 0) {
        if (u !== first) {
          // looked at again when it is reached: its other page may be absent
          entries[table + offset] = 0;
          ops[u] = Op.next;
          ops[u + 1] = offset;
          ops[u + 3] = offset;
          u += STRIDE;
          break;
        }
        entries[table + offset] = 0;
        length = this.decodeAcross(lin, start, u);
        entries[table + offset] = u;
        this.mark(start, PAGE - offset);
        ops[u + 2 * STRIDE] = Op.next;
        ops[u + 2 * STRIDE + 1] = offset + length;
        ops[u + 2 * STRIDE + 3] = (offset + length) & 4095;
        u += 3 * STRIDE;
        break;
      }
      if (!(stamp & 2)) this.checkLimit(lin, start - at, length, u);
      this.mark(start, length);
      if (u > first) fuse(ops, u);
      offset += length;
      const last = endsBlock(ops, u);
      u += STRIDE;
      if (last) break;
    }
    ops[block] = Op.stale;
    ops[block + 1] = this.lastBlock[slot];
    ops[block + 2] = u;
    this.lastBlock[slot] = block;
    this.used = u;
    return first;
  }

  private mark(start: number, length: number): void {
    for (let chunk = start >>> 6; chunk <= (start + length - 1) >>> 6; chunk++) this.codeChunk[chunk] = 1;
  }

  private checkLimit(lin: number, ahead: number, length: number, u: number): void {
    const last = ((lin + ahead - this.base[1]) >>> 0) + length - 1;
    if (last > this.limit[1]) this.refuse(u);
  }

  private refuse(u: number): void {
    this.ops[u] = Op.cold;
    this.ops[u + 3] = (this.ops[u + 3] & 4095) | (Cold.gp << 16);
  }

  /** The bytes of the instruction at `lin`, the second page's from where paging leads now. */
  private gather(lin: number): number {
    const { across } = this;
    const inFirst = Math.min(PAGE - (lin & 4095), 16);
    for (let i = 0; i < inFirst; i++) across[i] = this.read8((lin + i) | 0);
    return inFirst;
  }

  /** A guard at `u` and the instruction itself after it. */
  private decodeAcross(lin: number, start: number, u: number): number {
    const { across, ops } = this;
    const inFirst = this.gather(lin);
    const second = this.translate((lin + inFirst) | 0, false, this.user);
    for (let i = inFirst; i < 16; i++) across[i] = this.read8((lin + i) | 0);
    const length = this.decoder.decode(across, 0, 16, start & 4095, u + STRIDE, this.stamp);
    if (!(this.stamp & 2)) this.checkLimit(lin, 0, length, u + STRIDE);
    ops[u] = Op.cross;
    ops[u + 1] = second;
    ops[u + 2] = 0;
    ops[u + 3] = start & 4095;
    if (second >>> 0 < this.ramBytes) {
      this.watch(second >>> 12);
      this.mark(second, length - inFirst);
      ops[u + 2] = this.version[second >>> 12];
    }
    return length;
  }

  /** Whether the guarded instruction at `lin` is still what was decoded. */
  sameAcross(u: number, lin: number): boolean {
    const second = this.translate((lin | 4095) + 1, false, this.user);
    if (second === this.ops[u + 1] && (second >>> 0 >= this.ramBytes || this.version[second >>> 12] === this.ops[u + 2])) return true;
    this.forgetCode(this.translate(lin, false, this.user) >>> 12);
    return false;
  }

  /** Decodes the instruction at `lin` alone, to be followed by a stop. */
  decodeStep(lin: number): number {
    if (!(this.stamp & 2) && (lin - this.base[1]) >>> 0 > this.limit[1]) this.gp();
    this.translate(lin, false, this.user);
    const { across, decoder, ops } = this;
    const inFirst = this.gather(lin);
    let length = decoder.decode(across, 0, inFirst, lin & 4095, STEP, this.stamp);
    if (length === 0) {
      for (let i = inFirst; i < 16; i++) {
        // bytes past the end of the instruction need not be there
        try {
          across[i] = this.read8((lin + i) | 0);
        } catch (e) {
          if (e !== FAULT || i === inFirst) throw e;
          across[i] = 0;
        }
      }
      length = decoder.decode(across, 0, 16, lin & 4095, STEP, this.stamp);
    }
    if (!(this.stamp & 2)) this.checkLimit(lin, 0, length, STEP);
    ops[STEP + STRIDE] = Op.stop;
    ops[STEP + STRIDE + 1] = (lin & 4095) + length;
    ops[STEP + STRIDE + 3] = 0;
    return STEP;
  }
}

/** Nothing in line runs after these. */
function endsBlock(ops: Int32Array, u: number): boolean {
  const op = ops[u] & 1023;
  if (op === Op.cold) {
    const cold = (ops[u + 3] >>> 16) & 1023;
    return cold <= Cold.gp || cold === Cold.jmp || cold === Cold.jmpE || cold === Cold.ret || cold === Cold.retImm || (cold >= Cold.callFar && cold <= Cold.iret) || cold === Cold.hlt || cold === Cold.sysexit || cold === Cold.sysenter;
  }
  return op === Op.jmp || op === Op.jmp_r || op === Op.jmp_m || op === Op.ret || op === Op.ret_i;
}
