/** Windows, the pages that accesses of a loop stay on: whatever they say has to be what the TLB would have said, and those that move too often
 *  are given up. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Bits, LAYOUT, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const windows = suite("windows of translated code");
const TABLE = 0x20000;
const BASE = 0x400000;
const PAGES = 64;
const FRAMES = LAYOUT.size - PAGES * 4096;

/** Linear pages from 4 MiB on lie in reverse order, so that a host address never goes on from one to the next. */
function reversed(pc: TestPc): void {
  for (let i = 0; i < 512; i++) pc.guest.set64(TABLE + i * 8, i < PAGES ? BigInt(FRAMES + (PAGES - 1 - i) * 4096) | 7n : 0n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
  pc.guest.set32(0x30000, 0x31000 | 7);
  for (let i = 0; i < 1024; i++) pc.guest.set32(0x31000 + i * 4, (i << 12) | 7);
  pc.guest.set32(0x30004, 0x32000 | 7);
  for (let i = 0; i < 1024; i++) pc.guest.set32(0x32000 + i * 4, i < PAGES ? (FRAMES + (PAGES - 1 - i) * 4096) | 7 : 0);
}

/** A ring of nodes over `pages` pages, next and value: `at(i)` is where the i-th is. */
function ring(pages: number, nodes: number) {
  const at = (i: number) => BASE + ((i * 37) % pages) * 4096 + ((i * 7 + 3) % 251) * 16;
  return (pc: TestPc) => {
    reversed(pc);
    const seen = new Set<number>();
    for (let i = 0; i < nodes; i++) {
      const here = at(i), frame = FRAMES + (PAGES - 1 - ((here - BASE) >> 12)) * 4096 + (here & 0xfff);
      assert.not.ok(seen.has(here));
      seen.add(here);
      pc.guest.set64(frame, BigInt(at((i + 1) % nodes)));
      pc.guest.set32(frame + 8, i * 0x9e3779b1);
    }
  };
}

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const [pages, stays] of [[1, true], [2, false], [PAGES, false]] as const)
    windows(`a list over ${pages} page${pages > 1 ? "s" : ""}, ${bits} bits`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create({}, { slice: 400 });
      const names = (text: string) => text.replace(/\b([A-D]X|[SD]I)\b/g, (r) => (bits === 64 ? `r${r.toLowerCase()}` : `e${r.toLowerCase()}`));
      twins.run(
        names(`mov ecx, 60000
        mov SI, ${BASE + 3 * 16}
        again:
          mov SI, [SI]
          lea edx, [DX * 8 + DX]
          xor edx, esi
          dec ecx
          jnz again
        mov [${LAYOUT.data}], edx
        hlt`),
        bits,
        bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x600n } : {},
        ring(pages, 200),
      );
      if (stays) assert.is(twins.regions, 1);
      else assert.ok(twins.regions > 1);
      assert.ok(twins.regions < 4); // and then it is settled
    });

/** SDM Vol.3A "Invalidation of TLBs and Paging-Structure Caches": after these another mapping is used. */
for (const [name, flush] of [["INVLPG", `invlpg [abs ${BASE}]`], ["a write of CR3", "mov rax, cr3\nmov cr3, rax"]] as const)
  windows(`a page that is another one after ${name}`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    const out = twins.run(
      `mov ecx, 3000
      mov rsi, ${BASE}
      xor edx, edx
      again:
        mov rdi, [rsi]
        add edx, [rdi]
        add dword [rdi], 3
        test ecx, 63
        jnz .same
        mov rax, [abs ${TABLE}]
        xchg rax, [abs ${TABLE + 8}]
        mov [abs ${TABLE}], rax
        ${flush}
      .same:
        dec ecx
        jnz again
      mov eax, [rsi + 8]
      mov [${LAYOUT.data}], edx
      mov [${LAYOUT.data + 4}], eax
      hlt`,
      64,
      {},
      (pc) => {
        reversed(pc);
        for (const page of [0, 1]) {
          const frame = FRAMES + (PAGES - 1 - page) * 4096;
          pc.guest.set64(frame, BigInt(BASE + 64));
          pc.guest.set32(frame + 64, 1000 * (page + 1));
        }
      },
    );
    assert.not.ok(out.fault);
    assert.ok(twins.regions > 0);
  });

windows.run();
