/** Translation of instruction pages, for the decoder. */
import { PcpuOff, TlbOff } from "../abi/layout";
import { Pfec, Pte, Vector } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { raise, raiseError, raisePageFault } from "../fault";
import { isCanonical, permits, walk } from "./guest_walk";
import { ramEntry } from "./p2m";
import { isApic } from "./ram";
import { knownPage, rememberPage } from "./second_level";
import { fillCode, noteLarge, TlbFlag, xtlbEntry } from "./tlb";
import { NO_EXECUTE, WalkOff } from "./walk_words";

/** Machine address of the code byte at `lin` at the current privilege; good to the end of the page. 0: fault pending.
 *  Where there is no memory a fetch gives all ones, and FF FF is an undefined opcode: #UD. */
export function fetchPage(lin: u64): u32 {
  const user: u64 = load<u32>(PCPU, PcpuOff.cpl) == 3 ? 2 : 0;
  const entry = xtlbEntry(lin), tag = (lin & ~(<u64>0xfff)) | user;
  if (load<u64>(entry) != tag) {
    const access: u32 = Pfec.I | (user ? Pfec.U : 0);
    let known = knownPage(lin);
    if (!known || !permits(access, known, (known & NO_EXECUTE) != 0)) {
      if (!isCanonical(lin)) return <u32>raiseError(Vector.GP, 0);
      if (!walk(lin, access)) return <u32>raisePageFault(lin, load<u32>(PCPU, WalkOff.error));
      const gpa = load<u64>(PCPU, WalkOff.gpa);
      const found = isApic(gpa) ? 0 : ramEntry(gpa);
      if (!found) return <u32>raise(Vector.UD);
      const shift = load<u32>(PCPU, WalkOff.shift);
      if (shift > 12) noteLarge(lin, shift);
      known = rememberPage(lin, found);
    }
    fillCode(entry, tag, known & ~0xfff, (known & Pte.G) != 0);
  }
  store<u32>(PCPU, load<u32>(entry, TlbOff.flags) & TlbFlag.global, WalkOff.fetchGlobal);
  return load<u32>(entry, TlbOff.addend) | (<u32>lin & 0xfff);
}

/** Whether the translation of the last fetchPage() survives CR3 writes. */
export function fetchGlobal(): bool { return load<u32>(PCPU, WalkOff.fetchGlobal) != 0; }
