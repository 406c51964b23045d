/** The hypercall page (public/arch-x86/xen-x86_64.h): 128 stubs of 32 bytes, one a hypercall:
 *  ```
 *  b8 nn nn nn nn   mov eax, n
 *  0f 01 d9         vmmcall
 *  c3               ret
 *  ```
 *  but `ud2` for iret, which only PV guests have. */
import { beforeStore } from "../../mmu/code_pages";
import { physical } from "../../mmu/p2m";

const IRET: u32 = 23;

/** Fills the guest page at `gpa`; false if there is no memory. */
export function fillHypercallPage(gpa: u64): bool {
  const page = physical(gpa & ~(<u64>0xfff));
  if (!page) return false;
  beforeStore(page, 4096);
  memory.fill(page, 0xcc, 4096);
  for (let n: u32 = 0; n < 128; n++) {
    const at = page + n * 32;
    if (n == IRET) {
      store<u16>(at, 0x0b0f);
      continue;
    }
    store<u8>(at, 0xb8);
    store<u32>(at, n, 1);
    store<u32>(at, 0xc3d9010f, 5);
  }
  return true;
}
