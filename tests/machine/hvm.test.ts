/** The bare PC of HVM domains, seen by small kernels: Multiboot start, console, timers and interrupts by every route, the
 *  clock, the ways to end. With threads and without. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type DomainConfig, type DomainStop, type Machine } from "../../src/index";
import { readText, testMachine, within } from "../support/machine";
import { multibootKernel, nasmMissing } from "../support/nasm";

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

  test.run();
}
if (nasmMissing) console.log("nasm is not installed: bare PC tests are skipped");
