/** x87 registers held as doubles. Those that are empty have contents, which FNSAVE shows, and that need not be doubles; those that hold copies of one
 *  number are asked once whether it is far from 1, and are no copies any more once something is put into one of them. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LAYOUT, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const registers = suite("x87 registers held as doubles");
const CONTROL = LAYOUT.data + 0x1000; // control words: 53 bits, 64 bits
const X = CONTROL + 16;
const Y = CONTROL + 24;
const IMAGE = LAYOUT.data + 0x1100;

/** 53 bits, and a third in ST(0): the flag for results that are not exact is set from here on. */
const START = `fninit
  fldcw [${CONTROL}]
  fld1
  fidiv dword [${CONTROL + 4}]`;
function setControl(pc: TestPc): void {
  pc.guest.set32(CONTROL, 0x37f_027f);
  pc.guest.set32(CONTROL + 4, 3);
}

const double = (exponent: number) => BigInt(0x3ff + exponent) << 52n;

registers("what is in empty ones stays there", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create({}, { slice: 400 });
  twins.run(
    `${START}
    mov edx, 1
    call rounds
    fldcw [${CONTROL + 2}]
    fldpi
    fldpi
    fstp st0
    fstp st0
    fldcw [${CONTROL}]
    xor edx, edx
    call rounds
    fnsave [${IMAGE}]
    hlt
    rounds:
      mov ecx, 30000
    again:
      fadd st0, st0
      fmul qword [${X}]
      test edx, edx
      jz one
      fld1
      fstp st0
    one:
      dec ecx
      jnz again
    ret`,
    64,
    { regs: { rsp: BigInt(LAYOUT.stack) } },
    (pc) => {
      setControl(pc);
      pc.guest.set64(X, double(-1));
    },
  );
  assert.ok(twins.regions > 0);
  // SDM Vol.1 "x87 FPU State Image": ST(0) is physical register 7 here, so ST(7) and ST(6) are 6 and 5; FLDPI rounds to 64 bits
  for (const pc of [twins.translated, twins.interpreted])
    for (const i of [6, 7]) {
      assert.is(pc.guest.get64(IMAGE + 28 + i * 10), 0xc90fdaa22168c235n, `ST(${i})`);
      assert.is(pc.guest.get32(IMAGE + 28 + i * 10 + 8) & 0xffff, 0x4000);
    }
});

/** Sequences that begin with an empty stack and leave what they made in ST(0). LARGE is no operand that would be near but a product of two; its square is one
 *  that no double holds. Whoever takes it for a copy of what was asked, or asks neither of two copies, has infinities. */
const LARGE = "fld qword [X]\nfmul st0, st0";
const COPIES: readonly (readonly [string, string])[] = [
  ["two copies", `${LARGE}\nfld st0\nfmul st0, st1\nfmul st0, st0\nfstp st1`],
  ["the original goes", `${LARGE}\nfld st0\nfxch st1\nfstp st0\nfld qword [Y]\nfmul st0, st0\nfmul st0, st1\nfxch st1\nfmul st0, st0\nfstp st1`],
  ["the copy goes", `${LARGE}\nfld st0\nfstp st0\nfld qword [Y]\nfmul st0, st0\nfmul st0, st1\nfxch st1\nfmul st0, st0\nfstp st1`],
  ["exchanged with another number", `${LARGE}\nfld qword [Y]\nfmul st0, st0\nfld st0\nfxch st2\nfmul st1, st0\nfmul st0, st0\nfstp st1\nfstp st1`],
  ["stored over", `${LARGE}\nfld st0\nfld qword [Y]\nfmul st0, st0\nfst st1\nfmul st0, st1\nfstp st1\nfxch st1\nfmul st0, st0\nfstp st1`],
  ["asked behind a branch", `${LARGE}\nfld st0\ntest cl, 1\njz .even\nfadd st0, st1\n.even:\nfmul st0, st0\nfstp st1`],
];
for (const [name, sequence] of COPIES)
  registers(`copies: ${name}`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create({}, { slice: 400 });
    twins.run(
      `${START}
      fstp st0
      mov ecx, 8192
      xor edx, edx
      again:
        mov eax, ecx
        and eax, 1023
        sub eax, 4
        cmp eax, 1
        ja on
        mov rax, [${X} + 16]
        xchg rax, [${X}]
        mov [${X} + 16], rax
      on:
        call sequence
        fstp tword [${LAYOUT.data}]
        imul rdx, rdx, 31
        add rdx, [${LAYOUT.data}]
        add rdx, [${LAYOUT.data} + 8]
        dec ecx
        jnz again
      hlt
      sequence:
        ${sequence.replace(/X/g, `${X}`).replace(/Y/g, `${Y}`)}
        ret`,
      64,
      { regs: { rsp: BigInt(LAYOUT.stack) } },
      (pc) => {
        setControl(pc);
        // in one of 1024 rounds, too seldom to be translated for, the other; the fractions make products inexact
        pc.guest.set64(X, double(1) | 0x1234_5678_9abcn);
        pc.guest.set64(X + 16, double(270) | 0x5555_5555_5555n);
        pc.guest.set64(Y, double(3) | 0x3333_3333_3333n);
      },
    );
    assert.ok(twins.regions > 0);
  });

registers.run();
