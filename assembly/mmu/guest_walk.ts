/** First stage of translation: the guest's page tables (SDM Vol.3A "Paging"; AMD APM Vol.2 "Page Translation and Protection").
 *
 *  No paging, 32-bit (with PSE and PSE-36), PAE and 4-level paging; NX, WP, SMEP, SMAP, accessed and dirty flags. A walk
 *  never throws: it fills the walk words and returns whether the access is allowed. Accessed and dirty flags are set only
 *  when it is; both vendors allow setting those of upper levels sooner, but do not require it.
 *
 *  DEVIATION: PDPTEs of PAE paging are read at each walk, as AMD does under nested paging, not at MOV to CR3 as Intel does. */
import { Check } from "../abi/jit";
import { P2m, PcpuOff } from "../abi/layout";
import { Cr0, Cr4, Efer, Pfec, Pte } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { beforeStore, hasCode } from "./code_pages";
import { checkPhase, tableWritten } from "./journal";
import { isWritable, MAXPHYADDR } from "./p2m";
import { cachedTable, cacheTable, forgetTable, isCached, tableEntry, tableRights } from "./table_cache";
import { NO_EXECUTE, UPPER_NX, WalkOff } from "./walk_words";

/** Access: Pfec.W, Pfec.U, Pfec.I, and this: an explicit supervisor access with AC set, or SMAP is off. */
export const SMAP_OFF: u32 = 0x100;

export const NX: u64 = (<u64>1) << Pte.NX_BIT;
/** Bits 51 to MAXPHYADDR of any 64-bit entry. */
export const HIGH: u64 = ((<u64>1) << 52) - ((<u64>1) << MAXPHYADDR);
/** Bits 62 to 52 are ignored in 4-level paging, reserved in PAE paging. */
export const HIGH_PAE: u64 = ((<u64>1) << 63) - ((<u64>1) << MAXPHYADDR);
export const FRAME: u64 = ((<u64>1) << MAXPHYADDR) - 4096;
const ALL_ONES: u64 = ~(<u64>0);

const enum Outcome { refused, allowed, changed }

/** Translates `lin` for `access`. True: gpa, attributes and shift are valid. False: error is. */
export function walk(lin: u64, access: u32): bool {
  if (isCached(lin)) {
    // A refusal may come from a stale entry: the tables decide.
    if (tableRights(lin) >> 24 ? largePage(lin, access) : lastLevel(lin, access) == Outcome.allowed) return true;
    forgetTable(lin);
  }
  let outcome: i32;
  do outcome = attempt(lin, access); while (outcome == Outcome.changed);
  if (outcome != Outcome.allowed) {
    noteRefused(lin);
    return false;
  }
  const steps = load<u32>(PCPU, WalkOff.steps), shift = load<u32>(PCPU, WalkOff.shift);
  if (shift > 12) {
    const first = (load<u64>(PCPU, WalkOff.gpa) - (lin & 0x1fffff)) >> 12;
    cacheTable(lin, <u32>first, load<u32>(PCPU, WalkOff.attributes) | shift << 24);
  } else if (steps) {
    const at = load<u32>(PCPU + (<usize>(steps - 1) << 2), WalkOff.entryAt);
    if (at) cacheTable(lin, at & ~0xfff, load<u32>(PCPU, WalkOff.upper));
  }
  return true;
}

/** A walk was refused. If it got as far as the last level, the table there will be wanted once the fault is handled; the manual has
 *  entries cached only after their accessed flags are set. */
function noteRefused(lin: u64): void {
  const last = load<u32>(PCPU, WalkOff.steps) - 1;
  if (load<u32>(PCPU, WalkOff.shift) != 12 || <i32>last < 0) return;
  for (let step: u32 = 0; step < last; step++) if (!(load<u64>(PCPU + (<usize>step << 3), WalkOff.entry) & Pte.A)) return;
  const at = load<u32>(PCPU + (<usize>last << 2), WalkOff.entryAt);
  if (at) cacheTable(lin, at & ~0xfff, load<u32>(PCPU, WalkOff.upper));
}

/** True if `lin` is an address at all: bits 63..47 are equal. Any 32-bit address is. */
@inline export function isCanonical(lin: u64): bool {
  return <u64>((<i64>lin << 16) >> 16) == lin;
}

@inline function cr0(): u64 { return load<u64>(PCPU, PcpuOff.cr0); }
@inline function cr4(): u64 { return load<u64>(PCPU, PcpuOff.cr4); }
@inline function efer(): u64 { return load<u64>(PCPU, PcpuOff.efer); }

@inline function attempt(lin: u64, access: u32): i32 {
  store<u32>(PCPU, 0, WalkOff.steps);
  store<u32>(PCPU, 0, WalkOff.shift);
  const cr3 = load<u64>(PCPU, PcpuOff.cr3);
  if (!(cr0() & (<u64>1 << Cr0.PG_BIT))) {
    store<u64>(PCPU, lin & 0xffffffff, WalkOff.gpa);
    store<u32>(PCPU, Pte.RW | Pte.US | Pte.D, WalkOff.attributes);
    store<u32>(PCPU, 12, WalkOff.shift);
    return Outcome.allowed;
  }
  if (!(cr4() & Cr4.PAE)) return walk32(cr3 & 0xfffff000, <u32>lin, access);
  const nxe = (efer() & Efer.NXE) != 0;
  if (efer() & Efer.LMA) return walk64(cr3 & FRAME, lin, access, 39, HIGH | (nxe ? 0 : NX));
  const pdpte = readEntry64((cr3 & 0xffffffe0) + ((lin >> 27) & 0x18), 0);
  if (!(pdpte & Pte.P)) return refuse(access, 0);
  if (pdpte & (HIGH_PAE | NX | 0x1e6)) return refuse(access, Pfec.P | Pfec.RSVD);
  // PDPTEs have no accessed flag: it is not a step
  return walk64(pdpte & FRAME, lin, access, 21, HIGH_PAE | (nxe ? 0 : NX));
}

/** A page of a large page that was walked to before. Without its dirty flag a write has to walk again. */
function largePage(lin: u64, access: u32): bool {
  const known = tableRights(lin);
  if (access & Pfec.W && !(known & Pte.D)) return false;
  if (!permits(access, known, (known & NO_EXECUTE) != 0)) return false;
  store<u64>(PCPU, (<u64>cachedTable(lin) << 12) + (lin & 0x1fffff), WalkOff.gpa);
  store<u32>(PCPU, known & 0xffffff, WalkOff.attributes);
  store<u32>(PCPU, known >> 24, WalkOff.shift);
  return true;
}

/** The last level alone, in the table that cachedTable() found. */
@inline function lastLevel(lin: u64, access: u32): i32 {
  const table = cachedTable(lin), upper = tableRights(lin);
  const wide = (cr4() & Cr4.PAE) != 0;
  const at = wide ? table + ((<usize>(lin >> 12) & 511) << 3) : table + ((<usize>(lin >> 12) & 1023) << 2);
  const entry = wide ? atomic.load<u64>(at) : <u64>atomic.load<u32>(at);
  if (!(entry & Pte.P)) return Outcome.refused;
  if (wide) {
    const reserved = (efer() & Efer.LMA ? HIGH : HIGH_PAE) | (efer() & Efer.NXE ? 0 : NX);
    if (entry & reserved) return Outcome.refused;
  }
  const nx = (upper & UPPER_NX) != 0 || (wide && (entry & NX) != 0);
  if (!permits(access, upper & <u32>entry, nx)) return Outcome.refused;
  const dirty: u32 = access & Pfec.W ? Pte.D : 0;
  if (~<u32>entry & (Pte.A | dirty) && !setFlags(at, entry, Pte.A | dirty, (access & Pfec.I) != 0)) return Outcome.changed;
  return found((upper & <u32>entry), nx, <u32>entry | dirty, 12, (entry & FRAME) | (lin & 0xfff));
}

/** Levels of 512 entries of 8 bytes from `shift` down. `reserved` holds in every entry. */
function walk64(table: u64, lin: u64, access: u32, shift: i32, reserved: u64): i32 {
  let rights: u64 = Pte.RW | Pte.US | Pte.A, nx: u64 = 0, step: u32 = 0;
  while (true) {
    const entry = readEntry64(table + (((lin >> shift) & 511) << 3), step);
    if (shift == 12) {
      store<u32>(PCPU, <u32>rights & (Pte.RW | Pte.US) | (nx & NX ? UPPER_NX : 0), WalkOff.upper);
      store<u32>(PCPU, 12, WalkOff.shift);
    }
    if (!(entry & Pte.P)) return refuse(access, 0);
    let illegal = reserved;
    const large = shift > 12 && (entry & Pte.PS) != 0;
    if (large) {
      if (shift == 39) illegal |= Pte.PS;
      else illegal |= (((<u64>1) << shift) - 1) & ~(<u64>0x1fff); // bit 12 is PAT
    }
    if (entry & illegal) return refuse(access, Pfec.P | Pfec.RSVD);
    rights &= entry;
    nx |= entry;
    if (large || shift == 12) {
      const offset = ((<u64>1) << shift) - 1;
      return conclude(access, <u32>rights, (nx & NX) != 0, <u32>entry, shift, (entry & FRAME & ~offset) | (lin & offset));
    }
    table = entry & FRAME;
    shift -= 9;
    step++;
  }
}

/** 32-bit paging. A 4 MiB page has address bits 39..32 in bits 20..13 of its entry (PSE-36); bit 21 is reserved. */
@inline function walk32(table: u64, lin: u32, access: u32): i32 {
  const pde = readEntry32(table + <u64>((lin >>> 22) << 2), 0);
  if (!(pde & Pte.P)) return refuse(access, 0);
  if (pde & Pte.PS && cr4() & Cr4.PSE) {
    if (pde & 0x200000) return refuse(access, Pfec.P | Pfec.RSVD);
    const gpa = <u64>(pde & 0xffc00000) | (<u64>(pde & 0x1fe000) << 19) | <u64>(lin & 0x3fffff);
    return conclude(access, pde, false, pde, 22, gpa);
  }
  const pte = readEntry32(<u64>(pde & 0xfffff000) + <u64>(((lin >>> 12) & 1023) << 2), 1);
  store<u32>(PCPU, pde & (Pte.RW | Pte.US), WalkOff.upper);
  store<u32>(PCPU, 12, WalkOff.shift);
  if (!(pte & Pte.P)) return refuse(access, 0);
  return conclude(access, pde & pte, false, pte, 12, <u64>(pte & 0xfffff000) | <u64>(lin & 0xfff));
}

/** "Determination of Access Rights": `rights`, accessed flag included, and `nx` are combined over all levels, `leaf` is the entry that maps. */
@inline function conclude(access: u32, rights: u32, nx: bool, leaf: u32, shift: i32, gpa: u64): i32 {
  if (!permits(access, rights, nx)) return refuse(access, Pfec.P);
  const dirty: u32 = access & Pfec.W ? Pte.D : 0;
  if ((~rights & Pte.A || ~leaf & dirty) && !setAllFlags(dirty, (access & Pfec.I) != 0)) return Outcome.changed;
  return found(rights, nx, leaf | dirty, shift, gpa);
}

@inline function found(rights: u32, nx: bool, leaf: u32, shift: i32, gpa: u64): i32 {
  let attributes = (rights & (Pte.RW | Pte.US)) | (leaf & Pte.D);
  if (cr4() & Cr4.PGE) attributes |= leaf & Pte.G;
  if (nx) attributes |= NO_EXECUTE;
  store<u64>(PCPU, gpa, WalkOff.gpa);
  store<u32>(PCPU, attributes, WalkOff.attributes);
  store<u32>(PCPU, shift, WalkOff.shift);
  return Outcome.allowed;
}

/** Whether a page with these combined rights may be accessed so. */
@inline export function permits(access: u32, rights: u32, nx: bool): bool {
  if (nx && access & Pfec.I) return false;
  if (access & Pfec.U) {
    if (!(rights & Pte.US)) return false;
    return !(access & Pfec.W) || (rights & Pte.RW) != 0;
  }
  if (rights & Pte.US) {
    if (access & Pfec.I) { if (cr4() & Cr4.SMEP) return false; }
    else if (cr4() & Cr4.SMAP && !(access & SMAP_OFF)) return false;
  }
  return !(access & Pfec.W) || (rights & Pte.RW) != 0 || !(cr0() & Cr0.WP);
}

/** I is reported only where execution can be refused: NXE with PAE or 4-level paging, or SMEP. */
function refuse(access: u32, reason: u32): i32 {
  let error = reason | (access & (Pfec.W | Pfec.U));
  if (access & Pfec.I && (cr4() & Cr4.SMEP || (cr4() & Cr4.PAE && efer() & Efer.NXE))) error |= Pfec.I;
  store<u32>(PCPU, error, WalkOff.error);
  return Outcome.refused;
}

/** Entry at `gpa`, which is used in `step` of the walk. Where there is no memory reads give all ones. */
@inline function readEntry64(gpa: u64, step: u32): u64 {
  const at = noteStep(gpa, step);
  if (!at) return ALL_ONES;
  const entry = atomic.load<u64>(at);
  store<u64>(PCPU + (<usize>step << 3), entry, WalkOff.entry);
  return entry;
}

@inline function readEntry32(gpa: u64, step: u32): u32 {
  const at = noteStep(gpa, step);
  if (!at) return <u32>ALL_ONES;
  const entry = atomic.load<u32>(at);
  store<u64>(PCPU + (<usize>step << 3), <u64>entry, WalkOff.entry);
  return entry;
}

/** Address of the entry at `gpa`, recorded as that of `step`; flags of entries in read-only memory stay as they are. */
@inline function noteStep(gpa: u64, step: u32): usize {
  const found = tableEntry(gpa);
  const at = found ? (<usize>(found & P2m.MFN_MASK) << 12) | (<usize>gpa & 0xfff) : 0;
  store<u32>(PCPU + (<usize>step << 2), isWritable(found) ? at : 0, WalkOff.entryAt);
  store<u32>(PCPU, step + 1, WalkOff.steps);
  return at;
}

/** Sets the accessed flag in all entries used and `dirty` in the last. False if an entry has changed meanwhile. */
function setAllFlags(dirty: u32, fetch: bool): bool {
  const steps = load<u32>(PCPU, WalkOff.steps);
  for (let step: u32 = 0; step < steps; step++) {
    const at = <usize>load<u32>(PCPU + (<usize>step << 2), WalkOff.entryAt), entry = load<u64>(PCPU + (<usize>step << 3), WalkOff.entry);
    const flags = Pte.A | (step + 1 == steps ? dirty : 0);
    if (at && ~<u32>entry & flags && !setFlags(at, entry, flags, fetch)) return false;
  }
  return true;
}

/** Sets `flags` in `entry`, which was read at `at`. False if it has changed meanwhile. */
function setFlags(at: usize, entry: u64, flags: u32, fetch: bool): bool {
  const wide = (cr4() & Cr4.PAE) != 0, wanted = entry | <u64>flags;
  if (checkPhase() > Check.idle) tableWritten(at, fetch);
  if (hasCode(at)) beforeStore(at, wide ? 8 : 4);
  return wide ? atomic.cmpxchg<u64>(at, entry, wanted) == entry : atomic.cmpxchg<u32>(at, <u32>entry, <u32>wanted) == <u32>entry;
}

/** Whether MOV to CR3, CR0 or CR4 may load the PDPTEs at `cr3` (SDM Vol.3A "PDPTE Registers"): #GP(0) if not. */
export function pdptesAreValid(cr3: u64): bool {
  for (let n: u64 = 0; n < 4; n++) {
    const pdpte = readEntry64((cr3 & 0xffffffe0) + (n << 3), 0);
    if (pdpte & Pte.P && pdpte & (HIGH_PAE | NX | 0x1e6)) return false;
  }
  return true;
}
