/** Random loops of x87 instructions over operands of all kinds, for the translator's doubles: what rounds, what does not, what is too large,
 *  too small or no number. */
import type { Random } from "../../support/random";

/** 64 operands of 8 bytes. */
export function operands(random: Random): Uint8Array {
  const bytes = new Uint8Array(64 * 8);
  const view = new DataView(bytes.buffer);
  const sign = () => random.below(2) * 2 - 1;
  const kinds = random.below(3) ? 20 : 15; // some programs have little that is odd
  for (let at = 0; at < bytes.length; at += 8) {
    const pick = random.below(kinds);
    if (pick < 8) view.setFloat64(at, sign() * (1 + random.below(1 << 30) / (1 << 30)) * 2 ** (random.below(40) - 20), true);
    else if (pick < 12) view.setFloat64(at, sign() * random.below(1000) / 4, true);
    else if (pick < 14) { // two singles
      view.setFloat32(at, sign() * (1 + random.below(1 << 22) / (1 << 22)) * 2 ** (random.below(60) - 30), true);
      view.setFloat32(at + 4, sign() * random.below(100), true);
    } else if (pick < 16) { // around the least and the largest exponent: products, quotients, singles; around what operands are asked for
      const exponent = [1, 2, 3, 0x7fe, 0x7fd, 512, 510, 0x5ff, 0x3ff + 127, 0x3ff - 126, 0x3ff - 127, 0x3ff + 299, 0x3ff + 300, 0x3ff - 300, 0x3ff - 301, 0x3ff - 150][random.below(16)];
      const low = [0, 1, 0xffffffff, 0x20000000, 0x10000000][random.below(5)], high = [0, 1, 0xfffff, 0x80000][random.below(4)];
      view.setUint32(at, low, true);
      view.setUint32(at + 4, ((random.below(2) << 31) | (exponent << 20) | high) >>> 0, true);
    } else if (pick === 16) view.setFloat64(at, sign() * 0, true);
    else if (pick === 17) view.setFloat64(at, sign() * 2 ** (random.below(70)) * (1 + random.below(3) / 2), true);
    else if (pick === 18) view.setBigInt64(at, BigInt(sign()) * (BigInt(random.below(1 << 30)) << BigInt(random.below(34))) + BigInt(random.below(8)), true);
    else view.setFloat64(at, [Number.NaN, Number.POSITIVE_INFINITY, 2 ** -1074, -(2 ** -1060)][random.below(4)], true);
  }
  return bytes;
}

/** Body of a loop that ends with as many registers in use as it began with. `source`, `target`: registers with the addresses of operands and
 *  results. */
export function body(random: Random, length: number, depth: number, source: string, target: string, rare: boolean): string {
  const lines: string[] = [], before = depth;
  const at = (size: number) => `[${source} + ${random.below(64 / size) * size}]`;
  const to = () => `[${target} + ${random.below(16) * 8}]`;
  const one = <T>(list: readonly T[]): T => list[random.below(list.length)];
  const push = () => {
    lines.push(one([`fld qword ${at(8)}`, `fld qword ${at(8)}`, `fld qword ${at(8)}`, `fld dword ${at(4)}`, `fild dword ${at(4)}`, `fild word ${at(2)}`, `fild qword ${at(8)}`, "fld1", "fldz"]));
    depth++;
  };
  while (lines.length < length) {
    if (depth < 2 || (depth < 6 && random.below(4) === 0)) {
      push();
      continue;
    }
    const i = random.below(depth), other = 1 + random.below(depth - 1);
    const operation = one(["add", "sub", "subr", "mul", "div", "divr", "add", "mul"]);
    switch (random.below(rare ? 25 : 23)) {
      case 0: case 1: case 2: lines.push(`f${operation} st0, st${i}`); break;
      case 3: case 4: lines.push(`f${operation} st${i}, st0`); break;
      case 5: case 6: lines.push(`f${operation}p st${other}, st0`); depth--; break;
      case 7: case 8: lines.push(`f${operation} qword ${at(8)}`); break;
      case 9: lines.push(`f${operation} dword ${at(4)}`); break;
      case 10: lines.push(one([`fi${operation} dword ${at(4)}`, `fi${operation} word ${at(2)}`])); break;
      case 11: lines.push(one(["fchs", "fabs", "fabs\nfsqrt", "frndint", "ftst", "fnop", "fwait"])); break;
      case 12: lines.push(`fxch st${i}`); break;
      case 13: lines.push(one([`fst st${i}`, `fld st${i}`])); if (/fld/.test(lines[lines.length - 1])) depth++; break;
      case 14: lines.push(`fst${one(["", "p"])} ${one(["qword", "dword"])} ${to()}`); if (/fstp/.test(lines[lines.length - 1])) depth--; break;
      case 15: lines.push(`fist${one(["", "p"])} ${one(["word", "dword"])} ${to()}`); if (/fistp/.test(lines[lines.length - 1])) depth--; break;
      case 16: lines.push(`${one(["fistp", "fisttp"])} ${one(["word", "dword", "qword"])} ${to()}`); depth--; break;
      case 17: lines.push(`${one(["fcomi", "fucomi"])} st0, st${i}`, one([`adc ${target.replace(/^r/, "e").replace("edi", "ebx")}, 0`, "seta bl\nsetp bh", "cmovb ebx, ecx", `fcmov${one(["b", "nb", "e", "ne", "be", "nbe", "u", "nu"])} st0, st${i}`, "setge bl\nsets bh\nsetno dl"])); break;
      case 18: lines.push(`${one(["fcomip", "fucomip"])} st0, st${i}`, one(["sbb ebx, ebx", "cmc\nsetbe bl", "inc ebx\nsetc dl", "lahf\nadd ebx, eax", "sete dl\nadd ebx, edx"])); depth--; break;
      case 19: lines.push(one([`fcom st${i}`, `fucom st${i}`, `fcom qword ${at(8)}`, `fcom dword ${at(4)}`, `ficom dword ${at(4)}`, "ftst"]), one(["fnstsw ax\nadd ebx, eax", "fnstsw ax\nsahf\nadc ebx, 1", `fnstsw ${to()}`])); break;
      case 20: lines.push(one([`fcomp st${i}`, `fucomp st${i}`, `fcomp qword ${at(8)}`, `ficomp word ${at(2)}`])); depth--; break;
      case 21: if (depth > 2 || before === 0) { lines.push("fcompp\nfnstsw ax\nadd ebx, eax"); depth -= 2; } break;
      case 22: lines.push(one(["add ebx, edx", "mov edx, ebx", "fcmovb st0, st1", "test ebx, 3"])); break;
      case 23: lines.push(one(["fldpi\nfstp st1", "fxam", "f2xm1", `fnstenv [${target} + 256]\nfldenv [${target} + 256]`, "fnstsw ax", "fldl2e\nfmulp st1, st0", "fnclex", `fldcw [${source} + 512]\nfist dword ${to()}\nfldcw [${source} + 514]`])); break;
      default: lines.push(one(["xor edx, edx\nmov eax, 77\nmov ebp, 5\ndiv ebp", "ffree st7", "fincstp\nfdecstp", `lock inc dword ${to()}`, `fstp tword [${target} + 256]\nfld tword [${target} + 256]`, "fprem"])); break;
    }
  }
  while (depth < before) push();
  for (; depth > before; depth--) lines.push(random.below(3) ? `fstp qword ${to()}` : "fstp st0");
  return lines.join("\n");
}
