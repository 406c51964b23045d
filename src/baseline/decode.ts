/** Decodes one instruction of 16- or 32-bit code into a record. */
import { ABSENT, specialize } from "./specialize";
import { Cold, NO_REG, Op } from "./ops";
import { type Entry, Imm, MAPS, Prefix } from "./rows";

const NO_ENTRIES: readonly Entry[] = [];
/** Base and index of 16-bit addresses (SDM Vol.2A Table 2-1): BX+SI BX+DI BP+SI BP+DI SI DI BP BX. */
const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, NO_REG, NO_REG, NO_REG, NO_REG];
const SS = 2;
const DS = 3;

export class Decoder {
  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;
  private end = 0;
  private segment = DS;
  private base = NO_REG;
  private index = NO_REG;
  private scale = 0;
  private disp = 0;

  constructor(private readonly ops: Int32Array) {}

  private byte(): number {
    if (this.at >= this.end) throw ABSENT;
    return this.bytes[this.at++];
  }
  private signed8(): number {
    return (this.byte() << 24) >> 24;
  }
  private word(): number {
    return this.byte() | (this.byte() << 8);
  }
  private dword(): number {
    return this.word() | (this.word() << 16);
  }

  /** Writes the record at `u` of the instruction at `from`, whose offset in its page is `offset`; gives the instruction's length,
   *  or 0 if it does not end before `end`. */
  decode(bytes: Uint8Array, from: number, end: number, offset: number, u: number, stamp: number): number {
    this.bytes = bytes;
    this.at = from;
    this.end = Math.min(end, from + 15);
    try {
      this.instruction(offset, u, stamp, from);
    } catch (e) {
      if (e !== ABSENT) throw e;
      if (this.end === end && end < from + 15) return 0;
      this.at = this.end;
      this.fault(Cold.gp, offset, u); // longer than 15 bytes
    }
    return this.at - from;
  }

  private fault(cold: Cold, offset: number, u: number): void {
    this.ops[u] = Op.cold;
    this.ops[u + 1] = this.ops[u + 2] = 0;
    this.ops[u + 3] = (offset & 4095) | (cold << 16);
  }

  private instruction(offset: number, u: number, stamp: number, from: number): void {
    const code32 = (stamp & 1) !== 0;
    let operand16 = !code32;
    let address16 = !code32;
    let segment = -1;
    let lock = false;
    let rep = 0;
    let p66 = false;
    let b = 0;
    for (;;) {
      b = this.byte();
      if (b === 0x66) {
        operand16 = code32;
        p66 = true;
      } else if (b === 0x67) address16 = code32;
      else if (b === 0xf0) lock = true;
      else if (b === 0xf2) rep = 1;
      else if (b === 0xf3) rep = 2;
      else if ((b & 0xe7) === 0x26) segment = (b >> 3) & 3;
      else if (b === 0x64 || b === 0x65) segment = b - 0x60;
      else break;
    }
    let map = 0;
    let vvvv = 0;
    if (b === 0x0f) {
      map = 1;
      b = this.byte();
      if (b === 0x38 || b === 0x3a) {
        map = b === 0x38 ? 2 : 3;
        b = this.byte();
      }
    } else if (b === 0xc4 || b === 0xc5) {
      const next = this.byte();
      if (next >= 0xc0) {
        // VEX: outside 64-bit mode where LES and LDS would have a register
        if (lock || rep || p66 || b === 0xc5) {
          this.fault(Cold.ud, offset, u);
          return;
        }
        const second = this.byte();
        vvvv = (~second >> 3) & 15;
        map = (next & 31) === 2 ? 4 : (next & 31) === 3 ? 5 : 6;
        b = this.byte() | ((second & 3) << 8);
      } else this.at--;
    }
    const list = MAPS[map]?.[b] ?? NO_ENTRIES;
    const modrm = list.length > 0 && list[0].modrm ? this.byte() : -1;
    const entry = this.select(list, modrm, rep, p66);
    if (!entry || (map === 2 && (b & 0xfe) === 0xf0 && rep === 1)) {
      this.fault(Cold.ud, offset, u);
      return;
    }
    if (lock && (!entry.lock || modrm >= 0xc0 || modrm < 0)) {
      this.fault(Cold.ud, offset, u);
      return;
    }

    if (entry.cold === Cold.rorx && vvvv !== 0) {
      this.fault(Cold.ud, offset, u);
      return;
    }
    vvvv &= 7; // the fourth bit is ignored outside 64-bit mode
    let register = vvvv;
    let rm = entry.plusR ? b & 7 : 0;
    let memory = false;
    this.segment = segment >= 0 ? segment : DS;
    this.base = this.index = NO_REG;
    this.scale = this.disp = 0;
    if (modrm >= 0) {
      register = (modrm >> 3) & 7;
      rm = modrm & 7;
      // moves of control and debug registers take any ModRM.mod for a register
      memory = modrm < 0xc0 && !(entry.cold >= Cold.movFromCr && entry.cold <= Cold.movToDr);
      if (memory && address16) this.memory16(modrm, segment);
      else if (memory) this.memory32(modrm, segment);
    }
    const width = entry.width >= 0 ? entry.width : operand16 ? 1 : 2;
    let imm = 0;
    switch (entry.imm) {
      case Imm.byte:
        imm = this.signed8();
        break;
      case Imm.word:
        imm = this.word();
        break;
      case Imm.z:
        imm = operand16 ? (this.word() << 16) >> 16 : this.dword();
        break;
      case Imm.jumpByte:
        this.disp = this.signed8();
        break;
      case Imm.jump:
        this.disp = operand16 ? (this.word() << 16) >> 16 : this.dword();
        break;
      case Imm.far:
        imm = operand16 ? this.word() : this.dword();
        this.disp = this.word();
        break;
      case Imm.wordByte:
        imm = this.word();
        this.disp = this.byte();
        break;
      case Imm.offset:
        this.disp = address16 ? this.word() : this.dword();
        memory = true;
        break;
    }
    if (entry.cold === Cold.shiftOne) imm = 1;
    if (entry.cold === Cold.x87) imm = (memory ? 0 : 64) | ((b & 7) << 3) | register;
    if (map >= 4) imm = (imm & 255) | (vvvv << 8); // the third register
    const { ops } = this;
    const where = memory ? (this.base << 14) | (this.index << 18) | (this.scale << 22) | (1 << 30) : (rm << 14) | (NO_REG << 18);
    ops[u] = Op.cold | (register << 10) | where | (this.segment << 24) | (address16 ? 1 << 27 : 0) | (rep << 28) | (entry.toRegister ? 1 << 31 : 0);
    ops[u + 1] = imm;
    ops[u + 2] = this.disp;
    // the width of operands whose size the mnemonic fixes is the operand size here: 16-bit code of LGDT, IRET ...
    ops[u + 3] = (offset & 4095) | ((this.at - from) << 12) | ((entry.cold === Cold.shiftOne ? Cold.shift : entry.cold) << 16) | (width << 26) | (entry.sub << 28);
    specialize(ops, u, stamp);
  }

  private select(list: readonly Entry[], modrm: number, rep: number, p66: boolean): Entry | undefined {
    for (const e of list) {
      if (e.exact >= 0 && e.exact !== modrm) continue;
      if (e.digit >= 0 && e.digit !== ((modrm >> 3) & 7)) continue;
      if (modrm >= 0 && ((e.memory && modrm >= 0xc0) || (e.register && modrm < 0xc0))) continue;
      if (e.prefix === Prefix.any) return e;
      if (e.prefix === Prefix.f3 ? rep === 2 : e.prefix === Prefix.f2 ? rep === 1 : rep === 0 && (e.prefix === Prefix.p66) === p66) return e;
    }
    return undefined;
  }

  private memory16(modrm: number, segment: number): void {
    const mod = modrm >> 6;
    const rm = modrm & 7;
    if (mod === 0 && rm === 6) {
      this.disp = this.word();
      return;
    }
    this.base = BASE16[rm];
    this.index = INDEX16[rm];
    if (mod === 1) this.disp = this.signed8();
    else if (mod === 2) this.disp = (this.word() << 16) >> 16;
    if (segment < 0 && this.base === 5) this.segment = SS;
  }

  private memory32(modrm: number, segment: number): void {
    const mod = modrm >> 6;
    this.base = modrm & 7;
    if (this.base === 4) {
      const sib = this.byte();
      this.base = sib & 7;
      this.index = (sib >> 3) & 7;
      this.scale = sib >> 6;
      if (this.index === 4) this.index = NO_REG;
    }
    if (mod === 0 && this.base === 5) {
      this.base = NO_REG;
      this.disp = this.dword();
    } else if (mod === 1) this.disp = this.signed8();
    else if (mod === 2) this.disp = this.dword();
    if (segment < 0 && (this.base === 4 || this.base === 5)) this.segment = SS;
  }
}
