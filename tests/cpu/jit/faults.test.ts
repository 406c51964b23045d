/** Faults out of translated loops: registers, flags and memory are those between two instructions. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { type Bits, LAYOUT, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const faults = suite("faults of translated code");
const TABLE = 0x20000;
/** Pages of linear 4..6 MiB are those of the data page; the fourth is not there. */
const END = 0x403000;

function limitedPages(pc: TestPc): void {
  for (let i = 0; i < 512; i++) pc.guest.set64(TABLE + i * 8, i < 3 ? BigInt(LAYOUT.data + i * 4096) | 7n : 0n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
  pc.guest.set32(0x30000, 0x31000 | 7); // page tables of 32-bit paging: identity but for 4..8 MiB
  for (let i = 0; i < 1024; i++) pc.guest.set32(0x31000 + i * 4, (i << 12) | 7);
  pc.guest.set32(0x30004, 0x32000 | 7);
  for (let i = 0; i < 1024; i++) pc.guest.set32(0x32000 + i * 4, i < 3 ? (LAYOUT.data + (i << 12)) | 7 : 0);
}

/** Instructions that reach the address in DI, which goes up. */
const UP = [
  "mov eax, [DI]", "mov al, [DI]", "mov [DI], ax", "add [DI], eax", "adc al, [DI]", "sbb [DI], al", "inc dword [DI]", "dec byte [DI]", "neg word [DI]", "not dword [DI]",
  "cmp [DI], eax", "test [DI], eax", "movzx edx, byte [DI]", "movsx edx, word [DI]", "setc [DI]", "cmovz eax, [DI]", "shl dword [DI], 3", "rol dword [DI], 1", "imul eax, [DI]", "imul eax, [DI], 7",
  "push REG [DI]", "bt dword [DI], 4", "bts dword [DI], 4", "xchg [DI], eax", "xadd [DI], ax", "mov SI, DI\nlodsd", "stosd\nsub DI, 4", "mov SI, cell\nmovsb\nsub DI, 1", "mov SI, DI\nmov BX, DI\nmov DI, cell\nmovsw\nmov DI, BX",
  "mov BP, DI\nleave\nmov SP, STACK", "lea SP, [DI]\npop DX\nmov SP, STACK", "lea SP, [DI]\npop SI\nmov SP, STACK", "lea SP, [DI + WORD]\npush AX\nmov SP, STACK", "lea SP, [DI + WORD]\ncall sub\nmov SP, STACK",
  "lea SP, [DI]\nmov CX, cell\npush REG [CX]\nmov SP, STACK", "movd xmm0, eax\nmovd [DI], xmm0", "movups xmm0, [DI]", "movups [DI], xmm1", "addsd xmm0, [DI]\nmovsd [DI], xmm0", "movhps [DI], xmm2", "cvtsi2sd xmm1, [DI]\nmovss [DI], xmm1", "ucomiss xmm3, [DI]", "fld dword [DI]\nfstp st0", "cmp dword [DI], 5\njb near sub2", "lea SP, [DI + WORD]\nmov BX, sub\ncall BX\nmov SP, STACK",
] as const;
/** What leaves flags and partly written registers before. */
const BEFORE = ["add al, 0x81", "inc ax\nmov ah, 3", "sub eax, 0x7fffffff", "cmp ax, 0x1234\nrol eax, 1", "stc", "shl ah, 1\nbt eax, 3", "dec eax\nmov dl, al"] as const;

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const stride of [4, 3])
    faults(`at the end of a page, ${bits} bits, steps of ${stride}`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create();
      UP.forEach((instruction, i) => {
        const names = (text: string) => text.replace(/\b([A-D]X|[SD]I|[SB]P)\b/g, (r) => (bits === 64 ? `r${r.toLowerCase()}` : `e${r.toLowerCase()}`)).replace(/\bREG\b/g, bits === 64 ? "qword" : "dword").replace(/\bWORD\b/g, String(bits / 8)).replace(/\bSTACK\b/g, String(LAYOUT.stack));
        const out = twins.run(
          names(`mov DI, ${END - 900}
          again:
          ${BEFORE[i % BEFORE.length]}
          ${instruction}
          ${BEFORE[(i + 3) % BEFORE.length]}
          lea DI, [DI + ${stride}]
          jmp again
          sub: mov SP, STACK
          sub2: lea DI, [DI + ${stride}]
          jmp again
          align 8
          cell: dd 1, 2`),
          bits,
          bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
          limitedPages,
        );
        // 32-bit code whose own stack is gone shuts down
        assert.ok(out.fault?.vector === Vector.PF || instruction.includes("SP"), instruction);
        if (out.fault?.vector === Vector.PF) assert.is(out.fault.cr2 & ~7n, BigInt(END), instruction);
      });
      assert.ok(twins.regions >= UP.length / 2);
    });

faults.run();
