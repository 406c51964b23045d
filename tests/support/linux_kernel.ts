/** Kernels in the form of a bzImage, from NASM source: a setup header (Documentation/arch/x86/boot.rst) and 32-bit code. */
import { nasm } from "./nasm";

export interface LinuxHeader {
  readonly version?: number;
  readonly loadflags?: number;
  readonly code32Start?: number;
  readonly ramdiskMost?: number;
  readonly isMovable?: boolean;
  readonly cmdlineMost?: number;
  readonly prefAddress?: number;
  readonly initSize?: number;
}

/** `code` is the protected-mode part; it runs where the loader puts it. Two sectors of real-mode code precede it. */
export function linuxKernel(code: Uint8Array, header: LinuxHeader = {}): Uint8Array {
  const { version = 0x20f, loadflags = 1, code32Start = 0x10_0000, ramdiskMost = 0x7fff_ffff, isMovable = true } = header;
  const { cmdlineMost = 255, prefAddress = 0x20_0000, initSize = 0x10_0000 } = header;
  const file = new Uint8Array(0x400 + code.length);
  const view = new DataView(file.buffer);
  file[0x1f1] = 1;
  view.setUint16(0x1fe, 0xaa55, true);
  file.set([0xeb, 0x66], 0x200); // the header ends at 0x268
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, version, true);
  file[0x211] = loadflags;
  view.setUint32(0x214, code32Start, true);
  view.setUint32(0x22c, ramdiskMost, true);
  view.setUint32(0x230, 0x20_0000, true);
  file[0x234] = isMovable ? 1 : 0;
  view.setUint32(0x238, cmdlineMost, true);
  view.setBigUint64(0x258, BigInt(prefAddress), true);
  view.setUint32(0x260, initSize, true);
  file.set(code, 0x400);
  return file;
}

/** 32-bit code that begins at `org` with `body`; `putc` (AL), `puts` (ESI), `hex` (EAX) and `exit` (AL) as in a Multiboot test
 *  kernel. There is no stack until `body` makes one. */
export function linuxCode(org: number, body: string): Uint8Array {
  return nasm(`
  bits 32
  org ${org}
    ${body}
  putc:
    push edx
    mov dx, 0x3f8
    out dx, al
    pop edx
    ret
  puts:
    lodsb
    test al, al
    jz .done
    call putc
    jmp puts
  .done: ret
  hex:
    push ecx
    mov ecx, 8
  .digit: rol eax, 4
    push eax
    and al, 15
    cmp al, 10
    sbb al, 0x69
    das
    call putc
    pop eax
    loop .digit
    mov al, ' '
    call putc
    pop ecx
    ret
  exit:
    out 0xf4, al
    hlt`);
}
