/** Translation of linear addresses as SDM Vol.3A describes it ("32-Bit Paging", "PAE Paging", "4-Level Paging", "Access
 *  Rights", "Page-Fault Exceptions"), written to be compared with, not to be fast. Shares nothing with the core. */

export interface Control {
  pg: boolean;
  wp: boolean;
  pae: boolean;
  lma: boolean;
  pse: boolean;
  nxe: boolean;
  smep: boolean;
  smap: boolean;
  ac: boolean;
  cr3: number;
}

export interface Access {
  user: boolean;
  /** Not made by the instruction as such: descriptor tables, TSS. */
  implicit?: boolean;
  kind: "read" | "write" | "fetch";
}

export type Entry = { at: number; low: number; high: number };

export type Walk =
  | { ok: true; gpa: bigint; used: Entry[] }
  | { ok: false; error: number };

const MAXPHYADDR = 40;

/** Reads a 32-bit word of physical memory. */
export type Physical = (gpa: number) => number;

export function referenceWalk(control: Control, access: Access, lin: bigint, physical: Physical): Walk {
  const fault = (present: boolean, reserved: boolean): Walk => {
    let error = 0;
    if (present) error += 1;
    if (access.kind === "write") error += 2;
    if (access.user) error += 4;
    if (reserved) error += 8;
    const executeDisable = control.pae && control.nxe;
    if (access.kind === "fetch" && (control.smep || executeDisable)) error += 16;
    return { ok: false, error };
  };
  if (!control.pg) return { ok: true, gpa: lin, used: [] };

  // Each step: entry, then whether it is the last.
  const used: Entry[] = [];
  let userPage = true;
  let writable = true;
  let noExecute = false;
  let gpa = 0n;

  if (!control.pae) {
    const pdeAt = (control.cr3 & ~0xfff) + Number((lin >> 22n) & 1023n) * 4;
    const pde = physical(pdeAt) >>> 0;
    if ((pde & 1) === 0) return fault(false, false);
    used.push({ at: pdeAt, low: pde, high: 0 });
    userPage = (pde & 4) !== 0;
    writable = (pde & 2) !== 0;
    if (control.pse && (pde & 0x80) !== 0) {
      if ((pde >>> 21) & 1) return fault(true, true); // bit 21: M-19 with M = 40
      const high = BigInt((pde >>> 13) & 0xff);
      gpa = (high << 32n) + (BigInt(pde >>> 22) << 22n) + (lin & 0x3fffffn);
    } else {
      const pteAt = pde - (pde % 4096) + Number((lin >> 12n) & 1023n) * 4;
      const pte = physical(pteAt) >>> 0;
      if ((pte & 1) === 0) return fault(false, false);
      used.push({ at: pteAt, low: pte, high: 0 });
      userPage &&= (pte & 4) !== 0;
      writable &&= (pte & 2) !== 0;
      gpa = BigInt(pte - (pte % 4096)) + (lin & 0xfffn);
    }
  } else {
    let table: number;
    let levels: number[];
    if (control.lma) {
      table = control.cr3 - (control.cr3 % 4096);
      levels = [39, 30, 21, 12];
    } else {
      const at = control.cr3 - (control.cr3 % 32) + Number((lin >> 30n) & 3n) * 8;
      const low = physical(at) >>> 0;
      const high = physical(at + 4) >>> 0;
      if ((low & 1) === 0) return fault(false, false);
      const reservedLow = (low >>> 1) & 3 || (low >>> 5) & 15;
      if (reservedLow || high >>> (MAXPHYADDR - 32)) return fault(true, true);
      table = high * 2 ** 32 + low - (low % 4096);
      levels = [21, 12];
    }
    for (const shift of levels) {
      const at = table + Number((lin >> BigInt(shift)) & 511n) * 8;
      const low = physical(at) >>> 0;
      const high = physical(at + 4) >>> 0;
      if ((low & 1) === 0) return fault(false, false);
      const nx = high >>> 31 === 1;
      const large = shift !== 12 && (low & 0x80) !== 0;
      // Bits 51..40 always; PAE paging also reserves 62..52.
      const aboveAddress = (high & (control.lma ? 0xfffff : 0x7fffffff)) >>> (MAXPHYADDR - 32);
      let reserved = aboveAddress !== 0;
      if (nx && !control.nxe) reserved = true;
      if (shift === 39 && large) reserved = true;
      if (shift === 30 && large && (low & 0x3fffe000) !== 0) reserved = true; // 29..13
      if (shift === 21 && large && (low & 0x001fe000) !== 0) reserved = true; // 20..13
      if (reserved) return fault(true, true);
      used.push({ at, low, high });
      userPage &&= (low & 4) !== 0;
      writable &&= (low & 2) !== 0;
      noExecute ||= nx && control.nxe;
      const address = (BigInt(high & 0xff) << 32n) | BigInt(low - (low % 4096));
      if (large || shift === 12) {
        const size = 1n << BigInt(shift);
        gpa = address - (address % size) + (lin % size);
        break;
      }
      table = Number(address);
    }
  }

  let allowed: boolean;
  if (access.user) {
    allowed = userPage && (access.kind !== "write" || writable) && (access.kind !== "fetch" || !noExecute);
  } else if (access.kind === "fetch") {
    allowed = !noExecute && !(userPage && control.smep);
  } else {
    const smap = control.smap && userPage && (access.implicit === true || !control.ac);
    allowed = !smap && (access.kind === "read" || writable || !control.wp);
  }
  return allowed ? { ok: true, gpa, used } : fault(true, false);
}
