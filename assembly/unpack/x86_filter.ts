/** The x86 branch filter of .xz, undone: the encoder turned the relative targets of CALL and JMP (E8, E9) into absolute ones where the top
 *  byte of the 32-bit operand was 00 or FF. Opcodes are bytes like others, so candidates overlap: `mask` has a bit for each of the
 *  last three bytes that looked like one, too. It decides, as in the encoder, whether this one was converted, and which operand
 *  bytes it shares. */
import { UnpackOff } from "../abi/unpack";

/** Goes over the candidates from `n` up to `end` in the `length` bytes at `at`, the first of which has the position `position` in what was
 *  filtered. Returns where to go on. Before the first of them there is no candidate: UnpackOff.mask is 0 then, previous -1. */
export function unfilterX86(work: usize, at: usize, length: u32, position: u32, n: u32, end: u32): u32 {
  if (length < 5) return length;
  let mask = load<u32>(work, UnpackOff.mask);
  let previous = load<u32>(work, UnpackOff.previous);
  const last = min(end, length - 4) - 1;
  for (; n <= last; n++) {
    n = nextOpcode(at, n, last);
    if (n > last) break;
    const gap = n - previous;
    previous = n;
    mask = gap > 3 ? 0 : (mask << (gap - 1)) & 7;
    // Operand bytes that an earlier candidate overlaps: 0, 1, 2 or 3 counted from the top.
    const shared: u32 = mask == 0 ? 0 : mask == 1 ? 1 : mask < 4 ? 2 : 3;
    let target = load<u32>(at + n, 1);
    const mayConvert = mask == 0 || (mask != 3 && mask < 5 && !isSign(target >>> (24 - shared * 8)));
    if (!mayConvert || !isSign(target >>> 24)) {
      mask = (mask << 1) | 1;
      continue;
    }
    const here = position + n + 5;
    let relative = target - here;
    while (mask != 0 && isSign(relative >>> (24 - shared * 8))) {
      target = relative ^ <u32>(((<u64>1) << (32 - shared * 8)) - 1);
      relative = target - here;
    }
    store<u32>(at + n, (relative & 0x00ffffff) | (0 - ((relative >>> 24) & 1)) << 24, 1);
    n += 4;
    // `previous` stays at the opcode: a candidate right after the operand is 5 away, so the mask starts anew.
    mask = 0;
  }
  store<u32>(work, mask, UnpackOff.mask);
  store<u32>(work, previous, UnpackOff.previous);
  return end < length ? n : length;
}

@inline
function isSign(byte: u32): bool {
  return ((byte + 1) & 0xff) < 2;
}

/** The first E8 or E9 from `n` on, `last` + 1 or more if there is none. */
function nextOpcode(at: usize, n: u32, last: u32): u32 {
  const opcode = i8x16.splat(<i8>0xe8);
  const low = i8x16.splat(<i8>0xfe);
  for (; n + 16 <= last; n += 16) {
    const found = i8x16.bitmask(i8x16.eq(v128.and(v128.load(at + n), low), opcode));
    if (found) return n + <u32>ctz(found);
  }
  while (n <= last && (load<u8>(at + n) & 0xfe) != 0xe8) n++;
  return n;
}
