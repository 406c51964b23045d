/** Accesses across pages whose frames lie apart: what is known of one page in translated code says nothing about its neighbours. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
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

/** Several accesses through one register are looked up together, ahead of the first. */
for (const bits of [64, 32] as const satisfies readonly Bits[]) {
  const names = (text: string) => text.replace(/\b([A-D]X|[SD]I|[SB]P)\b/g, (r) => (bits === 64 ? `r${r.toLowerCase()}` : `e${r.toLowerCase()}`)).replace(/\bSTACK\b/g, String(LAYOUT.stack));
  const start = bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {};

  pages(`accessed and dirty flags are set by the access itself, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    // the page table is among what is compared; its last pages are reached after the division has failed, or not at all
    const table = LAYOUT.data + 0x2000, entry = bits === 64 ? 8 : 4;
    for (const first of ["mov eax, [DI]", "mov eax, [SI + 8]", "mov dword [SI], 5"]) {
      let pc: TestPc | undefined;
      const out = twins.run(
        names(`mov DI, ${BASE}
        mov SI, DI
        mov ecx, 600
        mov BX, 4096
        again:
        cmp ecx, 1
        jne on
        add DI, BX
        lea SI, [DI + BX]
        xor BX, BX
        on:
        ${first}
        mov eax, [DI + 4]
        xor edx, edx
        mov eax, 1000
        div BX
        mov [DI + 16], eax
        mov [SI + 4], eax
        mov edx, [SI + 24]
        dec ecx
        jnz again
        hlt`),
        bits,
        start,
        (at) => {
          pc = at;
          scattered(at);
          at.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(table) | 7n);
          at.guest.set32(0x30004, table | 7);
          for (let i = 0; i < 6; i++) {
            const frame = 0x300000 + i * 4096;
            if (bits === 64) at.guest.set64(table + i * 8, BigInt(frame) | 7n);
            else at.guest.set32(table + i * 4, frame | 7);
          }
        },
      );
      assert.is(out.fault?.vector, Vector.DE);
      const flags = (n: number) => (pc!.guest.get32(table + n * entry) >> 5) & 3;
      assert.equal([flags(0), flags(1), flags(2)], [3, 1, first.includes("SI") ? (first.includes("dword [SI]") ? 3 : 1) : 0], first);
    }
    assert.ok(twins.regions > 0);
  });

  pages(`what never fits a page is translated in another way, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    const before = twins.regions;
    twins.run(
      names(`mov DI, ${BASE + 4096 - 12}
      mov ecx, 30000
      again: mov eax, [DI]
      add eax, [DI + 8]
      add [DI + 16], eax
      inc dword [DI + 10]
      dec ecx
      jnz again
      hlt`),
      bits,
      start,
      scattered,
    );
    assert.ok(twins.regions >= before + 2, "translated again");
  });
}

pages.run();
