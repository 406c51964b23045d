/** Accesses across pages whose frames lie apart: what is known of one page in translated code says nothing about its neighbours. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Bits, LAYOUT, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const pages = suite("pages of translated code");
const TABLE = 0x20000;
/** Linear pages from 4 MiB on are these of the data page and its neighbours: none next to its predecessor. */
const ORDER = [3, 1, 4, 0, 2, 5] as const;
const BASE = 0x400000;

function scattered(pc: TestPc): void {
  for (let i = 0; i < 512; i++) pc.guest.set64(TABLE + i * 8, i < ORDER.length ? BigInt(LAYOUT.data + ORDER[i]! * 4096) | 7n : 0n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
  pc.guest.set32(0x30000, 0x31000 | 7);
  for (let i = 0; i < 1024; i++) pc.guest.set32(0x31000 + i * 4, (i << 12) | 7);
  pc.guest.set32(0x30004, 0x32000 | 7);
  for (let i = 0; i < 1024; i++) pc.guest.set32(0x32000 + i * 4, i < ORDER.length ? (LAYOUT.data + (ORDER[i]! << 12)) | 7 : 0);
}

/** What a loop does at [DI]. */
const BODIES = [
  "add eax, [DI]", "mov [DI], eax", "add [DI], eax", "mov ax, [DI]\nmov [DI + 2], ax", "mov [DI + 8], eax\nadd eax, [DI + 4]\nxor [DI], eax",
  "mov SP, DI\npush AX\npush CX\npop DX\npop SI", "lea SP, [DI + 64]\ncall near sub", "mov SI, DI\nlodsd", "mov BX, DI\nstosd\nmov DI, BX", "movups xmm0, [DI]\nmovups [DI + 16], xmm0", "fld dword [DI]\nfstp qword [DI + 4]",
  "mov eax, [DI + 12]\nmov [DI + 4], eax\nmov edx, [DI - 4]\nadd [DI + 8], edx\nmov word [DI + 30], 7\nmov dl, [DI - 40]",
] as const;

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const stride of [4, -4, 3, -7, 40, -24])
    pages(`whose frames lie apart, ${bits} bits, steps of ${stride}`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create();
      for (const body of BODIES) {
        const names = (text: string) => text.replace(/\b([A-D]X|[SD]I|[SB]P)\b/g, (r) => (bits === 64 ? `r${r.toLowerCase()}` : `e${r.toLowerCase()}`)).replace(/\bSTACK\b/g, String(LAYOUT.stack));
        const rounds = Math.floor(12000 / Math.abs(stride));
        twins.run(
          names(`mov DI, ${BASE + (stride > 0 ? 6000 : 18500)}
          mov ecx, ${Math.min(rounds, 3000)}
          mov eax, 0x12345678
          again:
          ${body}
          imul eax, eax, 77
          add eax, ecx
          add DI, ${stride}
          dec ecx
          jnz again
          mov SP, STACK
          hlt
          sub: push BX
          push AX
          pop DX
          pop BX
          ret`),
          bits,
          bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
          scattered,
        );
      }
      assert.ok(twins.regions >= BODIES.length / 2);
    });

pages.run();
