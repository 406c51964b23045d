/** Where everything mutable lives in the machine's linear memory. Offsets and sizes only, all i32 `const enum`s:
 *  asc and esbuild both fold them and they mean the same in both languages.
 *
 *  ```
 *  0          32 zero bytes: the record every abnormal return (`return 0`) dispatches to
 *  0x001000   constant tables of the wasm module (asc static data)
 *  0x100000   Machine header
 *  0x200000   frame table, one FrameOff.SIZE entry per mfn (up to 2^20)
 *  0x2200000  stack of free mfns, u32 each
 *  0x2600000  domain blocks, DomainOff.SIZE each
 *  0x2800000  vCPU blocks, VcpuOff.SIZE each
 *  0x5400000  pCPU blocks, one per PCPU_STRIDE (code addresses them by constant; see docs/adr)
 *  then       per-pCPU record caches, then guest RAM to the end
 *  ```
 *  A machine address (maddr) is an offset into this memory, so mfn << 12 is the host offset of a frame. */
export const enum Region {
  STATIC = 0x1000,
  STATIC_END = 0x100000,
  MACHINE = 0x100000,
  FRAME_TABLE = 0x200000,
  FREE_STACK = 0x2200000,
  DOMAINS = 0x2600000,
  VCPUS = 0x2800000,
  PCPUS = 0x5400000,
  PCPU_STRIDE = 0x100000,
  MAX_PCPUS = 32,
  MAX_DOMAINS = 256,
  MAX_VCPUS = 1024,
  CODE_SIZE = 0x2000000, // record cache of one pCPU, after the pCPU blocks
}

/** Machine header at Region.MACHINE. */
export const enum MachineOff {
  magic = 0, // u32, MACHINE_MAGIC
  version = 4, // u32
  frames = 8, // u32, number of mfns the memory holds in all
  firstRam = 12, // u32, first mfn of guest RAM
  pcpus = 16, // u32
  freeLock = 20, // i32 spinlock over the free stack
  freeCount = 24, // u32, entries on the free stack
  domainLock = 28, // i32 spinlock over the domain table
  nextDomid = 32, // u32
  hvLock = 36, // i32 spinlock: hypervisor-wide rare operations
  tscKhz = 40, // u32
  control = 44, // i32, doorbell: bumped and notified when the control thread has work
  wallSec = 48, // u64, wallclock at system time 0
  wallNsec = 56, // u32
  farthestDomain = 60, // i32, slots between a domain's own and the one it was put into, at most (src/hypervisor/domain_table)
  /** The hypervisor's own words (owned by src/hypervisor). */
  hv = 64,
  p2mChanges = 4092, // i32, changes to p2ms so far
  SIZE = 4096,
}

/** One entry per mfn. `count` and `typeCount` are atomic. */
export const enum FrameOff {
  owner = 0, // u16 domid; DOMID_INVALID when free, DOMID_XEN for the hypervisor's own
  type = 2, // u8 FrameType
  flags = 3, // u8
  count = 4, // i32 references: 1 for the allocation, 1 per grant or foreign map, 1 per p2m entry beyond the owner's
  typeCount = 8, // i32
  gfn = 12, // u32, machine-to-physical of the owner; 0xffffffff none
  code = 16, // u32, bit n: some pCPU holds records decoded from bytes [n*128, n*128+128)
  link = 20, // u32, free for the frame's user; of RAM that its domain has given back, the domain's block as long as it counts as its page
  decoders = 24, // u32, bit n: pCPU n may hold records of this frame
  writable = 28, // u32, whose TLB entry for writing it has, or that there may be several (assembly/mmu/written)
  SIZE = 32,
}

/** FrameOff.flags, changed atomically. */
export const enum FrameFlag {
  used = 2, // not known to be all zeros
  pristine = 8, // its owner's RAM, all zeros, and nobody who might write to it has asked where it is: no guest's store, not the hypervisor (p2mGet)
  released = 4, // its owner has given it back: the references left are others' (src/hypervisor)
}

export const enum FrameType {
  none = 0,
  ram = 1,
  xenheap = 2, // shared with a guest but owned by Xen: shared_info, grant table
  p2m = 3, // p2m tables
  hv = 4, // hypervisor-private tables (event channels, grant tracking)
}

/** p2m entry, u32: mfn in the low 20 bits, type above. A radix tree of three levels with 1024 entries each
 *  (gfn bits 29..20, 19..10, 9..0); inner entries hold the mfn of the next table or 0. */
export const enum P2m {
  MFN_MASK = 0xfffff,
  TYPE_SHIFT = 20,
  none = 0,
  ram_rw = 1,
  ram_ro = 2,
  grant_rw = 3,
  grant_ro = 4,
  foreign = 5,
  mmio = 6, // device: always leaves the fast path
  alias_rw = 7, // a page of the domain's own that it has elsewhere too, for as long as the entry holds a reference to it
  alias_ro = 8,
}

/** One domain. Everything other threads may touch is atomic or under `lock`. */
export const enum DomainOff {
  domid = 0, // u32
  state = 4, // i32 DomainState
  type = 8, // u32 DomainType
  lock = 12, // i32 spinlock
  p2mRoot = 16, // u32 mfn of the root table
  sharedInfo = 20, // u32 mfn
  totPages = 24, // i32
  maxPages = 28, // u32
  vcpus = 32, // u32
  firstVcpu = 36, // u32, address of vCPU block 0 (blocks are contiguous)
  pauseCount = 40, // i32
  shutdownReason = 44, // i32, -1 none (SHUTDOWN_*)
  ringSize32 = 48, // u32, 1 when the guest's hypercall ABI was last 32-bit
  callbackVector = 52, // u32
  maxGfn = 56, // u32, highest gfn ever mapped
  p2mVersion = 60, // u32, MachineOff.p2mChanges where its p2m was last changed: no two states of p2ms have the same
  p2mTables = 64, // i32, tables of its p2m
  /** Tables of src/hypervisor: event channels, grants, hvm params, timers. */
  hv = 256,
  SIZE = 4096,
}

export const enum DomainState {
  free = 0,
  building = 1,
  running = 2,
  dying = 3,
}

export const enum DomainType {
  control = 0, // the toolstack's own domid 0
  pvh = 1,
  pv = 2,
  hvm = 3,
}

/** Per-vCPU block: the register image while the vCPU is not on a pCPU, and what other threads may ask of it. */
export const enum VcpuOff {
  image = 0, // PcpuOff.STATE_SIZE bytes, same layout as the start of a pCPU block
  id = 4096, // u32
  domain = 4100, // u32, address of the domain block
  infoMaddr = 4104, // u32, maddr of vcpu_info (in shared_info until registered elsewhere)
  pcpu = 4108, // i32, number of the pCPU it runs on, -1 none
  runnable = 4112, // i32, 1 runnable, 0 blocked (HLT, SCHEDOP_block, poll)
  online = 4116, // i32
  request = 4120, // i32 atomic bits, VcpuRequest: what the run loop must look at
  runstate = 4128, // xen runstate bookkeeping, 64 B (src/hypervisor)
  timeMaddr = 4192, // u32 secondary time area, 0 none
  singleshot = 4200, // f64, system time in ns of the next one-shot timer, 0 off
  periodic = 4208, // f64, period in ns, 0 off
  periodicNext = 4216, // f64
  callbackVector = 4224, // u32, HVMOP_set_evtchn_upcall_vector, 0 none
  polled = 4228, // i32, SCHEDOP_poll in progress: number of ports
  home = 4232, // i32, pCPU whose run queue holds it, -1 none (src/machine/scheduler)
  start = 4236, // u32 VcpuStart: what the pCPU does when it first loads the vCPU
  apicPosted = 4240, // u32[8] atomic bits: vectors posted to its local APIC by other threads
  apicInit = 4272, // i32 atomic: bit 8 INIT, bit 9 SIPI (vector in bits 0..7), bit 10 NMI, from other vCPUs
  startEntry = 4280, // u32, see VcpuStart
  startInfo = 4284, // u32
  down = 4288, // i32, 1: halted with interrupts off, which only an NMI could end
  intr = 4292, // i32 atomic bits, IntrLine: an HVM domain's 8259s ask for an interrupt acknowledge
  apicLevel = 4296, // u32[8] atomic bits: vectors the I/O APIC posts as level-triggered, whose EOI it wants to hear of
  hv = 4352, // src/hypervisor's own, to the end
  SIZE = 8192,
}

/** How INTR of the 8259s reaches the processor. */
export const enum IntrLine {
  lint0 = 1, // the wire: to LINT0 of the local APIC, or past it while it is disabled
  ioApic = 2, // the I/O APIC passes it on as an ExtINT message
}

/** How a vCPU that was never loaded begins. */
export const enum VcpuStart {
  image = 0, // from its register image
  pvh = 1, // at startEntry as a PVH guest, with startInfo for hvm_start_info
  reset = 2, // at the reset vector
  multiboot = 3, // at startEntry as a Multiboot kernel, with startInfo for its boot information
  multiboot2 = 4,
  linux = 5, // at startEntry as a Linux kernel, with startInfo for its zero page and the descriptor table behind it
}

export const enum VcpuRequest {
  upcall = 1, // an event may be pending
  apic = 2, // local APIC: interrupt posted by another thread
  pause = 4, // leave run(): the domain is paused, destroyed or descheduled
  flush = 8, // drop every TLB entry and jump-cache entry
  code = 16, // drop all records
  time = 32, // a timer was re-armed
}

/** pCPU block. Bytes 0..STATE_SIZE are the current vCPU's state, at constant addresses for the processor.
 *  Offsets below 192 double as "register file" offsets in records: general registers, then pseudo registers. */
export const enum PcpuOff {
  gpr = 0, // u64[16]
  zero = 128, // u64, always 0: the base or index an address does not have
  ripBase = 136, // u64: rip of a record is ripBase + its page offset
  segBase = 144, // u64[6]: es cs ss ds fs gs
  rip = 192, // u64, valid when no record is current
  rflags = 200, // u64; the status bits OSZAPC are valid only while flagsKind is none
  flagsKind = 208, // u32 FlagsKind
  flagsCarry = 212, // u32
  flagsRes = 216, // i64, sign-extended from operand width, like the next two
  flagsA = 224, // i64
  flagsB = 232, // i64
  tlbBase = 240, // u32, byte offset (from memory 0) of the TLB class in force
  mode = 244, // u32 Mode key the code in force was decoded under
  cpl = 248, // u32
  shadow = 252, // u32, 1: interrupts held for one instruction (STI, MOV SS)
  cr0 = 256, // u64
  cr2 = 264,
  cr3 = 272,
  cr4 = 280,
  cr8 = 288,
  efer = 296, // u64
  xcr0 = 304, // u64
  dr = 312, // u64[6]: dr0..dr3, dr6, dr7
  segSel = 360, // u32[8]: es cs ss ds fs gs ldtr tr
  segLimit = 392, // u32[8], in bytes, inclusive
  segAttr = 424, // u32[8]: SegAttr
  ldtBase = 456, // u64
  trBase = 464, // u64
  gdtBase = 472, // u64
  idtBase = 480, // u64
  gdtLimit = 488, // u32
  idtLimit = 492, // u32
  star = 496, // u64
  lstar = 504,
  cstar = 512,
  sfmask = 520,
  kernelGsBase = 528,
  sysenterCs = 536,
  sysenterEsp = 544,
  sysenterEip = 552,
  tscAux = 560,
  tscOffset = 568, // i64 added to the host-derived TSC
  apicBase = 576,
  pat = 584,
  tscDeadline = 592,
  miscEnable = 600,
  mtrrDefType = 608,
  mtrr = 616, // u64[8 * 2 variable + 11 fixed] = 216 B
  nmiBlocked = 840, // u32, NMI delivered and no IRET since
  nmiPending = 844, // u32
  halted = 848, // u32, activity state: 1 in HLT
  pendingDb = 852, // u32, DR6 bits of a debug trap to deliver after this instruction
  msrSpare = 856, // further MSRs, owned by helpers/msr
  xmm = 1024, // v128[16]
  fpr = 1280, // 8 x 16 B: 80-bit register in physical (not stack) order, 10 B used; bytes 0..7 are MMn
  fcw = 1408, // u16
  fsw = 1412, // u16 incl. TOP
  ftag = 1416, // u8: bit n = physical register n is not empty
  fop = 1420, // u16
  fip = 1424, // u64
  fdp = 1432, // u64
  fcs = 1440, // u16
  fds = 1444, // u16
  mxcsr = 1448, // u32
  apic = 2048, // local APIC registers, 1 KiB, owned by helpers/apic
  STATE_SIZE = 4096,
  /* Below here: the pCPU's own, not switched with the vCPU. */
  index = 4096, // u32, which pCPU this is
  vcpu = 4100, // u32, address of the vCPU block on it, 0 none
  domain = 4104, // u32, address of its domain block
  domid = 4108, // u32
  p2mRoot = 4112, // u32, maddr of the p2m root in force
  record = 4116, // u32, record being executed by a cold helper
  left = 4120, // i32, instructions left in the slice, saved around cold helpers
  faultVector = 4124, // i32, pending fault, -1 none
  faultError = 4128, // u32 error code
  faultHasError = 4132, // u32
  faultKind = 4136, // u32 FaultKind
  faultLin = 4144, // u64, CR2 of a pending page fault
  exit = 4152, // i32 Exit, pending exit of run(), 0 none
  exitArg = 4160, // u64[4]
  retired = 4192, // u64, instructions retired (whole blocks)
  budget = 4200, // i64, instructions left before run() must return
  writeLin = 4208, // u64, where the bounce buffer of a split or device write goes
  writeSize = 4216, // u32, 0: none pending
  codeBase = 4220, // u32, record cache
  codeNext = 4224, // u32, bump pointer
  codeEnd = 4228, // u32
  codeEpoch = 4232, // u32, counts whole-cache flushes and blocks that took the place of others
  tlbLogCount = 4236, // u32, entries in the fill log
  codePageLogged = 4240, // u32, entries in codePageLog
  sliceLength = 4248, // u32, instructions the current slice was opened with (cpu/runtime)
  lookAt = 4252, // u32, record whose handler is Handler.look for once, 0 none
  lookHandler = 4256, // u32, its own handler
  patchedAt = 4260, // u32, the last bytes found to be in immediates that are read anew (cpu/code_cache): their address, 0 none
  patchedLen = 4264, // u32
  patchedNext = 4268, // u32, codeNext at that time
  lastNumber = 4272, // u32, of pages with code (assembly/mmu/code_mappings)
  segEnd = 4276, // u32[6], where modes are not flat: bytes from the base on that may be read and written with no further look, 0 none (helpers/mode)
  delivering = 4244, // u32, helpers/interrupt: what is being delivered (0 nothing), for double faults
  scratchR = 4352, // 64 B read bounce buffer
  scratchW = 4416, // 64 B write bounce buffer
  walk = 4480, // 128 B results of the page walker (assembly/mmu)
  stats = 4608, // u32[64] counters for tests and profiles
  decode = 4864, // decoder scratch, 512 B
  path = 6208, // 52 x 16 B PathOff: blocks of the way that is followed (cpu/jit/path)
  x87 = 7168, // 1 KiB, temporaries of one x87 or XSAVE instruction (helpers/x87_state)
  sseFlags = 6144, // u32, MXCSR exception flags of the SSE instruction in progress
  sseScratch = 6160, // 32 B, vector operands whose elements are chosen at run time
  xtlb = 8192, // 256 x 16 B instruction-page translations: tag u64, maddr u32, flags u32
  pageFilter = 0x3000, // 3 x 512 B bitmaps over hashed page numbers (assembly/mmu/tlb): large, code, global code
  /* Frames the host wrote to that held decoded code: emptied by drainDropped (assembly/mmu/code_pages). */
  dropLock = 0x3600, // i32 spinlock
  dropCount = 0x3604, // i32, mfns in the queue; DROP_MAX + 1: too many, drop all records
  evictCount = 0x3608, // u32, the same of evictQueue
  dropQueue = 0x360c, // u32[DROP_MAX]
  DROP_MAX = 253,
  tableCache = 0x3a00, // 64 x 16 B: page tables of recent 2 MiB regions (assembly/mmu/table_cache)
  tableFrames = 0x4000, // 32 x 8 B: where page tables of the guest are (assembly/mmu/table_cache)
  p2mLeaves = 0x4100, // 64 x 8 B: where tables of the p2m are (assembly/mmu/p2m)
  patched = 0x3e00, // 32 x 16 B: instructions whose immediates are read anew (cpu/patched)
  tlbTouched = 0x10000, // u8[3 * 256], not 0: something was filled in that 4 KiB of the TLB since all of it was empty
  lines = 0x11000, // 2048 x 4 B, by hash of 512 bytes of code: slices that ended there lately (cpu/jit/lines)
  rewritten = 0x13000, // u8[1024], by hash of 128 bytes of code: how often it was overwritten between two executions lately (cpu/rewritten)
  rewrittenAged = 0x13400, // u32, JitOff.slices when half of that was forgotten
  /* The way that is followed, a block at a time (cpu/jit/path). */
  pathHead = 0x13408, // u32, block the next region is to begin with, 0: none
  pathStart = 0x1340c, // u32, block that all of the way began with
  pathBase = 0x13410, // u64, ripBase of pathHead
  pathCr3 = 0x13418, // u64, CR3 where it began
  pathVcpu = 0x13420, // u32, PcpuOff.vcpu there
  pathSteps = 0x13424, // u32, 1 + blocks that may still come, 0: pathHead has not been come to yet
  pathRegions = 0x13428, // u32, regions that may still be made of the way
  pathCount = 0x1342c, // u32, entries of `path`
  pathInsns = 0x13430, // u32, instructions of these blocks
  pathLast = 0x13434, // u32, the entry that was come by last, 0: none
  pathOnly = 0x13438, // u32, 1: the region that is looked for has no other blocks
  crossed = 0x1343c, // u32, slices after which a region that hands over often is made anew
  /* What pCPUs tell one another about code (assembly/mmu/code_news), under dropLock. */
  owedCount = 0x13800, // u32, shared frames with code that this slice has stored to; above OWED_MAX the last ones of them
  inDoubt = 0x13804, // u32, 1: the block just decoded is from bytes of a shared frame that were not marked as code before
  owed = 0x13808, // OWED_MAX x 8 B: mfn u32, blocks of it u32
  OWED_MAX = 14,
  evictQueue = 0x13900, // u32[EVICT_MAX], frames others have decoded code from
  evicted = 0x13a00, // u32[EVICT_MAX], those that are being seen to
  EVICT_MAX = 62,
  dropped = 0x13b00, // u32[DROP_MAX], frames of dropQueue that are being seen to
  codePages = 0x14000, // u32[4096], u64[4096] and 4096 x 16 B: pages that code may be entered on (assembly/mmu/code_mappings)
  codePageTags = 0x18000,
  codeNumbers = 0x20000,
  JC = 0x70000, // jump cache, 16384 x 2 x u64 (cpu/jump_cache)
  TLB_LOG = 0xb0000, // u32[8192], address of each non-global entry filled since the last flush
  codePageLog = 0xb8000, // u32[8192], places of non-global pages in codePages since the last flush, less the offset of that
  SIZE = 0xc0000,
  JIT = 0xc3000, // JitOff.SIZE bytes after the scheduler's words: the translator's working memory (abi/jit)
}

/** Scheduler words of a pCPU, between its block and the next (src/machine/scheduler): never addressed by the core. */
export const enum SchedOff {
  doorbell = 0xc0000, // i32, bumped and notified by whoever gives the pCPU something to look at
  stop = 0xc0004, // i32, 1: its thread ends
  slots = 0xc0008, // i32, high-water mark of the queue
  idleNs = 0xc0010, // f64, time spent waiting
  queue = 0xc1000, // u32[Region.MAX_VCPUS], addresses of the vCPU blocks that run here, 0 = empty slot
  scratch = 0xc2000, // a page for hypercall arguments on their way (src/hypervisor/caller)
}

export const enum TlbClass {
  supervisor = 0, // SMAP enforced (CR4.SMAP && !AC, or an implicit supervisor access)
  supervisorAc = 1, // SMAP off or AC set
  user = 2,
}

/** TLB entry, 16 B, at (lin >> 8) & INDEX of a class's table. With last = lin + size - 1 a read hits if (tag ^ last) < 4096, a write if
 *  tag == (last & ~0xfff). Host = (u32)lin + addend. */
export const enum TlbOff {
  tag = 0, // u64, see assembly/mmu/tlb
  addend = 8, // u32
  flags = 12, // u32 TlbFlag
  SIZE = 16,
  INDEX = 0xffff0,
  CLASS = 0x100000, // bytes of a table
  TABLES = 0x100000, // of the first one, from PcpuOff.codeBase; multiples of 1 MiB both
  END = 0x400000, // of the last one
}

/** Ranges of linear addresses that lie in the host's memory in one piece (assembly/mmu/runs). */
export const enum RunOff {
  start = 0, // u64, linear address of the first byte
  gpa = 8, // u64, guest-physical one
  host = 16, // u32
  size = 20, // u32, bytes
  domain = 24, // u32, address of the block of the domain whose memory it is
  version = 28, // u32, DomainOff.p2mVersion when its frames were last looked at
  kind = 32, // u32 RunKind
  born = 36, // u32, JitOff.slices then
  looks = 40, // u32, times it has been looked whether it is still there
  shift = 44, // u32, bits of an address within the largest page that maps some of it
  SIZE = 48,
  MAX = 16, // a bit for each in the words JitOff.runs*
  TABLE = 0xf3000, // from PcpuOff.codeBase
  MASKS = 0xf3400, // u16[RegionOff.MAX], runs each region relies on (cpu/jit/runs)
}

export const enum RunKind {
  write = 1, // good for reading and writing, else for reading only
  user = 2, // for user code, else for supervisor code
  global = 4, // it survives CR3 writes
}

/** Access rights in VMX layout (SDM Vol.3C "Guest Register State"): descriptor bits 8..15 in 0..7 and 20..23 in 12..15. */
export const enum SegAttr {
  TYPE = 0xf,
  S = 0x10,
  DPL_SHIFT = 5,
  P = 0x80,
  AVL = 0x1000,
  L = 0x2000,
  DB = 0x4000,
  G = 0x8000,
  NULL = 0x10000, // unusable: null selector
}

export const enum Seg {
  es = 0,
  cs = 1,
  ss = 2,
  ds = 3,
  fs = 4,
  gs = 5,
  ldtr = 6,
  tr = 7,
}

/** Mode key: everything decoding depends on besides the bytes. */
export const enum Mode {
  bits16 = 0,
  bits32 = 1,
  bits64 = 2,
  BITS = 3, // mask of the above
  ss32 = 4, // stack pointer width in legacy modes: SS.B
  flat = 8, // cs ds es ss have base 0 and limit 4 GiB: no segment checks (always set in 64-bit mode)
  flatFs = 16, // fs has limit 4 GiB, readable and writable: only its base matters
  flatGs = 32,
  step = 64, // single-step or data breakpoints: one instruction per block
  align = 128, // alignment checks in force: every access takes the checked path
  cpl3 = 256,
  real = 512, // CR0.PE = 0
  v86 = 1024,
  smap = 2048, // CPL < 3 and CR4.SMAP: which TLB class is in force depends on RFLAGS.AC
}

export const enum FlagsKind {
  none = 0, // rflags is right
  add = 1,
  sub = 2, // also cmp, neg (a = 0)
  logic = 3,
  inc = 4, // CF from flagsCarry; b = 1
  dec = 5,
  adc = 6, // CF from flagsCarry, OF/AF from operands
  sbb = 7,
  shift = 8, // ZF SF PF from res; CF in flagsCarry bit 0, OF in bit 1, AF 0
  overlay = 32, // added to a kind: CF and OF are bits 0 and 1 of flagsCarry, the others as the kind says
  imul = 9, // product of a and b, whose low part is res: CF = OF = that is not all of it; ZF SF PF from res, AF 0
}

export const enum FaultKind {
  fault = 0, // exception raised by an instruction: rip is that instruction's
  trap = 1, // rip is already past the instruction
}
