/** FIFO event channels (public/event_channel.h; design: "Event channels: FIFO-based ABI"). Every port has a word in the
 *  event array, pages of the guest's own:
 *
 *  ```
 *   31      30     29     28   27..17  16..0
 *  PENDING MASKED LINKED BUSY    0     LINK: next port of the queue
 *  ```
 *  Each vCPU has a control block with a READY bit and a HEAD per priority. The guest consumes at the head; we append at
 *  the tail, which only we know. A word is appended by linking it from the tail's word while that is still LINKED; if
 *  the guest has taken the tail off meanwhile, the queue was empty and the port becomes its head. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameType } from "../../assembly/abi/layout";
import { FifoControlOff, Xen } from "../../assembly/abi/xen";
import { getPage, putPage } from "../machine/frames";
import { type MachineMemory, PAGE_SHIFT, PAGE_SIZE } from "../machine/memory";
import { vcpuAddr } from "./domain_table";
import { frameOfGfn } from "./guest_frame";
import { HvDomain, HvVcpu, PortOff } from "./state";
import { markUpcall } from "./upcall";

const PENDING = 1 << Xen.EVTCHN_FIFO_PENDING;
const MASKED = 1 << Xen.EVTCHN_FIFO_MASKED;
const LINKED = 1 << Xen.EVTCHN_FIFO_LINKED;
const BUSY = 1 << Xen.EVTCHN_FIFO_BUSY;
const LINK_MASK = (1 << Xen.EVTCHN_FIFO_LINK_BITS) - 1;

const WORDS_PER_PAGE = 1024;
const ARRAY_DIR = 2048; // offset of the event array's frames in the directory frame
const LINK_TRIES = 4;

/** Address of the port's event word, 0 if the guest has not supplied that page. */
function eventWord(mem: MachineMemory, domain: number, port: number): number {
  const page = Math.floor(port / WORDS_PER_PAGE);
  if (page >= mem.get32(domain + HvDomain.fifoPages)) return 0;
  const dir = (mem.get32(domain + HvDomain.evtDir) << PAGE_SHIFT) >>> 0;
  return ((mem.get32(dir + ARRAY_DIR + 4 * page) << PAGE_SHIFT) >>> 0) + 4 * (port % WORDS_PER_PAGE);
}

/** True if the event was not pending before. */
export function setPending(mem: MachineMemory, domain: number, vcpu: number, port: number, entry: number): boolean {
  const word = eventWord(mem, domain, port);
  if (!word) {
    mem.set8(entry + PortOff.early, 1); // delivered by expandArray
    return false;
  }
  const wasPending = mem.or(word, PENDING) & PENDING;
  const control = mem.get32(vcpu + HvVcpu.fifoControl);
  // Without a control block the guest cannot have unmasked anything yet.
  if (control && !(mem.load(word) & (MASKED | LINKED)) && !(mem.or(word, LINKED) & LINKED)) {
    link(mem, domain, vcpu, port, word, entry, control);
  }
  return wasPending === 0;
}

function link(
  mem: MachineMemory,
  domain: number,
  vcpu: number,
  port: number,
  word: number,
  entry: number,
  control: number,
): void {
  const priority = mem.get8(entry + PortOff.priority);
  const tail = vcpu + HvVcpu.fifoTail + 4 * priority;
  // The port may have been the tail of the queue it was on last; nothing may be linked after it there any more.
  const last = vcpuAddr(mem, domain, mem.get16(entry + PortOff.lastVcpu));
  const lastTail = last + HvVcpu.fifoTail + 4 * mem.get8(entry + PortOff.lastPriority);
  if (last && mem.get32(lastTail) === port) mem.set32(lastTail, 0);
  mem.set16(entry + PortOff.lastVcpu, mem.get16(entry + PortOff.notifyVcpu));
  mem.set8(entry + PortOff.lastPriority, priority);

  mem.and(word, ~LINK_MASK); // the last one of a queue links to 0
  const tailPort = mem.get32(tail);
  const tailWord = tailPort ? eventWord(mem, domain, tailPort) : 0;
  const appended = tailWord !== 0 && setLink(mem, tailWord, port);
  mem.set32(tail, port);
  if (appended) return;
  mem.store(control + FifoControlOff.head + 4 * priority, port);
  if ((mem.or(control + FifoControlOff.ready, 1 << priority) & (1 << priority)) === 0) markUpcall(mem, vcpu);
}

/** Links `word` to `port` if it is still on a queue. BUSY keeps the guest from clearing LINKED or unmasking while we
 *  retry; after a few tries against a guest that ignores it, its own queue may lose the event. */
function setLink(mem: MachineMemory, word: number, port: number): boolean {
  let old = mem.load(word);
  for (let n = 0; n <= LINK_TRIES; n++) {
    if (!(old & LINKED)) {
      if (n > 0) mem.and(word, ~BUSY);
      return false;
    }
    const seen = mem.compareExchange(word, old, (old & ~(BUSY | LINK_MASK)) | port);
    if (seen === old) return true;
    old = n === 0 ? mem.or(word, BUSY) | BUSY : seen;
  }
  mem.and(word, ~BUSY);
  return true;
}

export function clearPending(mem: MachineMemory, domain: number, port: number): void {
  const word = eventWord(mem, domain, port);
  if (word) mem.and(word, ~PENDING);
}

export function isPending(mem: MachineMemory, domain: number, port: number): boolean {
  const word = eventWord(mem, domain, port);
  return word !== 0 && (mem.load(word) & PENDING) !== 0;
}

/** Whether a closed port is still on a queue, so that it must not be given out again. */
export function isBusy(mem: MachineMemory, domain: number, port: number): boolean {
  const word = eventWord(mem, domain, port);
  return word !== 0 && (mem.load(word) & LINKED) !== 0;
}

/** Clears MASKED; true if the event must be set pending again to be linked. */
export function unmask(mem: MachineMemory, domain: number, port: number): boolean {
  const word = eventWord(mem, domain, port);
  if (!word) return false;
  mem.and(word, ~MASKED);
  return (mem.load(word) & PENDING) !== 0;
}

/** Maps a vCPU's control block, holding a reference to its frame. */
export function mapControlBlock(mem: MachineMemory, domain: number, vcpu: number, gfn: number, offset: number): number {
  if (offset > PAGE_SIZE - FifoControlOff.SIZE || offset & 7) return -Errno.EINVAL;
  if (mem.get32(vcpu + HvVcpu.fifoControl)) return -Errno.EINVAL;
  const mfn = holdGuestPage(mem, domain, gfn);
  if (!mfn) return -Errno.EINVAL;
  for (let n = 0; n < Xen.EVTCHN_FIFO_MAX_QUEUES; n++) mem.set32(vcpu + HvVcpu.fifoTail + 4 * n, 0);
  mem.set32(vcpu + HvVcpu.fifoControl, ((mfn << PAGE_SHIFT) >>> 0) + offset);
  return 0;
}

/** Adds a page to the event array; its number, or a negative error number. */
export function addArrayPage(mem: MachineMemory, domain: number, gfn: number): number {
  const page = mem.get32(domain + HvDomain.fifoPages);
  if (page * WORDS_PER_PAGE >= Xen.EVTCHN_FIFO_NR_CHANNELS) return -Errno.ENOSPC;
  const mfn = holdGuestPage(mem, domain, gfn);
  if (!mfn) return -Errno.EINVAL;
  const dir = (mem.get32(domain + HvDomain.evtDir) << PAGE_SHIFT) >>> 0;
  mem.set32(dir + ARRAY_DIR + 4 * page, mfn);
  mem.set32(domain + HvDomain.fifoPages, page + 1);
  return page;
}

function holdGuestPage(mem: MachineMemory, domain: number, gfn: number): number {
  const mfn = frameOfGfn(mem, domain, gfn, FrameType.ram);
  return mfn && getPage(mem, mfn, mem.get32(domain + DomainOff.domid)) ? mfn : 0;
}

/** Lets go of control blocks and event array. */
export function destroyFifo(mem: MachineMemory, domain: number): void {
  const vcpus = mem.get32(domain + DomainOff.vcpus);
  for (let id = 0; id < vcpus; id++) {
    const at = vcpuAddr(mem, domain, id) + HvVcpu.fifoControl;
    const control = mem.get32(at);
    mem.set32(at, 0);
    if (control) putPage(mem, control >>> PAGE_SHIFT);
  }
  const dir = (mem.get32(domain + HvDomain.evtDir) << PAGE_SHIFT) >>> 0;
  const pages = mem.get32(domain + HvDomain.fifoPages);
  mem.set32(domain + HvDomain.fifoPages, 0);
  for (let page = 0; page < pages; page++) putPage(mem, mem.get32(dir + ARRAY_DIR + 4 * page));
}
