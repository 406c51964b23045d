/** AH, CH, DH and BH in translated code. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const bytes = suite("second bytes");

bytes("a second byte that comes from where the first one came from", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  for (const [op, first] of [["and cl, 3", "movzx eax, bl"], ["or cl, 0x40", "movzx eax, bl"], ["xor cl, 0x41", "movsx eax, bl"]]) {
    const out = twins.run(`mov ebx, 0x0355\nmov ebp, 300\nagain:\nmovzx ecx, bh\n${op}\n${first}\nmov ah, cl\nadd edx, eax\ndec ebp\njnz again\nhlt`, 64);
    const second = op.startsWith("and") ? 3 : op.startsWith("or") ? 0x43 : 0x42;
    assert.is(out.regs.rax, BigInt((second << 8) | 0x55), op);
  }
  assert.ok(twins.regions > 0);
});

bytes.run();
