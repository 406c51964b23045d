/** Local APIC state at PcpuOff.apic (owned by assembly/cpu/helpers/apic) and processor words in PcpuOff.msrSpare. */
export const enum ApicOff {
  irr = 0, // u32[8]
  isr = 32, // u32[8]
  tmr = 64, // u32[8]
  irrSummary = 96, // u32, bit n: irr[n] is not 0
  tpr = 100, // u32, 8 bits
  svr = 104,
  esr = 108, // as read
  esrPending = 112, // errors since the last write of ESR
  ldr = 116, // xAPIC logical destination, bits 31..24
  dfr = 120,
  icrLow = 124,
  icrHigh = 128,
  lvt = 132, // u32[7]: timer, thermal, performance, LINT0, LINT1, error, CMCI
  timerInitial = 160, // u32
  timerDivide = 164, // u32, the register
  timerStart = 168, // f64 ns, when the count began
  timerNext = 176, // f64 ns of the next expiry, 0 none
  id = 184, // u32, APIC id (not shifted)
  SIZE = 192,
}

export const enum Lvt {
  timer = 0,
  thermal = 1,
  performance = 2,
  lint0 = 3,
  lint1 = 4,
  error = 5,
  cmci = 6,
}

/** Words in PcpuOff.msrSpare: they belong to the vCPU. */
export const enum SystemOff {
  shadowRip = 856, // u64, rip of the instruction the interrupt shadow covers
  stepArmed = 864, // u32, Step: RFLAGS.TF was set when the instruction before began
  mcgStatus = 872, // u64
  tscAdjust = 880, // u64
  debugCtl = 888, // u64
  hwcr = 896, // u64
  deCfg = 904, // u64
  lsCfg = 912, // u64
  hypercallGpa = 920, // u64, what the guest wrote to the hypercall page MSR
  stepNext = 928, // u64, for Step.branch: where the instruction after that one is
  SIZE = 1024,
}

/** What the instruction that began last owes once it is done. */
export const enum Step {
  nothing = 0,
  trap = 1,
  /** A trap if it was a branch that was taken (DEBUGCTL.BTF). */
  branch = 2,
}

/** Bits of VcpuOff.apicInit. */
export const enum InitBit {
  init = 1 << 8,
  sipi = 1 << 9,
  nmi = 1 << 10,
}
