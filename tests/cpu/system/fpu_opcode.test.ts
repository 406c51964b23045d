/** FOP: FNSTENV and FXSAVE give the last x87 instruction that was no control instruction, the low three bits of its first byte before ModRM
 *  (SDM Vol.1 "Last Instruction Opcode"; the values are those an AMD EPYC stores). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff } from "../../../assembly/abi/layout";
import { Guest } from "./guest";
import { DATA, longMode, protectedMode, runCode } from "./worlds";

const guest = await Guest.create();
const opcode = suite("Last x87 opcode");

//  instruction                          code           FOP
const CASES: readonly (readonly [string, string, number])[] = [
  ["FLD1", "d9 e8", 0x1e8],
  ["FADD ST, ST(1)", "d8 c1", 0x0c1],
  ["FDIVRP", "de f9", 0x6f9],
  ["FLD m32", "d9 06", 0x106],
  ["FLD m64 with a displacement", "dd 46 10", 0x546],
  ["FILD m16 with SIB", "df 04 26", 0x704],
  ["prefixes do not count", "2e d9 ee", 0x1ee],
  ["FNSTCW changes nothing", "d9 e8 d9 7e 20", 0x1e8],
  ["FNSTSW changes nothing", "d9 eb df e0", 0x1eb],
  ["FLDCW changes nothing", "d9 ea d9 2e", 0x1ea],
  ["FNCLEX changes nothing", "d9 ee db e2", 0x1ee],
  ["FWAIT changes nothing", "d9 ec 9b", 0x1ec],
  ["FNINIT clears it", "d9 e8 db e3", 0],
];
for (const [name, code, fop] of CASES)
  for (const [mode, world] of [["64-bit", longMode], ["32-bit", protectedMode]] as const)
    opcode(`${name} (${mode}): ${fop.toString(16)}`, () => {
      world(guest, 0);
      guest.setField(PcpuOff.cr4, guest.field(PcpuOff.cr4) | 0x200n);
      guest.setWord(PcpuOff.fcw, 0x37f);
      guest.set16(DATA, 0x37f);
      guest.setGpr("rsi", BigInt(DATA));
      guest.setGpr("rdi", BigInt(DATA + 0x100));
      assert.is(runCode(guest, `db e3 ${code} 0f ae 87 00 01 00 00 d9 37 f4`), -1); // fxsave [rdi + 100h]; fnstenv [rdi]
      assert.is(guest.u16(DATA + 0x100 + 18) & 0x7ff, fop, "FNSTENV");
      assert.is(guest.u16(DATA + 0x206), fop, "FXSAVE");
    });
opcode.run();
