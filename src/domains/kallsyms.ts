/** Symbols of a Linux kernel that was linked without a symbol table: those it keeps for itself (scripts/kallsyms.c, kernel/kallsyms.c).
 *
 *  Names are strings of tokens; 256 tokens stand one after the other as C strings, and behind them an index, u16 each. A token that is a
 *  single character stands for itself, which is how the table is found: the digits are among them. Before it lie the markers, the names
 *  (a length, then tokens) and their number. Addresses are 32-bit: offsets from a base, or absolute ones where they are not negative, and
 *  lie before the number (up to 6.3) or behind the index.
 *
 *  Nothing here is trusted: it is a guest's, and a search that fails says so by an empty list. */

export interface GuestSymbol {
  readonly address: bigint;
  readonly name: string;
}

const DIGITS = Uint8Array.from(Array.from("0123456789").flatMap((digit) => [digit.charCodeAt(0), 0]));
const MOST = 1 << 20;
/** Places that look like the digits' tokens. */
const MOST_PLACES = 64;
const TEXT = /^[tTwW]$/;

export function kallsyms(image: Uint8Array): GuestSymbol[] {
  const effort: Effort = { bytes: 4 * image.length };
  for (let at = find(image, DIGITS, 0), places = 0; at >= 0 && places < MOST_PLACES; at = find(image, DIGITS, at + 1), places++) {
    const found = tokensAround(image, at);
    const symbols = found && symbolsBefore(image, found, effort);
    if (symbols) return symbols;
  }
  return [];
}

function find(image: Uint8Array, pattern: Uint8Array, from: number): number {
  for (let at = image.indexOf(pattern[0], from); at >= 0; at = image.indexOf(pattern[0], at + 1)) {
    if (pattern.every((byte, i) => image[at + i] === byte)) return at;
  }
  return -1;
}

/** Bytes that may still be read as names: an image can have a million places where they might begin. */
interface Effort {
  bytes: number;
}

interface Tokens {
  readonly start: number;
  readonly list: readonly string[];
  /** Past the index. */
  readonly end: number;
}

/** The table with the digits at `digits`, checked against the index behind it. */
function tokensAround(image: Uint8Array, digits: number): Tokens | null {
  let start = digits;
  for (let tokens = 0; tokens < 0x30; tokens++) {
    if (image[start - 1] !== 0) return null;
    start--;
    while (start > 0 && image[start - 1] !== 0) start--;
    if (digits - start > 4096) return null;
  }
  // what is before the first token is padding, of which the loop may have taken some for an empty token
  while (image[start] === 0) start++;
  for (; start < digits; start = skip(image, start)) {
    const list: string[] = [];
    const places: number[] = [];
    let at = start;
    for (; list.length < 256; at = skip(image, at)) {
      places.push(at - start);
      list.push(String.fromCharCode(...image.subarray(at, skip(image, at) - 1)));
    }
    for (let index = at; index < at + 8 && index + 512 <= image.length; index++) {
      const view = new DataView(image.buffer, image.byteOffset + index, 512);
      if (places.every((place, i) => view.getUint16(i * 2, true) === place)) return { start, list, end: index + 512 };
    }
  }
  return null;
}

function skip(image: Uint8Array, at: number): number {
  const end = image.indexOf(0, at);
  return end < 0 || end - at > 512 ? image.length : end + 1;
}

/** Names are looked for from their number, which is the only one that leads from a word straight to the markers. */
function symbolsBefore(image: Uint8Array, tokens: Tokens, effort: Effort): GuestSymbol[] | null {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const lowest = Math.max(0, tokens.start - (MOST << 4));
  for (let at = (tokens.start - 16) & ~7; at > lowest && effort.bytes > 0; at -= 8) {
    const count = view.getUint32(at, true);
    if (count < 1000 || count > MOST || view.getUint32(at + 4, true) !== 0 || count * 2 > tokens.start - at) continue;
    const names = namesAt(image, at + 8, count, tokens, effort);
    if (!names) continue;
    const addresses = addressesAt(view, at - 8 - ((count * 4 + 7) & ~7), at - 8, count) ?? addressesAt(view, (tokens.end + 7) & ~7, ((tokens.end + 7) & ~7) + ((count * 4 + 7) & ~7), count);
    if (addresses) return names.flatMap((name, i) => (TEXT.test(name[0]) ? [{ address: addresses[i], name: name.slice(1) }] : [])).sort((a, b) => (a.address < b.address ? -1 : 1));
  }
  return null;
}

/** The first character of each is the symbol's kind. */
function namesAt(image: Uint8Array, start: number, count: number, { list, start: limit }: Tokens, effort: Effort): string[] | null {
  const names: string[] = [];
  let at = start;
  for (let n = 0; n < count; n++) {
    let length = image[at++];
    if (length & 0x80) length = (length & 0x7f) | (image[at++] << 7);
    effort.bytes -= length;
    if (length === 0 || at + length > limit || effort.bytes < 0) return null;
    let name = "";
    for (let i = 0; i < length; i++) name += list[image[at + i]];
    if (name.length > 1024) return null;
    names.push(name);
    at += length;
  }
  // markers, one for 256 names, and since 6.2 three bytes for each name, which sort them
  return limit - at < (count >> 8) * 8 + count * 3 + 64 ? names : null;
}

/** Addresses by offsets from the base at `base`: a symbol per CPU is absolute, the others lie at ~offset above the base. */
function addressesAt(view: DataView, offsets: number, base: number, count: number): bigint[] | null {
  if (offsets < 0 || base + 8 > view.byteLength) return null;
  const relative = view.getBigUint64(base, true);
  if (relative >> 47n !== 0x1ffffn) return null;
  const addresses: bigint[] = [];
  for (let i = 0; i < count; i++) {
    const offset = view.getInt32(offsets + i * 4, true);
    addresses.push(offset >= 0 ? BigInt(offset) : relative - 1n - BigInt(offset));
  }
  return addresses;
}
