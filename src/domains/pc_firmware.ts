/** What a PC's firmware leaves behind for a boot loader and its kernel: interrupt vectors that do nothing, the BIOS data area (IBM
 *  PC/AT Technical Reference, "ROM BIOS Data Area"), and the 8259s with the timer's 18.2 ticks a second running. Calls of
 *  BIOS services return without having done anything. */

/** The code's place in the first MiB: a read-only page at its end, where the reset vector also is. */
export const STUB_GPA = 0xf_f000;
/** In that page: ACPI's root pointer, where a search finds it. */
export const RSDP_GPA = STUB_GPA + 0x100;
/** And the MP tables. */
export const MP_GPA = STUB_GPA + 0x200;
const STUB_SEGMENT = 0xf000;
const STUB_OFFSET = STUB_GPA - STUB_SEGMENT * 16;
const RESET = 0xff0;

/** Vectors of the two 8259s. */
export const PIC_VECTORS = [0x08, 0x70] as const;

const enum Stub {
  nothing = 0x00,
  timer = 0x10,
  first = 0x30,
  second = 0x40,
}

//  16-bit code
const CODE: readonly (readonly [Stub, readonly number[]])[] = [
  [Stub.nothing, [0xcf]], // iret
  // push ds; push ax; mov ax, 0x40; mov ds, ax; inc dword [0x6c]; mov al, 0x20; out 0x20, al; pop ax; pop ds; iret
  [Stub.timer, [0x1e, 0x50, 0xb8, 0x40, 0x00, 0x8e, 0xd8, 0x66, 0xff, 0x06, 0x6c, 0x00, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0x1f, 0xcf]],
  [Stub.first, [0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf]], // push ax; mov al, 0x20; out 0x20, al; pop ax; iret
  [Stub.second, [0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf]], // the same for both
];

/** The read-only page. Who jumps to the reset vector resets the PC. */
export function stubPage(): Uint8Array {
  const page = new Uint8Array(4096);
  for (const [at, bytes] of CODE) page.set(bytes, at);
  page.set([0xb0, 0xfe, 0xe6, 0x64, 0xf4], RESET); // mov al, 0xfe; out 0x64, al; hlt
  return page;
}

/** Interrupt vectors and BIOS data area, from address 0. */
export function lowMemory(ebdaGpa: number): Uint8Array {
  const bytes = new Uint8Array(0x500);
  const view = new DataView(bytes.buffer);
  for (let vector = 0; vector < 256; vector++) {
    const [first, second] = PIC_VECTORS;
    const isFirst = vector > first && vector < first + 8;
    const isSecond = vector >= second && vector < second + 8;
    const stub = vector === first ? Stub.timer : isFirst ? Stub.first : isSecond ? Stub.second : Stub.nothing;
    view.setUint16(4 * vector, STUB_OFFSET + stub, true);
    view.setUint16(4 * vector + 2, STUB_SEGMENT, true);
  }
  view.setUint16(0x400, 0x3f8, true); // COM1
  view.setUint16(0x40e, ebdaGpa >> 4, true);
  view.setUint16(0x410, 0x0202, true); // equipment: a coprocessor, one serial port
  view.setUint16(0x413, ebdaGpa >> 10, true); // KiB of base memory
  return bytes;
}
