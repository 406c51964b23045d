/** Every x87, MMX and SSE instruction, decoded with any registers and any memory operand, does what a processor did: FPU and
 *  general registers, status and control words, MXCSR, memory, and faults (tests/hardware/native.c). */
import { replay } from "../../hardware/replay";
import { exists } from "../integer/cases";
import { FPU_CASES_PER_ENV, fpuCasesOf } from "./cases";
import { FPU_ROWS } from "./rows";

replay("x87, MMX and SSE instructions", "tests/hardware/fpu.vectors.gz", FPU_ROWS, fpuCasesOf, (row, env) => FPU_CASES_PER_ENV[env] > 0 && exists(row, env));
