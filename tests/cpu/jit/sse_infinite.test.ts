/** Infinities pass through comparisons, minima and roundings without a word: what is known of operands behind these is not that they are finite
 *  (cpu/jit/sse_range). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LAYOUT, nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const infinite = suite("infinite SSE operands in translated code");

/** What each does with XMM0, a single that is infinite in few rounds. */
const WAYS: readonly (readonly [string, string])[] = [
  ["ROUNDSS", "roundss xmm0, xmm0, 3"],
  ["COMISS", "comiss xmm0, xmm1"],
  ["CMPSS", "movaps xmm2, xmm1\ncmpss xmm2, xmm0, 1"],
  ["MINSS", "minss xmm0, xmm3"],
  ["MAXSS of memory", "xorps xmm0, xmm0\nmaxss xmm0, [r8]"],
];

for (const [name, way] of WAYS)
  infinite(name, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    twins.run(
      `mov rdi, ${LAYOUT.data + 0x2000}
      ldmxcsr [rdi]
      mov r8, ${LAYOUT.data}
      movss xmm1, [r8]
      movss xmm3, [rdi + 4]
      mov ecx, 256
      again:
        movss xmm0, [r8]
        ${way}
        cvtss2sd xmm4, xmm0
        movapd xmm5, xmm4
        subsd xmm5, xmm4
        movsd [r8 + 0x800], xmm5
        stmxcsr [rdi + 8]
        or ebx, [rdi + 8]
        add r8, 4
        dec ecx
        jnz again
      hlt`,
      64,
      {},
      (pc) => {
        pc.guest.set32(LAYOUT.data + 0x2000, 0x1fa0);
        pc.guest.set32(LAYOUT.data + 0x2004, 0x7f800000);
        for (let i = 0; i < 256; i++) pc.guest.set32(LAYOUT.data + i * 4, i % 64 === 50 ? 0x7f800000 : 0x40000000 + i);
      },
    );
    assert.ok(twins.regions > 0);
  });

infinite.run();
