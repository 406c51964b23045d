/** Code in segments that are not flat, real mode above all: translated code addresses memory by base and limit of its segments, its stack by 16 bits, and
 *  stays within the page it is in. Random programs, translated and interpreted, agree in registers and memory; faults at the ends of segments included. */
import { createHash } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../../assembly/abi/exit";
import { assemble, nasmMissing, TestPc } from "../../support/test_pc";
import { Random } from "../../support/random";
import { Twins } from "../../support/twins";

const segments = suite("code in segments");
const seed = process.env.XENOLITH_SEED ?? String(Date.now());

/** Linear addresses that real-mode programs here reach. */
const REACH = 0x50000;
const fresh = (await TestPc.create({ jit: false })).guest.read(0, REACH).fill(0x5a, 0x20000);
const memoryOf = (twins: Twins) => [twins.translated, twins.interpreted].map((pc) => createHash("sha256").update(pc.guest.read(0, 0xa000)).update(pc.guest.read(0xb000, REACH - 0xb000)).digest("hex"));

function agree(twins: Twins, source: string, start: Parameters<Twins["run"]>[2] = {}, why = source) {
  const outcome = twins.run(assemble(source, 16, 0x7000), 16, start, (pc) => pc.guest.write(0, fresh));
  const [left, right] = memoryOf(twins);
  assert.is(left, right, why);
  return outcome;
}

const descriptor = (base: number, limit: number, access: number, flags = 0) =>
  (BigInt(limit & 0xffff) | (BigInt(base & 0xffffff) << 16n) | (BigInt(access) << 40n) | (BigInt(limit >>> 16) << 48n) | (BigInt(flags) << 52n) | (BigInt(base >>> 24) << 56n));
const le64 = (values: readonly bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);

const WORDS = ["ax", "cx", "dx", "bx", "bp", "si", "di"];
const BYTES = ["al", "ah", "cl", "ch", "dl", "dh", "bl", "bh"];
const CONDITIONS = ["o", "no", "b", "nb", "z", "nz", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];

class Real {
  readonly lines: string[] = [];
  private labels = 0;

  constructor(private readonly r: Random) {}

  private label(): string {
    return `l${this.labels++}`;
  }

  private register(w: number): string {
    const { r } = this;
    return w === 1 ? r.pick(BYTES) : w === 2 ? r.pick(WORDS) : `e${r.pick(WORDS)}`;
  }

  private memory(w: number): string {
    const { r } = this;
    const disp = r.chance(0.03) ? r.between(0xfff0, 0xffff) : r.chance(0.5) ? r.below(200) : r.below(0x7000);
    const size = ["", "byte", "word", "", "dword"][w];
    const override = r.chance(0.2) ? `${r.pick(["es", "ss", "ds", "fs", "gs", "cs"])}:` : "";
    if (r.chance(0.1)) {
      const base = r.pick(["ebx", "esi", "edi", "ebp"]);
      this.lines.push(`movzx ${base}, ${base.slice(1)}`);
      return `${size} [${override}${base} + ${disp & 0xff}]`;
    }
    return `${size} [${override}${r.pick(["bx", "bp", "si", "di", "bx + si", "bx + di", "bp + si", "bp + di", "", ""])}${disp ? ` + ${disp}` : " + 1"}]`.replace("[ +", "[").replace(": +", ":");
  }

  private instruction(): void {
    const { r, lines } = this;
    const w = r.pick([1, 2, 2, 2, 4]);
    const register = this.register(w);
    const operand = r.chance(0.5) ? this.memory(w) : this.register(w);
    const kind = r.below(22);
    if (kind < 5) {
      const op = r.pick(["add", "sub", "and", "or", "xor", "adc", "sbb", "cmp", "test", "mov", "mov", "mov"]);
      if (r.chance(0.4) && op !== "test") lines.push(`${op} ${register}, ${operand}`);
      else lines.push(`${op} ${operand}, ${r.chance(0.6) ? register : r.below(w === 1 ? 128 : 30000)}`);
    } else if (kind < 7) lines.push(`${r.pick(["inc", "dec", "neg", "not"])} ${operand}`);
    else if (kind < 9) lines.push(`${r.pick(["shl", "shr", "sar", "rol", "ror"])} ${operand}, ${r.chance(0.8) ? 1 + r.below(w * 8 - 1) : "cl"}`, "test ax, ax");
    else if (kind < 10) lines.push(`imul ${this.register(2)}, ${this.memory(2)}`, "test dx, dx");
    else if (kind < 11) lines.push(`${r.pick(["movzx", "movsx"])} ${this.register(r.pick([2, 4]))}, ${r.chance(0.5) ? this.memory(1) : r.pick(BYTES)}`);
    else if (kind < 12) lines.push(`lea ${this.register(r.pick([2, 4]))}, ${this.memory(2).replace("word ", "").replace(/[c-g]s:|es:|ss:/, "")}`);
    else if (kind < 14) lines.push(`push ${r.pick([this.register(2), this.register(4), this.memory(2), "1234"])}`, `pop ${this.register(2)}`);
    else if (kind < 15) lines.push(`set${r.pick(CONDITIONS)} ${r.chance(0.4) ? this.memory(1) : r.pick(BYTES)}`);
    else if (kind < 16) lines.push(`cmov${r.pick(CONDITIONS)} ${this.register(2)}, ${r.chance(0.4) ? this.memory(2) : this.register(2)}`);
    else if (kind < 17) lines.push(`and ax, 0x${r.pick(["3fff", "2fff"])}`, `mov ${r.pick(["es", "gs"])}, ax`);
    else if (kind < 18) lines.push("push ds", "pop es");
    else if (kind < 19) lines.push(r.pick(["lodsb", "stosw", "movsb", "lodsw", "stosd"]));
    else if (kind < 20) lines.push(`xchg ${this.register(2)}, ${this.register(2)}`);
    else lines.push(`mov ${this.register(2)}, ${r.below(0x6000)}`);
  }

  body(depth: number): void {
    const { r, lines } = this;
    for (let n = r.between(3, 9); n > 0; n--) {
      const kind = r.below(12);
      if (kind < 7) this.instruction();
      else if (kind < 9) {
        const on = this.label();
        if (r.chance(0.5)) lines.push(`${r.pick(["cmp", "test"])} ${this.register(2)}, ${this.register(2)}`);
        lines.push(`j${r.pick(CONDITIONS)} ${on}`);
        for (let i = r.between(1, 3); i > 0; i--) this.instruction();
        lines.push(`${on}:`);
      } else if (kind < 10) {
        const [over, sub] = [this.label(), this.label()];
        lines.push(`call ${sub}`, `jmp ${over}`, `${sub}:`);
        this.instruction();
        lines.push(r.chance(0.8) ? "ret" : "push word 7\nret 2", `${over}:`);
      } else if (depth > 0) {
        const top = this.label();
        lines.push(`mov word [fs:${depth * 2}], ${r.between(2, 20)}`, `${top}:`);
        this.body(depth - 1);
        lines.push(`dec word [fs:${depth * 2}]`, `jnz near ${top}`);
      }
    }
  }
}

function program(r: Random): string {
  const writer = new Real(r);
  writer.body(2);
  const values = WORDS.map((name) => `mov e${name}, ${r.chance(0.8) ? r.below(0x6000) : r.u32()}`);
  return `
    mov ax, 0x2000
    mov ds, ax
    mov ax, 0x3000
    mov es, ax
    mov gs, ax
    mov ax, 0x4000
    mov fs, ax
    mov esp, 0x1234${r.pick(["6ff0", "6ff0", "0006", "6ff1"])}
    ${values.join("\n")}
    mov word [fs:0], ${r.between(8, 40)}
    top:
    ${writer.lines.join("\n")}
    dec word [fs:0]
    jnz near top
    hlt`;
}

for (const slice of [40, 7, 301])
  segments(`random programs in real mode, slices of ${slice} (seed ${seed})`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create({}, { slice }), scout = await TestPc.create({ jit: false });
    for (let i = 0; i < 60; i++) {
      const name = `${seed} ${slice} ${i}`, source = program(new Random(name));
      // some get lost and go on for good
      scout.guest.write(0, fresh);
      if (scout.run(assemble(source, 16, 0x7000), 16).exit === Exit.budget) continue;
      agree(twins, source, {}, `${name}\n${source}`);
    }
    assert.ok(twins.regions > 60);
  });

/* One page seen through two code segments: by the second one its byte 80h is beyond FFFFh, or its byte 60h below the segment, where instruction pointers
 * have wrapped. What is there is elsewhere. Codes: 42h INC DX, 46h INC SI, CBh RETF. */
const VIEWS = [
  { way: "on", jump: 0x60, code: 0x90902eeb, to: 0x90, wrapped: 0x1200, usual: "0x2200:0x60", other: "0x1208:0xffe0", dx: 2000n, si: 125n },
  { way: "back", jump: 0x90, code: 0x9090ceeb, to: 0x60, wrapped: 0x3200, usual: "0x2208:0x10", other: "0x2200:0x90", dx: 125n, si: 2000n },
] as const;
for (const { way, jump, code, to, wrapped, usual, other, dx, si } of VIEWS)
  segments(`a branch ${way} wraps where the same code in another segment goes straight ${way}`, async () => {
    if (nasmMissing()) return;
    for (const slice of [40, 7, 501]) {
      const twins = await Twins.create({}, { slice });
      const outcome = agree(
        twins,
        `
        mov ax, 0x2200
        mov ds, ax
        mov dword [${jump}], ${code}
        mov dword [${to}], 0x9090cb42
        mov ax, ${wrapped}
        mov ds, ax
        mov dword [${to}], 0x9090cb46
        xor dx, dx
        xor si, si
        mov cx, 2000
        again:
        test cx, 15
        jnz on
        call ${other}
        on:
        call ${usual}
        dec cx
        jnz again
        hlt`,
      );
      assert.is(outcome.regs.rdx & 0xffffn, dx);
      assert.is(outcome.regs.rsi & 0xffffn, si);
      assert.ok(twins.regions > 0);
    }
  });

/** Into protected mode of 16 bits. */
const enterProtected = (to: string) => `
  lgdt [table]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp ${to}
  table: dw 39
  dd 0x5000`;

/* The mode key of such code is 0, as is the place of what nobody remembers. */
segments("a return to address 0", async () => {
  if (nasmMissing()) return;
  for (const slice of [40, 7, 501]) {
    const twins = await Twins.create({}, { slice });
    const outcome = agree(
      twins,
      `
      jmp near start
      start:
      mov word [0x7000], 0xe942 ; inc dx, jmp to back
      mov word [0x7002], back - 0x7004
      ${enterProtected("8:protected - 0x7000")}
      protected:
      mov ax, 16
      mov ss, ax
      mov ds, ax
      xor dx, dx
      mov cx, 3000
      again:
      push word 0
      ret
      back:
      dec cx
      jnz again
      hlt`,
      { memory: [[0x5000, le64([0n, descriptor(0x7000, 0xffff, 0x9b), descriptor(0, 0xffff, 0x93), 0n])]] },
    );
    assert.is(outcome.regs.rdx & 0xffffn, 3000n);
    assert.ok(twins.regions > 0);
  }
});

segments("a call to below the segment pushes nothing before its fault", async () => {
  if (nasmMissing()) return;
  for (const slice of [40, 7]) {
    const twins = await Twins.create({}, { slice });
    // seen through the first segment the call is made, so the second one's region has it; there it is to FFE0h
    const outcome = agree(
      twins,
      `
      mov ax, 0x2200
      mov es, ax
      mov si, routine
      mov di, 0xa0
      mov cx, 16
      rep movsb
      mov byte [es:0x60], 0xc3
      ${enterProtected("8:protected")}
      routine:
      dec cx
      jnz routine
      db 0xe8
      dw 0x60 - 0xa6
      retf
      protected:
      mov ax, 16
      mov ss, ax
      mov cx, 200
      call 24:0xa0
      mov cx, 3000
      call 32:0x20
      hlt`,
      { memory: [[0x5000, le64([0n, descriptor(0, 0xffff, 0x9b), descriptor(0, 0xffff, 0x93), descriptor(0x22000, 0xffff, 0x9b), descriptor(0x22080, 0x7fff, 0x9b)])]] },
    );
    assert.is(outcome.exit, Exit.tripleFault);
    assert.is(outcome.regs.rsp & 0xffffn, 0x6fecn);
    assert.ok(twins.regions > 0);
  }
});

/* Protected mode with a code segment that ends within the page, and data that ends, grows down or may not be written. */
const DATA: readonly (readonly [why: string, data: bigint, faults: boolean])[] = [
  ["64 KiB", descriptor(0x20000, 0xffff, 0x93), false],
  ["to the last byte used", descriptor(0x20000, 0x101 + 2 * 199, 0x93), false],
  ["a byte less", descriptor(0x20000, 0x100 + 2 * 199, 0x93), true],
  ["4 GiB", descriptor(0x20000, 0xfffff, 0x93, 8), false],
  ["down to what is used", descriptor(0x20000, 0xff, 0x97), false],
  ["down to a byte above", descriptor(0x20000, 0x100, 0x97), true],
  ["read only", descriptor(0x20000, 0xffff, 0x91), true],
  ["code", descriptor(0x20000, 0xffff, 0x9b), true],
];
for (const [why, data, faults] of DATA)
  segments(`protected mode of 16 bits, data: ${why}`, async () => {
    if (nasmMissing()) return;
    for (const slice of [40, 7, 501]) {
      const twins = await Twins.create({}, { slice });
      const gdt = le64([0n, descriptor(0, 0xffff, 0x9b), descriptor(0, 0xffff, 0x93), data]);
      const outcome = agree(
        twins,
        `
        ${enterProtected("8:protected")}
        protected:
        mov ax, 16
        mov ss, ax
        mov es, ax
        mov ax, 24
        mov ds, ax
        xor ax, ax
        mov bp, 20
        next:
        mov cx, 200
        mov bx, 0x100
        again:
        add ax, [bx]
        ${why === "read only" || why === "code" ? "cmp bp, 1\njne on\n" : ""}
        mov [bx], ax
        on:
        add bx, 2
        dec cx
        jnz again
        dec bp
        jnz next
        hlt`,
        { memory: [[0x5000, gdt]] },
      );
      assert.is(outcome.exit === Exit.tripleFault, faults); // the IDT is real mode's
      assert.ok(faults || twins.regions > 0);
    }
  });

segments.run();
