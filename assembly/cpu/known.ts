/** Instructions of a kind that was decoded before. What decode.ts finds out about one by looking through rows, sizes and templates is the same for all
 *  with the same opcode, prefixes, ModRM.reg and kind of operand, so it is remembered, and what is left are fields to be put together. Whether an
 *  instruction has REX, an escape, an immediate changes from one to the next, as nothing that a processor could foretell: so that is computed, not branched for.
 *
 *  2048 entries of 16 bytes in front of the record cache, found by a hash of the key:
 *  ```
 *  +0 u64  the record's first, without registers and length
 *  +8 u32  key    31 set  17 64-bit mode  16 REX  15 REX.W  14 66h  13..12 Operand  11..9 ModRM.reg  8 map  7..0 opcode; 0: none
 *  +12 u32 What   31..24 RecOff.immediate  22..16 Trait  13 and 11..8 RecOff.rm is From  12 and 7..4 RecOff.reg is From  3..0 bytes of the immediate
 *  ```
 *  Only templates under flat segments are here, with no other prefixes. An entry says nothing about the guest, so none ever becomes wrong. */
import { Mode, PcpuOff, Seg } from "../abi/layout";
import { KindOff, RecOff } from "../abi/record";
import { OPCODE_MODRM } from "./opcodes.gen";
import { PCPU } from "./pcpu";

/** Kind of the rm operand. */
const enum Operand { register = 0, base = 1, index = 2 }

/** What is to be done about an immediate, and in the end. */
export const enum Trait {
  unsigned = 0x10000, // otherwise it is extended with its sign
  narrow = 0x20000, // of a byte, to 32 bits, which are extended with zeros
  count = 0x40000, // of a shift: 0 is another instruction
  count64 = 0x80000, // modulo 64
  one = 0x100000, // it is 1
  UNUSUAL = 0x1f0000, // any of these
  target = 0x200000, // of a branch, relative to the end of the instruction
  ends = 0x400000, // the block
}

/** Shift of a register's number in ModRM.reg | ModRM.rm << 4, and whether it names a byte as without REX. */
export const enum From { reg = 0, rm = 4, none = 8, legacyByte = 16 }
/** Fields of an entry. */
const enum What { BYTES = 15, reg = 4, rm = 8, regLegacy = 0x1000, rmLegacy = 0x2000, LEGACY = 0x3000, immediate = 24 }

@inline function table(): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + KindOff.TABLE; }
@inline function entryOf(key: u32): usize { return table() + (<usize>(key * 0x9e3779b1 >> (32 - KindOff.BITS)) << 4); }

/** Whether code of `mode` may be decoded this way. */
@inline export function mayBeKnown(mode: u32): bool {
  const wanted = mode & (Mode.BITS | Mode.flat | Mode.align | Mode.ss32);
  return (wanted & ~Mode.ss32) == (Mode.bits64 | Mode.flat) || wanted == (Mode.bits32 | Mode.flat | Mode.ss32);
}

/** Key of an instruction. `rm`: its ModRM byte, or one of a register with the opcode's low bits twice. */
@inline function keyOf(opcode: i32, modrm: i32, operand: i32, opsize: i32, rex: i32, long: i32): u32 {
  return <u32>(opcode | (modrm >> 3 & 7) << 9 | operand << 12 | opsize << 14 | (rex & 8) << 12 | i32(rex != 0) << 16 | long << 17 | 1 << 31);
}

/** ModRM of an instruction that has none: names a register by the opcode. */
@inline function modrmFor(opcode: i32, modrm: i32): i32 {
  return select<i32>(modrm, 0xc0 | (opcode & 7) * 9, load<u8>(OPCODE_MODRM + <usize>opcode) != 0);
}

/** Register-file offset of byte register `n`, as without REX. */
@inline function legacyByte(n: i32): i32 { return (n & 3) << 3 | n >> 2; }

/** Decodes the instruction at `p` into `u`, as decodeOne() does, and returns the same; or 0 if it is not known. `long`: 1 in 64-bit mode. */
@inline export function decodeKnown(p: usize, u: usize, off: i32, long: i32): u32 {
  const start = p;
  let word = load<u64>(p), opsize = 0;
  if ((word & 0xff) == 0x66) {
    opsize = 1;
    word >>= 8;
    p++;
  }
  const rexed = i32((<i32>word & 0xf0) == 0x40) & long, rex = <i32>word & 0xff & -rexed;
  word >>= rexed << 3;
  const escaped = i32((<i32>word & 0xff) == 0x0f);
  word >>= escaped << 3;
  const opcode = (<i32>word & 0xff) | escaped << 8;
  const modrm = modrmFor(opcode, <i32>word >> 8 & 0xff);
  p += rexed + escaped + 1 + load<u8>(OPCODE_MODRM + <usize>opcode);

  let operand: i32 = Operand.register, relative = 0, address = <u64>PcpuOff.zero << 16 | <u64>PcpuOff.zero << 24, rest = <u64>Seg.ds << 40;
  if (modrm < 0xc0) {
    const mod = modrm >> 6;
    let low = modrm & 7, index: u64 = PcpuOff.zero;
    operand = Operand.base;
    if (low == 4) {
      const sib = <i32>load<u8>(p++), x = (sib >> 3 & 7) | (rex & 2) << 2;
      low = sib & 7;
      if (x != 4) {
        operand = Operand.index;
        index = x << 3;
        rest |= <u64>(sib >> 6) << 32;
      }
    } else relative = i32((modrm & 0xc7) == 5) & long;
    const absolute = i32(low == 5) & i32(mod == 0), wide = absolute | mod >> 1;
    const disp = select<i32>(load<i32>(p), <i32>load<i8>(p) & -(mod & 1), wide != 0);
    p += <usize>(wide << 2 | mod & 1);
    const base = select<i32>(PcpuOff.zero + relative * (PcpuOff.ripBase - PcpuOff.zero), (low | (rex & 1) << 3) << 3, absolute != 0);
    address = <u64>base << 16 | index << 24 | <u64>disp << 32;
    rest |= <u64>(<u32>-long);
    if ((base & ~8) == 4 << 3) rest ^= <u64>(Seg.ds ^ Seg.ss) << 40;
  }
  const key = keyOf(opcode, modrm, operand, opsize, rex, long), entry = entryOf(key);
  if (load<u32>(entry, 8) != key) return 0;

  const what = load<u32>(entry, 12), bytes = what & What.BYTES, half = <i64>(32 - (bytes << 2));
  let imm = load<i64>(p) << half << half >> half >> half;
  if (what & Trait.UNUSUAL) {
    if (what & Trait.unsigned) imm = <i64>((<u64>imm << half << half) >> half >> half);
    else if (what & Trait.one) imm = 1;
    else if (what & Trait.narrow) imm = <i64>(<u64>(<u32>(<i32>imm)));
    else {
      imm &= what & Trait.count64 ? 63 : 31;
      if (!imm) return 0;
    }
  }
  p += bytes;
  const len = <i32>(p - start), numbers = (modrm >> 3 & 7) | (rex & 4) << 1 | (modrm & 7) << 4 | (rex & 1) << 7;
  const a = numbers >> (what >> What.reg & 15) & 15, c = numbers >> (what >> What.rm & 15) & 15;
  let reg = a << 3, rm = c << 3;
  if (what & What.LEGACY) {
    if (what & What.regLegacy) reg = legacyByte(a);
    if (what & What.rmLegacy) rm = legacyByte(c);
  }
  store<u64>(u, load<u64>(entry) | <u64>(<u32>(reg | rm << 8 | len << 16)) << 32);
  store<u64>(u, address + (<u64>(off + len & -relative) << 32) | <u64>off, 8);
  if (what & Trait.target) {
    store<i64>(u, imm, RecOff.imm);
    store<i32>(u, <i32>imm + off + len, RecOff.imm);
    store<u64>(u, 0, RecOff.taken);
  } else {
    if (operand) imm |= <i64>-1 << 32; // in front of the mask there is room for 32 bits
    store<i64>(u, imm, RecOff.imm);
    store<u64>(u, rest | <u64>(what >> What.immediate) << 48, RecOff.taken);
  }
  return <u32>len | (what & Trait.ends) >> 14;
}

/** Remembers what was found out about a template without other prefixes than 66h and REX, whose record `u` is. `opcode`: map << 8 | opcode, of maps 0
 *  and 1. `bytes`: of the immediate. */
export function rememberKind(opcode: i32, modrm: i32, indexed: bool, opsize: bool, rex: i32, long: bool, u: usize, bytes: u32, traits: u32, reg: u32, rm: u32): void {
  const by = modrmFor(opcode, modrm), operand = by >= 0xc0 ? Operand.register : indexed ? Operand.index : Operand.base;
  const key = keyOf(opcode, by, operand, i32(opsize), rex, i32(long)), entry = entryOf(key);
  store<u64>(entry, load<u64>(u) & 0xff000000ffffffff);
  store<u32>(entry, key, 8);
  const legacy = (reg & From.legacyByte ? <u32>What.regLegacy : 0) | (rm & From.legacyByte ? <u32>What.rmLegacy : 0);
  store<u32>(entry, bytes | (reg & 15) << What.reg | (rm & 15) << What.rm | legacy | traits
    | (traits & Trait.target ? 0 : <u32>load<u8>(u, RecOff.immediate) << What.immediate), 12);
}

/** Whether a ModRM byte follows `opcode`, as far as one can tell from that. */
@inline export function hasModrm(opcode: i32): bool { return load<u8>(OPCODE_MODRM + <usize>opcode) != 0; }

/** The memory is new. */
export function forgetKinds(): void { memory.fill(table(), 0, KindOff.SIZE); }
