/** FLDCW, FNSTENV, FLDENV, FNSAVE, FRSTOR (SDM Vol.1 "x87 FPU State Image Formats"). Formats: operand size 16 or 32, and
 *  real/virtual-8086 or protected, which differ in where instruction and data pointers go.
 *
 *  ```
 *        32-bit                16-bit
 *   0    control word          0
 *   4    status word           2
 *   8    tag word              4
 *  12    IP                    6     real: bits 15..0
 *  16    CS, opcode in 26..16  8     real: IP from bit 16 on in bits 12 up, opcode in 10..0
 *  20    DP                    10    real: bits 15..0
 *  24    DS                    12    real: DP from bit 16 on in bits 12 up
 *  28    ST(0)..ST(7)          14
 *  ```
 *  CS and DS are those last loaded, else 0: the processor announces that it does not track them (CPUID leaf 7 EBX bit 13,
 *  "deprecates FPU CS and FPU DS values"). */
import { PcpuOff, Seg } from "../../abi/layout";
import { ld16, ldBytes, stBytes } from "../access";
import { ea, opSize } from "../operand";
import { PCPU } from "../pcpu";
import { realMode, segBase, v86Mode } from "./mode";
import { fninit, Fsw, INTEGER_BIT, physical, refreshSummary, registerAt, seAt, sigAt, Work } from "./x87_state";

const IMAGE: usize = PCPU + Work.area;

/** FCW as the processor keeps it: bit 6 reads as 1, bits 7 and 15..13 as 0. */
export function setControlWord(value: u32): void {
  store<u16>(PCPU, (value & 0x1f3f) | 0x40, PcpuOff.fcw);
}

export function fldcw(u: usize): void {
  setControlWord(<u32>ld16(ea(u, 2, false)));
  refreshSummary();
}

/** Two bits a physical register: 0 valid, 1 zero, 2 special (denormal, unsupported, infinity, NaN), 3 empty. */
export function tagWord(): u32 {
  let word: u32 = 0;
  const used = <u32>load<u8>(PCPU, PcpuOff.ftag);
  for (let n: u32 = 0; n < 8; n++) {
    const at = registerAt(n), sig = sigAt(at), exp = seAt(at) & 0x7fff;
    let tag: u32 = 3;
    if ((used >> n) & 1) tag = exp == 0 && sig == 0 ? 1 : exp == 0 || exp == 0x7fff || !(sig & INTEGER_BIT) ? 2 : 0;
    word |= tag << (n * 2);
  }
  return word;
}

/** Of a loaded tag word only "empty" matters: the rest follows from the contents. */
function setTagWord(word: u32): void {
  let used: u32 = 0;
  for (let n: u32 = 0; n < 8; n++) if (((word >> (n * 2)) & 3) != 3) used |= 1 << n;
  store<u8>(PCPU, used, PcpuOff.ftag);
}

/** Pointers in the real-mode format are linear. */
@inline function realFormat(): bool { return realMode() || v86Mode(); }

function environmentSize(u: usize): i32 { return opSize(u) == 2 ? 14 : 28; }

function buildEnvironment(u: usize): void {
  const wide = opSize(u) != 2, real = realFormat(), opcode = <u32>load<u16>(PCPU, PcpuOff.fop) & 0x7ff;
  let ip = load<u32>(PCPU, PcpuOff.fip), dp = load<u32>(PCPU, PcpuOff.fdp);
  let cs = <u32>load<u16>(PCPU, PcpuOff.fcs), ds = <u32>load<u16>(PCPU, PcpuOff.fds);
  if (real) {
    ip += <u32>segBase(Seg.cs);
    dp += <u32>segBase(Seg.ds);
    cs = (ip >> 16) << 12 | opcode;
    ds = (dp >> 16) << 12;
  }
  const fcw = load<u16>(PCPU, PcpuOff.fcw), fsw = load<u16>(PCPU, PcpuOff.fsw), tags = tagWord();
  if (wide) {
    store<u32>(IMAGE, 0xffff0000 | <u32>fcw);
    store<u32>(IMAGE, 0xffff0000 | <u32>fsw, 4);
    store<u32>(IMAGE, 0xffff0000 | tags, 8);
    store<u32>(IMAGE, real ? 0xffff0000 | ip : ip, 12);
    store<u32>(IMAGE, real ? cs : cs | opcode << 16, 16);
    store<u32>(IMAGE, real ? 0xffff0000 | dp : dp, 20);
    store<u32>(IMAGE, real ? ds : 0xffff0000 | ds, 24);
  } else {
    store<u16>(IMAGE, fcw);
    store<u16>(IMAGE, fsw, 2);
    store<u16>(IMAGE, <u16>tags, 4);
    store<u16>(IMAGE, <u16>ip, 6);
    store<u16>(IMAGE, <u16>cs, 8);
    store<u16>(IMAGE, <u16>dp, 10);
    store<u16>(IMAGE, <u16>ds, 12);
  }
}

/** State from the image of an environment at IMAGE. */
function adoptEnvironment(u: usize): void {
  const real = realFormat();
  let ip: u32, dp: u32, cs: u32, ds: u32, tags: u32;
  if (opSize(u) != 2) {
    store<u16>(PCPU, load<u16>(IMAGE, 4), PcpuOff.fsw);
    setControlWord(<u32>load<u16>(IMAGE));
    tags = <u32>load<u16>(IMAGE, 8);
    ip = load<u32>(IMAGE, 12);
    cs = load<u32>(IMAGE, 16);
    dp = load<u32>(IMAGE, 20);
    ds = load<u32>(IMAGE, 24);
  } else {
    store<u16>(PCPU, load<u16>(IMAGE, 2), PcpuOff.fsw);
    setControlWord(<u32>load<u16>(IMAGE));
    tags = <u32>load<u16>(IMAGE, 4);
    ip = <u32>load<u16>(IMAGE, 6);
    cs = <u32>load<u16>(IMAGE, 8);
    dp = <u32>load<u16>(IMAGE, 10);
    ds = <u32>load<u16>(IMAGE, 12);
  }
  let opcode = (cs >> 16) & 0x7ff;
  if (real) {
    opcode = cs & 0x7ff;
    ip = (ip & 0xffff) | ((cs << 4) & 0xffff0000);
    dp = (dp & 0xffff) | ((ds << 4) & 0xffff0000);
    ip -= <u32>segBase(Seg.cs);
    dp -= <u32>segBase(Seg.ds);
    cs = 0;
    ds = 0;
  } else if (opSize(u) == 2) opcode = load<u16>(PCPU, PcpuOff.fop);
  store<u64>(PCPU, <u64>ip, PcpuOff.fip);
  store<u64>(PCPU, <u64>dp, PcpuOff.fdp);
  store<u16>(PCPU, <u16>cs, PcpuOff.fcs);
  store<u16>(PCPU, <u16>ds, PcpuOff.fds);
  store<u16>(PCPU, <u16>opcode, PcpuOff.fop);
  setTagWord(tags);
  refreshSummary();
}

/** Masks all exceptions after storing. */
export function fnstenv(u: usize): void {
  const size = environmentSize(u), lin = ea(u, size, true);
  buildEnvironment(u);
  stBytes(lin, IMAGE, size);
  store<u16>(PCPU, load<u16>(PCPU, PcpuOff.fcw) | Fsw.EXCEPTIONS, PcpuOff.fcw);
  refreshSummary();
}

export function fldenv(u: usize): void {
  const size = environmentSize(u);
  ldBytes(ea(u, size, false), IMAGE, size);
  adoptEnvironment(u);
}

/** Stores environment and registers, in stack order, then does FNINIT. */
export function fnsave(u: usize): void {
  const size = environmentSize(u), lin = ea(u, size + 80, true);
  buildEnvironment(u);
  for (let i = 0; i < 8; i++) memory.copy(IMAGE + size + i * 10, registerAt(physical(i)) + PcpuOff.fpr, 10);
  stBytes(lin, IMAGE, size + 80);
  fninit();
}

export function frstor(u: usize): void {
  const size = environmentSize(u);
  ldBytes(ea(u, size + 80, false), IMAGE, size + 80);
  adoptEnvironment(u);
  for (let i = 0; i < 8; i++) memory.copy(registerAt(physical(i)) + PcpuOff.fpr, IMAGE + size + i * 10, 10);
}
