/** Decoded instructions: records of four 32-bit words in one Int32Array.
 *  ```
 *  +0  op 0..9 | register 10..13 | base or r/m 14..17 | index 18..21 | scale 22..23 | segment 24..26 | 16-bit address 27 |
 *      REP 28..29 (1 REPNE, 2 REP) | memory operand 30 | to register 31
 *  +1  immediate; of a direct branch: record of its target, 0 until known
 *  +2  displacement; of a direct branch: distance from the next instruction
 *  +3  offset in page 0..11 | length 12..15 | Cold 16..25 | width 26..27 (log2 of bytes) | sub-operation 28..31
 *  ```
 *  Registers are 0..7; 8 reads as zero where an address has no base or no index. Hot byte operations hold indices into the
 *  bytes of the register file instead. */
export const STRIDE = 4;
export const NO_REG = 8;

/** Cases of the interpreter's switch. Those from 8 on are 32-bit forms in flat segments. */
export const enum Op {
  lookup = 0, // go on at `pc`; record 0
  stale = 1, // what was here has been overwritten or forgotten
  next = 2, // off the end of what was decoded: go on at page + immediate
  goto = 3, // go on in another block of this page
  cross = 4, // the next record's instruction reaches into another page
  cold = 5,
  stop = 6, // end of a single step
  // Alu in its encoding order: register, register
  add_rr = 8, or_rr = 9, adc_rr = 10, sbb_rr = 11, and_rr = 12, sub_rr = 13, xor_rr = 14, cmp_rr = 15,
  add_ri = 16, or_ri = 17, adc_ri = 18, sbb_ri = 19, and_ri = 20, sub_ri = 21, xor_ri = 22, cmp_ri = 23,
  add_rm = 24, or_rm = 25, adc_rm = 26, sbb_rm = 27, and_rm = 28, sub_rm = 29, xor_rm = 30, cmp_rm = 31,
  add_mr = 32, or_mr = 33, adc_mr = 34, sbb_mr = 35, and_mr = 36, sub_mr = 37, xor_mr = 38, cmp_mr = 39,
  add_mi = 40, or_mi = 41, adc_mi = 42, sbb_mi = 43, and_mi = 44, sub_mi = 45, xor_mi = 46, cmp_mi = 47,
  test_rr = 48, test_ri = 49, test_mr = 50, test_mi = 51,
  mov_rr = 52, mov_ri = 53, mov_rm = 54, mov_mr = 55, mov_mi = 56,
  mov8_rr = 57, mov8_ri = 58, mov8_rm = 59, mov8_mr = 60, mov8_mi = 61, mov16_mr = 62,
  movzx8_r = 63, movzx8_m = 64, movzx16_r = 65, movzx16_m = 66, movsx8_r = 67, movsx8_m = 68, movsx16_r = 69, movsx16_m = 70,
  lea = 71, inc_r = 72, dec_r = 73, neg_r = 74, not_r = 75, xchg_rr = 76,
  imul_rr = 77, imul_rm = 78, imul_rri = 79, imul_rmi = 80, mul_r = 81, mul_m = 82,
  shl_ri = 83, shr_ri = 84, sar_ri = 85, rol_ri = 86, ror_ri = 87, shl_cl = 88, shr_cl = 89, sar_cl = 90,
  setcc = 91, cmov_rr = 92, cmov_rm = 93, cdq = 94,
  push_r = 95, push_i = 96, push_m = 97, pop_r = 98,
  call = 99, call_r = 100, call_m = 101, ret = 102, ret_i = 103, jmp = 104, jmp_r = 105, jmp_m = 106, leave = 107, nop = 108,
  cmp8_rr = 109, cmp8_ri = 110, cmp8_rm = 111, cmp8_mr = 112, cmp8_mi = 113, test8_rr = 114, test8_ri = 115, test8_mi = 116,
  inc_m = 117, dec_m = 118, shld_ri = 119, shrd_ri = 120, bswap = 121, xor8_rr = 122, and8_ri = 123, or8_rr = 124, x87 = 125, sse = 142, sseCompare = 143,
  jo = 126, jno = 127, jb = 128, jae = 129, je = 130, jne = 131, jbe = 132, ja = 133, js = 134, jns = 135, jp = 136, jnp = 137, jl = 138, jge = 139, jle = 140, jg = 141,
  // pairs of a comparison and the branch in the next record; the condition in its place of sixteen
  cmp_rr_jb = 144, cmp_rr_jae = 145, cmp_rr_je = 146, cmp_rr_jne = 147, cmp_rr_jbe = 148, cmp_rr_ja = 149,
  cmp_rr_jl = 154, cmp_rr_jge = 155, cmp_rr_jle = 156, cmp_rr_jg = 157,
  cmp_ri_jb = 160, cmp_ri_jae = 161, cmp_ri_je = 162, cmp_ri_jne = 163, cmp_ri_jbe = 164, cmp_ri_ja = 165,
  cmp_ri_jl = 170, cmp_ri_jge = 171, cmp_ri_jle = 172, cmp_ri_jg = 173,
  test_rr_je = 178, test_rr_jne = 179, test_rr_js = 182, test_rr_jns = 183, test_rr_jle = 188, test_rr_jg = 189,
}

/** Where the fused pairs start: this plus the condition. */
export const enum Fused {
  cmp_rr = 142,
  cmp_ri = 158,
  test_rr = 174,
}

export const enum Alu {
  add = 0,
  or = 1,
  adc = 2,
  sbb = 3,
  and = 4,
  sub = 5,
  xor = 6,
  cmp = 7,
}

/** What performs a record outside the switch: one number for all widths and operands. */
export const enum Cold {
  ud, gp, alu, aluImm, test, testImm, mov, movImm, xchg, xadd, cmpxchg, cmpxchg8b, inc, dec, not, neg, mul, imul1, div, idiv,
  imul, imulImm, shift, shiftCl, shiftOne, shld, shldCl, movzx8, movzx16, movsx8, movsx16, lea, setcc, cmov, bt, btImm,
  bsf, bsr, tzcnt, lzcnt, popcnt, bswap, movbe, adcx, adox, cbw, cwd, sahf, lahf, cmc, clc, stc, cld, std, xlat, salc,
  daa, das, aaa, aas, aam, aad, nop, movoffs, movoffsStore,
  andn, blsr, blsmsk, blsi, bzhi, pext, pdep, mulx, bextr, shlx, sarx, shrx, rorx,
  FLOW,
  push = FLOW, pushImm, pop, pusha, popa, enter, leave, jcc, jmp, jmpE, call, callE, ret, retImm, loop, loope, loopne, jcxz,
  callFar, jmpFar, callFarM, jmpFarM, retFar, retFarImm, int3, intN, into, int1, iret, bound, sysenter, sysexit, pushf, popf, cli, sti, hlt,
  STRING,
  movs = STRING, cmps, stos, lods, scas, ins, outs,
  SYSTEM,
  pushSeg = SYSTEM, popSeg, movFromSeg, movToSeg, loadFar, sldt, str, lldt, ltr, verr, verw, lar, lsl, arpl, sgdt, sidt, lgdt, lidt,
  movFromCr, movToCr, movFromDr, movToDr, smsw, lmsw, clts, invlpg, invd, wrmsr, rdmsr, rdtsc, cpuid, fence,
  inImm, inDx, outImm, outDx,
  X87,
  x87 = X87, fwait, fxsave, fxrstor, ldmxcsr, stmxcsr,
  SSE, // and Sse of sse_ops.ts above it
}
