/** What was found at an address before is found there again only while that is mapped as it was: MOV to CR3 forgets mappings that are not
 *  global, INVLPG those of its page, a change of CR4.PGE all (SDM Vol.3A "Operations that Invalidate TLBs and Paging-Structure Caches"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { Vector } from "../../../assembly/abi/x86";
import { LAYOUT, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const code = suite("code in several address spaces");
/** Page tables of the two address spaces for the 2 MiB from CODE on. */
const TABLES = [0x20000, 0x21000] as const;
const SPACES = [LAYOUT.pml4, 0x24000] as const;
const CODE = 0x400000;
const FRAMES = [0x300000, 0x301000, 0x302000] as const;
const ROUNDS = 150;

/** Frame n holds MOV EAX, n + 1; RET at its beginning, and at 800h a call of that from another page. */
function prepare(flags: bigint): (pc: TestPc) => void {
  return ({ guest }) => {
    guest.set64(SPACES[1], BigInt(SPACES[1] + 0x1000) | 7n);
    guest.set64(SPACES[1] + 0x1000, BigInt(SPACES[1] + 0x2000) | 7n);
    for (let i = 0; i < LAYOUT.size >>> 21; i++) guest.set64(SPACES[1] + 0x2000 + i * 8, BigInt(i << 21) | 0x87n);
    SPACES.forEach((at, n) => {
      guest.set64(at + 0x2000 + 2 * 8, BigInt(TABLES[n]!) | 7n);
      for (let i = 0; i < 2; i++) guest.set64(TABLES[n]! + i * 8, BigInt(FRAMES[n]!) | flags);
    });
    FRAMES.forEach((at, n) => guest.write(at, Uint8Array.of(0xb8, n + 1, 0, 0, 0, 0xc3)));
  };
}

/** CR3 = space n. */
const enter = (n: number) => `mov eax, ${SPACES[n]}\nmov cr3, rax\n`;
/** RBX = RBX * 5 + what the code gives, called directly, through a register, and through both pages at once. */
const CALLS = [`call ${CODE}`, "call rdx", `mov eax, ${CODE + 0x1000}\ncall rax\npush rax\ncall rdx\npop rcx\nadd eax, ecx`] as const;
const ask = (call: string) => `${call}\nlea rbx, [rbx + rbx * 4]\nadd rbx, rax\n`;
const map = (space: number, frame: number, flags = 7) => `mov qword [${TABLES[space]}], ${FRAMES[frame]! | flags}\n`;
const mapBoth = (space: number, frame: number, flags = 7) => `${map(space, frame, flags)}mov qword [${TABLES[space]! + 8}], ${FRAMES[frame]! | flags}\n`;

/** The sum of the answers of all rounds. */
function answers(...each: readonly number[]): bigint {
  let sum = 0n;
  for (let i = 0; i < ROUNDS; i++) for (const n of each) sum = BigInt.asUintN(64, sum * 5n + BigInt(n));
  return sum;
}

const PGE = 0x6a0n;
//  what                                                            flags  CR4    each round, the frames seen
const CASES: readonly (readonly [string, bigint, bigint, (ask: string) => string, readonly number[]])[] = [
  ["have their own code at an address", 7n, 0x620n, (a) => enter(0) + a + enter(1) + a, [0, 1]],
  ["may be changed while another one is in force", 7n, 0x620n, (a) => enter(0) + a + enter(1) + mapBoth(0, 2) + a + enter(0) + a + enter(1) + mapBoth(0, 0) + a, [0, 1, 2, 1]],
  ["may be changed by INVLPG alone", 7n, 0x620n, (a) => `${enter(0) + a + mapBoth(0, 1)}invlpg [rdx]\ninvlpg [rdx + 4096]\n${a + mapBoth(0, 0)}invlpg [rdx + 99]\ninvlpg [rdx + 5000]\n${a}`, [0, 1, 0]],
  ["have global pages, which INVLPG drops", 0x107n, PGE, (a) => `${a + mapBoth(0, 1, 0x107)}invlpg [rdx]\ninvlpg [rdx + 4096]\n${enter(0) + a + mapBoth(0, 0, 0x107)}invlpg [rdx]\ninvlpg [rdx + 4096]\n`, [0, 1]],
  ["have global pages, which a change of CR4.PGE drops", 0x107n, PGE, (a) => `${a + mapBoth(0, 2, 0x107)}mov rax, cr4\nxor eax, 0x80\nmov cr4, rax\nxor eax, 0x80\nmov cr4, rax\n${a + mapBoth(0, 0, 0x107)}mov cr4, r8\nmov cr4, r9\n`, [0, 2]],
  ["have pages with G set, which CR3 drops while CR4.PGE is clear", 0x107n, 0x620n, (a) => enter(0) + a + mapBoth(0, 1, 0x107) + enter(0) + a + mapBoth(0, 0, 0x107), [0, 1]],
  ["share a frame that is written to from another one", 7n, 0x620n, (a) => `${enter(0) + a + enter(1) + a}mov byte [${FRAMES[0] + 1}], 8\n${enter(0) + a + enter(1)}mov dword [${FRAMES[0]}], 0x0001b890\nmov word [${FRAMES[0] + 4}], 0\nmov byte [${FRAMES[0] + 6}], 0xc3\n${enter(0) + a}mov qword [${FRAMES[0]}], 0x1b8\nmov byte [${FRAMES[0] + 5}], 0xc3\n`, [0, 1, 7, 0]],
];

for (const [what, flags, cr4, round, seen] of CASES)
  for (const [n, call] of CALLS.entries())
    code(`${what}: ${call.replaceAll("\n", "; ")}`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create();
      const both = n === 2 ? 2 : 1; // that call adds up two answers
      const out = twins.run(`mov r8d, 0x620\nmov r9d, 0x6a0\nmov edx, ${CODE}\nxor ebx, ebx\nmov ebp, ${ROUNDS}\nagain:\n${round(ask(call))}dec ebp\njnz near again\nhlt`, 64, { cr4 }, prepare(flags));
      assert.is(out.fault, undefined);
      assert.is(out.regs.rbx, answers(...seen.map((frame) => (frame + 1) * both)));
      assert.ok(twins.regions > 0);
    });

/** INVLPG of one page leaves what is known of the others as it was: theirs, and that they are not global. */
code("differ behind a page of which INVLPG took the mapping", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const round = `${enter(0)}call r11\ncall there\ninvlpg [r11]\ncall there\n${enter(1)}call there\n`;
  const out = twins.run(`mov r11d, ${CODE + 0x1000}\nxor ebx, ebx\nmov ebp, ${ROUNDS}\nagain:\n${round}dec ebp\njnz again\nhlt\nthere: mov ecx, 9\nmore: ${ask(CALLS[0])}dec ecx\njnz more\nret`, 64, { cr4: PGE }, prepare(7n));
  const each = (n: number) => Array.from({ length: 9 }, () => n);
  assert.is(out.regs.rbx, answers(...each(1), ...each(1), ...each(2)));
});

/** What is looked up is told apart by all bits of an address: pages that share each index they could have been given. */
for (const apart of [24, 26, 28, 32, 36])
  code(`are told apart 2^${apart} bytes from each other`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    const other = BigInt(CODE) + (1n << BigInt(apart));
    const out = twins.run(`mov edx, ${CODE}\nmov rsi, ${other}\nxor ebx, ebx\nmov ebp, ${ROUNDS}\nagain:\n${ask("call rdx") + ask("call rsi")}dec ebp\njnz near again\nhlt`, 64, {}, (pc) => {
      prepare(7n)(pc);
      // the second page at CODE, and at the other address
      pc.guest.set64(0x26000, BigInt(FRAMES[1]) | 7n);
      pc.guest.set64(0x25000 + Number((other >> 21n) & 511n) * 8, 0x26007n);
      if (apart < 30) pc.guest.set64(LAYOUT.pml4 + 0x2000 + Number((other >> 21n) & 511n) * 8, 0x26007n);
      else pc.guest.set64(LAYOUT.pml4 + 0x1000 + Number((other >> 30n) & 511n) * 8, 0x25007n);
    });
    assert.is(out.fault, undefined);
    assert.is(out.regs.rbx, answers(1, 2));
  });

code("are not entered at what is no canonical address", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const round = "lea rax, [rel back]\npush rax\npush rdx\nret\nback: dec ebp\njnz again\n";
  const out = twins.run(`mov edx, ${CODE}\nmov ebp, ${ROUNDS}\nagain:\n${round}mov rdx, ${(1n << 48n) + BigInt(CODE)}\npush rdx\nret`, 64, {}, prepare(7n));
  assert.is(out.fault?.vector, Vector.GP);
  assert.is(out.fault?.error, 0);
});

code("run on when all numbers of pages have been used", async () => {
  if (nasmMissing()) return;
  const pcs: TestPc[] = [];
  const word = (pc: TestPc, at: number) => pc.mem.get32(Region.PCPUS + at);
  const ports = (_port: number, _size: number, value?: number): number => {
    if (value !== undefined) for (const pc of pcs) pc.mem.set32(Region.PCPUS + PcpuOff.lastNumber, 0xfffff);
    return 0xff;
  };
  const twins = await Twins.create({ ports });
  pcs.push(twins.translated, twins.interpreted);
  const epochs = pcs.map((pc) => word(pc, PcpuOff.codeEpoch));
  const a = ask(CALLS[2]);
  const round = enter(0) + a + enter(1) + a + map(0, 2) + enter(0) + a + map(0, 0);
  const out = twins.run(`mov edx, ${CODE}\nxor ebx, ebx\nmov ebp, ${ROUNDS}\nagain:\ntest ebp, 31\njnz on\nout 0x80, al\non:\n${round}dec ebp\njnz near again\nhlt`, 64, {}, prepare(7n));
  assert.is(out.regs.rbx, answers(2, 4, 4));
  pcs.forEach((pc, n) => assert.ok(word(pc, PcpuOff.codeEpoch) > epochs[n]! + 1, "records were dropped"));
  assert.ok(word(twins.interpreted, PcpuOff.lastNumber) < 0xffff);
});

code.run();
