/** The baseline as a runner of tests/hardware/native.ts cases: code at level 3 under two-level paging, exceptions to a HLT at
 *  level 0 whose place tells the vector. */
import { BaselineMachine } from "../../src/baseline";
import { CODE, CODE_SIZE, type Case, DONE, ENVS, PAGES, type Result, STATUS, WINDOWS, type Windows } from "../hardware/native";

const GDT = 0x1000;
const IDT = 0x1800;
const TSS = 0x2000;
const KERNEL_STACK = 0x6000;
const STUBS = 0x8000;
const DIRECTORY = 0x20000;
const TABLE = 0x21000;
const NAMES = ["es", "cs", "ss", "ds", "fs", "gs"] as const;
const HAS_ERROR = [8, 10, 11, 12, 13, 14, 17];

export class BaselineRunner {
  readonly machine = new BaselineMachine({ memoryBytes: 8 << 20 });
  private readonly words = new Uint32Array(this.machine.memory.buffer);
  private env = -1;

  constructor(private readonly windows: Windows = WINDOWS) {
    const { machine, words } = this;
    const { memory, registers } = machine;
    const descriptor = (n: number, high: number) => {
      words[(GDT >> 2) + n * 2] = 0xffff;
      words[(GDT >> 2) + n * 2 + 1] = high;
    };
    descriptor(1, 0x00cf9b00);
    descriptor(2, 0x00cf9300);
    words[(TSS + 4) >> 2] = KERNEL_STACK;
    words[(TSS + 8) >> 2] = 0x10;
    words[(TSS + 0x64) >> 2] = 0xffff0000; // no I/O permission bit map
    for (let v = 0; v < 256; v++) {
      words[(IDT >> 2) + v * 2] = 0x80000 | (STUBS + v * 16);
      words[(IDT >> 2) + v * 2 + 1] = 0xee00;
      memory[STUBS + v * 16] = 0xf4;
    }
    memory.fill(0xf4, CODE, CODE + CODE_SIZE);
    words[DIRECTORY >> 2] = 0x83;
    words[(DIRECTORY >> 2) + 1] = TABLE | 7;
    for (let at = CODE; at < CODE + CODE_SIZE; at += 4096) words[(TABLE >> 2) + ((at >> 12) & 1023)] = at | 5;
    for (const [address, writable] of PAGES) words[(TABLE >> 2) + ((address >> 12) & 1023)] = address | (writable ? 7 : 5);
    registers.setTable("gdt", GDT, 0xff);
    registers.setTable("idt", IDT, 0x7ff);
    registers.setSegment("tr", { selector: 0x18, base: TSS, limit: 0x67, attributes: 0x8b });
    registers.setControl(3, DIRECTORY);
    registers.setControl(4, 0x610);
    registers.setControl(0, 0x80000031);
  }

  private enter(c: Case): void {
    const { registers, memory } = this.machine;
    if (c.env !== this.env) {
      const page = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + 1) & 255);
      for (const [address] of PAGES) memory.set(page, address);
      this.env = c.env;
    }
    ENVS[c.env].seg.forEach((s, n) => {
      const type = s.code ? 0xb : 1 | (s.readOnly ? 0 : 2) | (s.down ? 4 : 0);
      registers.setSegment(NAMES[n], { selector: s.code ? 0x2b : 0x33, base: s.base, limit: s.pages ? s.limit * 4096 + 4095 : s.limit, attributes: 0xf0 | type | (s.big ? 0x4000 : 0) | (s.pages ? 0x8000 : 0) });
    });
  }

  run(c: Case, budget = 10_000): Result {
    const { machine } = this;
    const { memory, registers } = machine;
    this.enter(c);
    const at = ENVS[c.env].seg[1].base + c.rip;
    machine.load(at, c.code);
    let from = 0;
    for (const [address, length] of this.windows) {
      memory.set(c.memory.subarray(from, from + length), address);
      from += length;
    }
    for (let i = 0; i < 8; i++) registers.general[i] = Number(c.gpr[i] & 0xffffffffn);
    registers.eip = c.rip;
    registers.eflags = (c.rflags & STATUS) | 2;
    const { reason } = machine.run(c.step ? 1 : budget);

    const gpr = new BigUint64Array(16);
    registers.general.forEach((x, i) => (gpr[i] = BigInt(x >>> 0)));
    const seen = new Uint8Array(c.memory.length);
    from = 0;
    for (const [address, length] of this.windows) {
      seen.set(memory.subarray(address, address + length), from);
      from += length;
    }
    machine.load(at, new Uint8Array(c.code.length).fill(0xf4));
    const result = { gpr, memory: seen, error: 0, cr2: 0n };
    const vector = reason === "halt" && registers.cpl === 0 ? (registers.eip - 1 - STUBS) / 16 : -1;
    if (vector < 0) return { ...result, rip: BigInt(registers.eip), rflags: registers.eflags & STATUS, trap: reason === "budget" && c.step ? DONE : 1000 };
    const frame = registers.general[4] >> 2;
    const skip = HAS_ERROR.includes(vector) ? 1 : 0;
    const word = (n: number) => this.words[frame + n];
    gpr[4] = BigInt(word(skip + 3));
    const hlt = !c.step && vector === 13 && memory[ENVS[c.env].seg[1].base + word(skip)] === 0xf4;
    return { ...result, rip: BigInt(word(skip)), rflags: word(skip + 2) & STATUS, trap: vector, error: skip && !hlt ? word(0) : 0, cr2: vector === 14 ? BigInt(registers.control(2)) : 0n };
  }
}
