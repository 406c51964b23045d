/** What maps an address, where that is a large page or paging is off, without a trace: no flag of an entry is set, nothing faults. A page is found
 *  only if a walk for the access would have set none: where accessed and, for writing, dirty flags are set already. */
import { P2m, PcpuOff } from "../abi/layout";
import { Cr0, Cr4, Efer, Pfec, Pte } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { FRAME, HIGH, HIGH_PAE, NX, isCanonical, permits } from "./guest_walk";
import { tableEntry } from "./table_cache";

/** Of what largePage() returns: the bits that are the page's size as a shift, and whether it is global. */
export const SHIFT: u64 = 63;
export const GLOBAL: u64 = 64;
const ADDRESS: u64 = ~(<u64>0xfff);
const WHOLE: u64 = 32; // without paging

/** Guest-physical address of the page of `lin` for `access` (as of walk()), with SHIFT and GLOBAL below; 0 if it is none of these. */
export function largePage(lin: u64, access: u32): u64 {
  const cr3 = load<u64>(PCPU, PcpuOff.cr3), cr4 = load<u64>(PCPU, PcpuOff.cr4), efer = load<u64>(PCPU, PcpuOff.efer);
  const long = (efer & Efer.LMA) != 0;
  if (long ? !isCanonical(lin) : lin >> 32 != 0) return 0;
  if (!(load<u64>(PCPU, PcpuOff.cr0) & (<u64>1 << Cr0.PG_BIT))) return (lin & ADDRESS) | GLOBAL | WHOLE;
  if (!(cr4 & Cr4.PAE)) return legacy(lin, access, cr3 & 0xfffff000);
  const nx = efer & Efer.NXE ? 0 : NX;
  if (long) return down(lin, access, cr3 & FRAME, 39, HIGH | nx);
  const pdpte = entry64((cr3 & 0xffffffe0) + ((lin >> 27) & 0x18));
  if (!(pdpte & Pte.P) || pdpte & (HIGH_PAE | NX | 0x1e6)) return 0;
  return down(lin, access, pdpte & FRAME, 21, HIGH_PAE | nx);
}

/** Address of the table entry at `gpa`, 0 if there is no memory. */
@inline function at(gpa: u64): usize {
  const found = tableEntry(gpa);
  return found ? (<usize>(found & P2m.MFN_MASK) << 12) | (<usize>gpa & 0xfff) : 0;
}

function entry64(gpa: u64): u64 {
  const a = at(gpa);
  return a ? atomic.load<u64>(a) : 0;
}

function down(lin: u64, access: u32, table: u64, shift: u32, reserved: u64): u64 {
  let rights: u64 = Pte.RW | Pte.US | Pte.A;
  for (; shift > 12; shift -= 9) {
    const entry = entry64(table + (((lin >> shift) & 511) << 3));
    if (!(entry & Pte.P) || entry & reserved) return 0;
    rights &= entry;
    if (entry & Pte.PS) {
      const offset = (<u64>1 << shift) - 1;
      return shift == 39 || entry & offset & ~(<u64>0x1fff) ? 0 : found(lin, access, <u32>rights, <u32>entry, shift, (entry & FRAME & ~offset) | (lin & offset));
    }
    table = entry & FRAME;
  }
  return 0;
}

/** 32-bit paging with PSE-36, as in guest_walk. */
function legacy(lin: u64, access: u32, table: u64): u64 {
  const a = at(table + (lin >> 22 << 2)), pde = a ? atomic.load<u32>(a) : 0;
  if (!(pde & Pte.P) || !(pde & Pte.PS) || !(load<u64>(PCPU, PcpuOff.cr4) & Cr4.PSE) || pde & 0x200000) return 0;
  return found(lin, access, pde, pde, 22, <u64>(pde & 0xffc00000) | (<u64>(pde & 0x1fe000) << 19) | (lin & 0x3fffff));
}

function found(lin: u64, access: u32, rights: u32, leaf: u32, shift: u32, gpa: u64): u64 {
  if (!(rights & Pte.A) || (access & Pfec.W && !(leaf & Pte.D)) || !permits(access, rights, false)) return 0;
  return (gpa & ADDRESS) | (leaf & Pte.G && load<u64>(PCPU, PcpuOff.cr4) & Cr4.PGE ? GLOBAL : 0) | shift;
}
