/** Control registers, debug registers, MSRs, flags, CPUID (SDM Vol.2, Vol.3A "Control Registers", Vol.4; AMD APM Vol.2;
 *  public/arch-x86/cpuid.h, hvm/start_info.h). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../../assembly/abi/exit";
import { Mode, PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Guest, descriptor } from "./guest";
import { CODE, GDT, SPARE, STACK, STACK0, longMode, protectedMode, runCode, setGate64 } from "./worlds";

const guest = await Guest.create();
const le32 = (value: number) => [0, 8, 16, 24].map((shift) => ((value >>> shift) & 255).toString(16).padStart(2, "0")).join(" ");
const PG = 0x80000000;

const cr = suite("Control registers");

//  name                          world      EAX to CRn         CR4 before  code of mov crN, eax  vector
type World = "long" | "prot";
const WRITES: readonly [string, World, bigint, number, string, number][] = [
  ["CR0: PG without PE", "prot", 0x80000010n, 0, "0f 22 c0", 13],
  ["CR0: NW without CD", "prot", 0x20000011n, 0, "0f 22 c0", 13],
  ["CR0: clearing PG in 64-bit mode", "long", 0x11n, 0x20, "0f 22 c0", 13],
  ["CR0: bits above 31", "long", 0x180010033n, 0x20, "0f 22 c0", 13],
  ["CR0: CD", "prot", 0x40000011n, 0, "0f 22 c0", -1],
  ["CR4: clearing PAE in long mode", "long", 0n, 0x20, "0f 22 e0", 13],
  ["CR4: VME and PVI", "prot", 3n, 0, "0f 22 e0", -1],
  ["CR0: clearing PG under PCIDE", "long", 0x11n, 0x20020, "0f 22 c0", 13],
  ["CR3: bit 63 without PCIDE", "long", 0x8000000000004000n, 0x20, "0f 22 d8", 13],
  ["CR3: bit 63 under PCIDE", "long", 0x8000000000004fffn, 0x20020, "0f 22 d8", -1],
  ["CR3: beyond 40 bits under PCIDE", "long", 0x4000000000004000n, 0x20020, "0f 22 d8", 13],
  ["CR4: PCIDE outside long mode", "prot", 0x20000n, 0, "0f 22 e0", 13],
  ["CR4: all that is reported, SMAP aside", "long", 0x70ffcn, 0x20, "0f 22 e0", -1],
  ["CR3: beyond 40 bits", "long", 0x10000000000n, 0x20, "0f 22 d8", 13],
  ["CR8: 15", "long", 15n, 0x20, "44 0f 22 c0", -1],
];
for (const [name, world, value, cr4, code, vector] of WRITES)
  cr(`${name}: ${vector < 0 ? "accepted" : `vector ${vector}`}`, () => {
    (world === "long" ? longMode : protectedMode)(guest, 0);
    guest.setField(PcpuOff.cr4, BigInt(cr4));
    guest.setGpr("rax", value);
    assert.is(runCode(guest, `${code} f4`), vector);
  });

cr("PCIDE can be set while the PCID is 0, and cleared whatever it is", () => {
  for (const [cr3, cr4, value, vector] of [[0x4018n, 0x20n, 0x20020n, 13], [0x4000n, 0x20n, 0x20020n, -1], [0x4018n, 0x20020n, 0x20020n, -1], [0x4018n, 0x20020n, 0x20n, -1]] as const) {
    longMode(guest, 0);
    guest.setField(PcpuOff.cr3, cr3);
    guest.setField(PcpuOff.cr4, cr4);
    guest.setGpr("rax", value);
    assert.is(runCode(guest, "0f 22 e0 f4"), vector);
  }
});

cr("PG under PCIDE stays in compatibility mode too", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.cr4, 0x20020n);
  guest.set64(GDT + SPARE, descriptor(0, 0xfffff, 0xc09b));
  guest.segment(Seg.cs, SPARE, 0, 0xffffffff, 0xc09b);
  assert.is(runCode(guest, `b8 ${le32(0x11)} 0f 22 c0`), 13);
});

cr("under PCIDE each CR3 shows its own tables, whatever bit 63 says; it reads as 0", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.cr4, 0x20020n);
  // a second set of tables differs in what is at 2 MiB
  guest.set64(0x3f000, 0x3e007n);
  guest.set64(0x3e000, 0x3d007n);
  guest.set64(0x3d000, 0x87n);
  guest.set64(0x3d008, 0x87n);
  guest.set32(0x1f000, 2);
  guest.set32(0x21f000, 1);
  guest.setGpr("rdi", 0x21f000n);
  guest.setGpr("rax", 0x800000000003f005n);
  guest.setGpr("rbx", 0x8000000000004000n);
  // mov ecx,[rdi]; mov cr3,rax; mov edx,[rdi]; mov rsi,cr3; mov cr3,rbx; mov ebp,[rdi]
  assert.is(runCode(guest, "8b 0f 0f 22 d8 8b 17 0f 20 de 0f 22 db 8b 2f f4"), -1);
  assert.equal([guest.gpr("rcx"), guest.gpr("rdx"), guest.gpr("rbp"), guest.gpr("rsi")], [1n, 2n, 1n, 0x3f005n]);
});

cr("ET is always 1 and undefined bits of CR0 stay 0", () => {
  protectedMode(guest, 0);
  assert.is(runCode(guest, `b8 ${le32(0x0000ff61)} 0f 22 c0 0f 20 c3 f4`), -1);
  assert.is(guest.gpr("rbx"), 0x31n);
});

cr("mov cr8 is the task priority", () => {
  longMode(guest, 0);
  assert.is(runCode(guest, "b8 05 00 00 00 44 0f 22 c0 44 0f 20 c3 f4"), -1);
  assert.is(guest.gpr("rbx"), 5n);
  assert.is(guest.core.apicRead(0x80), 0x50);
});

cr("long mode is activated by PG with LME and PAE, and left by clearing PG in a compatibility segment", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.cr0, 0x11n);
  guest.setField(PcpuOff.efer, 0x900n);
  guest.set64(GDT + SPARE, descriptor(0, 0xfffff, 0xc09b));
  guest.segment(Seg.cs, SPARE, 0, 0xffffffff, 0xc09b);
  // mov eax,cr0; or eax,PG; mov cr0,eax; mov ecx,EFER; rdmsr; mov ebx,eax; mov eax,11h; mov cr0,eax; rdmsr; hlt
  assert.is(runCode(guest, `0f 20 c0 0d ${le32(PG)} 0f 22 c0 b9 ${le32(0xc0000080)} 0f 32 89 c3 b8 11 00 00 00 0f 22 c0 0f 32 f4`), -1);
  assert.is(guest.gpr("rbx"), 0xd00n, "LMA set");
  assert.is(guest.gpr("rax"), 0x900n, "LMA clear");
});

cr("PG with LME but without PAE is #GP", () => {
  protectedMode(guest, 0);
  guest.setField(PcpuOff.efer, 0x100n);
  guest.setGpr("rax", BigInt(PG + 0x11));
  assert.is(runCode(guest, "0f 22 c0"), 13);
});

cr("changing LME while PG is set is #GP", () => {
  longMode(guest, 0);
  assert.is(runCode(guest, `b9 ${le32(0xc0000080)} b8 01 08 00 00 31 d2 0f 30`), 13);
});

cr("PAE paging checks the four page-directory pointers", () => {
  for (const [entry, vector] of [[0x5001n, -1], [0x5003n, 13], [0x10000005001n, 13]] as const) {
    protectedMode(guest, 0);
    guest.setField(PcpuOff.cr4, 0x20n);
    guest.setField(PcpuOff.cr3, 0x4000n);
    guest.set64(0x4000, entry);
    guest.set64(0x5000, 0x83n);
    guest.setGpr("rax", BigInt(PG + 0x11));
    assert.is(runCode(guest, "0f 22 c0 f4"), vector);
  }
});

cr("lmsw can set PE but not clear it", () => {
  protectedMode(guest, 0);
  assert.is(runCode(guest, "b8 0e 00 00 00 0f 01 f0 0f 01 e3 f4"), -1);
  assert.is(guest.gpr("rbx"), 0x1fn);
});

cr("UMIP keeps SGDT, SIDT, SLDT, STR and SMSW from CPL 3", () => {
  for (const code of ["0f 01 04 25 00 90 00 00", "0f 01 0c 25 00 90 00 00", "0f 00 c0", "0f 00 c8", "0f 01 e0"]) {
    longMode(guest, 3);
    setGate64(guest, 0x80, 0xee);
    assert.is(runCode(guest, `${code} cd 80`), 0x80);
    longMode(guest, 3);
    guest.setField(PcpuOff.cr4, 0x820n);
    assert.is(runCode(guest, code), 13);
  }
});

cr("sgdt stores ten bytes in 64-bit mode, lgdt loads them", () => {
  longMode(guest, 0);
  guest.set16(0x9100, 0x7f);
  guest.set64(0x9102, 0x1000n);
  assert.is(runCode(guest, "0f 01 14 25 00 91 00 00 0f 01 04 25 00 92 00 00 f4"), -1);
  assert.is(guest.u16(0x9200), 0x7f);
  assert.is(guest.u64(0x9202), 0x1000n);
});

cr("xsetbv accepts x87 and SSE only", () => {
  for (const [value, vector] of [[3, -1], [1, -1], [2, 13], [7, 13], [0, 13]] as const) {
    longMode(guest, 0);
    guest.setField(PcpuOff.cr4, 0x40020n);
    assert.is(runCode(guest, `b8 ${le32(value)} 31 d2 31 c9 0f 01 d1 f4`), vector);
  }
});
cr.run();

const flags = suite("PUSHF, POPF, CLI, STI");

//  CPL  IOPL  popped   then RFLAGS
const POPF: readonly [number, number, number, number][] = [
  [0, 0, 0x3202, 0x3202],
  [0, 0, 0x244ed7, 0x244ed7],
  [0, 0, 0x30002, 0x2],
  [3, 0, 0x3002, 0x202],
  [3, 3, 0x0002, 0x3002],
  [3, 3, 0x0202, 0x3202],
];
for (const [level, iopl, image, after] of POPF)
  flags(`popf of ${image.toString(16)} at CPL ${level} with IOPL ${iopl} gives ${after.toString(16)}`, () => {
    longMode(guest, level);
    setGate64(guest, 0x80, 0xee);
    guest.setField(PcpuOff.rflags, BigInt(0x202 | (iopl << 12)));
    guest.set64(STACK, BigInt(image));
    assert.is(runCode(guest, level ? "9d cd 80" : "9d f4"), level ? 0x80 : -1);
    assert.is(level ? Number(guest.u64(STACK0 - 24)) : guest.flags, after);
  });

flags("pushf clears VM and RF in the image", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.rflags, 0x10202n);
  runCode(guest, "9c f4");
  assert.is(guest.u64(STACK - 8), 0x202n);
});
flags.run();

const debug = suite("Debug registers and traps");

debug("TF traps after each instruction with DR6.BS", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.rflags, 0x302n);
  assert.is(runCode(guest, "90 f4"), 1);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(CODE + 1));
  assert.is(Number(guest.field(PcpuOff.dr + 32)), 0xffff4ff0);
  assert.is(guest.u64(Number(guest.gpr("rsp")) + 16) & 0x100n, 0x100n, "TF in the image");
});

debug("popf that sets TF traps after the instruction that follows", () => {
  longMode(guest, 0);
  guest.set64(STACK, 0x302n);
  assert.is(runCode(guest, "9d 90 90 f4"), 1);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(CODE + 2));
});

debug("mov ss holds the single-step trap off one instruction", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.rflags, 0x302n);
  guest.setGpr("rax", 0x10n);
  assert.is(runCode(guest, "8e d0 90 90 f4"), 1);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(CODE + 3));
});

debug("int n and syscall clear TF, so their first instruction does not trap", () => {
  longMode(guest, 3);
  guest.setField(PcpuOff.rflags, 0x302n);
  setGate64(guest, 0x80, 0xee);
  assert.is(runCode(guest, "cd 80"), 0x80);
  longMode(guest, 3);
  guest.setField(PcpuOff.rflags, 0x302n);
  guest.setField(PcpuOff.sfmask, 0x100n);
  guest.setField(PcpuOff.star, 0x8n << 32n);
  guest.setField(PcpuOff.lstar, 0xb000n);
  guest.hex(0xb000, "90 f4");
  assert.is(runCode(guest, "0f 05"), -1);
  assert.is(guest.gpr("r11"), 0x302n);
});

debug("a code breakpoint faults before the instruction, RF suppresses it once", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.dr, BigInt(CODE + 1));
  guest.setField(PcpuOff.dr + 40, 0x401n);
  assert.is(runCode(guest, "90 90 f4"), 1);
  const frame = Number(guest.gpr("rsp"));
  assert.is(guest.u64(frame), BigInt(CODE + 1));
  assert.is(guest.u64(frame + 16) & 0x10000n, 0x10000n, "RF in the image");
  assert.is(Number(guest.field(PcpuOff.dr + 32)) & 15, 1);
  guest.hex(0x20010, "48 cf"); // the handler returns
  longMode2();
  assert.is(guest.run(CODE), Exit.hlt);
  assert.is(guest.rip, CODE + 3);
});
function longMode2(): void {
  guest.setGpr("rsp", BigInt(STACK));
  guest.setField(PcpuOff.rflags, 0x202n);
}

debug("a data breakpoint traps after the write", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.dr, 0x9004n);
  guest.setField(PcpuOff.dr + 40, 0xd0401n); // DR0: 4 bytes, writes
  assert.is(runCode(guest, "a1 04 90 00 00 00 00 00 00 89 04 25 04 90 00 00 90 f4"), 1);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(CODE + 16));
  assert.is(Number(guest.field(PcpuOff.dr + 32)) & 15, 1);
});

debug("GD faults any access to debug registers and is cleared by delivery", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.dr + 40, 0x2400n);
  assert.is(runCode(guest, "0f 21 c0"), 1);
  assert.is(Number(guest.field(PcpuOff.dr + 32)) & 0x2000, 0x2000);
  assert.is(guest.field(PcpuOff.dr + 40), 0x400n);
});

debug("DR4 is DR6 unless CR4.DE", () => {
  longMode(guest, 0);
  assert.is(runCode(guest, "0f 21 e0 f4"), -1);
  assert.is(guest.gpr("rax"), 0xffff0ff0n);
  longMode(guest, 0);
  guest.setField(PcpuOff.cr4, 0x28n);
  assert.is(runCode(guest, "0f 21 e0"), 6);
});
debug.run();

const msr = suite("MSRs");

//  name          number      low         high   vector, and whether it reads back
const MSRS: readonly [string, number, number, number, number][] = [
  ["STAR", 0xc0000081, 0x11111111, 0x00230010, -1],
  ["LSTAR", 0xc0000082, 0x81000000, 0xffffffff, -1],
  ["SFMASK above 32 bits", 0xc0000084, 0, 1, 13],
  ["KERNEL_GS_BASE", 0xc0000102, 0, 0xffff8000, -1],
  ["GS_BASE not canonical", 0xc0000101, 0, 0x00008000, 13],
  ["TSC_AUX", 0xc0000103, 5, 0, -1],
  ["PAT", 0x277, 0x00070106, 0x00070106, -1],
  ["PAT with type 2", 0x277, 2, 0, 13],
  ["MTRR base 0", 0x200, 6, 0, -1],
  ["MTRR mask 0", 0x201, 0xf8000800, 0xff, -1],
  ["MTRR mask beyond 40 bits", 0x201, 0x800, 0x100, 13],
  ["MTRR base with a reserved type", 0x200, 2, 0, 13],
  ["MTRR default type", 0x2ff, 0xc06, 0, -1],
  ["SPEC_CTRL, which CPUID does not report", 0x48, 0, 0, 13],
  ["PRED_CMD, which CPUID does not report", 0x49, 1, 0, 13],
  ["EFER reserved", 0xc0000080, 0x1000d01, 0, 13],
  ["EFER automatic IBRS", 0xc0000080, 0x200d01, 0, -1],
  ["TSC_ADJUST", 0x3b, 1000, 0, -1],
  ["hypercall page number 1", 0x40000000, 0x10001, 0, 13],
  ["hypercall page outside memory", 0x40000000, 0x40000000, 0, 13],
];
for (const [name, number, low, high, vector] of MSRS)
  msr(`${name}: ${vector < 0 ? "written and read back" : "#GP(0)"}`, () => {
    longMode(guest, 0);
    const code = `b9 ${le32(number)} b8 ${le32(low)} ba ${le32(high)} 0f 30 31 c0 31 d2 0f 32 f4`;
    assert.is(runCode(guest, code), vector);
    if (vector >= 0) return;
    assert.is(guest.gpr("rax"), BigInt(low >>> 0));
    assert.is(guest.gpr("rdx"), BigInt(high >>> 0));
  });

msr("those kernels touch unasked read without a fault", () => {
  for (const number of [0x8b, 0xfe, 0x179, 0x17a, 0x1b, 0x1a0, 0xc0010015, 0xc0010010, 0xc001001a, 0xc001001d, 0xc0010055, 0xc0011029, 0xc0011020, 0xc0010114, 0x1d9]) {
    longMode(guest, 0);
    assert.is(runCode(guest, `b9 ${le32(number)} 0f 32 f4`), -1, number.toString(16));
  }
});

msr("an unknown register is a notice as well", () => {
  longMode(guest, 0);
  runCode(guest, `b9 ${le32(0xc0001234)} 0f 32`);
  assert.equal(guest.notices, [1, 0xc0001234]);
});

msr("the hypercall page has mov eax, n; vmmcall; ret every 32 bytes", () => {
  longMode(guest, 0);
  // write the page, call stub 17, which exits with EAX = 17 and RIP past the VMMCALL
  assert.is(runCode(guest, `b9 00 00 00 40 b8 ${le32(0x10000)} 31 d2 0f 30 b8 ${le32(0x10000 + 17 * 32)} ff d0 f4`), "hypercall");
  assert.is(guest.gpr("rax"), 17n);
  assert.is(guest.rip, 0x10000 + 17 * 32 + 8);
  assert.is(guest.run(), Exit.hlt);
});

msr("the TSC follows the machine's clock and writes of TSC and TSC_ADJUST", () => {
  longMode(guest, 0);
  guest.now = 1000;
  runCode(guest, "0f 31 f4");
  assert.is(guest.gpr("rax"), 2000n, "2 GHz");
  longMode(guest, 0);
  guest.now = 1000;
  runCode(guest, `b9 10 00 00 00 b8 ${le32(5000)} 31 d2 0f 30 b9 3b 00 00 00 0f 32 f4`);
  assert.is(guest.gpr("rax"), 3000n);
});

msr("rdtsc at CPL 3 under CR4.TSD is #GP", () => {
  longMode(guest, 3);
  guest.setField(PcpuOff.cr4, 0x24n);
  assert.is(runCode(guest, "0f 31"), 13);
});
msr.run();

const bases = suite("FS and GS bases");

bases("rd/wrfsbase and rd/wrgsbase move bases, 32-bit forms zero-extend, swapgs exchanges", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.cr4, 0x10020n);
  guest.setGpr("rax", 0x7fff_8000_1234n);
  guest.setField(PcpuOff.kernelGsBase, 0xffff_8000_0000_0000n);
  // wrfsbase rax; rdfsbase rbx; wrgsbase eax; swapgs; rdgsbase rcx; mov dl, fs:[...] is not needed
  assert.is(runCode(guest, "f3 48 0f ae d0 f3 48 0f ae c3 f3 0f ae d8 0f 01 f8 f3 48 0f ae c9 f4"), -1);
  assert.is(guest.gpr("rbx"), 0x7fff_8000_1234n);
  assert.is(guest.gpr("rcx"), 0xffff_8000_0000_0000n);
  assert.is(guest.field(PcpuOff.kernelGsBase), 0x8000_1234n);
});

bases("wrfsbase of a non-canonical address is #GP", () => {
  longMode(guest, 3);
  guest.setField(PcpuOff.cr4, 0x10020n);
  guest.setGpr("rax", 1n << 47n);
  assert.is(runCode(guest, "f3 48 0f ae d0"), 13);
});

bases("loading a null selector clears the base", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.segBase + Seg.fs * 8, 0x1234n);
  runCode(guest, "31 c0 8e e0 f4");
  assert.is(guest.field(PcpuOff.segBase + Seg.fs * 8), 0n);
});
bases.run();

const smap = suite("CLAC and STAC");
smap("AC opens user pages to CPL 0 under SMAP, within one block", () => {
  longMode(guest, 0);
  guest.set64(0x6000, 0x83n); // code, tables and stacks: supervisor
  guest.set64(0x6008, 0x200087n); // user
  guest.setField(PcpuOff.cr4, 0x200020n);
  assert.is(runCode(guest, "0f 01 cb a1 00 00 20 00 00 00 00 00 0f 01 ca 8b 04 25 00 00 20 00"), 14);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), 1n, "a read of a present page");
  assert.is(guest.u64(Number(guest.gpr("rsp")) + 8), BigInt(CODE + 15), "the second read");
});
smap.run();

const cpuid = suite("CPUID");

function leaf(number: number, sub = 0): [number, number, number, number] {
  longMode(guest, 0);
  runCode(guest, `b8 ${le32(number)} b9 ${le32(sub)} 0f a2 f4`);
  return (["rax", "rbx", "rcx", "rdx"] as const).map((name) => Number(guest.gpr(name))) as [number, number, number, number];
}
const text = (...words: number[]) => words.map((w) => String.fromCharCode(w & 255, (w >> 8) & 255, (w >> 16) & 255, w >>> 24)).join("");

cpuid("vendor and Xen signatures", () => {
  const [, b, c, d] = leaf(0);
  assert.is(text(b, d, c), "AuthenticAMD");
  const [max, xb, xc, xd] = leaf(0x40000000);
  assert.is(text(xb, xc, xd), "XenVMMXenVMM");
  assert.is(max, 0x40000005);
  assert.is(leaf(0x40000001)[0], (4 << 16) | 17);
  assert.equal(leaf(0x40000002).slice(0, 2), [1, 0x40000000]);
  assert.is(leaf(0x40000003)[2], 2_000_000, "kHz");
  assert.equal(leaf(0x40000004), [0x5b, 0, 1, 0]);
});

cpuid("brand string", () => {
  assert.match(text(...leaf(0x80000002), ...leaf(0x80000003), ...leaf(0x80000004)), /^xenolith/);
});

cpuid("leaves beyond the last extended one are zeros", () => {
  assert.is(leaf(0x80000000)[0] & 0xffff, 0x21);
  for (const number of [0x80000022, 0x80010000, 0x80010001, 0x8fff0008]) assert.equal(leaf(number | 0), [0, 0, 0, 0], number.toString(16));
});

cpuid("OSXSAVE mirrors CR4, the APIC bit mirrors the APIC's global enable", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.cr4, 0x40020n);
  runCode(guest, "b8 01 00 00 00 0f a2 f4");
  assert.is((Number(guest.gpr("rcx")) >>> 27) & 1, 1);
  assert.is((Number(guest.gpr("rdx")) >>> 9) & 1, 1);
  assert.is((leaf(1)[2] >>> 27) & 1, 0);
});

cpuid("no AVX, and widths of 40 and 48 bits", () => {
  assert.is((leaf(1)[2] >>> 28) & 1, 0);
  assert.is((leaf(7)[1] >>> 5) & 1, 0);
  assert.is(leaf(0x80000008)[0], 0x3028);
});

cpuid("RDPMC reads the four counters of AMD processors, at CPL 0 or with CR4.PCE", () => {
  for (const [level, cr4, counter, vector] of [[0, 0x20n, 3n, -1], [0, 0x20n, 4n, 13], [3, 0x20n, 0n, 13], [3, 0x120n, 0n, 1]] as const) {
    longMode(guest, level);
    guest.setField(PcpuOff.cr4, cr4);
    guest.setGpr("rcx", counter);
    guest.setGpr("rax", ~0n & 0xffff_ffff_ffff_ffffn);
    assert.is(runCode(guest, vector === 1 ? "0f 33 f1" : "0f 33 f4"), vector);
    if (vector !== 13) assert.is(guest.gpr("rax"), 0n);
  }
});

cpuid("TSC conversion of Xen's leaf 3 gives nanoseconds", () => {
  const [, , mul, shift] = leaf(0x40000003, 1);
  const ticks = 2e9;
  const shifted = shift | 0 ? ticks * 2 ** (shift | 0) : ticks;
  assert.is(Math.round((shifted * mul) / 2 ** 32), 1e9);
});
cpuid.run();

const start = suite("PVH start (public/arch-x86/hvm/start_info.h)");
start("flat 32-bit protected mode, paging off, EBX = start_info", () => {
  guest.reset();
  guest.core.pvhStart(0x100000, 0x9000);
  assert.is(guest.rip, 0x100000);
  assert.is(guest.gpr("rbx"), 0x9000n);
  assert.is(guest.field(PcpuOff.cr0), 0x11n);
  assert.is(guest.field(PcpuOff.cr4), 0n);
  assert.is(guest.flags, 2);
  assert.is(guest.word(PcpuOff.segLimit + Seg.tr * 4), 0x67);
  assert.is(guest.word(PcpuOff.mode), Mode.bits32 | Mode.ss32 | Mode.flat | Mode.flatFs | Mode.flatGs);
});
start.run();
