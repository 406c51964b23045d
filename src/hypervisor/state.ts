/** The hypervisor's own words inside domain and vCPU blocks, and its tables in frames of FrameType.hv.
 *
 *  Lock order, outermost first: domainLock; evtLock (lower domid first); grantLock (never two at once); DomainOff.lock;
 *  freeLock. No lock is held across a copy to or from guest memory by linear address. */
import { DomainOff, VcpuOff } from "../../assembly/abi/layout";

/** In a domain block. */
export const enum HvDomain {
  evtLock = DomainOff.hv, // i32 spinlock over ports, FIFO arrays and virq bindings
  evtAbi = evtLock + 4, // u32 EvtchnAbi
  evtDir = evtAbi + 4, // u32 mfn of the directory: u32[512] port tables, then u32[128] FIFO event array frames
  evtPorts = evtDir + 4, // u32, ports the tables cover
  evtHint = evtPorts + 4, // u32, no free port below it
  fifoPages = evtHint + 4, // u32
  controlPending = fifoPages + 4, // u32 mfn: pending bits of the control domain's ports
  grantLock = controlPending + 4, // i32 spinlock over the grant table, its active entries and the maptrack
  grantFrames = grantLock + 4, // u32
  grantMax = grantFrames + 4, // u32
  grantDir = grantMax + 4, // u32 mfn of the directory: u32[64] shared frames, then u32[128] active entry frames
  maptrackDir = grantDir + 4, // u32 mfn of the directory: u32[1024] frames of maptrack entries
  maptrackCount = maptrackDir + 4, // u32, entries the frames cover
  maptrackFree = maptrackCount + 4, // u32, first free handle, NO_HANDLE none
  memoryMap = maptrackFree + 4, // u32 mfn: the E820 of XENMEM_memory_map
  memoryMapCount = memoryMap + 4, // u32
  vmAssist = memoryMapCount + 4, // u32
  shutdownCode = vmAssist + 4, // i32, latched by SCHEDOP_shutdown_code, -1 none
  consoleLock = shutdownCode + 4, // i32 spinlock over the console line
  consoleLength = consoleLock + 4, // u32
  watchdog = consoleLength + 4, // f64[2], deadline in ns, 0 off
  handle = watchdog + 16, // u8[16], the domain's UUID
  controlSelector = handle + 16, // u32[32], bit n of word w: word 32 * w + n of controlPending is not 0
  hvmParams = controlSelector + 128, // u64[HVM_NR_PARAMS]
  consoleLine = hvmParams + 39 * 8, // u8[CONSOLE_LINE]
  platform = consoleLine + 512, // u32 mfn: what an HVM domain's devices share with the control thread, 0 none
  evtReset = platform + 4, // u32, the port at which EVTCHNOP_reset goes on
  SIZE = evtReset + 4 - DomainOff.hv,
}

export const CONSOLE_LINE = 512;
export const NO_HANDLE = 0xffffffff;

export const enum EvtchnAbi {
  twoLevel = 0,
  fifo = 1,
}

/** In a vCPU block. */
export const enum HvVcpu {
  virq = VcpuOff.hv, // u32[NR_VIRQS], port, 0 none
  fifoControl = virq + 24 * 4, // u32 maddr of the FIFO control block, 0 none
  fifoTail = fifoControl + 4, // u32[EVTCHN_FIFO_MAX_QUEUES]
  infoMfn = fifoTail + 64, // u32, the frame VCPUOP_register_vcpu_info holds, 0 none
  initialised = infoMfn + 4, // u32
  areas = initialised + 4, // u32 VcpuArea
  inside = areas + 4, // i32 Inside
  pollPort = inside + 4, // u32, the port waited for, 0 any of several
  pollDeadline = pollPort + 4, // f64 ns, 0 none; f64 and u64 are at multiples of 8 (tests/hypervisor/state)
  runstateLin = pollDeadline + 8, // u64
  timeLin = runstateLin + 8, // u64
  timePublished = timeLin + 8, // f64 ns, when its time words were last written, 0 never
  SIZE = timePublished + 8 - VcpuOff.hv,
}

/** What the thread of a vCPU that is on a pCPU is doing. */
export const enum Inside {
  guest = 0, // running guest code, or in the scheduler
  hypervisor = 1, // in a hypercall, away from guest memory
  copying = 2, // reaching guest memory through the vCPU's TLB
}

/** Bits of HvVcpu.areas. */
export const enum VcpuArea {
  runstate = 1,
  runstate32 = 2, // registered by a 32-bit caller
  time = 4,
}

/** At VcpuOff.runstate. */
export const enum RunstateOff {
  state = 0, // u32
  entryTime = 8, // f64 ns
  time = 16, // f64[4] ns
}

/** One event channel. */
export const enum PortOff {
  state = 0, // u8 EVTCHNSTAT_*, or PORT_RESERVED
  priority = 1, // u8
  notifyVcpu = 2, // u16
  remoteDomid = 4, // u16
  lastPriority = 6, // u8, the FIFO queue it was last linked on
  early = 7, // u8, 1: sent before its event array frame existed
  remotePort = 8, // u32: remote port, virq
  lastVcpu = 12, // u16
  SIZE = 16,
}

export const PORT_RESERVED = 0xff;
export const PORTS_PER_FRAME = 4096 / PortOff.SIZE;

/** A grant in use. */
export const enum ActiveOff {
  mfn = 0, // u32
  domid = 4, // u16, the domain it is granted to
  gfn = 8, // u32
  readers = 12, // u16
  writers = 14, // u16
  SIZE = 16,
}

/** One mapping of somebody's grant, by handle. */
export const enum MapOff {
  gref = 0, // u32
  domid = 4, // u16, the granting domain
  flags = 6, // u16 GNTMAP_*, 0 free
  gfn = 8, // u32, where it is mapped, NO_GFN nowhere (control domain)
  mfn = 12, // u32; of a free entry the next free handle
  SIZE = 16,
}
