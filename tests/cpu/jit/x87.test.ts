/** x87 arithmetic in translated code is done on doubles, or on 80 bits with the stack known beforehand; the interpreter, which hardware's recordings
 *  prove, does it on 80 bits. They agree in registers, status word, C1, tags and pointers at every place where translated code is left,
 *  whatever the operands are. XENOLITH_SEED repeats a run. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../../assembly/abi/exit";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { jitStatistics } from "../../../src/machine/jit";
import { describeDifference } from "../../../src/machine/jit_check";
import { Random } from "../../support/random";
import { EAGER, LAYOUT, TestPc, assemble, nasmMissing } from "../../support/test_pc";
import { body, operands } from "./x87_programs";

const x87 = suite("x87 in translated code");
const seed = process.env.XENOLITH_SEED ?? String(Date.now());
const PROGRAMS = Number(process.env.XENOLITH_PROGRAMS ?? 40);
const CONTROL = 512; // behind the operands: control words of a conversion by truncation
const UNMASKED = 0x37e; // the invalid operation
/** Ways to hold registers (Held in cpu/jit/x87_runtime), and control words of which each is right for most. */
const WAYS = [
  { held: 1, name: "in doubles", controls: [0x27f, 0x27f, 0x27f, 0x37f] },
  { held: 2, name: "of 80 bits", controls: [0x37f, 0x37f, 0x37f, 0x37f, 0x77f, 0xb7f, 0xf7f, 0x07f, 0xe7f, UNMASKED] },
] as const;

for (const bits of [32, 64] as const)
  for (const { held, name, controls } of WAYS) x87(`random loops ${name}, ${bits}-bit (seed ${seed})`, async () => {
    if (nasmMissing()) return;
    const pc = await TestPc.create({ jit: { ...EAGER, slice: 60, check: true } });
    let heldSo = 0;
    for (let n = 0; n < PROGRAMS; n++) {
      const random = new Random(`${seed} ${bits} ${held} ${n}`);
      const depth = n % 3;
      const [source, target, base] = bits === 64 ? ["rsi", "rdi", "r8"] : ["esi", "edi", "0"];
      const parts = [body(random, 4 + random.below(14), depth, source, target, n % 4 === 3), body(random, 6, depth, source, target, false)];
      const code = `mov ${source}, ${LAYOUT.data}
        mov ${target}, ${LAYOUT.data + 0x1000}
        ${bits === 64 ? "xor r8d, r8d" : ""}
        fninit
        fldcw [${source} + ${CONTROL + 2}]
        fld1
        fidiv dword [${source} + ${CONTROL + 4}]
        ${["fstp st0", "", "fld1"][depth]}
        mov ecx, 120
        again:
        mov esi, ecx
        and esi, 31
        lea ${source}, [${LAYOUT.data} + ${source} * 8 + ${base}]
        ${parts[0]}
        test ecx, ${1 << random.below(4)}
        jz other
        ${parts[1]}
        other:
        ${n % 5 === 0 ? "call last\nlast: pop ebp".replace("ebp", bits === 64 ? "rbp" : "ebp") : ""}
        dec ecx
        jnz again
        fnsave [${target} + 0x200]
        hlt`;
      const data = operands(random), control = new Uint8Array(264), word = controls[n % controls.length];
      for (let at = 0; at < control.length; at += 8) control.set([0x7f, 0x0e, word & 0xff, word >> 8, 3, 0, 0, 0], at);
      const out = pc.run(assemble(code, bits), bits, { memory: [[LAYOUT.data, data], [LAYOUT.data + 256, data], [LAYOUT.data + CONTROL, control]] });
      if (out.exit === Exit.difference) assert.unreachable(`seed ${seed}, program ${n}: ${describeDifference(pc.mem, 0).join("\n")}\n${code}`);
      if (word === UNMASKED) continue; // may well end with #MF
      assert.is(out.exit, Exit.hlt);
      assert.is(out.fault, undefined);
      if (pc.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.x87) === held) heldSo++;
    }
    assert.ok(heldSo > PROGRAMS / 5, `${heldSo} programs ${name}`);
    const { checked, unchecked } = jitStatistics(pc.mem, 1);
    assert.ok(checked > PROGRAMS * 20);
    assert.ok(unchecked < checked / 10);
  });

x87.run();
