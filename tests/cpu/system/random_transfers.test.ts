/** Far transfers in 16- and 32-bit protected mode, on random machines most of which are nearly right: returns, calls, jumps, gates, software
 *  interrupts, exceptions. The model (tests/cpu/system/model.ts) says what must come of each: registers, flags, segments, memory. */
import { PcpuOff } from "../../../assembly/abi/layout";
import type { Random } from "../../support/random";
import { Guest } from "./guest";
import {
  anySelector, bytesOf, type Case, code, codeSelector, compare, dataOf, dataSelector, gate, level, LEVELS, POOL, protectedWorld, put, sized, stackAt, TARGET, VECTOR,
} from "./random_world";
import { DE, Raised, UD } from "./model";
import { GDT, IDT, TSS } from "./worlds";

const guest = await Guest.create();
const hex = (list: readonly number[]) => list.map((x) => x.toString(16)).join(" ");
const target = (random: Random) => random.pick([TARGET, TARGET, TARGET, 0xafff, 0xb001, 0x1b000]);
const image = (random: Random) => random.u32() & 0x3cbeff;

function back(flags: boolean) {
  return (guest: Guest, random: Random): Case => {
    const cpl = level(random);
    const world = protectedWorld(guest, random, cpl);
    const size = random.pick([4, 4, 4, 2]);
    const to = random.chance(0.85) ? random.between(cpl, 3) : random.below(4);
    const extra = flags ? 0 : random.pick([0, 0, 4, 0x20]);
    const items = [target(random), codeSelector(random, to)];
    if (flags) items.push(image(random));
    const at = stackAt(guest);
    put(guest, at, size, items);
    const outer = [random.pick([0x35000, 0x35002, 0x12345000]), dataSelector(random, to)];
    put(guest, at + items.length * size + extra, size, outer);
    const opcode = flags ? [0xcf] : extra ? [0xca, ...bytesOf(extra, 2)] : [0xcb];
    const text = code(guest, [...sized(guest, size), ...opcode]);
    return {
      text: `${text}; stack ${hex([...items, ...outer])}; ${world}`,
      length: text.split(" ").length,
      perform: (m) => (flags ? m.iret(size) : m.retFar(size, extra)),
    };
  };
}

function away(opcode: number) {
  return (guest: Guest, random: Random): Case => {
    const cpl = level(random);
    const world = protectedWorld(guest, random, cpl);
    stacks(guest, random);
    const size = random.pick([4, 4, 2]);
    let selector = codeSelector(random, cpl);
    let through = "";
    if (random.chance(0.6)) {
      const place = POOL + random.below(8) * 8;
      selector = place | (random.chance(0.8) ? Math.min(cpl, random.below(4)) : random.below(4));
      const d = anyGate(random, cpl, random.pick([0x0c, 0x0c, 0x0c, 0x04]));
      guest.set64(GDT + place, d);
      through = ` through ${d.toString(16)}`;
    }
    put(guest, stackAt(guest), 4, [0x11111111, 0x22222222, 0x33333333, 0x44444444, 0x55555555]);
    const offset = target(random) & (size === 2 ? 0xffff : 0xffffffff);
    const text = code(guest, [...sized(guest, size), opcode, ...bytesOf(offset, size), ...bytesOf(selector, 2)]);
    return { text: `${text}${through}; ${world}`, length: text.split(" ").length, perform: (m, next) => m.far(opcode === 0x9a, size, selector, offset, next) };
  };
}

/** Stacks of inner levels, one of them perhaps wrong. */
function stacks(guest: Guest, random: Random): void {
  if (!random.chance(0.3)) return;
  const inner = random.below(3);
  guest.set32(TSS + 8 + inner * 8, random.chance(0.3) ? dataOf(random.pick(LEVELS)) : random.chance(0.5) ? (0x98 + inner * 16) | inner : anySelector(random, inner));
  if (random.chance(0.5)) guest.set32(TSS + 4 + inner * 8, random.pick([0x5000, 0x35ff0, 0xc, 4]));
}

function anyGate(random: Random, cpl: number, type: number): bigint {
  const dpl = random.chance(0.8) ? 3 : random.below(4);
  const to = random.chance(0.8) ? random.between(0, cpl) : random.below(4);
  const count = random.pick([0, 0, 1, 2, 5, 0x1f]);
  return gate(codeSelector(random, to), target(random), (random.chance(0.95) ? 0x80 : 0) | (dpl << 5) | type, count);
}

function software(guest: Guest, random: Random): Case {
  const cpl = level(random);
  const world = protectedWorld(guest, random, cpl);
  stacks(guest, random);
  const type = random.pick([0xe, 0xe, 0xf, 0x6, 0x7, random.pick([0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13])]);
  const d = anyGate(random, cpl, type) & ~(0x1fn << 32n);
  const kind = random.pick(["int", "int", "int3", "into", "ud", "de"] as const);
  const [bytes, vector] = { int: [[0xcd, VECTOR], VECTOR], int3: [[0xcc], 3], into: [[0xce], 4], ud: [[0x0f, 0x0b], UD], de: [[0xf7, 0xf3], DE] }[kind] as [number[], number];
  guest.setGpr("rbx", 0n);
  if (kind === "into") guest.setField(PcpuOff.rflags, guest.field(PcpuOff.rflags) | 0x800n);
  guest.set64(IDT + vector * 8, d);
  return {
    text: `${code(guest, bytes)}; gate ${d.toString(16)}; ${world}`,
    length: bytes.length,
    perform: (m) => {
      if (vector === UD || vector === DE) throw new Raised(vector);
      m.software(vector, kind === "int");
    },
  };
}

compare(guest, "IRET", 400, back(true));
compare(guest, "far RET", 400, back(false));
compare(guest, "far CALL", 500, away(0x9a));
compare(guest, "far JMP", 300, away(0xea));
compare(guest, "interrupts", 400, software);
