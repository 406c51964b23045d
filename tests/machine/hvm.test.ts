/** The bare PC of HVM domains, seen by small kernels: start, console, memory, firmware, the ways to end. With threads and
 *  without. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DomainStop } from "../../src/index";
import { bootPc, machineTests, refuses, SHOW } from "../support/bare_pc";
import { multibootKernel, nasm } from "../support/nasm";

for (const threads of [true, false]) {
  const test = suite(threads ? "bare PC on threads" : "bare PC on the event loop");
  const it = machineTests(test, { threads });

  it("a Multiboot kernel prints on COM1 and ends with a status", async (machine) => {
    const kernel = multibootKernel(`
      call hex
      mov esi, text
      call puts
      mov al, 0x15
      call exit
    text: db "hello", 13, 10, 0`);
    assert.equal(await bootPc(machine, { kernel }), { text: "2BADB002 hello\r\n", stop: { reason: "poweroff", status: 0x2b } });
  });

  it("a flood of output arrives whole", async (machine) => {
    const kernel = multibootKernel(`
      mov ecx, 20000
    .next: mov eax, ecx
      and al, 15
      add al, 'A'
      call putc
      loop .next`);
    const { text } = await bootPc(machine, { kernel });
    assert.is(text, Array.from({ length: 20_000 }, (_, n) => String.fromCharCode(65 + ((20_000 - n) & 15))).join(""));
  });

  it("A20: closed, odd megabytes show the even ones below; open again, nothing is lost", async (machine) => {
    const kernel = multibootKernel(`
      mov dword [0x300000], 0x33333333
      mov dword [0x200000], 0x22222222
      mov dword [0x500000], 0x55555555
      ${SHOW("[0x300000]")}
      ; this code is in the second megabyte: run the test from the third
      mov esi, test
      mov edi, 0x210000
      mov ecx, test_end - test
      rep movsb
      mov eax, 0x210000
      call eax
      ${SHOW("[0x208000]")}
      ${SHOW("[0x208004]")}
      ${SHOW("[0x300000]")}
      ${SHOW("[0x500000]")}
      mov al, 0
      call exit
    test: mov ebp, esp
      mov esp, 0x220000
      in al, 0x92
      and al, 0xfc
      out 0x92, al
      mov eax, [0x300000]
      mov [0x208000], eax
      mov dword [0x500010], 0x11111111
      mov eax, [0x400010]
      mov [0x208004], eax
      in al, 0x92
      or al, 2
      out 0x92, al
      mov esp, ebp
      ret
    test_end:`);
    assert.is((await bootPc(machine, { kernel })).text, "33333333 22222222 11111111 33333333 55555555 ");
  });

  it("what is not there reads all ones", async (machine) => {
    const kernel = multibootKernel(`
      mov dx, 0xcfc
      in eax, dx
      call hex
      mov dx, 0x1234
      in ax, dx
      call hex
      ${SHOW("[0xd0000000]")}
      ${SHOW("[0xb8000]")}
      mov dword [0xd0000000], 0`);
    assert.is((await bootPc(machine, { kernel })).text, "FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF ");
  });

  //  ends                         code                              how
  const ENDS: [string, string, DomainStop][] = [
    ["8042 reset pulse", "mov al, 0xfe\n out 0x64, al\n jmp $", { reason: "reboot" }],
    ["port 0x92", "mov al, 3\n out 0x92, al\n jmp $", { reason: "reboot" }],
    ["triple fault", "lidt [empty]\n int3\n empty: dd 0, 0", { reason: "reboot" }],
    ["HLT with interrupts off", "cli\n hlt", { reason: "poweroff" }],
    ["debug exit", "mov al, 3\n out 0xf4, al\n jmp $", { reason: "poweroff", status: 7 }],
    ["debug exit of 32 bits", "mov eax, 0x10000\n out 0xf4, eax\n jmp $", { reason: "poweroff", status: 0x20001 }],
  ];
  it("ways to end", async (machine) => {
    for (const [name, code, how] of ENDS) assert.equal((await bootPc(machine, { kernel: multibootKernel(code) })).stop, how, name);
  });

  it("the debug exit is there only if asked for; POST codes and port 0xE9 go to the log", async (machine, log) => {
    const kernel = multibootKernel(`
      mov al, 3
      out 0xf4, al
      mov al, 0x2a
      out 0x80, al
      out 0x80, al
      mov dx, 0x190
      out dx, al
      mov al, '!'
      out 0xe9, al
      mov al, 10
      out 0xe9, al
      cli
      hlt`);
    assert.equal((await bootPc(machine, { kernel, debugExit: false })).stop, { reason: "poweroff" });
    assert.equal(log.map((line) => line.replace(/^\(d\d+\) /, "")), ["port 0x80: POST code 0x2a", "port 0x190: POST code 0x2a", "!"]);
  });

  it("firmware starts at the reset vector in real mode; it is read-only below 4 GiB, and below 1 MiB it is a copy in RAM", async (machine) => {
    const rom = nasm(`
    bits 16
    org 0
      db "first"
      times 0x10000 - ($ - $$) db 0xff ; the lower half of 128 KiB
    start: cli
      xor ax, ax
      mov ss, ax
      mov sp, 0x7000
      mov ax, 0xe000
      mov ds, ax
      mov byte [0], 'F'
      mov si, 0
      mov cx, 5
    .lower: lodsb
      mov dx, 0x3f8
      out dx, al
      loop .lower
      push cs
      pop ds
      mov si, text - 0x10000
    .next: lodsb
      test al, al
      jz .done
      mov dx, 0x3f8
      out dx, al
      jmp .next
    .done: lgdt [gdtr - 0x10000] ; unreal mode
      mov eax, 1
      mov cr0, eax
      mov bx, 8
      mov ds, bx
      dec ax
      mov cr0, eax
      mov edi, 0xfffe0000 ; the image itself: writes are discarded
      mov byte [edi], 'X'
      cmp byte [edi], 'f'
      jne $
      mov esi, 0xe0000 ; the copy: what was written at the start is there
      cmp byte [esi], 'F'
      jne $
      sub esi, 0x20000 ; and there is RAM from 0xc0000 on
      mov byte [esi], 'R'
      cmp byte [esi], 'R'
      jne $
      mov al, 0x10
      out 0xf4, al
      hlt
    text: db " light", 0
    gdt: dq 0, 0x00cf93000000ffff
    gdtr: dw 15
      dd gdt + 0xe0000
      times 0x1fff0 - ($ - $$) db 0xff
      jmp 0xf000:start - 0x10000
      times 0x20000 - ($ - $$) db 0`);
    const { text, stop } = await bootPc(machine, { firmware: rom, memory: 1 });
    assert.equal({ text, stop }, { text: "First light", stop: { reason: "poweroff", status: 0x21 } });
    const large = new Uint8Array(16 << 20).fill(0xff);
    large.set(rom, large.length - rom.length);
    assert.is((await bootPc(machine, { firmware: large, memory: 2 })).text, "First light");
  });

  it("what cannot boot is refused by name", async (machine) => {
    const kernel = multibootKernel("");
    const noHeader = new Uint8Array(0x20000);
    await refuses(machine, [
      [{}, /^kernel: .*kernel or firmware/],
      [{ kernel, firmware: noHeader }, /^firmware: /],
      [{ kernel: noHeader }, /^kernel: this is no kernel/],
      [{ firmware: noHeader.subarray(0, 0xffff) }, /^firmware: firmware has 64 KiB to 16 MiB, not 65535 bytes/],
      [{ firmware: new Uint8Array((16 << 20) + 1) }, /^firmware: /],
      [{ firmware: noHeader, ramdisk: noHeader }, /^modules: /],
      [{ kernel, memory: 1 }, /^memory: 1 MiB cannot hold kernel/],
      [{ kernel, ramdisk: new Uint8Array(8 << 20) }, /^memory: 8 MiB cannot hold kernel and its modules/],
      threads ? [{ kernel, ports: [{ base: 0x500 }] }, /^ports: .*without threads/] : [{ kernel, mmio: [{ base: 0x100000, length: 4 }] }, /^mmio: .*memory of its own/],
    ]);
  });

  if (!threads) {
    it("a program's own ports and device memory, before those of the PC", async (machine) => {
      const seen: string[] = [];
      const kernel = multibootKernel(`
        mov dx, 0x501
        mov al, 0x77
        out dx, al
        in ax, dx
        movzx eax, ax
        call hex
        mov eax, [0xd0000004]
        call hex
        mov word [0xd0000008], 0x1234
        mov al, 0x99
        out 0x80, al`);
      const { text } = await bootPc(machine, {
        kernel,
        ports: [
          {
            base: 0x500,
            length: 4,
            read: (port, size) => {
              seen.push(`in ${port.toString(16)} ${size}`);
              return 0xabcd;
            },
            write: (port, size, value) => void seen.push(`out ${port.toString(16)} ${size} ${value.toString(16)}`),
          },
          { base: 0x80, write: (_port, _size, value) => void seen.push(`post ${value.toString(16)}`) },
        ],
        mmio: [{ base: 0xd000_0000, length: 0x1000, read: (address) => address + 1, write: (address, size, value) => void seen.push(`${address.toString(16)} ${size} ${value.toString(16)}`) }],
      });
      assert.is(text, "0000ABCD D0000005 ");
      assert.equal(seen, ["out 501 1 77", "in 501 2", "d0000008 2 1234", "post 99"]);
    });
  }

  test.run();
}
