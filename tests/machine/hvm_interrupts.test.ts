/** Interrupts of the bare PC, as small kernels see them: the timer by every route, level-triggered pins, COM1, the clock. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { APIC_EOI, bootPc, countingKernel, IOAPIC, IOAPIC_WRITE, machineTests, OUT, PATIENCE, PIC_EOI, PICS, PICS_EOI, PIT, SHOW, SHOW_SMALL } from "../support/bare_pc";
import { readText, within } from "../support/machine";
import { multibootKernel } from "../support/nasm";

const encoder = new TextEncoder();
const COUNT = 11932; // of the 8254: 10 ms

for (const threads of [true, false]) {
  const test = suite(threads ? "interrupts of the bare PC, on threads" : "interrupts of the bare PC, on the event loop");
  const it = machineTests(test, { threads });

  it("timer interrupts through the 8259s, with HLT in between", async (machine) => {
    const kernel = countingKernel({ vector: 0x20, answer: PIC_EOI, begin: PICS(0xfffe) + PIT(COUNT), count: 20, report: SHOW("[ticks]") });
    const start = performance.now();
    const { text } = await bootPc(machine, { kernel });
    assert.is(text, "00000014 ");
    assert.ok(performance.now() - start > 180, "20 ticks of 10 ms");
  });

  it("timer interrupts through the I/O APIC, with the 8259s masked", async (machine) => {
    const begin = PICS(0xffff) + IOAPIC_WRITE(0x15, 0) + IOAPIC_WRITE(0x14, 0x41) + PIT(COUNT);
    const kernel = countingKernel({ vector: 0x41, answer: APIC_EOI, begin, count: 5, report: IOAPIC(1) + SHOW("[0xfec00010]") });
    assert.is((await bootPc(machine, { kernel })).text, "00170020 ");
  });

  it("a level-triggered pin asks again after the local APIC's EOI, as long as its line is asserted", async (machine) => {
    // the keyboard's answer to "identify": three bytes, one line
    const begin = PICS(0xffff) + IOAPIC_WRITE(0x12, 0x8041) + OUT(0x64, 0x60) + OUT(0x60, 1, 0xf2);
    const answer = `
      xor eax, eax
      in al, 0x60
      call hex
      ${APIC_EOI}`;
    const kernel = countingKernel({ vector: 0x41, answer, begin, count: 3, report: IOAPIC(0x12) + SHOW("[0xfec00010]") });
    assert.is((await bootPc(machine, { kernel })).text, "000000FA 000000AB 00000083 00008041 ");
  });

  it("the 8259s reach the processor through the I/O APIC's ExtINT pin, and not through a masked LINT0", async (machine) => {
    const begin = `
      ${PICS(0xfffe)}
      mov dword [0xfee00350], 0x10700
      ${PIT(COUNT)}
      sti
      mov ecx, 3000000
    .spin: loop .spin
      ${SHOW("[ticks]")}
      ${IOAPIC_WRITE(0x10, 0x700)}`;
    const kernel = countingKernel({ vector: 0x20, answer: PIC_EOI, begin, count: 3, report: SHOW("[ticks]") });
    assert.is((await bootPc(machine, { kernel })).text, "00000000 00000003 ");
  });

  it("COM1 receives by interrupt", async (machine) => {
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
    .done: ${PIC_EOI}
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

  it("the clock: a date of today, and periodic interrupts on line 8", async (machine) => {
    const acknowledge = `${OUT(0x70, 0x0c)}
      in al, 0x71`;
    const registers = [0x32, 9, 8, 7].map((register) => `${OUT(0x70, register)}
      in al, 0x71
      ${SHOW_SMALL("al")}`);
    const rate = OUT(0x70, 0x0a) + OUT(0x71, 0x2a) + OUT(0x70, 0x0b) + OUT(0x71, 0x42); // 64 Hz
    const begin = PICS(0xfefb) + registers.join("") + rate + acknowledge;
    const { text, stop } = await bootPc(machine, { kernel: countingKernel({ vector: 0x28, answer: acknowledge + PICS_EOI, begin, count: 8, report: "" }) });
    assert.is(stop.status, 1);
    const [century, year, month, day] = text.trim().split(" ").map((word) => word.slice(-2));
    assert.ok(Math.abs(Date.parse(`${century}${year}-${month}-${day}`) - Date.now()) < 2 * 86_400_000, text);
  });

  it("firmware's legacy: timer ticks at vector 8, tables in low memory, harmless services", async (machine) => {
    const report = `
      ${SHOW_SMALL("word [0x400]")}
      ${SHOW_SMALL("word [0x413]")}
      movzx ebx, word [0x10 * 4 + 2]
      shl ebx, 4
      movzx eax, word [0x10 * 4]
      ${SHOW_SMALL("byte [ebx + eax]")}`;
    const kernel = countingKernel({ vector: 8, answer: PIC_EOI, begin: "", count: 2, report });
    assert.is((await bootPc(machine, { kernel })).text, "000003F8 0000027F 000000CF ");
  });

  test.run();
}
