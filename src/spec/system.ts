/** System instructions, SDM Vol.2D Appendix A: segments, far transfers, interrupts, control registers, MSRs, ports, and
 *  cache and time hints. All are performed by assembly/cpu/helpers/system.ts. Opcodes without a row are #UD, among them
 *  UD0, UD1, UD2, RSM outside SMM, MONITOR, MWAIT, and VMX and SVM beyond VMCALL and VMMCALL. */
import { type InsnSpec, insn } from "./row";

const ends = { endsBlock: true } as const;
const long = { mode: "long" } as const;
const legacy = { mode: "legacy" } as const;

const STACKED = [
  ["06", "push", "ES", legacy],
  ["07", "pop", "ES", legacy],
  ["0E", "push", "CS", legacy],
  ["16", "push", "SS", legacy],
  ["17", "pop", "SS", legacy],
  ["1E", "push", "DS", legacy],
  ["1F", "pop", "DS", legacy],
  ["0F A0", "push", "FS", {}],
  ["0F A1", "pop", "FS", {}],
  ["0F A8", "push", "GS", {}],
  ["0F A9", "pop", "GS", {}],
] as const;

const segments: readonly InsnSpec[] = [
  ...STACKED.map(([opcode, name, seg, mode]) =>
    insn(opcode, name, seg, { ...mode, op: `${name}_${seg.toLowerCase()}`, default64: true, ...(name === "pop" ? ends : {}) }),
  ),
  insn("8C /r", "mov", "Ev,Sw", { op: "mov_from_seg" }),
  insn("8E /r", "mov", "Sw,Ew", { op: "mov_to_seg", ...ends }),
  insn("C4 /r mem", "les", "Gv,Mp", { ...legacy, ...ends }),
  insn("C5 /r mem", "lds", "Gv,Mp", { ...legacy, ...ends }),
  insn("0F B2 /r mem", "lss", "Gv,Mp", ends),
  insn("0F B4 /r mem", "lfs", "Gv,Mp", ends),
  insn("0F B5 /r mem", "lgs", "Gv,Mp", ends),
  insn("0F 00 /0", "sldt", "Ev"),
  insn("0F 00 /1", "str", "Ev"),
  insn("0F 00 /2", "lldt", "Ew"),
  insn("0F 00 /3", "ltr", "Ew"),
  insn("0F 00 /4", "verr", "Ew"),
  insn("0F 00 /5", "verw", "Ew"),
  insn("0F 02 /r", "lar", "Gv,Ew"),
  insn("0F 03 /r", "lsl", "Gv,Ew"),
  insn("63 /r", "arpl", "Ew,Gw", legacy),
  insn("0F 01 /0 mem", "sgdt", "M"),
  insn("0F 01 /1 mem", "sidt", "M"),
  insn("0F 01 /2 mem", "lgdt", "M"),
  insn("0F 01 /3 mem", "lidt", "M"),
  insn("F3 0F AE /0 reg", "rdfsbase", "Ry", long),
  insn("F3 0F AE /1 reg", "rdgsbase", "Ry", long),
  insn("F3 0F AE /2 reg", "wrfsbase", "Ry", long),
  insn("F3 0F AE /3 reg", "wrgsbase", "Ry", long),
  insn("0F 01 F8", "swapgs", "", long),
];

const transfers: readonly InsnSpec[] = [
  insn("9A", "callf", "Ap", { ...legacy, ...ends, op: "call_far_direct" }),
  insn("EA", "jmpf", "Ap", { ...legacy, ...ends, op: "jmp_far_direct" }),
  insn("FF /3 mem", "callf", "Mp", { ...ends, op: "call_far" }),
  insn("FF /5 mem", "jmpf", "Mp", { ...ends, op: "jmp_far" }),
  insn("CA", "retf", "Iw", { ...ends, op: "ret_far_imm" }),
  insn("CB", "retf", "", { ...ends, op: "ret_far" }),
  insn("CC", "int3", "", ends),
  insn("CD", "int", "Ib", { ...ends, op: "int_n" }),
  insn("CE", "into", "", { ...legacy, ...ends }),
  insn("F1", "int1", "", ends),
  insn("CF", "iret", "", ends),
  insn("62 /r mem", "bound", "Gv,Ma", legacy),
  insn("0F 05", "syscall", "", ends),
  insn("0F 07", "sysret", "", ends),
  insn("0F 34", "sysenter", "", ends),
  insn("0F 35", "sysexit", "", ends),
  insn("NP 0F 01 C1", "vmcall", "", ends),
  insn("0F 01 D9", "vmmcall", "", ends),
];

const control: readonly InsnSpec[] = [
  insn("9C", "pushf", "", { default64: true }),
  insn("9D", "popf", "", { default64: true, ...ends }),
  insn("FA", "cli", ""),
  insn("FB", "sti", ""),
  insn("F4", "hlt", "", ends),
  insn("0F 20 /r", "mov", "R,C", { op: "mov_from_cr" }),
  insn("0F 22 /r", "mov", "C,R", { op: "mov_to_cr", ...ends }),
  insn("0F 21 /r", "mov", "R,D", { op: "mov_from_dr" }),
  insn("0F 23 /r", "mov", "D,R", { op: "mov_to_dr", ...ends }),
  insn("0F 01 /4", "smsw", "Ev"),
  insn("0F 01 /6", "lmsw", "Ew", ends),
  insn("0F 06", "clts", ""),
  insn("0F 01 /7 mem", "invlpg", "M", ends),
  insn("66 0F 38 82 /r mem", "invpcid", "Gy,Mdq", ends),
  insn("0F 08", "invd", ""),
  insn("0F 09", "wbinvd", ""),
  insn("NP 0F 01 CA", "clac", ""),
  insn("NP 0F 01 CB", "stac", ""),
  insn("NP 0F 01 D0", "xgetbv", ""),
  insn("NP 0F 01 D1", "xsetbv", "", ends),
  insn("0F 30", "wrmsr", "", ends),
  insn("0F 32", "rdmsr", ""),
  insn("0F 31", "rdtsc", ""),
  insn("0F 01 F9", "rdtscp", ""),
  insn("0F 33", "rdpmc", ""),
  insn("0F A2", "cpuid", ""),
  insn("0F C7 /6 reg", "rdrand", "Rv"),
  insn("0F C7 /7 reg", "rdseed", "Rv"),
  insn("F3 0F C7 /7 reg", "rdpid", "Rq"),
  insn("NP 0F AE /5 reg", "lfence", ""),
  insn("NP 0F AE /6 reg", "mfence", ""),
  insn("NP 0F AE /7 reg", "sfence", ""),
  insn("NP 0F AE /7 mem", "clflush", "Mb"),
  insn("66 0F AE /7 mem", "clflushopt", "Mb", { op: "clflush" }),
  insn("66 0F AE /6 mem", "clwb", "Mb", { op: "clflush" }),
];

const ports: readonly InsnSpec[] = [
  insn("E4", "in", "AL,Ib", { op: "in_byte_imm" }),
  insn("E5", "in", "eAX,Ib", { op: "in_imm" }),
  insn("EC", "in", "AL,DX", { op: "in_byte_dx" }),
  insn("ED", "in", "eAX,DX", { op: "in_dx" }),
  insn("E6", "out", "Ib,AL", { op: "out_byte_imm", ...ends }),
  insn("E7", "out", "Ib,eAX", { op: "out_imm", ...ends }),
  insn("EE", "out", "DX,AL", { op: "out_byte_dx", ...ends }),
  insn("EF", "out", "DX,eAX", { op: "out_dx", ...ends }),
];

export const SYSTEM: readonly InsnSpec[] = [...segments, ...transfers, ...control, ...ports];
