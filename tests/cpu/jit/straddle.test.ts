/** Instructions that cross a page, in loops: what they are depends on how two pages are mapped, each time (SDM Vol.3A "Invalidation of TLBs and
 *  Paging-Structure Caches": after INVLPG the new mapping is used), and on what is written to either. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { assemble, LAYOUT, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const straddle = suite("instructions that cross a page");
const TABLE = 0x20000;
const CODE = 0x400000;
/** The page behind CODE, and another one that may be mapped there. */
const [SECOND, OTHER] = [0x401000, 0x402000];
const ROUNDS = 3000;

function smallPages({ guest }: TestPc): void {
  for (let i = 0; i < 512; i++) guest.set64(TABLE + i * 8, BigInt(CODE + i * 4096) | 7n);
  guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
}

/** A loop of which the instruction `crossing` has its last `behind` bytes on the second page; `after` comes next, `before` in front of it. */
function loop(crossing: string, behind: number, after = "", before = ""): Uint8Array {
  const length = assemble(`${crossing}\nnext:\nsub:`, 64, CODE).length;
  return assemble(
    `times 0xf00 - ($ - $$) nop
    again:
      inc r8
      ${before}
      times 0x1000 - ${length - behind} - ($ - $$) nop
    cross: ${crossing}
    next: ${after}
      dec ebp
      jnz near again
      jmp rdi
    sub: add r9, 3
      ret`,
    64,
    CODE,
  );
}

const START = `mov rsp, ${LAYOUT.stack}\nmov esi, ${LAYOUT.data}\nmov dword [rsi + 0x123], 5\nmov ebp, ${ROUNDS}\nmov edi, done\nmov edx, ${CODE + 0xf00}\njmp rdx\nalign 64\ndone: hlt`;

/** What r9 has at the end. */
const KINDS: readonly (readonly [crossing: string, sum: bigint])[] = [
  ["add r9, 0x1234567", 0x1234567n * BigInt(ROUNDS)],
  ["add r9d, [rsi + 0x123]", 5n * BigInt(ROUNDS)],
  ["call near sub", 3n * BigInt(ROUNDS)],
  ["lea r9, [r9 + 7]", 7n * BigInt(ROUNDS)],
  ["xadd [rsi + 0x456], r9", 0n],
  ["bswap r9", 0n],
  ["movdqu xmm1, [rsi + 0x123]", 5n],
  ["jnz near next", 0n],
];
for (const [crossing, sum] of KINDS)
  straddle(crossing, async () => {
    if (nasmMissing()) return;
    const length = assemble(`${crossing}\nnext:\nsub:`, 64, CODE).length;
    for (let behind = 1; behind < length; behind++) {
      const twins = await Twins.create();
      const code = loop(crossing, behind, crossing.includes("xmm") ? "movd r9d, xmm1" : "");
      const out = twins.run(START, 64, {}, (pc) => {
        smallPages(pc);
        pc.guest.write(CODE, code);
      });
      assert.is(out.fault, undefined);
      assert.is(out.regs.r9, sum, `${behind} bytes behind`);
      assert.is(out.regs.r8, BigInt(ROUNDS));
      assert.ok(twins.regions > 0);
    }
  });

/** Every 512 rounds the page behind is another one, where the immediate ends differently. */
straddle("another page is mapped behind", async () => {
  if (nasmMissing()) return;
  for (const flush of [`invlpg [abs ${SECOND}]`, "mov rcx, cr3\nmov cr3, rcx"]) {
    const twins = await Twins.create();
    const out = twins.run(START, 64, {}, (pc) => {
      smallPages(pc);
      const change = `test ebp, 511\njnz on\nxor dword [abs ${TABLE} + 8], ${SECOND ^ OTHER}\n${flush}\non:\n`;
      const code = loop("add r9, 0x01000001", 1, "", change);
      pc.guest.write(CODE, code);
      const other = code.slice(0x1000);
      other[0] = 2; // the immediate's last byte
      pc.guest.write(OTHER, other);
    });
    assert.is(out.fault, undefined);
    let sum = 0n;
    let other = false;
    for (let left = ROUNDS; left > 0; left--) {
      if (left % 512 === 0) other = !other;
      sum += other ? 0x02000001n : 0x01000001n;
    }
    assert.is(out.regs.r9, sum);
    assert.ok(twins.regions > 0);
  }
});

straddle("the page behind is gone", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const out = twins.run(START, 64, {}, (pc) => {
    smallPages(pc);
    const change = `cmp ebp, 77\njne on\nmov qword [abs ${TABLE} + 8], 0\ninvlpg [abs ${SECOND}]\non:\n`;
    pc.guest.write(CODE, loop("add r9, 0x01000001", 2, "", change));
  });
  assert.is(out.fault?.vector, Vector.PF);
  assert.is(out.fault?.error, 16); // an instruction fetch, told apart since EFER.NXE is set (SDM Vol.3A "Page-Fault Exceptions")
  assert.is(out.fault?.cr2, BigInt(SECOND));
  assert.is(out.fault?.rip, BigInt(SECOND - 5));
  assert.is(out.regs.r9, 0x01000001n * BigInt(ROUNDS - 77));
  assert.is(out.regs.r8, BigInt(ROUNDS - 76));
  assert.ok(twins.regions > 0);
});

/** Its first byte, which is on the first page, or its last one is written to by the loop itself. */
for (const [what, at, values] of [["first", SECOND - 6, [0x49, 0x49]], ["last", SECOND, [1, 2]], ["operation's", SECOND - 4, [0xc1, 0xe9]]] as const)
  straddle(`its ${what} byte changes`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    const out = twins.run(START, 64, {}, (pc) => {
      smallPages(pc);
      // ADD R9 (C1), SUB R9 (E9), immediates of 4 bytes
      const change = `mov ecx, ${values[0]}\nmov eax, ${values[1]}\ntest ebp, 256\ncmovnz ecx, eax\nmov [abs ${at}], cl\n`;
      pc.guest.write(CODE, loop("add r9, 0x01000001", 1, "", change));
    });
    assert.is(out.fault, undefined);
    let sum = 0n;
    for (let left = ROUNDS; left > 0; left--) {
      const second = (left & 256) !== 0;
      sum += what === "last" ? (second ? 0x02000001n : 0x01000001n) : what === "first" || !second ? 0x01000001n : -0x01000001n;
    }
    assert.is(out.regs.r9, BigInt.asUintN(64, sum));
  });

straddle("a loop begins with one, and is entered in its middle", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const code = assemble(
    `times 0xffc - ($ - $$) nop
    again: add r9, 0x01000001
      test ebp, 3
      jnz on
      inc r8
    on: call near sub
      dec ebp
      jnz near again
      jmp rdi
    sub: add r10, 5
      push rdx
      pop rdx
      ret`,
    64,
    CODE,
  );
  const out = twins.run(START.replace(`${CODE + 0xf00}`, `${CODE + 0xffc}`), 64, {}, (pc) => {
    smallPages(pc);
    pc.guest.write(CODE, code);
  });
  assert.is(out.fault, undefined);
  assert.is(out.regs.r9, 0x01000001n * BigInt(ROUNDS));
  assert.is(out.regs.r8, BigInt(ROUNDS >> 2));
  assert.is(out.regs.r10, 5n * BigInt(ROUNDS));
  assert.ok(twins.regions > 0);
});

straddle.run();
