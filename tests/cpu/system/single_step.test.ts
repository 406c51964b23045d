/** Where the single-step trap comes, class of instruction by class (SDM Vol.3A "Single-Step Exception Condition", Vol.2A "REP",
 *  "MOV", "POP"; Vol.3A "Masking Exceptions and Interrupts When Switching Stacks"), and where an interrupt that waits is taken
 *  after STI, MOV SS, POP SS, POPF and IRET. The handler of #DB writes down each return address and goes on. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff } from "../../../assembly/abi/layout";
import { Guest } from "./guest";
import { CODE, haltedIn, handler, KDATA, longMode, protectedMode, setGate32, setGate64, STACK } from "./worlds";

const guest = await Guest.create();
const step = suite("Single-step traps");
const LOG = 0xa000; // where the next address goes, then addresses
const TF = 0x100;

/** push rax; push rdi; mov rdi, [LOG]; mov rax, [rsp + 16]; stosq; mov [LOG], rdi; pop rdi; pop rax; iretq. The 32-bit one alike. */
const HANDLER64 = "50 57 48 8b 3c 25 00 a0 00 00 48 8b 44 24 10 48 ab 48 89 3c 25 00 a0 00 00 5f 58 48 cf";
const HANDLER32 = "50 57 8b 3d 00 a0 00 00 8b 44 24 08 89 07 83 c7 08 89 3d 00 a0 00 00 5f 58 cf";

function trace(bits: 32 | 64, code: string, flags: number, setup: () => void, at = CODE): number[] {
  if (bits === 64) longMode(guest, 0);
  else protectedMode(guest, 0);
  // 28 bytes of handler need more than the 16 of its place: #NM's and #DF's are not used here
  guest.hex(0xc000, bits === 64 ? HANDLER64 : HANDLER32);
  guest.hex(handler(1), "e9 00 00 00 00");
  guest.set32(handler(1) + 1, 0xc000 - handler(1) - 5);
  for (const vector of [0x50, 0x52]) (bits === 64 ? setGate64 : setGate32)(guest, vector, 0x8e);
  guest.hex(handler(0x52), bits === 64 ? "48 cf" : "cf");
  guest.set32(LOG, LOG + 16);
  guest.setGpr("rax", BigInt(KDATA));
  guest.setField(PcpuOff.rflags, BigInt(2 | flags));
  setup();
  guest.hex(at, `${code} cd 50`);
  guest.run(at);
  assert.is(haltedIn(guest), 0x50, "it came through");
  const count = (guest.u32(LOG) - LOG - 16) / 8;
  return Array.from({ length: count }, (_, i) => guest.u32(LOG + 16 + i * 8) - at);
}

const strings = (count: number) => () => {
  guest.setGpr("rcx", BigInt(count));
  guest.setGpr("rsi", 0xd000n);
  guest.setGpr("rdi", 0xd100n);
};
const nothing = () => {};
const stack = (...items: readonly number[]) => () => items.forEach((x, i) => void guest.set64(STACK + i * 8, BigInt(x)));
const stack32 = (...items: readonly number[]) => () => items.forEach((x, i) => void guest.set32(STACK + i * 4, x));

//  name                                       bits  code                       TF  setup           traps at these offsets
const TRACES: readonly (readonly [string, 32 | 64, string, number, () => void, readonly number[]])[] = [
  ["plain instructions", 64, "90 90 48 ff c3", TF, nothing, [1, 2, 5]],
  ["prefixes count as part of theirs", 64, "66 66 90 2e 90", TF, nothing, [3, 5]],
  ["REP MOVSB traps after every iteration, at itself but for the last", 64, "f3 a4 90", TF, strings(3), [0, 0, 2, 3]],
  ["REP STOSD too", 64, "f3 ab", TF, strings(4), [0, 0, 0, 2]],
  ["REPE CMPSB ends early", 64, "f3 a6 90", TF, () => [strings(9)(), guest.bytes(0xd000, 7), guest.bytes(0xd100, 8)], [2, 3]],
  ["REP with a count of 0 is one step", 64, "f3 a4 90", TF, strings(0), [2, 3]],
  ["a string instruction without REP", 64, "a4 ac", TF, strings(0), [1, 2]],
  ["CMP and Jcc that is not taken are two", 64, "39 c0 75 01 90", TF, nothing, [2, 4, 5]],
  ["CMP and Jcc that is taken are two", 64, "39 c0 74 01 f4 90", TF, nothing, [2, 5, 6]],
  ["TEST and Jcc are two", 64, "85 c0 75 01 f4 90", TF, nothing, [2, 5, 6]],
  ["LOOP to itself", 64, "e2 fe 90", TF, strings(3), [0, 0, 2, 3]],
  ["CALL and RET", 64, "e8 02 00 00 00 eb 01 c3 90", TF, nothing, [7, 5, 8, 9]],
  ["MOV SS holds the trap back for one instruction", 64, "8e d0 90 90", TF, nothing, [3, 4]],
  ["MOV SS, MOV SS: the second holds nothing back", 64, "8e d0 8e d0 90", TF, nothing, [4, 5]],
  ["POP SS too", 32, "17 90 90", TF, stack32(KDATA), [2, 3]],
  ["MOV SS, LOOP to itself: only the first round is held back", 64, "8e d0 e2 fe 90", TF, strings(3), [2, 2, 4, 5]],
  ["MOV SS, REP MOVSB: only the first iteration is", 64, "8e d0 f3 a4 90", TF, strings(3), [2, 2, 4, 5]],
  ["LSS does not", 64, "0f b2 24 25 00 d0 00 00 90", TF, () => [guest.set32(0xd000, STACK), guest.set16(0xd004, KDATA)], [8, 9]],
  ["STI does not", 64, "fb 90", TF, nothing, [1, 2]],
  ["POPF that clears TF is the last to trap", 64, "9d 90 90", TF, stack(2), [1]],
  ["POPF that sets TF does not trap itself", 64, "9d 90 90", 0, stack(2 | TF), [2, 3]],
  ["PUSHF shows TF", 64, "9c 58 90", TF, nothing, [1, 2, 3]],
  ["INT n does not trap, nor its handler; IRET gives TF back, and the next instruction traps", 64, "cd 52 90", TF, nothing, [3]],
  ["INT3's handler alike", 32, "cd 52 90 90", TF, nothing, [3, 4]],
  ["IRET that sets TF traps after the instruction it returns to", 64, "48 cf 90 90", 0, stack(CODE + 2, 8, 2 | TF, STACK, KDATA), [3, 4]],
  ["IRET that clears TF is the last to trap", 64, "48 cf 90 90", TF, stack(CODE + 2, 8, 2, STACK, KDATA), [2]],
  ["CPUID, RDTSC, LOCK", 64, "0f a2 0f 31 f0 ff 04 25 00 d0 00 00", TF, nothing, [2, 4, 12]],
  ["MOV to a control register", 64, "0f 20 c3 0f 22 c3 90", TF, nothing, [3, 6, 7]],
  ["far JMP and far RET", 32, "ea 07 80 00 00 08 00 6a 08 68 0f 80 00 00 cb 90", TF, nothing, [7, 9, 14, 15, 16]],
  ["PUSHA, ENTER, LEAVE, POPA", 32, "60 c8 10 00 01 c9 61", TF, nothing, [1, 5, 6, 7]],
  ["x87, SSE", 64, "d9 e8 dd d8 0f 57 c0", TF, () => guest.setField(PcpuOff.cr4, 0x220n), [2, 4, 7]],
];
for (const [name, bits, code, flags, setup, offsets] of TRACES) step(`${name} (${bits}-bit)`, () => assert.equal(trace(bits, code, flags, setup), offsets));

//  ADD EBX, imm32 behind a NOP, of which some bytes are on the next page
for (const bits of [32, 64] as const)
  for (const first of [1, 2, 5]) {
    const at = CODE + 0x1000 - first - 1;
    step(`an instruction of which ${first} bytes are on its page (${bits}-bit)`, () => assert.equal(trace(bits, "90 81 c3 67 45 23 01 90", TF, nothing, at), [1, 7, 8]));
    const breakpoint = () => [guest.setField(PcpuOff.dr, BigInt(at + 1)), guest.setField(PcpuOff.dr + 40, 0x401n)];
    step(`a breakpoint on it (${bits}-bit)`, () => assert.equal(trace(bits, "90 81 c3 67 45 23 01 90", 0, breakpoint, at), [1]));
    step(`MOV SS before it, ${first} bytes (${bits}-bit)`, () => assert.equal(trace(bits, "8e d0 81 c3 67 45 23 01 90", TF, nothing, at - 1), [8, 9]));
  }
step.run();

const shadow = suite("Interrupt shadows");
const VECTOR = 0x61;

/** A CLI behind the code asks: was the interrupt let in before me? Where it was taken, undefined if not. */
function interruptedAt(bits: 32 | 64, code: string, enabled: boolean, setup: () => void): number | undefined {
  if (bits === 64) longMode(guest, 0);
  else protectedMode(guest, 0);
  guest.core.apicWrite(0xf0, 0x1ff);
  guest.setGpr("rax", BigInt(KDATA));
  guest.setField(PcpuOff.rflags, enabled ? 0x202n : 2n);
  setup();
  guest.hex(CODE, `${code} fa cd 50`);
  guest.core.apicPost(VECTOR);
  guest.run(CODE);
  const vector = haltedIn(guest);
  if (vector === 0x50) return undefined;
  assert.is(vector, VECTOR);
  const sp = Number(guest.gpr("rsp"));
  return (bits === 64 ? Number(guest.u64(sp)) : guest.u32(sp)) - CODE;
}

//  code, IF before                              not before this offset, or not at all
const SHADOWS: readonly (readonly [string, 32 | 64, string, boolean, () => void, number | undefined])[] = [
  ["with IF set: at once", 64, "90 90", true, nothing, 0],
  ["with IF clear: not at all", 64, "90 90", false, nothing, undefined],
  ["STI covers one instruction", 64, "fb", false, nothing, undefined],
  ["STI, and one more", 64, "fb 90", false, nothing, 2],
  ["STI, STI: the second changes nothing", 64, "fb fb", false, nothing, 2],
  ["STI, MOV SS: only the first of a sequence is sure to hold interrupts", 64, "fb 8e d0 90", false, nothing, 3],
  ["MOV SS, STI", 64, "8e d0 fb", false, nothing, undefined],
  ["MOV SS, STI, and one more", 64, "8e d0 fb 90", false, nothing, 4],
  ["STI, POP SS", 32, "fb 17 90", false, stack32(KDATA), 2],
  ["STI, LSS, which has none", 64, "fb 0f b2 24 25 00 d0 00 00", false, () => [guest.set32(0xd000, STACK), guest.set16(0xd004, KDATA)], 9],
  ["STI, a taken branch", 64, "fb eb 01 f4", false, nothing, 4],
  ["STI, CMP and Jcc", 64, "fb 39 c0 74 01 f4", false, nothing, 3],
  ["STI, REP MOVSB", 64, "fb f3 a4", false, strings(3), 1],
  ["POPF that sets IF has none", 64, "9d", false, stack(0x202), 1],
  ["IRET that sets IF has none", 64, "48 cf", false, stack(CODE + 2, 8, 0x202, STACK, KDATA), 2],
  ["MOV to CR8 that lets it in", 64, "fb 90 44 0f 22 c1", false, () => guest.core.apicWrite(0x80, 0xf0), 6],
];
for (const [name, bits, code, enabled, setup, first] of SHADOWS)
  shadow(`${name} (${bits}-bit)`, () => {
    const at = interruptedAt(bits, code, enabled, setup);
    if (first === undefined) assert.is(at, undefined);
    else assert.ok(at !== undefined && at >= first && at <= code.split(" ").length, `taken at ${at}`);
  });

//  the shadow ends behind one instruction, and there the interrupt comes: not one NOP later, although NOPs have no records otherwise
for (const [code, at] of [["fb 90 90 90", 2], ["fb 90 0f 1f 40 00 90", 2], ["fb 0f 1f 40 00 90 90", 5], ["fb 66 90 90 ff c1", 3], ["90 90 fb 90 90", 4], ["fb ff c1 90 90", 3]] as const)
  for (const bits of [32, 64] as const)
    shadow(`${code} (${bits}-bit): taken at ${at}`, () => assert.is(interruptedAt(bits, `${code} 90 90`, false, nothing), at));
shadow.run();
