/** Bare kernels and ROMs from NASM source, for tests of HVM domains. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const nasmMissing = spawnSync("nasm", ["-v"]).status !== 0;

export function nasm(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "xenolith-"));
  try {
    writeFileSync(join(folder, "a.asm"), source);
    const run = spawnSync("nasm", ["-f", "bin", "-o", join(folder, "a.bin"), join(folder, "a.asm")], { encoding: "utf8" });
    if (run.status !== 0) throw new Error(`nasm: ${run.error ?? run.stderr}`);
    return Uint8Array.from(readFileSync(join(folder, "a.bin")));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A flat Multiboot kernel at 1 MiB around `body`, 32-bit code; EAX and EBX are as the loader left them, also in `magic` and
 *  `info`. At its disposal: a stack, `putc` (AL), `puts` (ESI), `hex` (EAX), `exit` (AL to the debug-exit port), an IDT with
 *  `gate` (EAX vector, EDX handler) in which every exception prints its number and ends. */
export function multibootKernel(body: string, version: 1 | 2 = 1): Uint8Array {
  const header1 = `
    align 4
  header: dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, start, end, end + 0x8000, entry`;
  const header2 = `
    align 8
  header: dd 0xe85250d6, 0, header_end - header, 0x100000000 - (0xe85250d6 + (header_end - header))
    dw 2, 0
    dd 24, header, start, end, end + 0x8000
    dw 3, 0
    dd 12, entry, 0
    dw 0, 0
    dd 8
  header_end:`;
  return nasm(`
  bits 32
  org 0x100000
  start:
    jmp entry
  ${version === 1 ? header1 : header2}
  entry:
    mov esp, end + 0x8000
    mov [magic], eax
    mov [info], ebx
    push eax
    mov al, 3
    mov dx, 0x3fb
    out dx, al
    lgdt [gdtr]
    jmp 8:.flat
  .flat:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov ecx, 256
    xor eax, eax
  .fill:
    mov edx, unexpected
    call gate
    inc eax
    loop .fill
    lidt [idtr]
    pop eax
    ${body}
    mov al, 0
    call exit
  unexpected:
    mov esi, .text
    call puts
    mov eax, [esp]
    call hex
    mov al, 0x7f
    call exit
  .text: db "unexpected ", 0
  gate: ; eax vector, edx handler
    push ebx
    lea ebx, [idt + eax * 8]
    mov [ebx], dx
    mov word [ebx + 2], 8
    mov word [ebx + 4], 0x8e00
    ror edx, 16
    mov [ebx + 6], dx
    ror edx, 16
    pop ebx
    ret
  putc:
    push edx
    push eax
    mov dx, 0x3fd
  .wait: in al, dx
    test al, 0x20
    jz .wait
    pop eax
    mov dx, 0x3f8
    out dx, al
    pop edx
    ret
  puts:
    push eax
  .next: lodsb
    test al, al
    jz .done
    call putc
    jmp .next
  .done: pop eax
    ret
  hex: ; eax, eight digits and a space
    push ecx
    push eax
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
    pop eax
    pop ecx
    ret
  exit:
    out 0xf4, al
    cli
    hlt
    jmp exit
    align 8
  gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
  gdtr: dw 23
    dd gdt
  idtr: dw 0x7ff
    dd idt
  magic: dd 0
  info: dd 0
    align 8
  idt: times 512 dd 0
  end:
  `);
}
