/** SSE instructions in translated code: which ones, and what each asks for. Where a result might need more thought than WebAssembly's own
 *  operation (NaNs, denormals, overflow, exceptions not yet noted), and where an operand is not aligned, code leaves at that record, and
 *  the interpreter performs it (semantics/sse.ts). Everything else cold SSE stays a call. */
import { JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { Handler } from "../handler";
import { Group, Op } from "../opcodes.gen";
import { isMem, opSize } from "../operand";
import { J, jget, jset } from "./buffer";
import { Effect, EffectOff, effect, snapshot, Host } from "./effect";
import { Emit, setOrder, setStatusBits } from "./emit";
import { local, local32, use } from "./node";
import { VectorType } from "./simd";
import { fresh, temp32, temp64 } from "./slots";
import { isSettled } from "./sse_mode";
import { Known } from "./xmm";

/** Properties of an operation; the size of its memory operand is in the low bits. */
export const enum Sse {
  SIZE = 31,
  ALIGNED = 32, // #GP unless the memory operand is
  STORE = 64, // the rm operand is the destination
  CHECKED = 128, // may leave for its operands' values
  SETTLED = 256, // wants RC nearest, PE masked and set
  RM_GPR = 512, // rm, if it is a register, is a general one
  REG_GPR = 1024, // reg is a general register and the destination
  FLAGS = 2048, // the result is in the flags
  IMM_RM = 4096, // rm is source and destination: shifts by an immediate
  EXACT = 8192, // asks itself whether PE is noted, or the result exact
  VECTOR = 16 | ALIGNED,
}

/** Properties of the operation of cold SSE record `u`, 0 if it is not translated. */
function propertiesOf(u: usize): u32 {
  const op = <i32>load<u16>(u, RecOff.op);
  switch (op) {
    case Op.movups: return 16;
    case Op.movups_store: return 16 | Sse.STORE;
    case Op.movaps_store:
    case Op.movntps: return Sse.VECTOR | Sse.STORE;
    case Op.movss: return 4;
    case Op.movss_store: return 4 | Sse.STORE;
    case Op.movsd: case Op.movlps: case Op.movhlps: case Op.movhps: case Op.movlhps: case Op.movq: case Op.movddup: return 8;
    case Op.movsd_store: case Op.movlps_store: case Op.movhps_store: case Op.movq_store: return 8 | Sse.STORE;
    case Op.movd: case Op.pinsrd: return (opSize(u) == 8 ? 8 : 4) | Sse.RM_GPR;
    case Op.movd_store: case Op.pextrd: return (opSize(u) == 8 ? 8 : 4) | Sse.RM_GPR | Sse.STORE;
    case Op.pinsrw: return 2 | Sse.RM_GPR;
    case Op.pinsrb: return 1 | Sse.RM_GPR;
    case Op.pextrb: return 1 | Sse.RM_GPR | Sse.STORE;
    case Op.movmskps: case Op.movmskpd: case Op.pmovmskb: case Op.pextrw: return 16 | Sse.REG_GPR;
    case Op.movaps:
    case Op.andps: case Op.andnps: case Op.orps: case Op.xorps:
    case Op.movsldup: case Op.movshdup:
    case Op.unpcklps: case Op.unpckhps: case Op.punpcklqdq: case Op.punpckhqdq:
    case Op.pshufd: case Op.pshuflw: case Op.pshufhw: case Op.shufps: case Op.shufpd: case Op.palignr:
    case Op.pmulld: case Op.pcmpeqq: case Op.pcmpgtq: case Op.packusdw: case Op.pminsb: case Op.pminsd: case Op.pminuw: case Op.pminud:
    case Op.pmaxsb: case Op.pmaxsd: case Op.pmaxuw: case Op.pmaxud:
    case Op.pblendw: case Op.blendps: case Op.blendpd: case Op.pmuldq: return Sse.VECTOR;
    case Op.psrlw_imm: case Op.psraw_imm: case Op.psllw_imm: case Op.psrld_imm: case Op.psrad_imm: case Op.pslld_imm: case Op.psrlq_imm:
    case Op.psllq_imm: case Op.psrldq_imm: case Op.pslldq_imm: return Sse.IMM_RM | 16;
    case Op.pmovzxbw: case Op.pmovzxwd: case Op.pmovzxdq: case Op.pmovsxbw: case Op.pmovsxwd: case Op.pmovsxdq: return 8;
    case Op.pmovzxbd: case Op.pmovzxwq: case Op.pmovsxbd: case Op.pmovsxwq: return 4;
    case Op.ptest: return Sse.VECTOR | Sse.FLAGS;
    case Op.addsd: case Op.subsd: case Op.mulsd: case Op.cvtsd2ss: return 8 | Sse.CHECKED | Sse.EXACT;
    case Op.divsd: case Op.sqrtsd: return 8 | Sse.CHECKED | Sse.SETTLED;
    case Op.addss: case Op.subss: case Op.mulss: return 4 | Sse.CHECKED | Sse.EXACT;
    case Op.divss: case Op.sqrtss: return 4 | Sse.CHECKED | Sse.SETTLED;
    case Op.addpd: case Op.subpd: case Op.mulpd: case Op.divpd: case Op.addps: case Op.subps: case Op.mulps: case Op.divps:
    case Op.haddpd: case Op.haddps: case Op.hsubpd: case Op.hsubps: case Op.addsubpd: case Op.addsubps:
    case Op.sqrtpd: case Op.sqrtps: case Op.cvtpd2ps:
    case Op.cvttps2dq: case Op.cvttpd2dq: case Op.cvtps2dq: case Op.cvtpd2dq: return Sse.VECTOR | Sse.CHECKED | Sse.SETTLED;
    case Op.cvtdq2ps: return Sse.VECTOR | Sse.SETTLED;
    case Op.cvtdq2pd: return 8;
    case Op.minsd: case Op.maxsd: case Op.cmpsd: return 8 | Sse.CHECKED;
    case Op.minss: case Op.maxss: case Op.cmpss: case Op.cvtss2sd: return 4 | Sse.CHECKED;
    case Op.minpd: case Op.maxpd: case Op.cmppd: case Op.minps: case Op.maxps: case Op.cmpps: return Sse.VECTOR | Sse.CHECKED;
    case Op.ucomisd: case Op.comisd: return 8 | Sse.CHECKED | Sse.FLAGS;
    case Op.ucomiss: case Op.comiss: return 4 | Sse.CHECKED | Sse.FLAGS;
    case Op.cvtsi2sd: return opSize(u) == 8 ? 8 | Sse.RM_GPR | Sse.CHECKED | Sse.EXACT : 4 | Sse.RM_GPR;
    case Op.cvtsi2ss: return (opSize(u) == 8 ? 8 : 4) | Sse.RM_GPR | Sse.CHECKED | Sse.EXACT;
    case Op.cvttsd2si: return 8 | Sse.REG_GPR | Sse.CHECKED | Sse.EXACT;
    case Op.cvtsd2si: return 8 | Sse.REG_GPR | Sse.CHECKED | Sse.SETTLED;
    case Op.roundsd: return 8 | Sse.CHECKED | Sse.SETTLED;
    case Op.roundss: return 4 | Sse.CHECKED | Sse.SETTLED;
    case Op.roundpd: case Op.roundps: return Sse.VECTOR | Sse.CHECKED | Sse.SETTLED;
    case Op.cvttss2si: case Op.cvtss2si: return 4 | Sse.REG_GPR | Sse.CHECKED | Sse.SETTLED;
    case Op.cvtps2pd: return 8 | Sse.CHECKED;
    default: break;
  }
  if (op < Op.punpcklbw || op > Op.pabsd) return 0;
  switch (op) {
    case Op.psignb: case Op.psignw: case Op.psignd: case Op.pmulhrsw: return 0;
    default: return Sse.VECTOR;
  }
}

/** What emitted code does for record `u`, 0 if it is no SSE instruction or one that its helper performs. */
export function sseProperties(u: usize): u32 {
  if (load<u16>(u, RecOff.handler) != Handler.cold || load<u8>(u, RecOff.desc + 1) != <u8>Group.sse) return 0;
  if (isMem(u)) {
    const mask = load<u64>(u, RecOff.mask);
    if (load<u8>(u, RecOff.flags) & RecFlag.seg || (mask != ~(<u64>0) && mask != 0xffffffff)) return 0;
  }
  return propertiesOf(u);
}

/** Bit of the XMM register that record `u` writes. */
export function writtenBy(u: usize, p: u32): u32 {
  if (p & (Sse.REG_GPR | Sse.FLAGS)) return 0;
  if (p & (Sse.STORE | Sse.IMM_RM)) return isMem(u) || p & Sse.RM_GPR ? 0 : 1 << load<u8>(u, RecOff.rm);
  return 1 << load<u8>(u, RecOff.reg);
}

/** Registers that record `u` uses and writes; general ones as wasm slots. */
export function noteSse(u: usize, p: u32): void {
  const reg = <u32>1 << load<u8>(u, RecOff.reg), rm = <u32>1 << load<u8>(u, RecOff.rm);
  let used: u32 = 0, general: u32 = 0;
  if (p & Sse.REG_GPR) {
    general = reg;
    jset(JitOff.written, jget(JitOff.written) | reg);
  } else used = reg;
  if (isMem(u)) general |= slotBit(load<u8>(u, RecOff.base)) | slotBit(load<u8>(u, RecOff.index));
  else if (p & Sse.RM_GPR) {
    general |= rm;
    if (p & Sse.STORE) jset(JitOff.written, jget(JitOff.written) | rm);
  } else {
    if (p & Sse.IMM_RM) used = 0;
    used |= rm;
  }
  jset(JitOff.usesSse, 1);
  jset(JitOff.xmmUsed, jget(JitOff.xmmUsed) | used);
  jset(JitOff.xmmWritten, jget(JitOff.xmmWritten) | writtenBy(u, p));
  jset(JitOff.used, jget(JitOff.used) | general);
}

/** Bit of the slot of a register-file offset. */
function slotBit(offset: u32): u32 {
  if (offset < <u32>PcpuOff.zero) return 1 << (offset >> 3);
  return offset >= <u32>PcpuOff.segBase ? 1 << (16 + ((offset - PcpuOff.segBase) >> 3)) : 0;
}

@inline function wanted(p: u32): u32 { return p & Sse.SETTLED || (p & Sse.EXACT && isSettled()) ? Known.usable | Known.settled : Known.usable; }

/** The instruction may leave before it changes anything: then all state has to be in the locals. */
export function sseMayLeave(u: usize, p: u32): bool {
  return isMem(u) || (p & Sse.CHECKED) != 0 || (wanted(p) & ~jget(JitOff.sseKnown)) != 0;
}

/** A host address in a local of its own. */
function inPlace(host: u32): u32 {
  if (!(host >> Host.DISPLACEMENT)) return host;
  const t = temp32();
  effect(Effect.place, 0, 0, host, t, 0);
  return t;
}

/** Effects of record `u`. If it may leave, a piece begins with it. */
export function translateSse(u: usize, p: u32): void {
  const m = changetype<Emit>(J), want = wanted(p), size = <i32>(p & Sse.SIZE), toGpr = (p & (Sse.REG_GPR | Sse.FLAGS)) != 0;
  if (want & ~jget(JitOff.sseKnown)) {
    store<u8>(effect(Effect.sseReady, 0, 0, 0, 0, u), <u8>want, EffectOff.cc);
    jset(JitOff.sseKnown, jget(JitOff.sseKnown) | want);
  }
  let host: u32 = 0;
  if (isMem(u)) {
    const lin = m.ea(u, false);
    if (p & Sse.ALIGNED) {
      use(lin);
      effect(Effect.aligned, 16, lin, 0, 0, u);
    }
    if (p & Sse.STORE) {
      host = <u32>m.hostW(lin, size, u);
      const e = effect(Effect.sseStore, size, 0, host, 0, u);
      if (!(host & Host.span)) store<u32>(e, snapshot(), EffectOff.snap);
      return;
    }
    host = inPlace(<u32>m.hostR(lin, size, u));
  }
  let source = 0, t: u32 = 0;
  const rm = <usize>load<u8>(u, RecOff.rm) << 3, gprStore = (p & (Sse.STORE | Sse.RM_GPR)) == (Sse.STORE | Sse.RM_GPR);
  if (p & Sse.RM_GPR && !host && !gprStore) {
    source = m.reg(rm, 8);
    use(source);
  }
  if ((p & (Sse.FLAGS | Sse.CHECKED)) == (Sse.FLAGS | Sse.CHECKED)) {
    const type = <u8>(size == 8 ? VectorType.f64 : VectorType.f32), a = fresh(type), b = fresh(type);
    store<u32>(effect(Effect.sse, size, <i32>b, host, a, u), p, EffectOff.flags);
    setOrder(a, b, size == 8);
    return;
  }
  const long = p & Sse.FLAGS ? true : opSize(u) == 8 && (gprStore || (p & (Sse.CHECKED | Sse.REG_GPR)) == (Sse.CHECKED | Sse.REG_GPR));
  if (toGpr || gprStore) t = long ? temp64() : temp32();
  const e = effect(Effect.sse, long ? 8 : 4, source, host, t, u);
  store<u32>(e, p, EffectOff.flags);
  if (p & Sse.FLAGS) setStatusBits(local(t));
  else if (t) m.setReg(gprStore ? rm : <usize>load<u8>(u, RecOff.reg) << 3, 8, long ? local(t) : local32(t));
}
