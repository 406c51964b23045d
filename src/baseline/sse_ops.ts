/** The SSE instructions that the baseline has, by the names of the rows' operations; a record's Cold number is `Cold.SSE` plus this.
 *  Arithmetic comes first, in blocks of eight: single packed and scalar, double packed and scalar. */
export enum Sse {
  addps, mulps, subps, minps, divps, maxps, sqrtps, cmpps,
  addss, mulss, subss, minss, divss, maxss, sqrtss, cmpss,
  addpd, mulpd, subpd, minpd, divpd, maxpd, sqrtpd, cmppd,
  addsd, mulsd, subsd, minsd, divsd, maxsd, sqrtsd, cmpsd,
  ucomiss, comiss, ucomisd, comisd,
  MOVES,
  movups = MOVES, movaps, movups_store, movaps_store, movntps, movss, movss_store, movsd, movsd_store, movlps, movlps_store, movhps,
  movhps_store, movhlps, movlhps, movd, movd_store, movq, movq_store, movddup, movsldup, movshdup, movmskps, movmskpd, pmovmskb,
  CONVERSIONS,
  cvtsi2ss = CONVERSIONS, cvtsi2sd, cvtss2si, cvttss2si, cvtsd2si, cvttsd2si, cvtss2sd, cvtsd2ss, cvtps2pd, cvtpd2ps, cvtdq2ps,
  cvtps2dq, cvttps2dq, cvtdq2pd, cvtpd2dq, cvttpd2dq,
  INTEGER,
  andps = INTEGER, andnps, orps, xorps, pand = andps, pandn, por, pxor,
  paddd, psubd, pcmpeqd, pcmpgtd, paddq, psubq, pmuludq, pmaddwd, psadbw,
  BYTES,
  paddb = BYTES, psubb, paddsb, psubsb, paddusb, psubusb, pcmpeqb, pcmpgtb, pminub, pmaxub, pavgb,
  WORDS,
  paddw = WORDS, psubw, paddsw, psubsw, paddusw, psubusw, pcmpeqw, pcmpgtw, pminsw, pmaxsw, pavgw, pmullw, pmulhw, pmulhuw,
  SHUFFLES,
  punpcklbw = SHUFFLES, punpckhbw, punpcklwd, punpckhwd, punpckldq, punpckhdq, punpcklqdq, punpckhqdq, packsswb, packuswb, packssdw,
  shufps, shufpd, pshufd, pshuflw, pshufhw, pinsrw, pextrw,
  SHIFTS,
  psrlw = SHIFTS, psraw, psllw, psrld, psrad, pslld, psrlq, psllq,
  psrlw_imm, psraw_imm, psllw_imm, psrld_imm, psrad_imm, pslld_imm, psrlq_imm, psllq_imm, psrldq_imm, pslldq_imm,
  unpcklps = punpckldq, unpckhps = punpckhdq,
}

/** Arithmetic within its block. */
export const enum Float {
  add = 0,
  mul = 1,
  sub = 2,
  min = 3,
  div = 4,
  max = 5,
  sqrt = 6,
  cmp = 7,
}
