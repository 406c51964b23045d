/** Operands of x87 that are far from 1 leave translated code, which then is translated anew in a way that they need not leave. After that it stays. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Bits, LAYOUT, nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const range = suite("x87 operands far from 1");
const CONTROL = LAYOUT.data + 0x1000;

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const [name, between] of [["and nothing else", ""], ["and a list beside them", "mov SI, [SI]"]] as const)
    range(`${name}, ${bits} bits`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create({}, { slice: 400 });
      const source = `fninit
        fldcw [${CONTROL}]
        fld1
        fidiv dword [${CONTROL + 4}]
        fstp st0
        fldz
        mov ecx, 60000
        mov SI, ${LAYOUT.data}
        again:
          ${between}
          fadd qword [SI + 16]
          dec ecx
          jnz again
        fstp qword [${LAYOUT.data + 0x800}]
        hlt`.replace(/SI/g, bits === 64 ? "rsi" : "esi");
      twins.run(source, bits, {}, (pc) => {
        pc.guest.set32(CONTROL, 0x27f); // 53 bits, to nearest, all masked
        pc.guest.set32(CONTROL + 4, 3); // a third is inexact: from then on nobody asks
        pc.guest.set64(LAYOUT.data, BigInt(LAYOUT.data));
        pc.guest.set64(LAYOUT.data + 16, BigInt(0x3ff - 600) << 52n);
      });
      assert.ok(twins.regions > 1 && twins.regions < 5, `${twins.regions} regions`);
    });

range.run();
