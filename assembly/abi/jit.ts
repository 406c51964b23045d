/** Working memory of the translator: part of the pCPU block, since each pCPU translates what it runs. */
export const enum JitOff {
  /* Words that emitted code and the rest of the core look at. */
  leave = 0, // u32, 1: a block of some region died, or something else asks emitted code to return soon
  memory = 4, // u32 JitMemory: translation is off, or the kind of memory modules import
  table = 8, // u32, first slot of the regions in the core's table
  regions = 12, // u32, regions in use
  translated = 16, // u32, regions ever made (statistics)
  bytes = 20, // u32, wasm bytes ever made
  samples = 24, // u32, slices that ended at a block
  failures = 28, // u32, modules the host refused
  nextRegion = 32, // u32, slot to try next
  threshold = 36, // u32, slices that have to end at a block before its region is translated
  slice = 40, // i32, instructions between two looks at requests and interrupts
  endedAt = 44, // u32, head of the block the last slice ended at, for profiles
  flushes = 48, // u32, counts what may have taken a mapping away from supervisor code
  pages = 52, // u32, bit per page of the region that runs: its mapping has been seen to be in force since the last flush
  running = 56, // u32, the region that runs
  pending = 60, // u32, bit per general register whose local is newer than the pCPU block, where code is being written
  /* The region being translated. */
  at = 64, // u32, next byte of the buffer being written
  bad = 68, // u32, 1: give this region up
  blockCount = 72,
  leftCount = 76, // u32, places that calls leaving the region return to
  used = 80, // u32, bit per wasm local 0..21 the region reads
  written = 84, // u32, bit per general register the region may write
  mode = 88,
  current = 92, // u32, number of the block being written
  insns = 96,
  order = 100, // u32, blocks in reverse postorder
  depth = 104, // u32, entries on the control stack
  tempCount = 108, // u32, wasm locals made beyond the fixed ones
  free64 = 112, // u32, temporaries of each type used in this segment
  free32 = 116,
  cold = 120, // u32, 1: the code being emitted is off the main path: nothing is cached in temporaries
  snapNext = 124, // u32
  nodeCount = 128,
  effectCount = 132,
  term = 136, // u32 Term of the block
  termNode = 140, // u32: condition or target
  writing = 144, // u32, number of the region that is being written
  insnStart = 148, // u32, first effect of the instruction being translated
  ripBase = 152, // u64 of the block
  count64 = 160, // u32, 64-bit temporaries that exist
  count32 = 164,
  shared = 168, // u32, blocks of the region that others contain too
  again = 172, // u32, 1: the instruction being translated has to begin a piece
  hintCount = 176, // u32
  root = 180, // u32, number of the block the function begins with: the first one, or the one that dispatches
  entryCount = 184, // u32, blocks it may be entered at
  entry = 188, // u32, which of them is meant: read by the function
  entries = 192, // u8[8], their numbers
  kept = 200, // u32[5], flags that an instruction may leave as they are
  usesSse = 220, // u32, 1: the region has SSE instructions that are no calls
  xmmUsed = 224, // u32, bit per XMM register the region reads
  xmmWritten = 228, // u32
  sseKnown = 232, // u32 Known: what the block has asked already
  plain64 = 236, // u32, bit per f64 element that is neither denormal nor NaN
  plain32 = 240, // u32, bit per low f32, and from 16 on per register all of whose f32 are
  mostInsns = 244, // u32, instructions a region may have
  check = 248, // u32 Check: whether translated code is checked against the interpreter, and what of that goes on
  checkAt = 252, // u32, address of the checker's memory (CheckOff)
  cur = 256, // u32[32], node each guest value has now (Slot)
  control = 384, // u32[128], enclosing wasm blocks: what a branch to them means
  pageCount = 896, // u32, pages the region's blocks are on
  pagesLocal = 900, // u32, the wasm local with JitOff.pages
  planning = 904, // u32, 1: spans are being planned, nothing is emitted
  loads = 908, // u32, loads of the stretch so far
  distance = 912, // i64, of the address looked at from its root
  spanLocals = 920, // u32, locals that hold host addresses of spans
  slices = 924, // u32, slices that ended
  inLeaf = 928, // u32, 1: blocks that are found now belong to a leaf
  calling = 932, // u32, not 0: a call goes to the block that is found now, that of block calling - 1
  windowKeys = 936, // u32, entries of `windows`
  carryLevel = 940, // u32 JitCarry: what the flags' carry local has now
  keptLevel = 944, // u32 JitCarry, of the flags that an instruction may leave as they are
  copy = 948, // u32, JitBlock.copy of blocks that are found now
  spanCount = 952, // u32, entries of `spans`
  accessCount = 956, // u32, entries of `accesses`
  orderList = 960, // u8[64]
  list64 = 1024, // u16[512], numbers of 64-bit temporaries
  list32 = 2048, // u16[512]
  types = 3072, // u8[1024], type of each temporary
  blocks = 4096, // 62 x 64 B
  arms = 8064, // u64, bit per block that performs the block its branch jumps over (cpu/jit/arms)
  armValue = 8072, // u32, node that block and arm store
  storeArms = 8080, // u32, 1: arms may end with a store; 0 where the region has been given up because one did
  armHost = 8084, // u32, the host address they store it to (Host)
  armWidth = 8088, // u32, its bytes; 0: the arm has no store
  trusted = 8096, // u64, bit per block that leaves nowhere before it has overwritten the flags it begins with, it is hoped
  /* Flags of ways back to a loop that are named instead of brought (cpu/jit/defer, rounds). */
  flagsShown = 8104, // u64, bit per block that has been written: ways out of it have these flags while nothing else looks at them
  named = 8112, // u32, the deferred flags as a kind with names (RawKind.named), 0 if they have none
  names = 8116, // u32, the same of those in the locals
  moved = 8120, // u32, bit per general register that the block being written has changed so far
  entered = 8124, // u32, transitions to regions so far
  enteredBefore = 8128, // u32, the same where the slice began
  /* Runs, a bit for each (assembly/mmu/runs). */
  runsGood = 8132, // u32, those in force
  runsDoubt = 8136, // u32, of which that is to be found out before translated code runs
  runsBroken = 8140, // u32, of these those that no longer hold
  runsParked = 8144, // u32, of domains that are not on this pCPU
  runsGlobal = 8148, // u32, that survive CR3 writes
  runsVolatile = 8152, // u32, bit 0 runs that do not survive CR3 writes, bit 1 those that do: they were in doubt too often for there to be any
  runsCoded = 8156, // u32, runs for writing in which code was found
  regionRuns = 8160, // u32, those of the region that is being written
  snaps = 8192, // u32[5760]
  /* Where general registers are (cpu/jit/residents). */
  residents = 31232, // u32[64] by block: those in their locals throughout it
  validAtEnd = 31488, // u32[64] by block: those in their locals where it ends
  changing = 31744, // u32[64] by block: of the residents those that its loop changes
  innermost = 32000, // u8[64] by block: 1 + the header of the innermost loop it is in, 0 if that loop has no residents
  valid = 32064, // u32, bit per general register or segment base whose local is right, where code is being written
  missing = 32068, // u32, of those that are not: what the piece being translated asks for
  spill = 32072, // u32, 1 + the place on the control stack where code being written leaves to, 0: the common exit
  strideCount = 32076, // u32, entries of `strides`, of the loop that is about to be written
  doubt = 32080, // u32, 0: the last store that missed the TLB is to plain memory without code (read by emitted code)
  least = 32084, // u32, instructions of a round of it at least
  pairCount = 32088, // u32, entries of `pairs`
  /* What a block does with the flags it begins with (cpu/jit/rounds). */
  flagsOld = 32092, // u32, of the block being written: 1 flags, 2 CF may still be those it began with
  flagsSeen = 32096, // u64, bit per block that has been written: something in it looks at these flags
  carrySeen = 32104, // u64, the same of CF
  checked = 32112, // u64, bit per loop whose ways back ask whether the slice is over
  deferred = 32120, // u16[5], locals of flags that only some of the ways out of a block take along
  limits = 32130, // u16[62] by header: the wasm local that says how much of the slice may be left where its loop looks up its strides again, 0 if it has none
  saved = 32256, // u32[32], copy of `cur`
  xmmLocals = 32384, // u16[30], locals of XMM registers, of the word beside them, and scratch ones
  ranges = 32448, // 16 x 12 B by XMM register: bounds of the low f64, of the low f32 (cpu/jit/sse_range)
  pairs = 32696, // u16[32]: sums of registers that addresses are made of (cpu/jit/spans)
  effects = 32768, // 1024 x 32 B
  flow = 32768, // 62 x 96 B by block, while a loop is looked at: where its registers come from (cpu/jit/strides)
  nodes = 65536, // 2048 x 24 B
  body = 0x1c000, // 56 KiB: code of the function
  bodyEnd = 0x2a000,
  module = 0x2a000, // 46 KiB: the finished module; while its function is written, what spans of blocks have to do with each other
  summaries = 0x2a000, // 62 x 512 B by block: accesses (cpu/jit/span_plan)
  x87AtEnd = 0x2a002, // u16 of each summary: x87 registers whose bounds are known there (cpu/jit/x87_range)
  plainAtEnd = 0x2a004, // 12 B of each summary: what is known of XMM elements where it ends
  near = 0x2a1f0, // 16 B of each summary (cpu/jit/sse_flow)
  spansOut = 0x31c00, // 62 x 128 B by block: spans where it ends (cpu/jit/span_flow)
  spansIn = 0x33b00, // 62 x 128 B: what the ways to it that are written already have in common
  x87 = 0x35a00, // 320 B: x87 instructions of the region (cpu/jit/x87)
  climbFrom = 0x35b40, // u32, block that a slice ended at and whose caller is looked for, 0 none
  climbed = 0x35b44, // u32, blocks since
  climbBase = 0x35b48, // u64, PcpuOff.ripBase there
  others = 0x35b50, // u32, instructions of the region that are calls of helpers
  handover = 0x35b54, // u32, address of the HandoverOff by which the region that runs was entered, 0 none
  steady = 0x35b58, // u64, bit per block of loops that are only entered if DF is what it was when they were translated
  sseMode = 0x35b60, // u32 SseMode of the region
  loopHead = 0x35b64, // u32, head of the loop whose accesses are looked at (cpu/jit/windows)
  doubtLocal = 0x35b68, // u32, wasm local: 0 while what loops expect of XMM registers holds (cpu/jit/sse_flow)
  doubtful = 0x35b6c, // u32, bits as NearOff has them: what only holds if that is 0, where code is being written
  x87Bounded = 0x35b70, // u32, 1: x87 operands that are far from 1 leave (cpu/jit/x87_range)
  userFlushes = 0x35b74, // u32, and from user code
  localCode = 0x35b78, // u32, 1: supervisor code was found through a mapping that is not global since the last flush
  x87Copies = 0x35b7c, // u32, 4 bits per x87 register, where code is being written: one that holds the same (cpu/jit/x87_range)
  x87Fruitless = 0x35b80, // u8[128], by hash of a region's head: how often its x87 registers could not be had as doubles
  targets = 0x35c00, // 1024 x 16 B JitTarget: where indirect branches went
  hints = 0x39c00, // u32[2048], which way branches of the function usually go: offset << 1 | taken
  restless = 0x3bc00, // u8[1024], by hash of 128 bytes of code: how often a region died there
  windows = 0x3c000, // 96 x 16 B: pages that accesses stay on (cpu/jit/windows)
  spans = 0x3c600, // 24 x 16 B: spans of the stretch (cpu/jit/spans)
  pinned = 0x3c780, // u64, bit for each of `spanHosts` that a loop keeps
  lows = 0x3c788, // u16[16], locals of low elements that are kept apart from their XMM registers (cpu/jit/xmm)
  lows64 = 0x3c7a8, // u32, bit per register of which that is the f64
  lows32 = 0x3c7ac, // u32, the f32
  copies = 0x3c7b0, // u16[16] by XMM register: those with the same number have the same low elements, where code is being written
  copyCount = 0x3c7d0, // u32, the last of these numbers
  accesses = 0x3c800, // 64 x 16 B: accesses they are made of
  strides = 0x3c800, // 24 B each, where a loop begins (cpu/jit/strides)
  roots = 0x3cc00, // u8[16], by general register
  newRoots = 0x3cc10,
  distances = 0x3cc20, // i64[16]
  newDistances = 0x3cca0,
  planned = 0x3cd20, // u32[32], copy of `cur`
  spanHosts = 0x3cda0, // u16[48], locals
  spanFailures = 0x3ce00, // 16 x 16 B: record, slice, times
  spanless = 0x3cf00, // u8[256], bits by hash of a record
  SIZE = 0x3d000,
}

export const enum JitMemory {
  off = 0,
  unshared = 1,
  shared = 2,
}

/** Block of a region under translation. */
export const enum JitBlock {
  head = 0, // u32
  idom = 4, // u8
  rpo = 5, // u8, 0xff unreachable
  flags = 6, // u8 JitBlockFlag
  succCount = 7, // u8
  ripBase = 8, // u64
  term = 16, // u32, record of the terminator; of a block that is cut short the first one that is not its own
  behind = 20, // u8 while blocks are found: the one behind the call that ends this one, or 0xff
  copy = 21, // u8 while blocks are found: number of the call that has this block of a small function for itself, 0 if all share it
  predCount = 20, // u32, forward edges
  succ = 24, // u8[16], 0xff: leaves the region
  places = 40, // u64 while blocks are found: bit per block that a RET in this one may return to
  outKind = 40, // u32, flags kind at the end if the same on every path, with names if they have any, or 0
  pred = 44, // u8, one predecessor
  shown = 46, // u16, bit per general register that has another value on a way out of the block where flags are shown that it began with
  allPreds = 48, // u16
  before = 50, // u16, the first of five locals with the flags that a loop's round begins with
  extra = 52, // u8, edges behind succCount that only an entry takes
  keys = 53, // u8[8], the entry of each
  carry = 61, // u8 JitCarry: the least that the ways in bring, or what all of them have to
  carryOut = 62, // u8 JitCarry, where it ends
  page = 63, // u8, which of the region's pages it is on
  SIZE = 64,
  DISPATCH = 61, // number of the block that is none of the guest's: it begins a function with several entries
}

/** A block that code came by (cpu/jit/path). */
export const enum PathOff {
  head = 0, // u32
  next = 4, // u32, the block that came next, the first time; 0 if none did
  nextBase = 8, // u64, ripBase of that
  SIZE = 16,
  MAX = 52,
}

/** What is known of the flags' carry local. */
export const enum JitCarry {
  none = 0,
  kept = 1, // bit 0 is CF, or it says that the flags in memory still have it
  here = 2, // bit 0 is CF
  LEVEL = 3,
  brought = 4, // in JitBlock.carry: every way in brings that
}

/** Where an indirect branch of the interpreter went. */
export const enum JitTarget {
  source = 0, // u32, its record
  rip = 8, // u64
  SIZE = 16,
}

export const enum JitBlockFlag {
  loop = 1, // some edge returns to it
  followed = 2, // the blocks it leads to have been looked at
  returned = 4, // a call that leaves the region comes back to it
  called = 8, // a direct call of the region goes to it
  leaf = 16, // it belongs to a small function that calls nobody
  short = 32, // its last instructions are another block of the region, its one successor
  copied = 64, // a small function's, of one call
  dropped = 128, // left out again: the region is left before it
}

/** A translated region. */
export const enum RegionOff {
  entries = 0, // u32, 0: free
  blocks = 4, // u32
  used = 8, // u8, 1: a slice ended in it since a place was last looked for here
  ways = 9, // u8, regions made of ways that began here, one after the other
  crossings = 10, // u16, slices that ended in it and had many transitions from region to region
  pages = 12, // u32, JitOff.pages as it was when flushesSoFar() was this (mmu/code_mappings)
  flushes = 16, // u32
  list = 20, // u32[59], heads of all blocks
  SIZE = 256,
  MAX = 1024,
  TABLES = 0x60000, // bytes of this table and of the entries behind it
}

/** A block that begins a region. Those of region n are MAX * n and on. */
export const enum EntryOff {
  ripBase = 0, // u64; 1: dead
  head = 8, // u32
  page = 12, // u32, the bit of its page
  SIZE = 16,
  MAX = 8,
}

/** How to go on at an address where a region may be entered (cpu/jit/handover). */
export const enum HandoverOff {
  rip = 0, // u64
  key = 8, // u32, number of its page << 12 | mode (mmu/code_mappings); 0: none
  flushes = 12, // u32, flushesSoFar() as it was
  count = 16, // u16, instructions of the first block
  page = 18, // u8, number of the bit of its page
  pages = 20, // u32, JitOff.pages as it was then
  slot = 24, // u32, in the core's table
  region = 28, // u16
  entry = 30, // u16
  SIZE = 32,
  COUNT = 8192,
  TABLE = 0xa0000, // from PcpuOff.codeBase, behind the second level of the TLB
}

/** How often the windows of each region have moved, and which kinds of them do so too often (cpu/jit/window_runtime). */
export const enum WindowOff {
  windows = 0, // u32
  slices = 4, // u32, that ended in the region since its counts were 0
  emptied = 8, // u32, times that all of them were
  counts = 12, // u32[10]
  keys = 52, // u16[10]
  SIZE = 72,
  MAX = 10,
  TABLE = 0xe0000, // from PcpuOff.codeBase
  REFUSED = 0x12000, // u8[1024] from there: a bit for each key
}

/** What goes on of checking translated code against the interpreter (cpu/jit/check). */
export const enum Check {
  off = 0,
  idle = 1,
  region = 2, // a region runs, all it changes is noted
  replay = 3, // it was undone, the interpreter performs the same instructions
}

/** The checker's memory, at the end of the record cache. */
export const enum CheckOff {
  head = 0, // u32, block head of the region
  record = 4, // u32, where the region left: a record, 0 with a fault pending
  left = 8, // i32, instructions left in the slice there
  epoch = 12, // u32, PcpuOff.codeEpoch at the entry
  notes = 16, // u32 CheckNote
  pages = 20, // u32, pages saved
  regionPages = 24, // u32, the first so many were written by the region
  fills = 28, // u32, TLB entries filled while the region ran
  codePages = 32, // u32, pages with code found to be mapped
  writables = 36, // u32, writable TLB entries filled since the last check began
  checked = 40, // u32, entries of regions that were checked (statistics)
  given = 44, // u32, that could not be
  difference = 48, // u32 Difference
  where = 52, // u32: offset in the pCPU block, or the machine address, of the first difference
  replayed = 56, // u32, where the interpreter arrived
  replayedLeft = 60, // i32
  region = 64, // u32, number of the region
  walks = 68, // u32, flags that page walks have set while the region ran
  walkList = 72, // u32[MAX_WALKS], machine addresses of the last of them
  MAX_WALKS = 8,
  list = 0x200, // u32[MAX_PAGES], machine addresses of the pages saved
  MAX_PAGES = 128,
  before = 0x1000, // the pCPU block at the entry
  after = 0x3000, // as the region left it
  STATE = 0x1100, // bytes of it that are kept
  fillList = 0x5000, // u32[MAX_FILLS]
  MAX_FILLS = 2048,
  writableList = 0x7000, // u32[MAX_WRITABLES]
  MAX_WRITABLES = 4096,
  codePageList = 0xb000, // u32[MAX_CODE_PAGES]
  MAX_CODE_PAGES = 1024,
  pagesBefore = 0x10000, // as they were at the entry
  pagesAfter = 0x90000, // as the region left them
  SIZE = 0x110000,
}

export const enum CheckNote {
  cut = 1, // the region was made to leave before something that cannot be undone
  cold = 2, // a helper is at work: it cannot be made to leave precisely
  spoiled = 4, // something could not be noted
}

export const enum Difference { none = 0, way = 1, state = 2, memory = 3, fault = 4 }
