/** The slow path of data accesses: pages that miss the TLB, accesses across a page end, devices, discarded writes, code.
 *
 *  Nothing here throws. An address function returns a host address or, with the fault pending, 0. Reads that have no
 *  single host address are gathered in PcpuOff.scratchR; such writes go to PcpuOff.scratchW, filled with the present
 *  contents, and commitWrite() carries them out. Both pages of a crossing write are translated, and so have faulted,
 *  before anything changes.
 *
 *  Order between processors (TSO) holds as long as each access is one wasm access: what is gathered is not atomic, as a
 *  page-crossing access is not on hardware. */
import { Check } from "../abi/jit";
import { FrameFlag, FrameOff, Mode, P2m, PcpuOff, TlbClass, TlbOff } from "../abi/layout";
import { Efer, Pfec, Pte } from "../abi/x86";
import { isPatchedAgain } from "../cpu/code_cache";
import { recheckAfter } from "../cpu/helpers/events";
import { PCPU } from "../cpu/pcpu";
import { noteRewritten } from "../cpu/rewritten";
import { raiseNonCanonical, raisePageFault } from "../fault";
import { isShared } from "./code_news";
import { beforeStore, hasCode, isBesideCode } from "./code_pages";
import { isCanonical, permits, SMAP_OFF, walk } from "./guest_walk";
import { checkPhase, cut, mayWrite, noteWritable } from "./journal";
import { frameOf, isWritable, lookUpRam, noteAccess, ramEntry } from "./p2m";
import { deviceRead, deviceWrite, isApic } from "./ram";
import { Known, knownPage, rememberPage } from "./second_level";
import { classOf, deviceTag, entryFor, fill, Mark, noteLarge, tableOf } from "./tlb";
import { WalkOff } from "./walk_words";
import { markWritten } from "./written";

/** What a page function returns besides 0 (fault pending) and host addresses, which are far above. */
export const DEVICE: usize = 1; // at WalkOff.gpa
export const DISCARD: usize = 2; // read-only memory at WalkOff.gpa: writes vanish
const PRISTINE: usize = 3; // zeros that are to become zeros

const SCRATCH_R: usize = PCPU + PcpuOff.scratchR;
const SCRATCH_W: usize = PCPU + PcpuOff.scratchW;
const PAGE: u64 = 4096;
/** Of one instruction that is not repeated. Whoever replaces more of a page at once loads code, and does not rewrite it. */
const MAX_STORE: u32 = 64;

@inline function accessOf(base: usize): u32 {
  const which = classOf(base);
  return which == TlbClass.user ? Pfec.U : which == TlbClass.supervisorAc ? SMAP_OFF : 0;
}

/** The class in force (explicit accesses). */
@inline export function inForce(): usize { return <usize>load<u32>(PCPU, PcpuOff.tlbBase); }

/** Host address of a byte for reading in class `base`. */
export function readPage(lin: u64, base: usize): usize { return toRead(lin, base); }

@inline function toRead(lin: u64, base: usize): usize {
  const entry = entryFor(base, lin), page = lin & ~(PAGE - 1), tag = load<u64>(entry);
  if ((tag ^ lin) < PAGE) return <usize>lin + load<u32>(entry, TlbOff.addend);
  if ((tag & ~(<u64>Mark.deviceWritable)) == deviceTag(page, Mark.device)) return deviceHit(lin, entry);
  const access = accessOf(base);
  let known = knownPage(lin);
  if (!known || !permits(access, known, false)) {
    if (!isCanonical(lin)) return raiseNonCanonical(lin);
    if (!walk(lin, access)) return raisePageFault(lin, load<u32>(PCPU, WalkOff.error));
    const gpa = load<u64>(PCPU, WalkOff.gpa);
    const found = isApic(gpa) ? 0 : lookUpRam(gpa);
    if (!found) return deviceMiss(lin, entry, Mark.device);
    noteSize(lin);
    known = rememberPage(lin, found);
  }
  const host = pageOf(known) | (<usize>lin & 0xfff);
  fillReadable(entry, page, host, lin, known, access);
  return host;
}

/** An entry for reading, and for writing if that is known to be allowed. */
@inline function fillReadable(entry: usize, page: u64, host: usize, lin: u64, known: u32, access: u32): void {
  const global = (known & Pte.G) != 0;
  if (known & Pte.D && !checkPhase() && known & Known.writable && permits(access | Pfec.W, known, false)) {
    fillWritable(entry, page, host, lin, global);
  } else fill(entry, page | Mark.readOnly, <u32>(host - <usize>lin), global);
}

@inline function pageOf(known: u32): usize { return <usize>(known & ~0xfff); }

/** Host address of a byte for writing `len` bytes within its page, in class `base`; records decoded from those bytes
 *  are dropped. Also good for reading. */
export function writePage(lin: u64, base: usize, len: u32): usize { return toWrite(lin, base, len); }

@inline function toWrite(lin: u64, base: usize, len: u32): usize {
  const host = writableHost(lin, base, false);
  if (host <= DISCARD) return host;
  if (checkPhase() > Check.idle && !mayWrite(host, len)) return 0;
  if ((hasCode(host) || isShared(frameOf(host))) && beforeStore(host, len) && len <= MAX_STORE) noteRewritten(<u32>host);
  return host;
}

/** Host address for writing `size` bytes at `lin` if their page holds decoded code, but none that would have to be dropped; else 0. Code and data are
 *  neighbours where programs are generated. */
@inline export function besideCode(lin: u64, size: u32): usize {
  const entry = entryFor(inForce(), lin);
  return load<u64>(entry) == ((lin + size - 1 & ~(PAGE - 1)) | Mark.code) ? besideCodeAt(entry, lin, size) : 0;
}

@inline function besideCodeAt(entry: usize, lin: u64, size: u32): usize {
  if (checkPhase()) return 0;
  const host = <usize>lin + load<u32>(entry, TlbOff.addend);
  return (isBesideCode(host, size) || isPatchedAgain(<u32>host, size)) && !isShared(frameOf(host)) ? host : 0;
}

/** Whether the page at `lin` may be written, and is one of zeros that nobody has written to: then clearing it is nothing but the walk. The host
 *  has no memory for it yet, and getting that would cost more than all else. */
export function staysZero(lin: u64): bool { return !checkPhase() && writableHost(lin, inForce(), true) == PRISTINE; }

/** `zeros`: zeros are to be written to all of it. */
function writableHost(lin: u64, base: usize, zeros: bool): usize {
  const entry = entryFor(base, lin), page = lin & ~(PAGE - 1), tag = load<u64>(entry);
  if (tag == page) return <usize>lin + load<u32>(entry, TlbOff.addend);
  if (tag == (page | Mark.code)) {
    const at = <usize>lin + load<u32>(entry, TlbOff.addend);
    if (!hasCode(at) && markWritten(at, entry)) {
      store<u64>(entry, page);
      if (checkPhase()) noteWritable(entry);
    }
    return at;
  }
  if (tag == deviceTag(page, Mark.device | Mark.deviceWritable)) return deviceHit(lin, entry);
  const access = accessOf(base) | Pfec.W;
  let known = knownPage(lin);
  // the first write to a page walks, to set its dirty flag
  if (!(known & Pte.D) || !(known & Known.writable) || !permits(access, known, false)) {
    if (!isCanonical(lin)) return raiseNonCanonical(lin);
    if (!walk(lin, access)) return raisePageFault(lin, load<u32>(PCPU, WalkOff.error));
    const gpa = load<u64>(PCPU, WalkOff.gpa);
    const found = isApic(gpa) ? 0 : lookUpRam(gpa);
    if (!found) return deviceMiss(lin, entry, Mark.device | Mark.deviceWritable);
    if (!isWritable(found)) return DISCARD;
    noteSize(lin);
    known = rememberPage(lin, found);
  }
  const host = pageOf(known) | (<usize>lin & 0xfff), global = (known & Pte.G) != 0;
  if (zeros && isPristine(host)) return PRISTINE;
  fillWritable(entry, page, host, lin, global);
  return host;
}

@inline function isPristine(host: usize): bool { return (load<u8>(frameOf(host), FrameOff.flags) & FrameFlag.pristine) != 0; }

function noteSize(lin: u64): void {
  const shift = load<u32>(PCPU, WalkOff.shift);
  if (shift > 12) noteLarge(lin, shift);
}

@inline function fillWritable(entry: usize, page: u64, host: usize, lin: u64, global: bool): void {
  let tag = page;
  noteAccess(host);
  if (hasCode(host) || !markWritten(host, entry)) tag |= Mark.code;
  fill(entry, tag, <u32>(host - <usize>lin), global);
  if (checkPhase()) noteWritable(entry);
}

function deviceHit(lin: u64, entry: usize): usize {
  if (checkPhase() == Check.region) {
    cut();
    return 0;
  }
  store<u64>(PCPU, <u64>(<u32>lin + load<u32>(entry, TlbOff.addend)), WalkOff.gpa);
  return DEVICE;
}

function deviceMiss(lin: u64, entry: usize, mark: u64): usize {
  if (checkPhase() == Check.region) {
    cut();
    return 0;
  }
  const gpa = load<u64>(PCPU, WalkOff.gpa);
  noteSize(lin);
  if (gpa >> 32 == 0) {
    fill(entry, deviceTag(lin & ~(PAGE - 1), mark), <u32>gpa - <u32>lin, (load<u32>(PCPU, WalkOff.attributes) & Pte.G) != 0);
  }
  return DEVICE;
}

/** Linear address after the page end: outside 64-bit mode addresses wrap at 4 GiB. */
function nextPage(lin: u64, base: usize): u64 {
  const next = (lin | (PAGE - 1)) + 1;
  if ((load<u32>(PCPU, PcpuOff.mode) & Mode.BITS) == Mode.bits64) return next;
  if (base == tableOf(TlbClass.supervisor) && load<u64>(PCPU, PcpuOff.efer) & Efer.LMA) return next; // descriptor tables
  return next & 0xffffffff;
}

/** Reads of up to 64 bytes in class `base`. */
export function readIn(lin: u64, size: u32, base: usize): usize {
  const first = <u32>(PAGE - (lin & (PAGE - 1)));
  const host = toRead(lin, base);
  if (size > first) return host ? readSecond(lin, size, base, host, first) : 0;
  if (host != DEVICE) return host;
  deviceRead(load<u64>(PCPU, WalkOff.gpa), SCRATCH_R, size);
  return SCRATCH_R;
}

/** Of `size` bytes at `lin` the `first` are at `host`, the others on the next page. */
function readSecond(lin: u64, size: u32, base: usize, host: usize, first: u32): usize {
  const gpa = load<u64>(PCPU, WalkOff.gpa);
  const second = readPage(nextPage(lin, base), base);
  if (!second) return 0;
  const secondGpa = load<u64>(PCPU, WalkOff.gpa);
  gather(host, gpa, SCRATCH_R, first);
  gather(second, secondGpa, SCRATCH_R + first, size - first);
  return SCRATCH_R;
}

function gather(host: usize, gpa: u64, to: usize, len: u32): void {
  if (host == DEVICE) deviceRead(gpa, to, len);
  else copyBytes(to, host, len);
}

@inline function copyBytes(to: usize, from: usize, len: u32): void {
  for (let i: usize = 0; i < len; i++) store<u8>(to + i, load<u8>(from + i));
}

/** Writes of up to 64 bytes in class `base`. `keep`: their present contents are wanted, of devices too. */
export function writeIn(lin: u64, size: u32, base: usize, keep: bool): usize { return toWriteIn(lin, size, base, keep); }

/** The same in line. */
@inline export function toWriteIn(lin: u64, size: u32, base: usize, keep: bool): usize {
  const first = <u32>(PAGE - (lin & (PAGE - 1)));
  const len = min(size, first);
  const host = toWrite(lin, base, len);
  if (!host || (size <= first && host > DISCARD)) return host;
  return bounce(lin, size, base, keep, host, first);
}

/** A write that goes to PcpuOff.scratchW: its first byte is at `host`, `first` bytes before the page's end. */
function bounce(lin: u64, size: u32, base: usize, keep: bool, host: usize, first: u32): usize {
  const len = min(size, first);
  store<u32>(PCPU, host, WalkOff.firstHost);
  store<u32>(PCPU, len, WalkOff.firstLen);
  store<u64>(PCPU, load<u64>(PCPU, WalkOff.gpa), WalkOff.firstGpa);
  if (size > first) {
    const second = writePage(nextPage(lin, base), base, size - first);
    if (!second) return 0;
    store<u32>(PCPU, second, WalkOff.secondHost);
    store<u64>(PCPU, load<u64>(PCPU, WalkOff.gpa), WalkOff.secondGpa);
  }
  store<u64>(PCPU, lin, PcpuOff.writeLin);
  store<u32>(PCPU, size, PcpuOff.writeSize);
  if (!keep) return SCRATCH_W;
  present(load<u32>(PCPU, WalkOff.firstHost), load<u64>(PCPU, WalkOff.firstGpa), SCRATCH_W, len);
  if (size > first) present(load<u32>(PCPU, WalkOff.secondHost), load<u64>(PCPU, WalkOff.secondGpa), SCRATCH_W + len, size - len);
  return SCRATCH_W;
}

/** What is there before the write, for instructions that modify. */
function present(host: usize, gpa: u64, to: usize, len: u32): void {
  if (host == DISCARD) {
    const found = ramEntry(gpa);
    if (!found) return;
    host = (<usize>(found & P2m.MFN_MASK) << 12) | (<usize>gpa & 0xfff);
  }
  gather(host, gpa, to, len);
}

/** Carries out the write that was prepared in PcpuOff.scratchW. */
export function commitWrite(): void {
  const size = load<u32>(PCPU, PcpuOff.writeSize);
  if (!size) return;
  store<u32>(PCPU, 0, PcpuOff.writeSize);
  const len = load<u32>(PCPU, WalkOff.firstLen);
  spread(load<u32>(PCPU, WalkOff.firstHost), load<u64>(PCPU, WalkOff.firstGpa), SCRATCH_W, len);
  if (size > len) spread(load<u32>(PCPU, WalkOff.secondHost), load<u64>(PCPU, WalkOff.secondGpa), SCRATCH_W + len, size - len);
}

function spread(host: usize, gpa: u64, from: usize, len: u32): void {
  if (host == DEVICE) {
    deviceWrite(gpa, from, len);
    recheckAfter(<usize>load<u32>(PCPU, PcpuOff.record));
  } else if (host != DISCARD) copyBytes(host, from, len);
}

/** hostR, hostW and hostS missed. */
export function missR(lin: u64, size: i32): usize { return readIn(lin, size, inForce()); }
export function missW(lin: u64, size: i32): usize { return writeIn(lin, size, inForce(), true); }
export function missS(lin: u64, size: i32): usize { return writeIn(lin, size, inForce(), false); }

/** Host address of `len` bytes at `lin` if they are on one page and what is known of that says that they are memory, which has been read or
 *  written before; else 0. Faults, walks, devices, accessed and dirty flags, code are for the instruction itself. */
export function spanOf(lin: u64, len: u32, write: bool): usize {
  const base = inForce(), entry = entryFor(base, lin), page = lin & ~(PAGE - 1);
  if ((lin + len - 1 & ~(PAGE - 1)) != page) return 0;
  const known = knownPage(lin);
  const access = accessOf(base);
  if (!known || !permits(access | (write ? Pfec.W : 0), known, false)) return 0;
  const host = pageOf(known) | (<usize>lin & 0xfff), global = (known & Pte.G) != 0;
  if (write) {
    if (!(known & Pte.D) || !(known & Known.writable) || hasCode(host)) return 0;
    if (checkPhase() > Check.idle && !mayWrite(host, len)) return 0;
    fillWritable(entry, page, host, lin, global);
    if (load<u64>(entry) != page) return 0; // code has just been decoded there
  } else fillReadable(entry, page, host, lin, known, access);
  return host;
}

/** Host address of plain memory at `lin`, good to the end of its page, or 0. Without a fault pending 0 means that the
 *  caller must go element by element. */
export function hostSpanR(lin: u64, wanted: u32): usize {
  const host = readPage(lin, inForce());
  return host > DISCARD ? host : 0;
}

/** The same for writing: good for `wanted` bytes or to the end of the page, whichever is less. */
export function hostSpanW(lin: u64, wanted: u32): usize {
  const host = writePage(lin, inForce(), min(wanted, <u32>(PAGE - (lin & (PAGE - 1)))));
  return host > DISCARD ? host : 0;
}
