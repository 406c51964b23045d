/** Random instruction bytes: prefixes, an opcode of any map, ModRM and what follows it. */
import type { Random } from "../../support/random";

export function randomEncoding(r: Random, bits: 16 | 32 | 64): Uint8Array {
  const bytes: number[] = [];
  const prefixes = r.chance(0.45) ? 0 : r.between(1, 3);
  for (let i = 0; i < prefixes; i++) bytes.push(r.pick([0x66, 0x66, 0x67, 0xf2, 0xf3, 0xf3, 0xf0, 0x2e, 0x36, 0x26, 0x3e, 0x64, 0x65]));
  if (bits === 64 && r.chance(0.4)) bytes.push(0x40 | r.below(16));
  const map = r.below(10);
  if (map < 3) bytes.push(r.below(256));
  else if (map < 6) bytes.push(0x0f, r.below(256));
  else if (map < 8) bytes.push(0x0f, r.pick([0x38, 0x3a]), r.below(256));
  else if (map < 9) bytes.push(0xc4, (r.below(8) << 5) | r.pick([1, 2, 2, 3]), r.below(256), r.pick([0xf0, 0xf2, 0xf3, 0xf5, 0xf6, 0xf7, r.below(256)]));
  else bytes.push(0xc5, r.below(256), r.below(256));
  bytes.push(r.chance(0.5) ? 0xc0 | r.below(64) : r.below(256));
  while (bytes.length < 24) bytes.push(r.chance(0.2) ? r.pick([0, 0xff, 0x80, 0x7f]) : r.below(256));
  return Uint8Array.from(bytes.slice(0, 24));
}
