/** Runs: ranges of linear addresses of one pCPU, all of them plain memory, that lie in the host's memory in one piece. Kernels map what memory they
 *  have by large pages, and a domain's memory mostly is in one piece, so a run may be as long as that. Translated code that has a run's bounds for
 *  constants (cpu/jit/runs) finds out where an access goes by one comparison.
 *
 *  A run says nothing that the TLB might not say of each of its pages, one for writing that all of them may be stored to in line: no code has been
 *  decoded from them (mmu/written), they are not pristine, their dirty flags are set. It holds as long as TLB entries would: what takes
 *  translations away puts runs in doubt, what is decoded ends those for writing. Runs in doubt are looked at before translated code is
 *  entered again; JitOff.leave makes it return. A vCPU's runs are parked while another domain's is on the pCPU.
 *
 *  Bounds are whole pages of the same 4 GiB, where addresses of 32 bits wrap; what is beside them has other ways. No run is there while translated code is checked: the checker keeps what a region
 *  has changed by what comes by the TLB's slow path. */
import { JitOff } from "../abi/jit";
import { DomainOff, FrameFlag, FrameOff, MachineOff, P2m, PcpuOff, Region, RunKind, RunOff } from "../abi/layout";
import { Pfec } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { hasCode } from "./code_pages";
import { checkPhase } from "./journal";
import { GLOBAL, largePage, SHIFT } from "./large_page";
import { frameOf, p2mType, ramEntry } from "./p2m";
import { hasApic, isApic } from "./ram";
import { markReachable } from "./written";

/** Bytes of a run at least: each is one of a few. */
const LEAST: u32 = 0x10000;
/** From the address asked for at most, up and down. */
const FARTHEST: u64 = 0x4000000;
/** Pages that are looked at again before translated code is entered, at most: runs that have more end. */
const PAGES_AT_ONCE: u32 = 0x8000;
/** Looks at a run that was in doubt, besides one for so many slices, before there are no more of its kind. */
const LOOKS: u32 = 64;
const SLICES_PER_LOOK: u32 = 8;
/** Runs for writing that may end since code was found in them. */
const MOST_CODED: u32 = 32;
const ADDRESS: u64 = ~(<u64>0xfff);

const JIT: usize = PCPU + PcpuOff.JIT;
@inline function get(off: usize): u32 { return load<u32>(JIT + off); }
@inline function set(off: usize, value: u32): void { store<u32>(JIT + off, value); }
@inline function runAt(n: u32): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + RunOff.TABLE + <usize>n * RunOff.SIZE; }

@inline export function startOf(n: u32): u64 { return load<u64>(runAt(n), RunOff.start); }
@inline export function sizeOf(n: u32): u32 { return load<u32>(runAt(n), RunOff.size); }
@inline export function kindOf(n: u32): u32 { return load<u32>(runAt(n), RunOff.kind); }
@inline export function hostOf(n: u32): u32 { return load<u32>(runAt(n), RunOff.host); }

@inline function accessOf(kind: u32): u32 { return (kind & RunKind.user ? Pfec.U : 0) | (kind & RunKind.write ? Pfec.W : 0); }

/** The run in force of `kind` (global or not) around `lin`, -1 if there is none. One is made if there was none, and there is a place beside `used`. */
export function runAround(lin: u64, kind: u32, used: u32): i32 {
  for (let good = get(JitOff.runsGood); good; good &= good - 1) {
    const n = <u32>ctz(good), r = runAt(n);
    if ((load<u32>(r, RunOff.kind) & ~RunKind.global) == kind && lin - load<u64>(r, RunOff.start) < <u64>load<u32>(r, RunOff.size)) return n;
  }
  return make(lin, kind, used);
}

function make(lin: u64, kind: u32, used: u32): i32 {
  const free = ~used & (<u32>1 << RunOff.MAX) - 1;
  if (!free || checkPhase()) return -1;
  const access = accessOf(kind), found = largePage(lin, access), page = lin & ADDRESS;
  if (!found || get(JitOff.runsVolatile) >> u32((found & GLOBAL) != 0) & 1 || (kind & RunKind.write && get(JitOff.runsCoded) > MOST_CODED)) return -1;
  const n = <u32>ctz(free), r = runAt(n), domain = load<u32>(PCPU, PcpuOff.domain);
  // before the frames: if they change meanwhile it does not match
  const version = versionOf(domain);
  const host = frameAt(found & ADDRESS, kind);
  if (!host) return -1;
  drop(<u32>1 << n);
  store<u32>(r, <u32>(found & SHIFT), RunOff.shift);
  const below = extent(r, page, found, host, kind, -4096), above = extent(r, page, found, host, kind, 4096);
  if (below + above + 4096 < LEAST) return -1;
  store<u64>(r, page - below, RunOff.start);
  store<u64>(r, (found & ADDRESS) - below, RunOff.gpa);
  store<u32>(r, host - below, RunOff.host);
  store<u32>(r, below + above + 4096, RunOff.size);
  store<u32>(r, domain, RunOff.domain);
  store<u32>(r, version, RunOff.version);
  store<u32>(r, kind | (found & GLOBAL ? RunKind.global : 0), RunOff.kind);
  store<u32>(r, get(JitOff.slices), RunOff.born);
  store<u32>(r, 0, RunOff.looks);
  if (kind & RunKind.write) for (let at: u32 = 0; at < load<u32>(r, RunOff.size); at += 4096) if (!markReachable(load<u32>(r, RunOff.host) + at)) return -1;
  set(JitOff.runsGood, get(JitOff.runsGood) | 1 << n);
  if (found & GLOBAL) set(JitOff.runsGlobal, get(JitOff.runsGlobal) | 1 << n);
  return n;
}

/** Machine address of the page at `gpa` if a run of `kind` may have it, else 0. */
function frameAt(gpa: u64, kind: u32): u32 {
  const entry = isApic(gpa) ? 0 : ramEntry(gpa), type = p2mType(entry), host = (entry & P2m.MFN_MASK) << 12;
  if (type != P2m.ram_rw && (type != P2m.ram_ro || kind & RunKind.write)) return 0;
  if (kind & RunKind.write && (hasCode(host) || load<u8>(frameOf(host), FrameOff.flags) & FrameFlag.pristine)) return 0;
  return host;
}

/** Bytes of run `r` behind (`step` 4096) or before (-4096) the page `lin`, which is mapped as `found`, at `host`: they follow it in the host's memory, too. */
function extent(r: usize, lin: u64, found: u64, host: u32, kind: u32, step: i64): u32 {
  let gpa = found & ADDRESS, low = found & ~ADDRESS, inner = (<u64>1 << (low & SHIFT)) - 1, length: u64 = 0;
  while (length < FARTHEST) {
    const next = lin + step;
    if ((next ^ lin) >> 32) break;
    if ((next ^ lin) & ~inner) { // another large page
      const other = largePage(next, accessOf(kind));
      if (!other || (other & ADDRESS) != gpa + step || (other ^ low) & GLOBAL) break;
      store<u32>(r, max(load<u32>(r, RunOff.shift), <u32>(other & SHIFT)), RunOff.shift);
      inner = (<u64>1 << (other & SHIFT)) - 1;
    }
    lin = next;
    gpa += step;
    host += <u32>step;
    if (frameAt(gpa, kind) != host) break;
    length += 4096;
  }
  return <u32>length;
}

function drop(bits: u32): void {
  for (let off: usize = JitOff.runsGood; off <= <usize>JitOff.runsGlobal; off += 4) set(off, get(off) & ~bits);
}

function doubt(bits: u32): void {
  if (!bits) return;
  set(JitOff.runsGood, get(JitOff.runsGood) & ~bits);
  set(JitOff.runsParked, get(JitOff.runsParked) & ~bits);
  set(JitOff.runsDoubt, get(JitOff.runsDoubt) | bits);
  set(JitOff.leave, 1);
}

/** Translations went that were not global, or all of them. */
export function doubtRuns(all: bool): void { doubt(all ? get(JitOff.runsGood) | get(JitOff.runsParked) : get(JitOff.runsGood) & ~get(JitOff.runsGlobal)); }

/** That of the page around `lin` went, however large it is. */
export function doubtRunsAt(lin: u64): void {
  for (let good = get(JitOff.runsGood); good; good &= good - 1) {
    const n = <u32>ctz(good), shift = <u64>load<u32>(runAt(n), RunOff.shift), first = startOf(n) >> shift, last = startOf(n) + sizeOf(n) - 1 >> shift;
    if ((lin >> shift) - first <= last - first) doubt(<u32>1 << n);
  }
}

/** Code is being decoded from frame `mfn`. */
export function breakRuns(mfn: u32): void {
  for (let some = get(JitOff.runsGood) | get(JitOff.runsDoubt) | get(JitOff.runsParked); some; some &= some - 1) {
    const n = <u32>ctz(some), r = runAt(n), bit = <u32>1 << n;
    if (!(load<u32>(r, RunOff.kind) & RunKind.write) || (mfn << 12) - load<u32>(r, RunOff.host) >= load<u32>(r, RunOff.size)) continue;
    doubt(bit);
    set(JitOff.runsBroken, get(JitOff.runsBroken) | bit);
    set(JitOff.runsCoded, get(JitOff.runsCoded) + 1);
  }
}

/** Looks at the runs in doubt: those that no longer hold, which are none any more. */
export function settleRuns(): u32 {
  const here = load<u32>(PCPU, PcpuOff.domain);
  let ended: u32 = 0, pages: u32 = 0;
  for (let left = get(JitOff.runsDoubt); left; left &= left - 1) {
    const n = <u32>ctz(left), bit = <u32>1 << n;
    if (get(JitOff.runsBroken) & bit) ended |= bit;
    else if (load<u32>(runAt(n), RunOff.domain) != here) set(JitOff.runsParked, get(JitOff.runsParked) | bit);
    else {
      const changed = hasChanged(runAt(n));
      if (changed) pages += sizeOf(n) >> 12;
      if (pages <= PAGES_AT_ONCE && holds(runAt(n), changed)) set(JitOff.runsGood, get(JitOff.runsGood) | bit);
      else ended |= bit;
    }
  }
  set(JitOff.runsDoubt, 0);
  drop(ended);
  return ended;
}

/** Run `r`, of the domain that is here, is what it was. */
function holds(r: usize, changed: bool): bool {
  const kind = load<u32>(r, RunOff.kind), looks = load<u32>(r, RunOff.looks) + 1, age = get(JitOff.slices) - load<u32>(r, RunOff.born);
  store<u32>(r, looks, RunOff.looks);
  if (looks > LOOKS + age / SLICES_PER_LOOK) {
    set(JitOff.runsVolatile, get(JitOff.runsVolatile) | (kind & RunKind.global ? 2 : 1));
    return false;
  }
  return isMapped(r, kind) && !hasApic(load<u64>(r, RunOff.gpa), load<u32>(r, RunOff.size)) && (!changed || hasFrames(r, kind));
}

@inline function versionOf(domain: usize): u32 { return domain ? atomic.load<u32>(domain, DomainOff.p2mVersion) : 0; }

/** Run `r` may have other frames than it had, or code in them. */
function hasChanged(r: usize): bool {
  if (versionOf(load<u32>(r, RunOff.domain)) != load<u32>(r, RunOff.version)) return true;
  // others may have decoded code, and asked for the flush that led here
  return (load<u32>(r, RunOff.kind) & RunKind.write) != 0 && load<u32>(Region.MACHINE, MachineOff.pcpus) > 1;
}

function isMapped(r: usize, kind: u32): bool {
  const start = load<u64>(r, RunOff.start), gpa = load<u64>(r, RunOff.gpa), size = <u64>load<u32>(r, RunOff.size);
  for (let at: u64 = 0; at < size; ) { // the end of all addresses may be its own
    const found = largePage(start + at, accessOf(kind));
    if (!found || (found & ADDRESS) != gpa + at || (kind & RunKind.global && !(found & GLOBAL))) return false;
    store<u32>(r, max(load<u32>(r, RunOff.shift), <u32>(found & SHIFT)), RunOff.shift); // the same memory may be (part of) larger pages now
    const page = <u64>1 << (found & SHIFT);
    at += page - (start + at & page - 1);
  }
  return true;
}

function hasFrames(r: usize, kind: u32): bool {
  const gpa = load<u64>(r, RunOff.gpa), host = load<u32>(r, RunOff.host), size = load<u32>(r, RunOff.size), version = versionOf(load<u32>(r, RunOff.domain));
  for (let at: u32 = 0; at < size; at += 4096) {
    if (frameAt(gpa + at, kind) != host + at) return false;
    if (kind & RunKind.write && !markReachable(host + at)) return false;
  }
  store<u32>(r, version, RunOff.version);
  return true;
}

/** All records are dropped. */
export function forgetRuns(): void {
  drop(<u32>-1);
  set(JitOff.runsVolatile, 0);
  set(JitOff.runsCoded, 0);
}
