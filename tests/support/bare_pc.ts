/** HVM domains for tests: kernels from NASM source (nasm.ts) that print on COM1 and end by the debug exit, and the pieces of
 *  source they share. */
import * as assert from "uvu/assert";
import type { DomainConfig, DomainStop, Machine } from "../../src/index";
import { readText, testMachine, within } from "./machine";
import { multibootKernel, nasmMissing } from "./nasm";

export const PATIENCE = 20_000;

/** What the domain printed and how it ended. */
export async function bootPc(machine: Machine, config: Partial<DomainConfig>): Promise<{ text: string; stop: DomainStop }> {
  const domain = await machine.createDomain({ type: "hvm", memory: 8, debugExit: true, ...config });
  const text = readText(domain.console.readable);
  const stop = await within(PATIENCE, "the kernel's end", domain.stopped);
  return { text: await text, stop };
}

/** Each configuration is refused with such a message. */
export async function refuses(machine: Machine, cases: readonly [Partial<DomainConfig>, RegExp][]): Promise<void> {
  for (const [config, message] of cases) {
    await machine.createDomain({ type: "hvm", memory: 8, ...config }).then(
      () => assert.unreachable(`${message} was accepted`),
      (error) => assert.match(error.message, message),
    );
  }
}

interface Suite {
  (name: string, body: () => Promise<void>): void;
  skip(name: string, body: () => Promise<void>): void;
}

/** Adds tests that each have a machine of their own, which must get all its memory back. */
export function machineTests(suite: Suite, { threads = true } = {}) {
  if (nasmMissing) console.log("skipped: nasm is not installed");
  return (name: string, body: (machine: Machine, log: string[]) => Promise<void>): void => {
    (nasmMissing ? suite.skip : suite)(name, async () => {
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
}

/** Writes the bytes to a port, one after the other. */
export const OUT = (port: number, ...bytes: number[]) => bytes.map((byte) => `
  mov al, ${byte}
  out ${port}, al`).join("");

/** Prints a double word in hexadecimal. */
export const SHOW = (operand: string) => `
  mov eax, ${operand}
  call hex`;

/** Prints a word or a byte in hexadecimal, as a double word. */
export const SHOW_SMALL = (operand: string) => `
  movzx eax, ${operand}
  call hex`;

export const NEWLINE = `
  mov al, 10
  call putc`;

/** Remaps the 8259s to 0x20 and 0x28 with only the lines in `mask` (16 bits, 1 masked) open. */
export const PICS = (mask: number) =>
  OUT(0x20, 0x11) + OUT(0xa0, 0x11) + OUT(0x21, 0x20, 4, 1, mask & 0xff) + OUT(0xa1, 0x28, 2, 1, mask >> 8);

/** Counter 0 in mode 2 with this count. */
export const PIT = (count: number) => OUT(0x43, 0x34) + OUT(0x40, count & 0xff, count >> 8);

/** An I/O APIC register. */
export const IOAPIC = (register: number) => `
  mov dword [0xfec00000], ${register}`;
export const IOAPIC_WRITE = (register: number, value: number) => `${IOAPIC(register)}
  mov dword [0xfec00010], ${value}`;

/** Ends of interrupt: of the first 8259, of both, of the local APIC. */
export const PIC_EOI = OUT(0x20, 0x20);
export const PICS_EOI = OUT(0xa0, 0x20) + PIC_EOI;
export const APIC_EOI = `
  mov dword [0xfee000b0], 0`;

interface Counter {
  readonly vector: number;
  /** What answers each interrupt, EAX free: the end of interrupt at least. */
  readonly answer: string;
  /** Sets up what interrupts. */
  readonly begin: string;
  /** How many to wait for in HLT. */
  readonly count: number;
  /** Afterwards, with interrupts off. */
  readonly report: string;
}

/** A kernel that counts interrupts in [ticks]. */
export const countingKernel = ({ vector, answer, begin, count, report }: Counter) =>
  multibootKernel(`
    mov eax, ${vector}
    mov edx, tick
    call gate
    ${begin}
    sti
  .wait: hlt
    cmp dword [ticks], ${count}
    jb .wait
    cli
    ${report}
    mov al, 0
    call exit
  tick: push eax
    inc dword [ticks]
    ${answer}
    pop eax
    iret
  ticks: dd 0`);
