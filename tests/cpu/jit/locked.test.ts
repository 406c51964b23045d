/** LOCK and exchanges in translated code, where memory is shared (atomic operations) and where it is not; hard cases of them and of division. */
import { join } from "node:path";
import { suite } from "uvu";
import { LAYOUT, nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

declare const XENOLITH_ROOT: string;

const locked = suite("locked instructions in translated code");
const REGS = { byte: ["al", "dl"], word: ["ax", "dx"], dword: ["eax", "edx"], qword: ["rax", "rdx"] } as const;

for (const wasm of ["xenolith.wasm", "xenolith.shared.wasm"])
  for (const [size, [a, d]] of Object.entries(REGS))
    locked(`${size}, ${wasm}`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create({ wasm: join(XENOLITH_ROOT, "build", wasm) });
      const at = `${size} [rsi + r13]`;
      const bits = size === "byte" ? [] : ["bts", "btr", "btc"].flatMap((op) => [`lock ${op} ${at}, 5`, `and edx, 511\nlock ${op} ${at}, ${d}`]);
      const forms = [
        ...["add", "or", "adc", "sbb", "and", "sub", "xor"].flatMap((op) => [`lock ${op} ${at}, ${d}`, `lock ${op} ${at}, 0x7f`]),
        ...["inc", "dec", "not", "neg"].map((op) => `lock ${op} ${at}`),
        ...bits,
        `xchg ${at}, ${d}`,
        `lock xadd ${at}, ${d}`,
        `xadd ${at}, ${d}`,
        `lock cmpxchg ${at}, ${d}`,
        `cmpxchg ${at}, ${d}`,
        `mov ${a}, ${at}\nlock cmpxchg ${at}, ${d}`,
        `cmpxchg ${d}, ${a}`,
        `xadd ${d}, ${a}`,
      ];
      // aligned and not, within a page and across its end
      for (const form of forms)
        twins.run(
          `mov ebp, 60
          again:
            mov r12d, ebp
            and r12d, 7
            mov r13d, ebp
            and r13d, 16
            lea r13, [r13 * 8 + r12]
            imul rdx, rdx, 77
            add rdx, rbp
            ${form}
            setc bl
            setz bh
            adc r8, rbx
            sets bl
            seto bh
            adc r8, rax
            rol r8, 3
            add r8, rbx
            dec ebp
            jnz again
            hlt`,
          64,
          { regs: { rsi: BigInt(LAYOUT.data + 0x1000 - 131) } },
        );
    });

locked("quotients that fit, that do not, and dividends of two registers", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  for (const [high, divisor, widths] of [
    ["rdx", "rcx", 63],
    ["edx", "ecx", 31],
    ["dx", "cx", 15],
  ] as const)
    for (const op of ["div", "idiv"])
      for (const form of [`${op} ${divisor}`, `mov [rsi], rcx\n${op} ${{ 63: "qword", 31: "dword", 15: "word" }[widths]} [rsi]`])
        // the high half is now and then more than a sign, the divisor's magnitude is above it, and in the end it is not
        twins.run(
          `mov ebp, 300
          again:
            mov rcx, rbp
            ror rcx, 5
            sub rcx, 0x100000
            mov ${high}, 0
            test ebp, 8
            jz .plain
            lea rdx, [rbp - 150]
            .plain:
            imul rax, rbp, 0x1234567
            or ${divisor}, ${widths === 63 ? "0" : "1024"}
            ${form}
            add r8, rax
            rol r8, 7
            add r8, rdx
            dec ebp
            jnz again
            xor ecx, ecx
            ${form}
            hlt`,
          64,
          { regs: { rsi: BigInt(LAYOUT.data) } },
        );
});

locked.run();
