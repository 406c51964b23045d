/** A guest may access the PC's devices in any order, with any value, at any time: no device throws, answers with something
 *  that is no number of the access's width, asks to be woken at no time at all, or keeps more than its registers.
 *  First the devices alone, then kernels that do it on whole machines. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Pc, type PcHost } from "../../src/io/pc";
import type { AccessSize } from "../../src/io/bus";
import { IOAPIC_RANGE } from "../../src/io/ioapic";
import { readText, testMachine, within } from "../support/machine";
import { multibootKernel, nasmMissing } from "../support/nasm";
import { Random } from "../support/random";

const SIZES: readonly AccessSize[] = [1, 2, 4];
/** Every port that somebody answers at, and neighbours. */
const PORTS = [0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0x92, 0xe9, 0xf4, 0x190, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0xb000, 0xb002, 0xb004, 0xb008, 0x1f, 0xffff, 0xcf8];

/** Numbers and elements in an object, as deep as it goes: what it remembers. */
function weight(root: object): number {
  const seen = new Set<object>([globalThis]);
  let total = 0;
  for (const queue: object[] = [root]; queue.length > 0; ) {
    const each = queue.pop()!;
    if (seen.has(each)) continue;
    seen.add(each);
    if (ArrayBuffer.isView(each)) {
      total += each.byteLength;
      continue;
    }
    for (const value of Object.values(each)) {
      total += typeof value === "string" ? value.length : 1;
      if (typeof value === "object" && value !== null) queue.push(value);
    }
  }
  return total;
}

class FuzzHost implements PcHost {
  now = 0;
  wakes = 0;
  readonly clock = { nowNs: () => this.now };
  readonly random: Random;
  readonly console: PcHost["console"];
  constructor(seed: number) {
    const random = new Random(seed);
    this.random = random;
    this.console = {
      get waiting() {
        return random.chance(0.3);
      },
      get room() {
        return random.chance(0.3);
      },
      send: () => random.chance(0.5),
      receive: () => (random.chance(0.5) ? random.below(256) : -1),
    };
  }
  intr(): void {}
  deliver({ mode, vector, destination }: Parameters<PcHost["deliver"]>[0]): void {
    assert.ok(mode >= 0 && mode < 8 && vector >= 0 && vector < 256 && destination >= 0 && destination < 256);
  }
  a20(): void {}
  reset(): void {}
  powerOff(): void {}
  debugExit(status: number): void {
    assert.ok(status >= 0 && status <= 0xffff_ffff && status & 1);
  }
  log(line: string): void {
    assert.ok(line.length <= 200);
  }
}

function fuzz(seed: number, steps: number): void {
  const host = new FuzzHost(seed);
  const { random } = host;
  const pc = new Pc(host, { epochMs: random.chance(0.1) ? -8e15 : 1.7e12, lowRam: 0x1000_0000, highRam: 0, debugExit: true });
  const fresh = weight(pc);
  for (let n = 0; n < steps; n++) {
    if (random.chance(0.3)) host.now += random.pick([1, 100, 838, 1e5, 1e7, 1e9, 1e14]) * (1 + random.below(3));
    const size = random.pick(SIZES);
    const isMemory = random.chance(0.1);
    const at = isMemory ? IOAPIC_RANGE.base + random.pick([0, 0x10, 0x40, random.below(0x1000)]) : random.pick(PORTS);
    const bus = isMemory ? pc.mmio : pc.ports;
    if (random.chance(0.5)) {
      const value = bus.read(at, size);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size), `${value} read from 0x${at.toString(16)}`);
    } else bus.write(at, size, random.chance(0.5) ? random.u32() : random.below(256));
    if (random.chance(0.1)) {
      const vector = pc.acknowledge();
      assert.ok(vector >= 0 && vector < 256);
    }
    const { deadline } = pc;
    assert.ok(deadline >= 0, `a deadline of ${deadline}`);
    if (deadline <= host.now) pc.tick();
    if (n % 1000 === 0) assert.ok(weight(pc) < fresh + 500, "devices keep more than their registers");
  }
}

const devices = suite("hostile accesses to devices");
for (let seed = 1; seed <= 20; seed++)
  devices(`seed ${seed}`, () => fuzz(seed, 10_000));

devices("a deadline that has passed leads on: ticks make progress", () => {
  for (let seed = 100; seed < 140; seed++) {
    const host = new FuzzHost(seed);
    const { random } = host;
    host.console.receive = () => -1;
    Object.defineProperty(host.console, "waiting", { value: false });
    Object.defineProperty(host.console, "room", { value: false });
    const pc = new Pc(host, { epochMs: 0, lowRam: 0x1000_0000, highRam: 0, debugExit: true });
    for (let n = 0; n < 200; n++) {
      pc.ports.write(random.pick([0x40, 0x41, 0x42, 0x43, 0x70, 0x71, 0x61]), 1, random.below(256));
      for (let turn = 0; turn < 20; turn++) {
        const { deadline } = pc;
        if (deadline === Number.POSITIVE_INFINITY) break;
        host.now = Math.max(host.now, deadline);
        pc.tick();
        assert.ok(pc.deadline > host.now, `seed ${seed}, step ${n}: due again at once`);
      }
    }
  }
});
devices.run();

/** Accesses ports and device memory at random, from the seed in EBP, then ends. */
const FUZZ_KERNEL = (seed: number, ports: readonly number[]) => multibootKernel(`
    cli
    mov ebp, ${seed}
    mov ecx, 20000
  .next:
    call random
    mov ebx, eax
    call random
    mov edi, eax
    mov eax, edi
    xor edx, edx
    mov esi, ${ports.length}
    div esi
    movzx edx, word [ports + edx * 2]
    mov eax, edi
    test ebx, 1
    jnz .memory
    test ebx, 6
    jz .read
    test ebx, 8
    jz .write32
    out dx, al
    jmp .done
  .write32: out dx, eax
    jmp .done
  .read: in eax, dx
    jmp .done
  .memory:
    and edi, 0x1fc
    test ebx, 2
    jz .load
    mov [0xfec00000 + edi], eax
    mov [0xd0000000 + edi], ax
    mov [0xb8000 + edi], al
    jmp .done
  .load: mov eax, [0xfec00000 + edi]
    mov ax, [0xd0000000 + edi]
    mov al, [0xa0000 + edi]
  .done: dec ecx
    jnz .next
    hlt
  random:
    mov eax, ebp
    shl eax, 13
    xor ebp, eax
    mov eax, ebp
    shr eax, 17
    xor ebp, eax
    mov eax, ebp
    shl eax, 5
    xor ebp, eax
    mov eax, ebp
    ret
  ports: dw ${ports.join(", ")}`);

/** What ends a domain at once would end each run at its beginning. */
const ENDING = [0x64, 0x92, 0xf4, 0xb004];
for (const threads of [true, false]) {
  const kernels = suite(`hostile accesses from a kernel, ${threads ? "threads" : "one thread"}`);
  (nasmMissing ? kernels.skip : kernels)("every domain ends in order", async () => {
    const { machine, log } = await testMachine({ threads, pcpus: 1, memory: 64 });
    const before = machine.freeMemory;
    try {
      for (let seed = 1; seed <= 12; seed++) {
        const ports = seed % 4 === 0 ? PORTS : PORTS.filter((port) => !ENDING.includes(port));
        const domain = await machine.createDomain({ type: "hvm", kernel: FUZZ_KERNEL(seed * 7919, ports), memory: 4, debugExit: true });
        void domain.console.writable.getWriter().write(new Uint8Array(3000)).catch(() => {});
        const text = readText(domain.console.readable);
        const { reason } = await within(20_000, `seed ${seed}`, domain.stopped);
        await text;
        assert.ok(reason === "poweroff" || reason === "reboot", `seed ${seed}: ${reason}`);
      }
      assert.is(log.filter((line) => /core failed|internal error|lost/.test(line)).join("\n"), "");
      assert.is(machine.freeMemory, before);
    } finally {
      await machine.destroy();
    }
  });
  kernels.run();
}
