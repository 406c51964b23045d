/** The rows of src/spec as the decoder looks them up: by opcode map and byte, with what selects one of several. */
import { INTEGER, STRING } from "../spec/integer";
import type { InsnSpec } from "../spec/row";
import { SSE } from "../spec/sse";
import { SYSTEM } from "../spec/system";
import { X87 } from "../spec/x87";
import { Cold } from "./ops";
import { Sse } from "./sse_ops";

export const enum Prefix {
  any = 0,
  none = 1,
  p66 = 2,
  f3 = 3,
  f2 = 4,
}
export const enum Imm {
  none = 0,
  byte = 1,
  word = 2,
  z = 3, // 16 or 32 bits
  jumpByte = 4,
  jump = 5,
  far = 6,
  wordByte = 7, // ENTER
  offset = 8, // an address of the address size
}

export interface Entry {
  readonly cold: Cold;
  readonly sub: number;
  readonly prefix: Prefix;
  readonly modrm: boolean;
  readonly digit: number;
  /** Exact ModRM byte, -1 if any. */
  readonly exact: number;
  readonly memory: boolean;
  readonly register: boolean;
  readonly plusR: boolean;
  readonly imm: Imm;
  /** log2 of the operand's bytes; -1 for the operand size. */
  readonly width: number;
  /** The register of ModRM.reg is the destination of a move or operation with E. */
  readonly toRegister: boolean;
  /** The destination may be memory under LOCK. */
  readonly lock: boolean;
}

const CC = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];
const ALU = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"];
const SHIFT = ["rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar"];
const BITS = ["bt", "bts", "btr", "btc"];
const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs"];

const NAMED: Readonly<Record<string, Cold>> = {
  xchg: Cold.xchg, xchg_rax: Cold.xchg, xadd: Cold.xadd, cmpxchg: Cold.cmpxchg, cmpxchg8b: Cold.cmpxchg8b, inc: Cold.inc, dec: Cold.dec,
  not: Cold.not, neg: Cold.neg, mul: Cold.mul, imul1: Cold.imul1, div: Cold.div, idiv: Cold.idiv, lea: Cold.lea,
  bsf: Cold.bsf, bsr: Cold.bsr, tzcnt: Cold.tzcnt, lzcnt: Cold.lzcnt, popcnt: Cold.popcnt, bswap: Cold.bswap,
  movbe: Cold.movbe, movnti: Cold.mov, adcx: Cold.adcx, adox: Cold.adox, cbw: Cold.cbw, cwd: Cold.cwd, sahf: Cold.sahf, lahf: Cold.lahf,
  cmc: Cold.cmc, clc: Cold.clc, stc: Cold.stc, cld: Cold.cld, std: Cold.std, xlat: Cold.xlat, salc: Cold.salc, daa: Cold.daa, das: Cold.das,
  aaa: Cold.aaa, aas: Cold.aas, aam: Cold.aam, aad: Cold.aad, nop: Cold.nop, pause: Cold.nop, movoffs: Cold.movoffs, movoffs_store: Cold.movoffsStore,
  andn: Cold.andn, blsr: Cold.blsr, blsmsk: Cold.blsmsk, blsi: Cold.blsi, bzhi: Cold.bzhi, pext: Cold.pext, pdep: Cold.pdep, mulx: Cold.mulx,
  bextr: Cold.bextr, shlx: Cold.shlx, sarx: Cold.sarx, shrx: Cold.shrx, rorx: Cold.rorx,
  pop: Cold.pop, pusha: Cold.pusha, popa: Cold.popa, enter: Cold.enter, leave: Cold.leave, loop: Cold.loop, loope: Cold.loope, loopne: Cold.loopne,
  jcxz: Cold.jcxz, call_far_direct: Cold.callFar, jmp_far_direct: Cold.jmpFar, call_far: Cold.callFarM, jmp_far: Cold.jmpFarM,
  ret_far: Cold.retFar, ret_far_imm: Cold.retFarImm, int3: Cold.int3, int_n: Cold.intN, into: Cold.into, int1: Cold.int1, iret: Cold.iret,
  bound: Cold.bound, sysenter: Cold.sysenter, sysexit: Cold.sysexit, pushf: Cold.pushf, popf: Cold.popf, cli: Cold.cli, sti: Cold.sti, hlt: Cold.hlt,
  movs: Cold.movs, cmps: Cold.cmps, stos: Cold.stos, lods: Cold.lods, scas: Cold.scas, ins: Cold.ins, outs: Cold.outs,
  mov_from_seg: Cold.movFromSeg, mov_to_seg: Cold.movToSeg, les: Cold.loadFar, lds: Cold.loadFar, lss: Cold.loadFar, lfs: Cold.loadFar, lgs: Cold.loadFar,
  sldt: Cold.sldt, str: Cold.str, lldt: Cold.lldt, ltr: Cold.ltr, verr: Cold.verr, verw: Cold.verw, lar: Cold.lar, lsl: Cold.lsl, arpl: Cold.arpl,
  sgdt: Cold.sgdt, sidt: Cold.sidt, lgdt: Cold.lgdt, lidt: Cold.lidt, mov_from_cr: Cold.movFromCr, mov_to_cr: Cold.movToCr,
  mov_from_dr: Cold.movFromDr, mov_to_dr: Cold.movToDr, smsw: Cold.smsw, lmsw: Cold.lmsw, clts: Cold.clts, invlpg: Cold.invlpg,
  invd: Cold.invd, wbinvd: Cold.invd, wrmsr: Cold.wrmsr, rdmsr: Cold.rdmsr, rdtsc: Cold.rdtsc, cpuid: Cold.cpuid,
  lfence: Cold.fence, mfence: Cold.fence, sfence: Cold.fence, clflush: Cold.fence,
  in_byte_imm: Cold.inImm, in_imm: Cold.inImm, in_byte_dx: Cold.inDx, in_dx: Cold.inDx,
  out_byte_imm: Cold.outImm, out_imm: Cold.outImm, out_byte_dx: Cold.outDx, out_dx: Cold.outDx,
  fwait: Cold.fwait, fxsave: Cold.fxsave, fxrstor: Cold.fxrstor, ldmxcsr: Cold.ldmxcsr, stmxcsr: Cold.stmxcsr,
};

function performerOf(row: InsnSpec, operands: readonly string[]): readonly [Cold, number] | null {
  const name = row.op ?? row.mnemonic;
  const immediate = operands.some((o) => o[0] === "I");
  const cc = (prefix: string) => (name.startsWith(prefix) ? CC.indexOf(name.slice(prefix.length)) : -1);
  if (/^D[8-F]$/.test(row.opcode.slice(0, 2))) return [Cold.x87, 0];
  if (ALU.includes(name)) return [immediate ? Cold.aluImm : Cold.alu, ALU.indexOf(name)];
  const shift = SHIFT.indexOf(name.replace("_cl", ""));
  if (shift >= 0) return [name.endsWith("_cl") ? Cold.shiftCl : immediate ? Cold.shift : Cold.shiftOne, shift];
  const bit = BITS.indexOf(name.replace("_imm", ""));
  if (bit >= 0) return [immediate ? Cold.btImm : Cold.bt, bit];
  if (cc("set") >= 0) return [Cold.setcc, cc("set")];
  if (cc("cmov") >= 0) return [Cold.cmov, cc("cmov")];
  if (cc("j") >= 0) return [Cold.jcc, cc("j")];
  switch (name) {
    case "test":
      return [immediate ? Cold.testImm : Cold.test, 0];
    case "mov":
      return [immediate ? Cold.movImm : Cold.mov, 0];
    case "push":
      return [immediate ? Cold.pushImm : Cold.push, 0];
    case "movzx":
      return [operands[1] === "Eb" ? Cold.movzx8 : Cold.movzx16, 0];
    case "movsx":
      return [operands[1] === "Eb" ? Cold.movsx8 : Cold.movsx16, 0];
    case "imul":
      return [immediate ? Cold.imulImm : Cold.imul, 0];
    case "jmp":
      return [operands[0][0] === "J" ? Cold.jmp : Cold.jmpE, 0];
    case "call":
      return [operands[0][0] === "J" ? Cold.call : Cold.callE, 0];
    case "ret":
      return [immediate ? Cold.retImm : Cold.ret, 0];
  }
  if (/^sh[lr]d/.test(name)) return [name.endsWith("_cl") ? Cold.shldCl : Cold.shld, name[2] === "r" ? 1 : 0];
  if (/^(push|pop)_[c-gs]s|^(push|pop)_es/.test(name)) return [name.startsWith("push") ? Cold.pushSeg : Cold.popSeg, SEGMENTS.indexOf(name.slice(-2))];
  if (!Object.hasOwn(NAMED, name)) return null;
  return [NAMED[name], SEGMENTS.indexOf(name.slice(1))];
}

function ssePerformerOf(row: InsnSpec): readonly [Cold, number] | null {
  const operation: Sse | undefined = Sse[(row.op ?? row.mnemonic) as keyof typeof Sse];
  return operation === undefined ? null : [Cold.SSE + operation, 0];
}

/** Maps: one byte, 0F, 0F 38, 0F 3A, then the VEX maps 0F 38 and 0F 3A with pp in bits 8 and 9 of the index. */
export const MAPS: readonly Entry[][][] = Array.from({ length: 6 }, () => []);

function add(row: InsnSpec): void {
  if (row.mode === "long") return;
  const operands = row.operands.split(",");
  const string = STRING.includes(row);
  const performer = SSE.includes(row) ? ssePerformerOf(row) : performerOf(row, operands);
  if (!performer) return;
  const tokens = row.opcode.split(" ");
  let prefix = Prefix.any;
  let map = 0;
  let pp = 0;
  const head = tokens[0];
  if (head.startsWith("VEX.")) {
    pp = ["66", "F3", "F2"].indexOf(head.split(".")[1]) + 1;
    map = head.endsWith("0F38") ? 4 : 5;
    tokens.shift();
  } else {
    const named = ["NP", "66", "F3", "F2"].indexOf(head);
    if (named >= 0 && tokens.length > 1) {
      prefix = named + 1;
      tokens.shift();
    }
    if (tokens[0] === "0F" && tokens.length > 1) {
      tokens.shift();
      map = 1;
      if (/^3[8A] [0-9A-F]{2}/.test(tokens.slice(0, 2).join(" "))) map = tokens.shift() === "38" ? 2 : 3;
    }
  }
  const main = tokens.shift()!;
  const opcode = Number.parseInt(main, 16);
  const digit = tokens.find((t) => /^\/[0-7]$/.test(t));
  const exact = tokens.find((t) => /^[0-9A-F]{2}$/.test(t));
  const imm = operands.map((o) => ({ Ib: Imm.byte, Ibs: Imm.byte, Iw: Imm.word, Iz: Imm.z, Iv: Imm.z, Jb: Imm.jumpByte, Jz: Imm.jump, Ap: Imm.far, Ob: Imm.offset, Ov: Imm.offset })[o] ?? 0).find((i) => i > 0) ?? Imm.none;
  const sized = operands.find((o) => /^(AL|[EGMZOR][bwvdyz]$|b$)/.test(o)) ?? "";
  const entry: Entry = {
    cold: performer[0],
    sub: performer[1] & 15,
    prefix,
    modrm: map >= 4 || digit !== undefined || exact !== undefined || (performer[0] !== Cold.xlat && (tokens.length > 0 || operands.some((o) => /^([EG][a-z]|M)/.test(o)))),
    digit: digit ? Number(digit[1]) : -1,
    exact: exact ? Number.parseInt(exact, 16) : -1,
    memory: tokens.includes("mem") || (performer[0] !== Cold.xlat && operands.some((o) => o[0] === "M")),
    register: tokens.includes("reg"),
    plusR: main.endsWith("+r"),
    imm: row.operands === "Iw,Ib" ? Imm.wordByte : imm,
    width: sized === "AL" || operands.includes("AL") || /b$/.test(sized) ? 0 : /^[EG][dy]$|^My/.test(sized) || map >= 4 ? 2 : -1,
    toRegister: operands[0][0] === "G",
    lock: row.lock === true,
  };
  if (string) Object.assign(entry, { width: row.operands === "b" ? 0 : -1, modrm: false });
  for (let i = 0; i < (entry.plusR ? 8 : 1); i++) {
    const at = (opcode + i) | (pp << 8);
    const list = (MAPS[map][at] ??= []);
    list.push(entry);
    // what is more exact is looked at first
    list.sort((x, y) => rank(y) - rank(x));
  }
}

const rank = (e: Entry) => (e.prefix >= Prefix.p66 ? 4 : e.prefix) + (e.exact >= 0 ? 16 : 0) + (e.digit >= 0 ? 2 : 0);

for (const row of [...INTEGER, ...STRING, ...SYSTEM, ...X87, ...SSE]) add(row);
