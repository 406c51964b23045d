/** Near RET, JMP and CALL to an address that is none (SDM Vol.1 "Canonical Addressing", Vol.2 "RET", "JMP", "CALL"): #GP(0) before anything has
 *  changed, at that instruction, though it went where the code expected thousands of times. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { LAYOUT, nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const indirect = suite("targets that are no addresses");

/** RAX is the target; R13 is what RSP has to be at the instruction. */
const WAYS = [
  ["ret", "push rax\nmov r13, rsp\nthere: ret"],
  ["ret 16", "sub rsp, 16\npush rax\nmov r13, rsp\nthere: ret 16"],
  ["pop and ret", "push rax\npush rcx\nlea r13, [rsp + 8]\npop rcx\nthere: ret"],
  ["jmp to a register", "mov r13, rsp\nthere: jmp rax"],
  ["jmp to memory", "mov [cell], rax\nmov r13, rsp\nthere: jmp [cell]"],
  ["call of a register", "mov r13, rsp\nthere: call rax"],
  ["call of memory", "mov [cell], rax\nmov r13, rsp\nthere: call [cell]"],
] as const;
const TARGETS = ["0x800000000000", "0xffff7fffffffffff", "1 << 63"] as const;

for (const [name, way] of WAYS)
  for (const places of [1, 2, 5])
    indirect(`${name}, ${places} place${places > 1 ? "s" : ""} it goes to`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create();
      for (const target of TARGETS) {
        const ends = Array.from({ length: places }, (_, i) => `place${i}: add ebx, ${i * 3 + 1}\nmov rsp, ${LAYOUT.data + 0x800}\ndec ecx\njnz near again\nmov rax, ${target}\njmp go`);
        const out = twins.run(
          `mov rsp, ${LAYOUT.data + 0x800}
          mov r15, there
          mov ecx, 3000
          xor esi, esi
          again:
            inc esi
            cmp esi, ${places}
            jb .kept
            xor esi, esi
          .kept:
            mov rax, [table + rsi * 8]
          go:
            cmp ecx, 7
            ${way}
          ${ends.join("\n")}
          align 8
          table: dq ${ends.map((_, i) => `place${i}`).join(", ")}
          cell: dq 0`,
          64,
        );
        assert.is(out.fault?.vector, Vector.GP);
        assert.is(out.fault?.error, 0);
        assert.is(out.fault?.rip, out.regs.r15);
        // the frame: error code, RIP, CS, RFLAGS, RSP (SDM Vol.3A "64-Bit Mode Stack Frame")
        assert.is(twins.translated.guest.get64(Number(out.regs.rsp) + 32), out.regs.r13);
      }
      assert.ok(twins.regions > 0);
    });

indirect.run();
