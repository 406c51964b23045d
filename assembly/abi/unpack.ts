/** Working memory of the unpacker (assembly/unpack), wherever in a WebAssembly memory its host has put it. */
export const enum UnpackOff {
  /* The LZMA decoder between two calls. */
  range = 0, // u32
  code = 4, // u32
  input = 8, // u32, address of the next byte
  output = 12, // u32, address of the next byte
  state = 16, // u32, 0..11
  reps = 20, // u32[4], the last distances, less 1
  pending = 36, // u32, what is left of a match cut by the end of the output
  lc = 40, // u32
  lpMask = 44, // u32
  pbMask = 48, // u32
  /* The x86 filter between two calls. */
  mask = 52, // u32
  previous = 56, // u32, where the last candidate was; from the start on, so the first one of all follows -1
  runs = 60, // u32, entries of zeroRuns
  crc32 = 64, // u32[8][256], for eight bytes a step
  crc64 = crc32 + 8 * 256 * 4, // u64[4][256], for four
  models = crc64 + 4 * 256 * 8, // see Model
  zeroRuns = 0xb800, // u32[MOST_RUNS][2], addresses between which the output is zero and has never been touched, ascending
  MOST_RUNS = 256,
  window = 0xc000, // packed bytes: an LZMA2 chunk at most, and what a damaged one makes the decoder read behind its end
  WINDOW_SIZE = 0x10000,
  SIZE = 0x1d000,
}

/** Where LZMA's probabilities are, all u16. */
export const enum Model {
  STATES = 12,
  isMatch = UnpackOff.models, // [state][16 positions]
  isRep = isMatch + STATES * 16 * 2, // [state], like the next three
  isRepG0 = isRep + STATES * 2,
  isRepG1 = isRepG0 + STATES * 2,
  isRepG2 = isRepG1 + STATES * 2,
  isRep0Long = isRepG2 + STATES * 2, // [state][16 positions]
  slot = isRep0Long + STATES * 16 * 2, // [4 lengths][64]
  special = slot + 4 * 64 * 2, // trees for slots 4..13
  align = special + 128 * 2,
  length = align + 16 * 2, // choice, choice2, low[16][8], mid[16][8], high[256]
  LENGTH_SIZE = (2 + 2 * 16 * 8 + 256) * 2,
  repLength = length + LENGTH_SIZE,
  literal = repLength + LENGTH_SIZE, // [context]
  LITERAL_SIZE = 0x300 * 2,
  END = literal + (LITERAL_SIZE << 4), // lc + lp is at most 4, as in liblzma
}

/** Why lzmaDecode returned. */
export const enum Unpacked {
  all = 0, // the output is full
  input = 1, // the input is used up
  marker = 2, // an end marker
  damaged = 3, // a match reaches back before the start
}
