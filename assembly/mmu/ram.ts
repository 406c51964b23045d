/** Accesses to what is not memory: the local APIC's page, devices, and holes (which read as ones). They are made in
 *  naturally aligned pieces of 4, 2 and 1 bytes, lowest address first. */
import { PcpuOff } from "../abi/layout";
import { apicRead, apicWrite } from "../cpu/helpers/apic";
import { PCPU } from "../cpu/pcpu";
import { mmioRead, mmioWrite } from "../env";

const APIC_ENABLED: u64 = 1 << 11, APIC_X2: u64 = 1 << 10; // IA32_APIC_BASE

/** Whether the enabled local APIC is at `gpa`: it hides whatever memory is there. */
@inline export function isApic(gpa: u64): bool {
  const base = load<u64>(PCPU, PcpuOff.apicBase);
  return (base & (APIC_ENABLED | APIC_X2)) == APIC_ENABLED && ((base ^ gpa) & 0xff_ffff_f000) == 0;
}

/** Whether it is within `size` bytes from there on. */
export function hasApic(gpa: u64, size: u32): bool {
  const base = load<u64>(PCPU, PcpuOff.apicBase);
  return isApic(base) && (base & 0xff_ffff_f000) - gpa < size;
}

@inline function pieceSize(at: u32, left: u32): u32 {
  return at & 1 || left < 2 ? 1 : at & 2 || left < 4 ? 2 : 4;
}

/** `len` bytes of the device at `gpa`, within its page, into host memory. */
export function deviceRead(gpa: u64, to: usize, len: u32): void {
  const apic = isApic(gpa);
  while (len) {
    const size = pieceSize(<u32>gpa, len);
    const value = apic ? apicRead(<u32>gpa & 0xffc) >>> ((<u32>gpa & 3) << 3) : mmioRead(<u32>gpa, <u32>(gpa >> 32), size);
    if (size == 4) store<u32>(to, value);
    else if (size == 2) store<u16>(to, value);
    else store<u8>(to, value);
    gpa += size; to += size; len -= size;
  }
}

/** APIC registers take whole aligned doublewords only (SDM Vol.3A "The Local APIC Block Diagram"). */
export function deviceWrite(gpa: u64, from: usize, len: u32): void {
  const apic = isApic(gpa);
  while (len) {
    const size = pieceSize(<u32>gpa, len);
    const value = size == 4 ? load<u32>(from) : size == 2 ? <u32>load<u16>(from) : <u32>load<u8>(from);
    if (!apic) mmioWrite(<u32>gpa, <u32>(gpa >> 32), size, value);
    else if (size == 4) apicWrite(<u32>gpa & 0xffc, value);
    gpa += size; from += size; len -= size;
  }
}
