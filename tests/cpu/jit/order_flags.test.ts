/** What comparisons of floating point leave in RFLAGS (SDM Vol.2A "COMISD", "FCOMI"), however code comes to look at it: ZF, PF, CF are 000 if the first is
 *  greater, 001 if it is less, 100 if both are equal, 111 if one is a NaN; OF, SF and AF are clear. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { assemble, type Bits, EAGER, LAYOUT, nasmMissing, TestPc } from "../../support/test_pc";

const flags = suite("flags of floating-point comparisons");
const RESULTS = LAYOUT.data + 0x1000;
const OSFXSR = 0x600n;
const CF = 1, PF = 4, ZF = 0x40;

const PAIRS: readonly (readonly [a: number, b: number])[] = [
  [1, 2], [2, 1], [3, 3], [-1, 1], [0, -0], [1e10, -1e30], [Number.NaN, 1], [1, Number.NaN], [Number.POSITIVE_INFINITY, 5], [5, Number.POSITIVE_INFINITY],
  [1.5, 1.5], [-2, -3], [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], [0.25, 0.125],
];
const expected = PAIRS.map(([a, b]) => (a > b ? 0 : a < b ? CF : a === b ? ZF : ZF | PF | CF));

/** Compares the number at SI with the one behind it. */
const COMPARISONS: readonly (readonly [name: string, single: boolean, code: string])[] = [
  ["ucomisd", false, "movsd xmm1, [SI]\nmovsd xmm2, [SI + 8]\nucomisd xmm1, xmm2"],
  ["comisd with memory", false, "movsd xmm1, [SI]\ncomisd xmm1, [SI + 8]"],
  ["ucomiss", true, "movss xmm1, [SI]\nmovss xmm2, [SI + 8]\nucomiss xmm1, xmm2"],
  ["comiss with memory", true, "movss xmm1, [SI]\ncomiss xmm1, [SI + 8]"],
  ["fucomip", false, "fld qword [SI + 8]\nfld qword [SI]\nfucomip st1\nfstp st0"],
  ["fcomi", false, "fld qword [SI + 8]\nfld qword [SI]\nfcomi st1\nfstp st0\nfstp st0"],
];

/** Looks at the flags and leaves a byte in DL; `of` says which. EBX is 1, CL is 0. */
const LOOKS: readonly (readonly [name: string, code: string, of: (f: number) => number])[] = [
  ["at once, as a whole", "lahf\nmov dl, ah", (f) => f | 2],
  ["in the next block", "jmp .n\n.n: lahf\nmov dl, ah", (f) => f | 2],
  ["behind a branch on them", "mov dl, 0\nja .n\nmov dl, 1\n.n: lahf\nadd dl, ah", (f) => (f & (CF | ZF) ? 1 : 0) + (f | 2)],
  ["branches in turn", "mov edx, 0\njp .p\njne .e\nlea edx, [DX + 1]\n.e: jae .b\nlea edx, [DX + 2]\n.b: jbe .x\nlea edx, [DX + 4]\njmp .x\n.p: mov edx, 8\n.x:", (f) => (f & PF ? 8 : (f & ZF ? 1 : 0) | (f & CF ? 2 : 0) | (f & (CF | ZF) ? 0 : 4))],
  ["conditions of another block", "jmp .n\n.n: setb dl\nsetbe dh\nshl dh, 1\nor dl, dh", (f) => (f & CF ? 1 : 0) | (f & (CF | ZF) ? 2 : 0)],
  ["OF and SF", "jmp .n\n.n: seto dl\nsets dh\nor dl, dh\nmovzx edx, dl", () => 0],
  ["signed conditions", "jmp .n\n.n: setl dl\nsetle dh\nadd dl, dl\nor dl, dh", (f) => (f & ZF ? 1 : 0)],
  ["CF behind INC", "inc ebx\nsetc dl\njmp .n\n.n: adc dl, dl\nmov ebx, 1", (f) => (f & CF ? 3 : 0)],
  ["a shift by none", "shl eax, cl\nsetbe dl\njmp .n\n.n: setp dh\nadd dl, dl\nor dl, dh", (f) => (f & (CF | ZF) ? 2 : 0) | (f & PF ? 1 : 0)],
  ["CF into the next sum", "mov edx, 0\nadc edx, 5", (f) => 5 + (f & CF)],
  ["CMC, then the others", "cmc\njmp .n\n.n: lahf\nmov dl, ah", (f) => (f ^ CF) | 2],
  ["where the code leaves before others are set", "jmp .n\n.n: cpuid_\nlahf\nmov dl, ah", (f) => f | 2],
];

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const [name, single, compare] of COMPARISONS)
    flags(`${name}, ${bits} bits`, async () => {
      if (nasmMissing()) return;
      for (const [look, code, of] of LOOKS) {
        const pc = await TestPc.create({ jit: EAGER });
        const numbers = new DataView(new ArrayBuffer(16));
        PAIRS.forEach((pair, i) => {
          pair.forEach((x, k) => (single ? numbers.setFloat32(k * 8, x, true) : numbers.setFloat64(k * 8, x, true)));
          for (let k = 0; k < 4; k++) pc.guest.set32(LAYOUT.data + i * 16 + k * 4, numbers.getUint32(k * 4, true));
        });
        const cold = `push SI\npush DI\npush CX\npush BX\npush BP\nmov DX, ${LAYOUT.data + 0x2000}\nfnstcw [DX]\nfldcw [DX]\npop BP\npop BX\npop CX\npop DI\npop SI`;
        const source = `fninit\nmov DX, ${LAYOUT.data + 0x2000}\nmov word [DX], 0x27f\nfldcw [DX]
          mov ebp, 30
          again: mov ebx, 1\nxor ecx, ecx\nxor eax, eax\nmov SI, ${LAYOUT.data}\nmov DI, ${RESULTS}
          next: ${compare}
          ${code.replace("cpuid_", cold)}
          mov [DI], dl\nadd DI, 1\nadd SI, 16\ncmp DI, ${RESULTS + PAIRS.length}\njne next
          dec ebp\njnz again\nhlt`.replace(/\b([A-D]X|[SD]I|BP)\b/g, (r) => (bits === 64 ? `r${r.toLowerCase()}` : `e${r.toLowerCase()}`));
        pc.run(assemble(source, bits), bits, { cr4: bits === 64 ? 0x620n : OSFXSR });
        assert.equal([...pc.guest.read(RESULTS, PAIRS.length)], expected.map(of), look);
        assert.ok(pc.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated) > 0, "it was translated");
      }
    });

flags.run();
