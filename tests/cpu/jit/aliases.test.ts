/** Pages whose addresses have the low bits in common share places in tables of jumps and of mapped code; what is found at one of
 *  them is not found at another one, nor at an address that is not canonical (SDM Vol.1 "Canonical Addressing": #GP). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { LAYOUT, nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const code = suite("code at addresses that have places in common");
const CODE = 0x400000;
const FRAMES = [0x300000, 0x301000] as const;
const ROUNDS = 200;

for (const shift of [24, 26, 28, 30, 32, 39, 47])
  for (const [what, call] of [["a register", (n: number) => `mov rdx, [rsi + ${n * 8}]\ncall rdx`], ["a return", (n: number) => `lea rax, [rel .b]\npush rax\npush qword [rsi + ${n * 8}]\nret\n.b:`]] as const)
    code(`2^${shift} apart, by ${what}`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create();
      const far = shift === 47 ? 0xffff8000_00000000n + BigInt(CODE) : BigInt(CODE) + (1n << BigInt(shift));
      const lins = [BigInt(CODE), far];
      const one = (n: number) => `.c${n}x:\n${call(n)}\nlea rbx, [rbx + rbx * 4]\nadd rbx, rax\n`;
      const out = twins.run(`mov esi, 0x2f000\nxor ebx, ebx\nmov ebp, ${ROUNDS}\nagain:\n${one(0)}on:\n${one(1)}dec ebp\njnz near again\nhlt`, 64, {}, ({ guest }) => {
        let next = 0x20000;
        lins.forEach((lin, n) => {
          guest.set64(0x2f000 + n * 8, lin);
          guest.write(FRAMES[n]!, Uint8Array.of(0xb8, n + 1, 0, 0, 0, 0xc3));
          let at: number = LAYOUT.pml4;
          for (const level of [39n, 30n, 21n]) {
            const entry = at + Number((lin >> level) & 511n) * 8;
            const old = guest.get64(entry);
            if (!(old & 1n) || old & 0x80n) {
              guest.set64(entry, BigInt(next) | 7n);
              at = next;
              next += 0x1000;
            } else at = Number(old & 0xffffff000n);
          }
          guest.set64(at + Number((lin >> 12n) & 511n) * 8, BigInt(FRAMES[n]!) | 7n);
        });
      });
      assert.is(out.fault, undefined);
      let sum = 0n;
      for (let i = 0; i < ROUNDS; i++) for (const n of [1n, 2n]) sum = BigInt.asUintN(64, sum * 5n + n);
      assert.is(out.regs.rbx, sum);
    });

for (const bit of [47, 48, 62])
  for (const [what, go] of [["a call", "call rdx"], ["a jump", "jmp rdx"], ["a return", "push rdx\nret"]] as const)
    code(`an address with bit ${bit} as it may not be, by ${what}`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create();
      const out = twins.run(`mov ebp, ${ROUNDS}\nagain:\nmov edx, target\ncmp ebp, 1\njne on\nbts rdx, ${bit}\non:\n${go}\nback:\ndec ebp\njnz again\nhlt\ntarget:\nmov rsp, rdi\njmp back`, 64, { regs: { rdi: BigInt(LAYOUT.stack), rsp: BigInt(LAYOUT.stack) } }, () => {});
      assert.is(out.fault?.vector, Vector.GP);
      assert.is(out.fault?.error, 0);
      assert.is(out.regs.rbp, 1n);
    });

code.run();
