/** Why `run()` came back. Arguments in PcpuOff.exitArg. */
export const enum Exit {
  none = 0,
  budget = 1, // the instruction budget is used up
  hypercall = 2, // VMCALL or VMMCALL: registers hold number and arguments, rip is past it
  hlt = 3, // HLT with nothing pending; rip is past it
  request = 4, // VcpuRequest.pause was set
  tripleFault = 5,
  debugExit = 6, // host asked to stop at this point (tests)
  bug = 7, // an internal invariant broke; exitArg[0] says where
  difference = 8, // translated code did something else than the interpreter (cpu/jit/check)
}
