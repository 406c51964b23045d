/** A program's own port and memory handlers: whatever they do, domain and machine end in order. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DomainConfig, MmioHandler, PortHandler } from "../../src/index";
import { readText, testMachine, within } from "../support/machine";
import { multibootKernel, nasmMissing } from "../support/nasm";

const PATIENCE = 20_000;
const test = suite("handlers of one's own");
const it = nasmMissing ? test.skip : test;

/** Runs `code` with these devices; what the domain printed, how it stopped, and the log. */
async function run(code: string, config: Partial<DomainConfig>) {
  const { machine, log } = await testMachine({ threads: false });
  try {
    const before = machine.freeMemory;
    const domain = await machine.createDomain({ type: "hvm", kernel: multibootKernel(code), memory: 4, debugExit: true, ...config });
    const text = readText(domain.console.readable);
    const stop = await within(PATIENCE, "the end", domain.stopped);
    assert.is(machine.freeMemory, before, "all memory is back");
    const next = await machine.createDomain({ type: "hvm", kernel: multibootKernel("mov al, 1\n call exit"), memory: 4, debugExit: true });
    assert.is((await within(PATIENCE, "the next domain", next.stopped)).status, 3, "the machine goes on");
    return { text: await text, stop, log };
  } finally {
    await machine.destroy();
  }
}

const READS = `
  mov dx, 0x500
  in eax, dx
  call hex
  mov eax, [0xd0000000]
  call hex`;

//  a read handler returns      and the guest sees
const VALUES: [number | undefined, string][] = [
  [5, "00000005"],
  [-1, "FFFFFFFF"],
  [undefined, "FFFFFFFF"],
  [2 ** 32 + 7, "00000007"],
  [1.9, "00000001"],
  [Number.NaN, "00000000"],
  [Number.POSITIVE_INFINITY, "00000000"],
];
it("numbers count modulo the width, nothing is all ones", async () => {
  for (const [value, seen] of VALUES) {
    const read = () => value as number;
    const { text, stop } = await run(READS, { ports: [{ base: 0x500, length: 4, read }], mmio: [{ base: 0xd000_0000, length: 4, read }] });
    assert.is(text, `${seen} ${seen} `);
    assert.is(stop.status, 1);
  }
});

const WORD = { base: 0x500, length: 4 };
const MEMORY = { base: 0xd000_0000, length: 0x1000 };
const thrower = (what: unknown) => () => {
  throw what;
};
const textless = { toString: thrower(new Error("no text")) };
//  handlers, and the error of the domain's end
const FAILURES: [PortHandler[], MmioHandler[], RegExp][] = [
  [[{ ...WORD, read: thrower(new RangeError("broken")) }], [], /^the read handler of port 0x500 failed: broken$/],
  [[], [{ ...MEMORY, read: thrower("only a string") }], /^the read handler of device memory 0xd0000000 failed: only a string$/],
  [[{ ...WORD, write: thrower(undefined) }], [], /^the write handler of port 0x500 failed: undefined$/],
  [[], [{ ...MEMORY, write: thrower(textless) }], /^the write handler of device memory 0xd0000000 failed: with something that has no text$/],
  [[{ ...WORD, read: () => 5n as unknown as number }], [], /type bigint, not a number/],
  [[{ ...WORD, read: () => "7" as unknown as number }], [], /type string, not a number/],
  [[{ ...WORD, read: (async () => 7) as unknown as () => number }], [], /type object, not a number/],
  [[{ ...WORD, read: (async () => thrower("late")()) as unknown as () => number }], [], /type object, not a number/],
  [[{ ...WORD, write: async () => thrower("late")() }], [], /^the write handler of port 0x500 failed: late$/],
];
it("a handler that throws or returns no number ends its domain with the reason, and nothing else", async () => {
  const code = `
  ${READS}
  mov dx, 0x500
  out dx, eax
  mov [0xd0000000], eax
  jmp $`;
  for (const [ports, mmio, message] of FAILURES) {
    const { stop, log } = await run(code, { ports, mmio });
    assert.is(stop.reason, "crash", String(message));
    assert.match(stop.error?.message ?? "", message);
    assert.match(log.join("\n"), new RegExp(message.source.replace(/[$^]/g, "")));
    assert.is(stop.status, undefined);
  }
});

it("no instruction runs after the one whose handler failed", async () => {
  const seen: number[] = [];
  const { stop } = await run(
    `mov ecx, 5
    mov dx, 0x501
  .next: mov al, cl
    out dx, al
    dec dx
    in al, dx
    inc dx
    loop .next`,
    { ports: [{ base: 0x500, length: 2, read: thrower("stop"), write: (_port, _size, value) => void seen.push(value) }] },
  );
  assert.is(stop.reason, "crash");
  assert.equal(seen, [5]);
});

it("handlers may be slow, end their own domain, or ask for it to be paused", async () => {
  const { machine } = await testMachine({ threads: false });
  try {
    const slow = await machine.createDomain({
      type: "hvm",
      kernel: multibootKernel(READS),
      memory: 4,
      debugExit: true,
      ports: [
        {
          ...WORD,
          read: () => {
            for (const end = performance.now() + 50; performance.now() < end; );
            return 1;
          },
        },
      ],
    });
    assert.is((await within(PATIENCE, "the slow one", slow.stopped)).status, 1);
    const leaving = await machine.createDomain({
      type: "hvm",
      kernel: multibootKernel("mov dx, 0x500\n out dx, al\n jmp $"),
      memory: 4,
      ports: [{ ...WORD, write: () => void leaving.destroy() }],
    });
    assert.is((await within(PATIENCE, "the one that leaves", leaving.stopped)).reason, "destroyed");
    let asked = 0;
    const resting = await machine.createDomain({
      type: "hvm",
      kernel: multibootKernel(READS),
      memory: 4,
      debugExit: true,
      ports: [
        {
          ...WORD,
          read: () => {
            void resting.pause();
            return ++asked;
          },
        },
      ],
    });
    while (asked === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await within(PATIENCE, "the pause", resting.pause());
    assert.ok(resting.paused);
    resting.unpause();
    assert.is((await within(PATIENCE, "the one that rested", resting.stopped)).status, 1);
    assert.is(asked, 1);
  } finally {
    await machine.destroy();
  }
});

it("places that are taken are refused", async () => {
  const { machine } = await testMachine({ threads: false });
  const rom = new Uint8Array(0x10000);
  const kernel = multibootKernel("");
  const BAD: [Partial<DomainConfig>, RegExp][] = [
    [{ kernel, ports: [WORD, { base: 0x503 }] }, /^ports: .*overlaps/],
    [{ kernel, ports: [{ base: 0xffff, length: 2 }] }, /^ports: .*not within/],
    [{ kernel, mmio: [{ base: 0x20_0000, length: 4 }] }, /^mmio: .*memory of its own/],
    [{ kernel, mmio: [{ base: 0xf_f000, length: 4 }] }, /^mmio: .*memory of its own/],
    [{ firmware: rom, mmio: [{ base: 0xc_0000, length: 4 }] }, /^mmio: .*memory of its own/],
    [{ kernel, mmio: [{ base: 0xfee0_0000, length: 4 }] }, /^mmio: .*memory of its own/],
    [{ kernel, mmio: [{ base: 0xfec0_0000, length: 4 }] }, /^mmio: .*overlaps/],
  ];
  try {
    for (const [config, message] of BAD) {
      await machine.createDomain({ type: "hvm", memory: 4, ...config }).then(
        () => assert.unreachable(`${message} was accepted`),
        (error) => assert.match(error.message, message),
      );
    }
  } finally {
    await machine.destroy();
  }
});

test.run();
