/** Linux's 32-bit boot protocol (Documentation/arch/x86/boot.rst): what the processor's registers, the zero page and the
 *  memory around hold when a bzImage starts on the bare PC. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bootPc, machineTests, refuses } from "../support/bare_pc";
import { linuxCode, linuxKernel } from "../support/linux_kernel";

const test = suite("Linux's boot protocol");
const it = machineTests(test);

/** Prints registers at the start: EBX, EBP, EDI, CR0, EFLAGS, then segment selectors after reloading them all. */
const REGISTERS = linuxCode(0x200000, `
    mov esp, 0x2f0000
    pushfd
    mov eax, ebx
    or eax, ebp
    or eax, edi
    call hex
    mov eax, cr0
    call hex
    pop eax
    and eax, 0x200
    call hex
    xor eax, eax
    mov ax, cs
    call hex
    mov ax, ds
    call hex
    mov ax, es
    call hex
    mov ax, ss
    call hex
    jmp 0x10:.far ; the table is there
  .far: mov ax, 0x18
    mov ds, ax
    mov ss, ax
    mov eax, [esi + 0x214]
    call hex
    mov al, 0
    call exit`);

it("registers, selectors and descriptors", async (machine) => {
  const { text } = await bootPc(machine, { kernel: linuxKernel(REGISTERS) });
  assert.is(text, "00000000 00000011 00000000 00000010 00000018 00000018 00000018 00200000 ");
});

/** Prints of the zero page: header magic, loader, addresses and strings, memory sizes, e820. */
const ZERO_PAGE = (org: number) => linuxCode(org, `
    mov esp, ${org + 0xf0000}
    mov ebp, esi
    mov eax, [ebp + 0x202]
    call hex
    movzx eax, byte [ebp + 0x210]
    call hex
    movzx eax, byte [ebp + 0x1ef]
    call hex
    mov esi, [ebp + 0x228]
    call puts
    mov al, '|'
    call putc
    mov esi, [ebp + 0x218]
    test esi, esi
    jz .none
    call puts
    mov eax, [ebp + 0x218]
    call hex
    mov eax, [ebp + 0x21c]
    call hex
  .none: movzx eax, word [ebp + 2]
    call hex
    mov eax, [ebp + 0x1e0]
    call hex
    movzx ecx, byte [ebp + 0x1e8]
    lea edi, [ebp + 0x2d0]
  .entry: cmp dword [edi + 16], 1
    jne .skip
    mov eax, [edi]
    call hex
    mov eax, [edi + 8]
    call hex
  .skip: add edi, 20
    loop .entry
    mov al, 0
    call exit`);

it("the zero page: command line, ramdisk as high as may be, memory", async (machine) => {
  const ramdisk = new TextEncoder().encode("the ramdisk\0");
  const kernel = linuxKernel(ZERO_PAGE(0x200000), { ramdiskMost: 0x5f_ffff });
  const { text } = await bootPc(machine, { kernel, ramdisk, cmdline: "console=ttyS0 x" });
  assert.is(text, "53726448 000000FF 00000000 console=ttyS0 x|the ramdisk005FF000 0000000C 00001C00 00001C00 00000000 0009FC00 00100000 00700000 ");
});

it("a kernel that cannot be moved runs at code32_start; old headers end early", async (machine) => {
  for (const header of [{ isMovable: false }, { version: 0x202, code32Start: 0x10_0000 }]) {
    const { text } = await bootPc(machine, { kernel: linuxKernel(ZERO_PAGE(0x100000), header) });
    assert.match(text, /^53726448 000000FF 00000000 \|00001C00 /);
  }
});

it("what cannot start is refused by name", async (machine) => {
  const code = new Uint8Array(16).fill(0xf4);
  await refuses(machine, [
    [{ kernel: linuxKernel(code, { version: 0x201 }) }, /^kernel: .*boot protocol 2.1 is older/],
    [{ kernel: linuxKernel(code, { loadflags: 0 }) }, /^kernel: it is a zImage/],
    [{ kernel: linuxKernel(code, { isMovable: false, code32Start: 0 }) }, /^kernel: it has no 32-bit entry point/],
    [{ kernel: linuxKernel(code).subarray(0, 0x400) }, /^kernel: its setup header is damaged/],
    [{ kernel: linuxKernel(code, { initSize: 0x60_0001 }) }, /^memory: 8 MiB cannot hold kernel, which take 9 MiB/],
    [{ kernel: linuxKernel(code, { prefAddress: 0x1_0000_0000 }) }, /^memory: /],
    [{ kernel: linuxKernel(code), ramdisk: new Uint8Array(6 << 20) }, /^memory: 8 MiB cannot hold kernel and its ramdisk/],
    [{ kernel: linuxKernel(code, { ramdiskMost: 0x2f_ffff }), ramdisk: code }, /^memory: /],
    [{ kernel: linuxKernel(code), cmdline: "x".repeat(256) }, /^cmdline: .*up to 255 bytes, not 256/],
    [{ kernel: linuxKernel(code), ramdisk: code, modules: [{ image: code }] }, /^modules: a Linux kernel has one module/],
  ]);
});

test.run();
