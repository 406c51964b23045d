/** Loops whose addresses move in steps look a page up once and then stay on it: they have to see where it ends, whatever the address is made of,
 *  whichever way a round takes, and what is behind it. Frames of pages in a row lie apart. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { assemble, type Bits, EAGER, LAYOUT, nasmMissing, TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const strides = suite("addresses that move in steps");
const TABLE = 0x20000;
const BASE = 0x400000;
/** Linear pages from 4 MiB on: frames of the data pages, the code's, and nothing. */
const FRAMES = [LAYOUT.data + 0x1000, LAYOUT.data + 0x2000, LAYOUT.data, LAYOUT.data + 0x4000, LAYOUT.data + 0x3000, LAYOUT.code] as const;

function scattered(pc: TestPc): void {
  for (let i = 0; i < 512; i++) pc.guest.set64(TABLE + i * 8, i < FRAMES.length ? BigInt(FRAMES[i]!) | 7n : 0n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
  pc.guest.set32(0x30000, 0x31000 | 7);
  for (let i = 0; i < 1024; i++) pc.guest.set32(0x31000 + i * 4, (i << 12) | 7);
  pc.guest.set32(0x30004, 0x32000 | 7);
  for (let i = 0; i < 1024; i++) pc.guest.set32(0x32000 + i * 4, i < FRAMES.length ? FRAMES[i]! | 7 : 0);
}

/** A round of a loop that counts ECX down; DX, SI and DI are free, BX is BASE. All run over the end of a page at least. */
const ROUNDS: readonly (readonly [name: string, before: string, round: string])[] = [
  ["base and index", "mov SI, 4000", "add eax, [BX + SI]\nmov [BX + SI + 8], eax\nadd SI, 4"],
  ["base and scaled index", "mov SI, 990", "add eax, [BX + SI * 4]\nadd [BX + SI * 4 + 4], eax\ninc SI"],
  ["index alone", "mov SI, BASE / 8 + 500", "add eax, [SI * 8]\nmov [SI * 8 + 4], ecx\ndec SI"],
  ["a constant and an index", "mov SI, 12000", "mov dl, [SI + BASE]\nadd al, dl\nmov [SI + BASE - 1], al\nsub SI, 3"],
  ["both move, apart", "mov SI, 4000\nmov DI, BASE + 4000", "add eax, [DI + SI * 2]\nmov [DI + SI * 2 - 2], ax\nadd SI, 3\nsub DI, 2"],
  ["both move, against each other", "mov SI, 4094\nmov DI, BASE + 64", "add eax, [DI + SI]\nmov [DI + SI + 4], ecx\ninc SI\ndec DI"],
  ["the index moves before", "mov SI, 1000", "inc SI\nmov edx, [BX + SI * 4]\nadd eax, edx\ninc SI\nmov [BX + SI * 4], eax"],
  ["not aligned", "mov SI, BASE + 4001", "add eax, [SI]\nadd SI, 4\nmov [SI + 20], eax"],
  ["across a page's end each time", "mov SI, BASE + 4094", "add eax, [SI]\nadd SI, 4096\nadd eax, [SI - 4096]\nsub SI, 4096"],
  ["two ways, one step", "mov SI, BASE + 3900", "test cl, 3\njz .a\nadd eax, [SI]\njmp .b\n.a: xor eax, [SI + 2]\nmov [SI], ax\n.b: add SI, 2"],
  ["two ways, two steps", "mov SI, BASE + 3900", "test cl, 5\njz .a\nadd eax, [SI]\nadd SI, 4\njmp .b\n.a: mov [SI], eax\nadd SI, 8\n.b: add eax, [SI]"],
  ["a step that is a register's", "mov SI, BASE + 3000\nmov DI, 8", "add [SI], ecx\nadd SI, DI\nadd eax, [SI]"],
  ["only sometimes", "mov SI, BASE + 3000", "test cl, 15\njnz .a\nadd [SI], ecx\n.a: add SI, 4"],
  ["from elsewhere", "mov SI, BASE + 4000", "mov edx, [SI]\nand edx, 0xff8\nadd eax, [BX + DX]\nmov [BX + DX], ax\nadd SI, 4"],
  ["on to the code", "mov SI, BASE + 5 * 4096 - 400", "cmp SI, BASE + 5 * 4096 + 600\njae .a\nmov dl, [SI]\nmov [SI], dl\n.a: add SI, 1"],
  ["string instructions", "mov SI, BASE + 4000\nmov DI, BASE + 9000", "lodsd\nadd eax, ecx\nstosw\nmovsb"],
  ["string instructions that go down", "std\nmov SI, BASE + 12000\nmov DI, BASE + 9000", "lodsd\nadd eax, ecx\nstosd"],
  ["string instructions that turn", "mov SI, BASE + 4000\nmov DI, BASE + 9000", "cmp ecx, 300\njne .a\nstd\n.a: lodsd\nadd eax, ecx\nstosd"],
  ["a loop that begins where another does", "mov SI, BASE + 3900", ".a: add eax, [SI]\nadd SI, 4\nmov [SI + 8], ax\ntest eax, 6\njnz .a\ntest eax, 0x70\njnz .b\nadd SI, 40\ndec ecx\n.b: xor eax, ecx"],
  ["and the stack", "mov SI, BASE + 4000", "push AX\nadd eax, [SI]\nmov [SI + 4], eax\npop DX\nadd SI, 4"],
];

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const [name, before, round] of ROUNDS)
    strides(`${name}, ${bits} bits`, async () => {
      if (nasmMissing()) return;
        // slices shorter and longer than what a page has; the last loops end where nothing is mapped any more, if they do not turn back
      for (const slice of [40, 8000]) {
        const twins = await Twins.create({}, { slice });
        for (const [count, flags] of [[700, "dec ecx\njnz again"], [2500, "sub ecx, 1\njnc again"], [40000, "cmp ecx, 1\nlea ecx, [CX - 1]\njne again"]] as const) {
          const source = named(bits, `mov BX, BASE\nmov ecx, ${count}\nmov eax, 0x1234567\n${before}\nagain:\n${round}\n${flags}\nhlt`);
          twins.run(source, bits, bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {}, scattered);
        }
        assert.ok(twins.regions > 0);
      }
    });

/** What is translated with one direction runs with the other. */
for (const bits of [64, 32] as const satisfies readonly Bits[])
  strides(`the direction flag is what it is, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    for (const slice of [40, 2000]) {
      const twins = await Twins.create({}, { slice });
      twins.run(
        named(bits, `mov SI, BASE + 4000\nmov DI, BASE + 9000\nmov ebp, 30
        next: mov ecx, 40
        again: lodsd\nadd eax, ecx\nstosd\nmovsb\ndec ecx\njnz again
        test ebp, 3\njz down
        cld\njmp on
        down: std
        on: dec ebp\njnz next\nhlt`),
        bits,
        bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
        scattered,
      );
      assert.ok(twins.regions > 0);
    }
  });

/** The inner loop asks first and the outer one last, so the inner one's body comes behind the outer one's way back. */
for (const bits of [64, 32] as const satisfies readonly Bits[])
  strides(`what an inner loop moves is not where it was in the outer one's next round, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    for (const moved of ["add SI, 4", "cpuid\nmov ecx, edi\nadd SI, 4", "add SI, 4\nadd eax, [SI]\nmov [SI + 8], eax"]) {
      const twins = await Twins.create({}, { slice: 300 });
      twins.run(
        named(bits, `mov SI, BASE\nmov ebp, 300
        outer: mov edi, ebp\nand edi, 3\ninc edi\nadd eax, [SI + 4]\nmov [SI + 12], eax\nadd eax, ebp
        inner: dec edi\njz done
        ${moved}
        jmp inner
        done: add [SI + 4], eax\ndec ebp\njnz outer\nhlt`),
        bits,
        bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
        scattered,
      );
      assert.ok(twins.regions > 0);
    }
  });

/** Short loops that begin near a page's end, some of them beyond it before they are done: `at` words from BASE, up or down. What they add up and store
 *  is computed here, word by word. */
const SHORT: readonly (readonly [name: string, before: string, round: string, step: number])[] = [
  ["a register", "lea DI, [BX + SI * 4]", "add eax, [DI]\nadd [DI], edx\nadd DI, 4", 1],
  ["a base that stays", "", "add eax, [BX + SI * 4]\nadd [BX + SI * 4], edx\ninc SI", 1],
  ["an index that stays", "lea DI, [BX + SI * 2]", "add eax, [DI + SI * 2]\nadd [DI + SI * 2], edx\nadd DI, 12", 3],
  ["down", "", "add eax, [BX + SI * 4 + 8]\nadd [BX + SI * 4 + 8], edx\nsub SI, 1", -1],
  ["down, far", "lea DI, [BX + SI * 4]", "add eax, [DI - 4]\nadd [DI - 4], edx\nsub DI, 40", -10],
  ["a constant and an index", "", "add eax, [SI * 4 + BASE]\nadd [SI * 4 + BASE], edx\nadd SI, 5", 5],
];
const PAGES = 5;

function shortLoops(step: number, offset: number): { sum: number; words: Uint32Array } {
  const words = Uint32Array.from({ length: PAGES * 1024 }, (_, i) => Math.imul(i, 2654435761));
  let sum = 0;
  for (let n = 400; n; n--) {
    let at = 2048 - 20 + (n % 41) + offset;
    for (let rounds = 1 + (n & 15) + (n & 64 ? 30 : 0); rounds; rounds--, at += step) {
      sum = (sum + words[at]!) >>> 0;
      words[at] = words[at]! + n;
    }
  }
  return { sum, words };
}

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const [name, before, round, step] of SHORT)
    strides(`short loops near a page's end: ${name}, ${bits} bits`, async () => {
      if (nasmMissing()) return;
        const offset = name === "down" ? 2 : name === "down, far" ? -1 : 0;
      const expected = shortLoops(step, offset);
      for (const slice of [40, 100, 8000]) {
        const pc = await TestPc.create({ jit: { ...EAGER, slice } });
        scattered(pc);
        const at = (word: number) => FRAMES[word >> 10]! + (word & 1023) * 4;
        for (let i = 0; i < PAGES * 1024; i++) pc.guest.set32(at(i), Math.imul(i, 2654435761) >>> 0);
        // EBP has n, ESI where a loop begins, ECX its rounds
        const source = named(bits, `mov BX, BASE\nmov ebp, 400\nmov ecx, 0\npush AX
          next: mov eax, ebp\nxor edx, edx\nmov ecx, 41\ndiv ecx\nlea esi, [DX + 2028]
          mov ecx, ebp\nand ecx, 15\ninc ecx\ntest ebp, 64\njz .a\nadd ecx, 30
          .a: pop AX\nmov edx, ebp\n${before}
          again: ${round}\ndec ecx\njnz again
          push AX\ndec ebp\njnz next\npop AX\nhlt`);
        const out = pc.run(assemble(source, bits), bits, { ...(bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {}), regs: { rax: 0n } });
        assert.is(Number(out.regs.rax), expected.sum, "the sum");
        for (let i = 0; i < PAGES * 1024; i++) if (pc.guest.get32(at(i)) !== expected.words[i]) assert.is(pc.guest.get32(at(i)), expected.words[i], `word ${i}`);
        assert.ok(pc.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated) > 0);
      }
    });

/** A loop accesses memory through a register that it leaves alone; where it is left that register moves, so the next loop is somewhere else. */
for (const bits of [64, 32] as const satisfies readonly Bits[])
  strides(`a register that only ways out of a loop move, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    const words = Uint32Array.from({ length: PAGES * 1024 }, (_, i) => Math.imul(i + 1, 2654435761));
    let sum = 0;
    for (let n = 3000, at = 0; n; n--) {
      for (let rounds = 5; ; ) {
        sum = ((sum + words[at + 2]!) ^ rounds) >>> 0;
        words[at + 3] = words[at + 3]! + n;
        if (--rounds === 0) {
          at += 5;
          sum = (sum + words[at]!) >>> 0;
          break;
        }
        if (!(sum & 0x18)) {
          at += 77;
          break;
        }
      }
      if (at >= 4 * 1024) at -= 4 * 1024;
    }
    for (const slice of [40, 8000]) {
      const pc = await TestPc.create({ jit: { ...EAGER, slice } });
      scattered(pc);
      const at = (word: number) => FRAMES[word >> 10]! + (word & 1023) * 4;
      for (let i = 0; i < PAGES * 1024; i++) pc.guest.set32(at(i), Math.imul(i + 1, 2654435761) >>> 0);
      const source = named(bits, `mov BX, BASE\nmov ebp, 3000\nxor eax, eax
        outer: mov ecx, 5
        inner: add eax, [BX + 8]\nxor eax, ecx\nadd [BX + 12], ebp\ndec ecx\njz last
        test eax, 0x18\njnz inner
        add BX, 308\njmp on
        last: add BX, 20\nadd eax, [BX]
        on: cmp BX, BASE + 4 * 4096\njb .a\nsub BX, 4 * 4096
        .a: dec ebp\njnz outer\nhlt`);
      const out = pc.run(assemble(source, bits), bits, bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {});
      assert.is(Number(out.regs.rax), sum, "the sum");
      for (let i = 0; i < PAGES * 1024; i++) if (pc.guest.get32(at(i)) !== words[i]) assert.is(pc.guest.get32(at(i)), words[i], `word ${i}`);
      assert.ok(pc.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated) > 0);
    }
  });

/** `text` with AX to DX, SI, DI as registers of `bits`, and BASE as a number. */
const named = (bits: Bits, text: string) =>
  text.replace(/\b([A-D]X|[SD]I)\b/g, (r) => (bits === 64 ? `r${r.toLowerCase()}` : `e${r.toLowerCase()}`)).replace(/\bBASE\b/g, String(BASE));

/** Two words are read through the sum of two registers before a loop that moves one of them. */
for (const bits of [64, 32] as const satisfies readonly Bits[])
  strides(`what was looked up before a loop moves in it, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    for (const [moved, index] of [["inc ecx", "CX * 4"], ["add ebx, 4", "CX * 4"], ["add ecx, 4", "CX"]] as const)
      for (const slice of [40, 333, 1000, 2000]) {
        const twins = await Twins.create({}, { slice });
        twins.run(
          named(bits, `mov ebp, 600\nxor eax, eax
          outer: mov ebx, BASE\nmov ecx, 8\nmov edi, 30
          first: add eax, 3\ndec edi\njnz first
          mov edx, [BX + ${index}]\nadd eax, [BX + ${index} + 4]\nadd eax, edx\nmov edi, 3\ntest eax, 1\njz inner\ninc eax
          inner: add eax, [BX + ${index}]\n${moved}\ndec edi\njnz inner
          dec ebp\njnz outer\nhlt`),
          bits,
          bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
          (pc) => {
            scattered(pc);
            for (let i = 0; i < 0x3000; i += 4) pc.guest.set32(LAYOUT.data + i, i * 7 + 1);
          },
        );
        assert.ok(twins.regions > 0);
      }
  });

/** With DF clear string instructions move a register and it is moved back; with DF set it goes on. */
for (const bits of [64, 32] as const satisfies readonly Bits[])
  strides(`a register that stays where it is in one direction only, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    for (const round of ["lodsd\nadd ebx, eax\nadd ebx, [SI + 8]\nsub SI, 4", "xchg SI, DX\nlodsd\nadd ebx, eax\nsub SI, 4\nxchg SI, DX\nadd ebx, [DX + 4]\nadd ebx, [DX + 8]"])
      for (const slice of [40, 333, 2000]) {
        const twins = await Twins.create({}, { slice });
        twins.run(
          named(bits, `mov ebp, 600\nxor ebx, ebx
          outer: mov esi, BASE + 0x800\nmov edx, esi\nmov edi, 30
          first: add ebx, 3\ndec edi\njnz first
          mov ecx, 10
          inner: ${round}\ndec ecx\njnz inner
          test ebp, 3\njz down\ncld\njmp on\ndown: std\non: dec ebp\njnz outer\nhlt`),
          bits,
          bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
          (pc) => {
            scattered(pc);
            for (let i = 0; i < 0x5000; i += 4) pc.guest.set32(LAYOUT.data + i, i * 7 + 1);
          },
        );
        assert.ok(twins.regions > 0);
      }
  });

/** Steps of which 32 bits are a short one's, one that is as long as its negative, and what is as far away. All 1 GiB pieces from 1 GiB on have
 *  the same pages, others than the first; beyond 512 GiB each second 4 GiB have other ones. */
const FAR: readonly (readonly [name: string, bits: Bits, before: string, round: string])[] = [
  ["2 GiB", 32, "mov esi, BASE + 256", "add eax, [esi]\nadd esi, 0x80000000"],
  ["2 GiB down", 64, "mov rsi, BASE + 256 + 0x4000000000", "add eax, [rsi]\nadd rsi, -0x80000000"],
  ["2 GiB by an index", 32, "mov ebx, BASE + 256\nxor esi, esi", "add eax, [ebx + esi * 8]\nadd esi, 0x10000000"],
  ["4 GiB by an index", 64, "mov rbx, BASE + 256\nxor esi, esi", "add eax, [rbx + rsi * 8]\nadd rsi, 0x20000001"],
  ["4 GiB by base and index", 64, "mov rsi, BASE + 256\nxor ebx, ebx", "add eax, [rsi + rbx]\nadd rsi, 0x7fffffff\nadd rbx, 0x7fffffff\ncmp ebp, 1000\nja done\nadd rsi, 10"],
  ["64 bytes, 2 GiB below a register", 64, "mov rsi, BASE + 0x8080000100\nmov rdx, 0x100000000\nadd eax, [rsi + 0x7fffff80]", "add eax, [rsi - 0x7fffffc0]\nsub rsi, 64"],
  ["4 GiB in several blocks", 64, "mov rsi, BASE + 256", "add eax, [rsi]\nadd rsi, 0x7fffffff\ncmp ebp, 1000\nja done\nadd rsi, 0x7fffffff\ncmp ebp, 1001\nja done\nadd rsi, 10"],
];

function farther(pc: TestPc): void {
  scattered(pc);
  for (let i = 0; i < 512; i++) {
    pc.guest.set64(TABLE + 0x2000 + i * 8, BigInt(FRAMES[(i + 2) % 5]!) | 7n);
    pc.guest.set64(TABLE + 0x1000 + i * 8, BigInt(TABLE + 0x2000) | 7n);
    if (i) pc.guest.set64(LAYOUT.pml4 + 0x1000 + i * 8, BigInt(TABLE + 0x1000) | 7n);
    pc.guest.set64(TABLE + 0x5000 + i * 8, BigInt(FRAMES[(i + 1) % 5]!) | 7n);
    pc.guest.set64(TABLE + 0x4000 + i * 8, BigInt(TABLE + 0x5000) | 7n);
    pc.guest.set64(TABLE + 0x3000 + i * 8, BigInt(TABLE + (i & 4 ? 0x1000 : 0x4000)) | 7n);
  }
  pc.guest.set64(LAYOUT.pml4 + 8, BigInt(TABLE + 0x3000) | 7n);
  for (let i = 0; i < 1024; i++) {
    pc.guest.set32(0x33000 + i * 4, FRAMES[(i + 2) % 5]! | 7);
    if (i >= 256) pc.guest.set32(0x30000 + i * 4, 0x33000 | 7);
  }
  for (let i = 0; i < 0x5000; i += 4) pc.guest.set32(LAYOUT.data + i, i * 7 + 1);
}

for (const [name, bits, before, round] of FAR)
  strides(`steps of ${name}, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    for (const slice of [40, 2000]) {
      const twins = await Twins.create({}, { slice });
      twins.run(
        `xor eax, eax\nmov ebp, 100\nouter: ${before}\nmov ecx, 40\ninner: ${round}\ndec ecx\njnz inner\ndec ebp\njnz outer\ndone: hlt`.replace(/\bBASE\b/g, String(BASE)),
        bits,
        bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
        farther,
      );
      assert.ok(twins.regions > 0);
    }
  });

/** Loops that keep to as many places, each with a span of its own, as there is room for spans, and move by others. */
for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const places of [21, 23, 25, 30])
    strides(`${places} places that stay beside two that move, ${bits} bits`, async () => {
      if (nasmMissing()) return;
      const some = (from: number, to: number) => Array.from({ length: Math.max(0, to - from) }, (_, k) => `add eax, [${BASE + (from + k) * 0x60}]`).join("\n");
      const twins = await Twins.create({}, { slice: 3000 });
      twins.run(
        named(bits, `mov ebp, 5\nxor eax, eax
        outer: mov esi, ${BASE + 4096}\nmov edi, ${BASE + 8192}\nmov ecx, 900
        inner: add eax, [SI]\nmov [DI], eax\nadd esi, 4\nadd edi, 4\n${some(0, 18)}\ntest al, 8\njz next\nrol eax, 3
        next: ${some(18, places)}\ndec ecx\njnz inner\ndec ebp\njnz outer\nhlt`),
        bits,
        bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
        scattered,
      );
      assert.ok(twins.regions > 0);
      assert.is(twins.translated.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.failures), 0, "modules the host refused");
    });

strides.run();
