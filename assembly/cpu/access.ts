/** Guest memory as instructions use it.
 *
 *  Hot code: `h = hostR(lin, size); if (!h) return 0;` and `load<T>(h)`; `h = hostW(lin, size)` and `storeN(h, v)`.
 *  Cold helpers: ld* and st*, which unwind on a fault. sys* are implicit supervisor accesses (descriptor tables, TSS):
 *  privileged at any CPL, and SMAP holds for them whatever AC says (SDM Vol.3A "Determination of Access Rights"). */
import { Mode, PcpuOff, TlbClass, TlbOff } from "../abi/layout";
import { RecOff } from "../abi/record";
import { Vector } from "../abi/x86";
import { unwind } from "../env";
import { failError } from "../fault";
import { besideCode, commitWrite, hostSpanR, hostSpanW, inForce, missR, missS, missW, readIn, readPage, writeIn } from "../mmu/access";
import { tableOf } from "../mmu/tlb";
import { Template } from "./opcodes.gen";
import { PCPU } from "./pcpu";

export { commitWrite, hostSpanR, hostSpanW, missR, missW };

const SCRATCH_W: usize = PCPU + PcpuOff.scratchW;

/** Whether the TLB entry at `entry` lets `size` bytes at `lin` be read. */
@inline export function readHits(entry: usize, lin: u64, size: i32): bool { return (load<u64>(entry) ^ (lin + (size - 1))) < 4096; }
/** Whether it lets them be written. */
@inline export function writeHits(entry: usize, lin: u64, size: i32): bool { return load<u64>(entry) == ((lin + (size - 1)) & ~(<u64>0xfff)); }

/** Host address of `size` (1..64) readable bytes at `lin`, or 0 with the fault pending. */
@inline export function hostR(lin: u64, size: i32): usize {
  const entry = <usize>load<u32>(PCPU, PcpuOff.tlbBase) + ((<u32>lin >>> 8) & TlbOff.INDEX);
  if (readHits(entry, lin, size)) return <usize>lin + <usize>load<u32>(entry, TlbOff.addend);
  return missR(lin, size);
}

/** Host address of `size` (1..64) writable bytes at `lin`, or 0 with the fault pending. Their present contents can be
 *  read there. After storing through anything but storeN, call commitWrite() if it is the write bounce buffer. */
@inline export function hostW(lin: u64, size: i32): usize {
  const entry = <usize>load<u32>(PCPU, PcpuOff.tlbBase) + ((<u32>lin >>> 8) & TlbOff.INDEX);
  if (writeHits(entry, lin, size)) return <usize>lin + <usize>load<u32>(entry, TlbOff.addend);
  return missW(lin, size);
}

/** hostW for a store that replaces all `size` bytes: a device is not read first. */
@inline export function hostS(lin: u64, size: i32): usize {
  const entry = <usize>load<u32>(PCPU, PcpuOff.tlbBase) + ((<u32>lin >>> 8) & TlbOff.INDEX);
  if (writeHits(entry, lin, size)) return <usize>lin + <usize>load<u32>(entry, TlbOff.addend);
  return missS(lin, size);
}

/** hostW for the hot template at record `u`. */
@inline export function hostAt(lin: u64, size: i32, u: usize): usize {
  const entry = <usize>load<u32>(PCPU, PcpuOff.tlbBase) + ((<u32>lin >>> 8) & TlbOff.INDEX);
  if (writeHits(entry, lin, size)) return <usize>lin + <usize>load<u32>(entry, TlbOff.addend);
  return missAt(lin, size, u);
}

/** A device may want the run loop to look after this instruction, so its record is noted. */
export function missAt(lin: u64, size: i32, u: usize): usize {
  const host = besideCode(lin, size);
  if (host) return host;
  store<u32>(PCPU, <u32>u, PcpuOff.record);
  return writeIn(lin, size, inForce(), modifies(load<u16>(u, RecOff.desc) >> 9));
}

/** Templates that replace what they write to. */
const REPLACE: u64 = 1 << Template.mov | 1 << Template.setcc | 1 << Template.movs | 1 << Template.stos | 1 << Template.push | 1 << Template.call
  | 1 << Template.callInd;

/** Whether a template wants to know what is there before it writes. */
@inline export function modifies(template: u32): bool { return !(REPLACE >> template & 1); }

/** Host address of `size` (1..64) bytes at `lin` if the TLB class `base` has them, 0 where there is more to do than to look. */
@inline export function knownR(base: usize, lin: u64, size: i32): usize {
  const entry = base + ((<u32>lin >>> 8) & TlbOff.INDEX);
  return readHits(entry, lin, size) ? <usize>lin + <usize>load<u32>(entry, TlbOff.addend) : 0;
}

@inline export function knownW(base: usize, lin: u64, size: i32): usize {
  const entry = base + ((<u32>lin >>> 8) & TlbOff.INDEX);
  return writeHits(entry, lin, size) ? <usize>lin + <usize>load<u32>(entry, TlbOff.addend) : 0;
}

@inline export function store8(host: usize, value: u64): void {
  store<u8>(host, <u8>value);
  if (host == SCRATCH_W) commitWrite();
}
@inline export function store16(host: usize, value: u64): void {
  store<u16>(host, <u16>value);
  if (host == SCRATCH_W) commitWrite();
}
@inline export function store32(host: usize, value: u64): void {
  store<u32>(host, <u32>value);
  if (host == SCRATCH_W) commitWrite();
}
@inline export function store64(host: usize, value: u64): void {
  store<u64>(host, value);
  if (host == SCRATCH_W) commitWrite();
}
@inline export function storev(host: usize, value: v128): void {
  v128.store(host, value);
  if (host == SCRATCH_W) commitWrite();
}

/* Unwinding forms. */

/** Parts of an operand behind its first have the operand's address and some bytes: that wraps at 4 GiB outside 64-bit mode, or INVLPG would not
 *  find what was translated there. */
@inline function wrapped(lin: u64): u64 {
  return lin >> 32 != 0 && (load<u32>(PCPU, PcpuOff.mode) & Mode.BITS) != Mode.bits64 ? lin & 0xffffffff : lin;
}

function readable(lin: u64, size: i32): usize {
  const host = hostR(wrapped(lin), size);
  if (!host) unwind();
  return host;
}

function writable(lin: u64, size: i32): usize {
  const host = hostS(wrapped(lin), size);
  if (!host) unwind();
  return host;
}

export function ld8(lin: u64): u64 { return <u64>load<u8>(readable(lin, 1)); }
export function ld16(lin: u64): u64 { return <u64>load<u16>(readable(lin, 2)); }
export function ld32(lin: u64): u64 { return <u64>load<u32>(readable(lin, 4)); }
export function ld64(lin: u64): u64 { return load<u64>(readable(lin, 8)); }
export function ldv(lin: u64): v128 { return v128.load(readable(lin, 16)); }

export function st8(lin: u64, value: u64): void { store8(writable(lin, 1), value); }
export function st16(lin: u64, value: u64): void { store16(writable(lin, 2), value); }
export function st32(lin: u64, value: u64): void { store32(writable(lin, 4), value); }
export function st64(lin: u64, value: u64): void { store64(writable(lin, 8), value); }
export function stv(lin: u64, value: v128): void { storev(writable(lin, 16), value); }

/** 16-byte operands that must be aligned: #GP(0) otherwise. */
export function ldvAligned(lin: u64): v128 {
  if (lin & 15) failError(Vector.GP, 0);
  return ldv(lin);
}
export function stvAligned(lin: u64, value: v128): void {
  if (lin & 15) failError(Vector.GP, 0);
  stv(lin, value);
}

/** Unwinds unless the byte at `lin` may be read. A device is not read. */
export function probeR(lin: u64): void {
  if (!readPage(lin, inForce())) unwind();
}

/** Unwinds unless all of `size` bytes (any number) may be written. */
export function probeW(lin: u64, size: u32): void {
  if (size <= 64) { writable(lin, size); return; }
  for (let done: u32 = 0; done < size; ) {
    const part = pageLeft(lin + done, size - done);
    writable(lin + done, 1);
    done += part;
  }
}

/** `n` bytes at `lin` to host memory. More than 64 bytes: all pages are checked first. */
export function ldBytes(lin: u64, host: usize, n: u32): void {
  if (n <= 64) { memory.copy(host, readable(lin, n), n); return; }
  for (let done: u32 = 0; done < n; done += pageLeft(lin + done, n - done)) readable(lin + done, 1);
  for (let done: u32 = 0; done < n; ) {
    const part = min(pageLeft(lin + done, n - done), 64);
    memory.copy(host + done, readable(lin + done, part), part);
    done += part;
  }
}

/** `n` bytes of host memory to `lin`. More than 64 bytes: all pages are checked first. */
export function stBytes(lin: u64, host: usize, n: u32): void {
  if (n > 64) probeW(lin, n);
  for (let done: u32 = 0; done < n; ) {
    const part = n <= 64 ? n : min(pageLeft(lin + done, n - done), 64);
    const to = writable(lin + done, part);
    memory.copy(to, host + done, part);
    if (to == SCRATCH_W) commitWrite();
    done += part;
  }
}

@inline function pageLeft(lin: u64, n: u32): u32 { return min(n, 4096 - (<u32>lin & 0xfff)); }

@inline function sysReadable(lin: u64, size: u32): usize {
  const base = tableOf(TlbClass.supervisor), host = knownR(base, lin, size);
  return host ? host : sysMissed(lin, size, base);
}

function sysMissed(lin: u64, size: u32, base: usize): usize {
  const host = readIn(lin, size, base);
  if (!host) unwind();
  return host;
}

function sysWritable(lin: u64, size: u32): usize {
  const host = writeIn(lin, size, tableOf(TlbClass.supervisor), false);
  if (!host) unwind();
  return host;
}

export function sysLd8(lin: u64): u64 { return <u64>load<u8>(sysReadable(lin, 1)); }
export function sysLd16(lin: u64): u64 { return <u64>load<u16>(sysReadable(lin, 2)); }
export function sysLd32(lin: u64): u64 { return <u64>load<u32>(sysReadable(lin, 4)); }
@inline export function sysLd64(lin: u64): u64 { return load<u64>(sysReadable(lin, 8)); }
export function sysSt8(lin: u64, value: u64): void { store8(sysWritable(lin, 1), value); }
export function sysSt16(lin: u64, value: u64): void { store16(sysWritable(lin, 2), value); }
export function sysSt32(lin: u64, value: u64): void { store32(sysWritable(lin, 4), value); }
export function sysSt64(lin: u64, value: u64): void { store64(sysWritable(lin, 8), value); }
