/** x87 floating point and the instructions that save and restore its state: SDM Vol.2D "Escape Opcode Instructions",
 *  Vol.2A FXSAVE, Vol.2D XSAVE. Every row names its Op: `_m32 _m64 _m80` floating-point memory operands, `_i16 _i32
 *  _i64` integer ones, `_st` the result goes to ST(0), `_sti` to ST(i). The encodings Intel reserves and all processors
 *  execute (FCOM2, FSTP9, FFREEP ...) share the Op of what they do; names as in AMD's and Intel's old opcode maps. */
import { type InsnSpec, insn } from "./row";

const ARITHMETIC = ["fadd", "fmul", "fcom", "fcomp", "fsub", "fsubr", "fdiv", "fdivr"] as const;
/** DC and DE reverse the sense of bit 3 when the destination is ST(i). */
const TO_STI = ["fadd", "fmul", "fcom2", "fcomp3", "fsubr", "fsub", "fdivr", "fdiv"] as const;
const MOVES = ["fcmovb", "fcmove", "fcmovbe", "fcmovu"] as const;
const CONSTANTS = ["fld1", "fldl2t", "fldl2e", "fldpi", "fldlg2", "fldln2", "fldz"] as const;
const D9F = [
  "f2xm1", "fyl2x", "fptan", "fpatan", "fxtract", "fprem1", "fdecstp", "fincstp",
  "fprem", "fyl2xp1", "fsqrt", "fsincos", "frndint", "fscale", "fsin", "fcos",
] as const;
const hex = (value: number) => value.toString(16).toUpperCase();

const named = (opcode: string, mnemonic: string, operands = "", op: string = mnemonic): InsnSpec =>
  insn(opcode, mnemonic, operands, { op });

const arithmetic = ARITHMETIC.flatMap((name, i): InsnSpec[] => [
  named(`D8 /${i} mem`, name, "Md", `${name}_m32`),
  named(`DC /${i} mem`, name, "Mq", `${name}_m64`),
  named(`DA /${i} mem`, name.replace("f", "fi"), "Md", `${name}_i32`),
  named(`DE /${i} mem`, name.replace("f", "fi"), "Mw", `${name}_i16`),
  named(`D8 /${i} reg`, name, "ST,STi", `${name}_st`),
]);

const toSti = TO_STI.flatMap((name, i): InsnSpec[] => {
  if (i === 2) return [named("DC /2 reg", name, "STi", "fcom_st"), named("DE /2 reg", "fcomp5", "STi", "fcomp_st")];
  if (i === 3) return [named("DC /3 reg", name, "STi", "fcomp_st"), named("DE D9", "fcompp")];
  return [named(`DC /${i} reg`, name, "STi,ST", `${name}_sti`), named(`DE /${i} reg`, `${name}p`, "STi,ST", `${name}p_sti`)];
});

export const X87: readonly InsnSpec[] = [
  named("9B", "fwait"),
  ...arithmetic,
  ...toSti,
  named("D9 /0 mem", "fld", "Md", "fld_m32"),
  named("D9 /2 mem", "fst", "Md", "fst_m32"),
  named("D9 /3 mem", "fstp", "Md", "fstp_m32"),
  named("D9 /4 mem", "fldenv", "M"),
  named("D9 /5 mem", "fldcw", "Mw"),
  named("D9 /6 mem", "fnstenv", "M"),
  named("D9 /7 mem", "fnstcw", "Mw"),
  named("D9 /0 reg", "fld", "STi", "fld_sti"),
  named("D9 /1 reg", "fxch", "STi"),
  named("D9 D0", "fnop"),
  named("D9 /3 reg", "fstp1", "STi", "fstp1_sti"),
  named("D9 E0", "fchs"),
  named("D9 E1", "fabs"),
  named("D9 E4", "ftst"),
  named("D9 E5", "fxam"),
  ...CONSTANTS.map((name, i) => named(`D9 E${hex(8 + i)}`, name)),
  ...D9F.map((name, i) => named(`D9 F${hex(i)}`, name)),
  ...MOVES.flatMap((name, i) => [
    named(`DA /${i} reg`, name, "ST,STi"),
    named(`DB /${i} reg`, name.replace("fcmov", "fcmovn"), "ST,STi"),
  ]),
  named("DA E9", "fucompp"),
  named("DB /0 mem", "fild", "Md", "fild_i32"),
  named("DB /1 mem", "fisttp", "Md", "fisttp_i32"),
  named("DB /2 mem", "fist", "Md", "fist_i32"),
  named("DB /3 mem", "fistp", "Md", "fistp_i32"),
  named("DB /5 mem", "fld", "Mt", "fld_m80"),
  named("DB /7 mem", "fstp", "Mt", "fstp_m80"),
  named("DB E0", "fneni", "", "fnop_8087"),
  named("DB E1", "fndisi", "", "fnop_8087"),
  named("DB E2", "fnclex"),
  named("DB E3", "fninit"),
  named("DB E4", "fnsetpm", "", "fnop_8087"),
  named("DB /5 reg", "fucomi", "ST,STi"),
  named("DB /6 reg", "fcomi", "ST,STi"),
  named("DD /0 mem", "fld", "Mq", "fld_m64"),
  named("DD /1 mem", "fisttp", "Mq", "fisttp_i64"),
  named("DD /2 mem", "fst", "Mq", "fst_m64"),
  named("DD /3 mem", "fstp", "Mq", "fstp_m64"),
  named("DD /4 mem", "frstor", "M"),
  named("DD /6 mem", "fnsave", "M"),
  named("DD /7 mem", "fnstsw", "Mw", "fnstsw_m16"),
  named("DD /0 reg", "ffree", "STi"),
  named("DD /1 reg", "fxch4", "STi", "fxch"),
  named("DD /2 reg", "fst", "STi", "fst_sti"),
  named("DD /3 reg", "fstp", "STi", "fstp_sti"),
  named("DD /4 reg", "fucom", "STi"),
  named("DD /5 reg", "fucomp", "STi"),
  named("DF /0 mem", "fild", "Mw", "fild_i16"),
  named("DF /1 mem", "fisttp", "Mw", "fisttp_i16"),
  named("DF /2 mem", "fist", "Mw", "fist_i16"),
  named("DF /3 mem", "fistp", "Mw", "fistp_i16"),
  named("DF /4 mem", "fbld", "Mt"),
  named("DF /5 mem", "fild", "Mq", "fild_i64"),
  named("DF /6 mem", "fbstp", "Mt"),
  named("DF /7 mem", "fistp", "Mq", "fistp_i64"),
  named("DF /0 reg", "ffreep", "STi"),
  named("DF /1 reg", "fxch7", "STi", "fxch"),
  named("DF /2 reg", "fstp8", "STi", "fstp_sti"),
  named("DF /3 reg", "fstp9", "STi", "fstp_sti"),
  named("DF E0", "fnstsw", "AX", "fnstsw_ax"),
  named("DF /5 reg", "fucomip", "ST,STi"),
  named("DF /6 reg", "fcomip", "ST,STi"),
  // REX.W selects the 64-bit formats through the operand size of the record.
  named("NP 0F AE /0 mem", "fxsave", "M"),
  named("NP 0F AE /1 mem", "fxrstor", "M"),
  named("NP 0F AE /2 mem", "ldmxcsr", "Md"),
  named("NP 0F AE /3 mem", "stmxcsr", "Md"),
  named("NP 0F AE /4 mem", "xsave", "M"),
  named("NP 0F AE /5 mem", "xrstor", "M"),
  named("NP 0F AE /6 mem", "xsaveopt", "M"),
  named("NP 0F C7 /4 mem", "xsavec", "M"),
];
