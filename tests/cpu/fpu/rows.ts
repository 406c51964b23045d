/** The rows of x87, MMX and SSE that can be compared through an FXSAVE image, bit for bit. */
import { MMX } from "../../../src/spec/mmx";
import { SSE } from "../../../src/spec/sse";
import { X87 } from "../../../src/spec/x87";
import { type Row, take } from "../integer/rows";

/** Approximations and transcendentals differ between processors (tests/cpu/x87 allows for that); environments and areas hold
 *  pointers, which do too; MASKMOV has an operand of its own. */
const LEFT_OUT = /^(rcp|rsqrt|maskmov|f2xm1|fyl2x|fptan|fpatan|fsin|fcos|fldenv|fnstenv|frstor|fnsave|fxsave|fxrstor|xsave|xrstor)/;

export const FPU_ROWS: readonly Row[] = [...X87, ...MMX, ...SSE].filter((spec) => !LEFT_OUT.test(spec.mnemonic)).map((spec) => take(spec));
