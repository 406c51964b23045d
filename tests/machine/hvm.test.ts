/** The bare PC of HVM domains, seen by small kernels: Multiboot start, console, timers and interrupts by every route, the
 *  clock, the ways to end. With threads and without. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DomainConfig, DomainStop, Machine } from "../../src/index";
import { readText, testMachine, within } from "../support/machine";
import { multibootKernel, nasm, nasmMissing } from "../support/nasm";

const PATIENCE = 20_000;
const encoder = new TextEncoder();

async function boot(machine: Machine, kernel: Uint8Array, more: Partial<DomainConfig> = {}): Promise<{ text: string; stop: DomainStop }> {
  const domain = await machine.createDomain({ type: "hvm", kernel, memory: 8, debugExit: true, ...more });
  const text = readText(domain.console.readable);
  const stop = await within(PATIENCE, "the kernel's end", domain.stopped);
  return { text: await text, stop };
}

/** Remaps the 8259s to 0x20 and 0x28 with only the lines in `mask` (16 bits, 1 masked) open. */
const PICS = (mask: number) => `
  mov al, 0x11
  out 0x20, al
  out 0xa0, al
  mov al, 0x20
  out 0x21, al
  mov al, 0x28
  out 0xa1, al
  mov al, 4
  out 0x21, al
  mov al, 2
  out 0xa1, al
  mov al, 1
  out 0x21, al
  out 0xa1, al
  mov al, ${mask & 0xff}
  out 0x21, al
  mov al, ${mask >> 8}
  out 0xa1, al`;

/** Counter 0 in mode 2 with this count. */
const PIT = (count: number) => `
  mov al, 0x34
  out 0x43, al
  mov al, ${count & 0xff}
  out 0x40, al
  mov al, ${count >> 8}
  out 0x40, al`;

const NEWLINE = `
  mov al, 10
  call putc`;

const INFORMATION1 = `
  mov ebx, [info]
  mov esi, [ebx + 16]
  call puts
  ${NEWLINE}
  mov ecx, [ebx + 20]
  mov edi, [ebx + 24]
.module:
  mov esi, [edi + 8]
  call puts
  ${NEWLINE}
  mov esi, [edi]
  call puts
  ${NEWLINE}
  add edi, 16
  loop .module
  mov eax, [ebx + 4]
  call hex
  mov eax, [ebx + 8]
  call hex
  ${NEWLINE}
  mov edi, [ebx + 48]
  mov ecx, [ebx + 44]
  add ecx, edi
.entry:
  cmp dword [edi + 20], 1
  jne .skip
  mov eax, [edi + 4]
  call hex
  mov eax, [edi + 12]
  call hex
  ${NEWLINE}
.skip:
  add edi, [edi]
  add edi, 4
  cmp edi, ecx
  jb .entry`;

const INFORMATION2 = `
  mov ebx, [info]
  add ebx, 8
.tag:
  mov eax, [ebx]
  test eax, eax
  jz .end
  lea esi, [ebx + 8]
  cmp eax, 1
  je .string
  cmp eax, 3
  je .module
  cmp eax, 4
  je .basic
  cmp eax, 6
  je .map
.next:
  mov eax, [ebx + 4]
  add eax, 7
  and eax, -8
  add ebx, eax
  jmp .tag
.module:
  add esi, 8
  call puts
  ${NEWLINE}
  mov esi, [ebx + 8]
.string:
  call puts
  ${NEWLINE}
  jmp .next
.basic:
  lodsd
  call hex
  lodsd
  call hex
  ${NEWLINE}
  jmp .next
.map:
  lea edi, [ebx + 16]
  mov ecx, ebx
  add ecx, [ebx + 4]
.entry:
  cmp dword [edi + 16], 1
  jne .skip
  mov eax, [edi]
  call hex
  mov eax, [edi + 8]
  call hex
  ${NEWLINE}
.skip:
  add edi, [ebx + 8]
  cmp edi, ecx
  jb .entry
  jmp .next
.end:`;

for (const threads of [true, false]) {
  const test = suite(threads ? "bare PC on threads" : "bare PC on the event loop");
  const each = (name: string, body: (machine: Machine, log: string[]) => Promise<void>) => {
    (nasmMissing ? test.skip : test)(name, async () => {
      const { machine, log } = await testMachine({ threads });
      const before = machine.freeMemory;
      try {
        await body(machine, log);
        assert.is(machine.freeMemory, before, "all memory is back");
      } finally {
        await machine.destroy();
      }
    });
  };

  each("a Multiboot kernel prints on COM1 and ends with a status", async (machine) => {
    const kernel = multibootKernel(`
      call hex
      mov esi, text
      call puts
      mov al, 0x15
      call exit
    text: db "hello", 13, 10, 0`);
    assert.equal(await boot(machine, kernel), { text: "2BADB002 hello\r\n", stop: { reason: "poweroff", status: 0x2b } });
  });

  for (const version of [1, 2] as const) {
    each(`version ${version}: command line, modules and memory map are in the boot information`, async (machine) => {
      // prints the command line and, of each module, its string and its contents up to a zero byte; then map entries of type 1
      const kernel = multibootKernel(version === 1 ? INFORMATION1 : INFORMATION2, version);
      const { text, stop } = await boot(machine, kernel, {
        cmdline: "console=com1 quick",
        ramdisk: encoder.encode("first module\0"),
        modules: [{ image: encoder.encode("second module\0"), cmdline: "two x=1" }],
      });
      assert.is(stop.status, 1, text);
      assert.equal(text.split("\n"), [
        "console=com1 quick",
        "", "first module", "two x=1", "second module",
        "0000027F 00001C00 ", // KiB below 640 KiB, KiB above 1 MiB
        "00000000 0009FC00 ", "00100000 00700000 ", "",
      ]);
    });
  }

  each("timer interrupts through the 8259s, with HLT in between", async (machine) => {
    const kernel = multibootKernel(`
      ${PICS(0xfffe)}
      mov eax, 0x20
      mov edx, tick
      call gate
      ${PIT(11932)}
      sti
    .wait: hlt
      cmp dword [ticks], 20
      jb .wait
      cli
      mov eax, [ticks]
      call hex
      mov al, 0
      call exit
    tick: push eax
      inc dword [ticks]
      mov al, 0x20
      out 0x20, al
      pop eax
      iret
    ticks: dd 0`);
    const start = performance.now();
    const { text } = await boot(machine, kernel);
    assert.is(text, "00000014 ");
    assert.ok(performance.now() - start > 180, "20 ticks of 10 ms");
  });

  each("timer interrupts through the I/O APIC, with the 8259s masked", async (machine) => {
    const kernel = multibootKernel(`
      ${PICS(0xffff)}
      mov eax, 0x41
      mov edx, tick
      call gate
      mov edi, 0xfec00000
      mov dword [edi], 0x15
      mov dword [edi + 16], 0
      mov dword [edi], 0x14
      mov dword [edi + 16], 0x41
      ${PIT(11932)}
      sti
    .wait: hlt
      cmp dword [ticks], 5
      jb .wait
      cli
      mov dword [edi], 1
      mov eax, [edi + 16]
      call hex
      mov al, 0
      call exit
    tick: inc dword [ticks]
      mov dword [0xfee000b0], 0
      iret
    ticks: dd 0`);
    assert.is((await boot(machine, kernel)).text, "00170020 ");
  });

  each("a level-triggered pin asks again after the local APIC's EOI, as long as its line is asserted", async (machine) => {
    const kernel = multibootKernel(`
      ${PICS(0xffff)}
      mov eax, 0x41
      mov edx, key
      call gate
      mov edi, 0xfec00000
      mov dword [edi], 0x12
      mov dword [edi + 16], 0x8041
      mov al, 0x60
      out 0x64, al
      mov al, 1
      out 0x60, al
      mov al, 0xf2 ; identify: three bytes, one line
      out 0x60, al
      sti
    .wait: hlt
      cmp dword [keys], 3
      jb .wait
      cli
      mov dword [edi], 0x12
      mov eax, [edi + 16]
      call hex
      mov al, 0
      call exit
    key: push eax
      xor eax, eax
      in al, 0x60
      call hex
      inc dword [keys]
      mov dword [0xfee000b0], 0
      pop eax
      iret
    keys: dd 0`);
    assert.is((await boot(machine, kernel)).text, "000000FA 000000AB 00000083 00008041 ");
  });

  each("the 8259s reach the processor through the I/O APIC's ExtINT pin, and not through a masked LINT0", async (machine) => {
    const kernel = multibootKernel(`
      ${PICS(0xfffe)}
      mov eax, 0x20
      mov edx, tick
      call gate
      mov dword [0xfee00350], 0x10700
      ${PIT(11932)}
      sti
      mov ecx, 3000000
    .spin: loop .spin
      mov eax, [ticks]
      call hex
      mov edi, 0xfec00000
      mov dword [edi], 0x10
      mov dword [edi + 16], 0x700
    .wait: hlt
      cmp dword [ticks], 3
      jb .wait
      mov eax, [ticks]
      call hex
      mov al, 0
      call exit
    tick: push eax
      inc dword [ticks]
      mov al, 0x20
      out 0x20, al
      pop eax
      iret
    ticks: dd 0`);
    assert.is((await boot(machine, kernel)).text, "00000000 00000003 ");
  });

  each("COM1 receives by interrupt", async (machine) => {
    const kernel = multibootKernel(`
      ${PICS(0xffef)}
      mov eax, 0x24
      mov edx, received
      call gate
      mov dx, 0x3fc
      mov al, 0x0b
      out dx, al
      mov dx, 0x3fa
      mov al, 1
      out dx, al
      mov dx, 0x3f9
      mov al, 1
      out dx, al
      mov al, '>'
      call putc
      sti
    .wait: hlt
      jmp .wait
    received: push edx
      push eax
    .more: mov dx, 0x3fd
      in al, dx
      test al, 1
      jz .done
      mov dx, 0x3f8
      in al, dx
      call putc
      cmp al, 'q'
      jne .more
      mov al, 7
      call exit
    .done: mov al, 0x20
      out 0x20, al
      pop eax
      pop edx
      iret`);
    const domain = await machine.createDomain({ type: "hvm", kernel, memory: 8, debugExit: true });
    assert.is(await within(PATIENCE, "prompt", readText(domain.console.readable, />/)), ">");
    const keyboard = domain.console.writable.getWriter();
    await within(PATIENCE, "first keys", keyboard.write(encoder.encode("abc")));
    assert.is(await within(PATIENCE, "echo", readText(domain.console.readable, /abc/)), "abc");
    const rest = readText(domain.console.readable);
    await within(PATIENCE, "many keys", keyboard.write(encoder.encode(`${"x".repeat(3000)}q`)));
    assert.equal(await within(PATIENCE, "end", domain.stopped), { reason: "poweroff", status: 15 });
    assert.is(await rest, `${"x".repeat(3000)}q`);
  });

  each("a flood of output arrives whole", async (machine) => {
    const kernel = multibootKernel(`
      mov ecx, 20000
    .next: mov eax, ecx
      and al, 15
      add al, 'A'
      call putc
      loop .next`);
    const { text } = await boot(machine, kernel);
    assert.is(text, Array.from({ length: 20_000 }, (_, n) => String.fromCharCode(65 + ((20_000 - n) & 15))).join(""));
  });

  each("the clock: a date of today, and periodic interrupts on line 8", async (machine) => {
    const kernel = multibootKernel(`
      ${PICS(0xfefb)}
      mov eax, 0x28
      mov edx, tick
      call gate
      mov esi, registers
    .read: lodsb
      test al, al
      js .rate
      out 0x70, al
      in al, 0x71
      movzx eax, al
      call hex
      jmp .read
    .rate: mov al, 0x0a
      out 0x70, al
      mov al, 0x2a ; 64 Hz
      out 0x71, al
      mov al, 0x0b
      out 0x70, al
      mov al, 0x42
      out 0x71, al
      mov al, 0x0c
      out 0x70, al
      in al, 0x71
      sti
    .wait: hlt
      cmp dword [ticks], 8
      jb .wait
      mov al, 0
      call exit
    tick: push eax
      inc dword [ticks]
      mov al, 0x0c
      out 0x70, al
      in al, 0x71
      mov al, 0x20
      out 0xa0, al
      out 0x20, al
      pop eax
      iret
    registers: db 0x32, 9, 8, 7, 0x80
    ticks: dd 0`);
    const { text, stop } = await boot(machine, kernel);
    assert.is(stop.status, 1);
    const [century, year, month, day] = text.trim().split(" ").map((word) => word.slice(-2));
    assert.ok(Math.abs(Date.parse(`${century}${year}-${month}-${day}`) - Date.now()) < 2 * 86_400_000, text);
  });

  each("A20: closed, odd megabytes show the even ones below; open again, nothing is lost", async (machine) => {
    const kernel = multibootKernel(`
      mov dword [0x300000], 0x33333333
      mov dword [0x200000], 0x22222222
      mov dword [0x500000], 0x55555555
      mov eax, [0x300000]
      call hex
      ; this code is in the second megabyte: run the test from the third
      mov esi, test
      mov edi, 0x210000
      mov ecx, test_end - test
      rep movsb
      mov eax, 0x210000
      call eax
      mov eax, [0x208000]
      call hex
      mov eax, [0x208004]
      call hex
      mov eax, [0x300000]
      call hex
      mov eax, [0x500000]
      call hex
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
    assert.is((await boot(machine, kernel)).text, "33333333 22222222 11111111 33333333 55555555 ");
  });

  each("firmware's legacy: timer ticks at vector 8, tables in low memory, harmless services", async (machine) => {
    const kernel = multibootKernel(`
      mov eax, 8
      mov edx, tick
      call gate
      sti
    .wait: hlt
      cmp dword [ticks], 2
      jb .wait
      cli
      movzx eax, word [0x400]
      call hex
      movzx eax, word [0x413]
      call hex
      movzx ebx, word [0x10 * 4 + 2]
      shl ebx, 4
      movzx eax, word [0x10 * 4]
      movzx eax, byte [ebx + eax]
      call hex
      mov al, 0
      call exit
    tick: push eax
      inc dword [ticks]
      mov al, 0x20
      out 0x20, al
      pop eax
      iret
    ticks: dd 0`);
    assert.is((await boot(machine, kernel)).text, "000003F8 0000027F 000000CF ");
  });

  each("what is not there reads all ones", async (machine) => {
    const kernel = multibootKernel(`
      mov dx, 0xcfc
      in eax, dx
      call hex
      mov dx, 0x1234
      in ax, dx
      call hex
      mov eax, [0xd0000000]
      call hex
      mov eax, [0xb8000]
      call hex
      mov dword [0xd0000000], 0`);
    assert.is((await boot(machine, kernel)).text, "FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF ");
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
  each("ways to end", async (machine) => {
    for (const [name, code, how] of ENDS) assert.equal((await boot(machine, multibootKernel(code))).stop, how, name);
  });

  each("the debug exit is there only if asked for; POST codes and port 0xE9 go to the log", async (machine, log) => {
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
    assert.equal((await boot(machine, kernel, { debugExit: false })).stop, { reason: "poweroff" });
    assert.equal(log.map((line) => line.replace(/^\(d\d+\) /, "")), ["port 0x80: POST code 0x2a", "port 0x190: POST code 0x2a", "!"]);
  });

  each("firmware starts at the reset vector in real mode; it is read-only below 4 GiB, and below 1 MiB it is a copy in RAM", async (machine) => {
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
    const { text, stop } = await boot(machine, undefined as never, { firmware: rom, memory: 1 });
    assert.equal({ text, stop }, { text: "First light", stop: { reason: "poweroff", status: 0x21 } });
    const large = new Uint8Array(16 << 20).fill(0xff);
    large.set(rom, large.length - rom.length);
    assert.is((await boot(machine, undefined as never, { firmware: large, memory: 2 })).text, "First light");
  });

  each("what cannot boot is refused by name", async (machine) => {
    const kernel = multibootKernel("");
    const noHeader = new Uint8Array(0x20000);
    const BAD: [Partial<DomainConfig>, RegExp][] = [
      [{}, /^kernel: .*kernel or firmware/],
      [{ kernel, firmware: noHeader }, /^firmware: /],
      [{ kernel: noHeader }, /^kernel: this is no kernel/],
      [{ firmware: noHeader.subarray(0, 0xffff) }, /^firmware: firmware has 64 KiB to 16 MiB, not 65535 bytes/],
      [{ firmware: new Uint8Array((16 << 20) + 1) }, /^firmware: /],
      [{ firmware: noHeader, ramdisk: noHeader }, /^modules: /],
      [{ kernel, memory: 1 }, /^memory: 1 MiB cannot hold kernel/],
      [{ kernel, ramdisk: new Uint8Array(8 << 20) }, /^memory: 8 MiB cannot hold kernel and its modules/],
      threads ? [{ kernel, ports: [{ base: 0x500 }] }, /^ports: .*without threads/] : [{ kernel, mmio: [{ base: 0x100000, length: 4 }] }, /^mmio: .*memory of its own/],
    ];
    for (const [config, message] of BAD) {
      await machine.createDomain({ type: "hvm", memory: 8, ...config }).then(
        () => assert.unreachable(`${message} was accepted`),
        (error) => assert.match(error.message, message),
      );
    }
  });

  if (!threads) {
    each("a program's own ports and device memory, before those of the PC", async (machine) => {
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
      const { text } = await boot(machine, kernel, {
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
if (nasmMissing) console.log("nasm is not installed: bare PC tests are skipped");
