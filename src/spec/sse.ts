/** SSE: single precision on XMM registers. `SSE` collects all rows performed by assembly/cpu/semantics/sse.ts. */
import { PACKED_XMM } from "./mmx";
import { type InsnSpec, insn } from "./row";
import { SSE2 } from "./sse2";
import { SSE3_4 } from "./sse3_4";

/** The packed (no prefix) and scalar (F3) forms of one operation. */
const single = (opcode: string, name: string, immediate = ""): InsnSpec[] => [
  insn(`NP 0F ${opcode} /r`, `${name}ps`, `Vps,Wps${immediate}`),
  insn(`F3 0F ${opcode} /r`, `${name}ss`, `Vss,Wss${immediate}`),
];

const SSE1: readonly InsnSpec[] = [
  insn("NP 0F 10 /r", "movups", "Vps,Wps"),
  insn("NP 0F 11 /r", "movups", "Wps,Vps", { op: "movups_store" }),
  insn("NP 0F 28 /r", "movaps", "Vps,Wps"),
  insn("NP 0F 29 /r", "movaps", "Wps,Vps", { op: "movaps_store" }),
  insn("F3 0F 10 /r", "movss", "Vss,Wss"),
  insn("F3 0F 11 /r", "movss", "Wss,Vss", { op: "movss_store" }),
  insn("NP 0F 12 /r mem", "movlps", "Vq,Mq"),
  insn("NP 0F 12 /r reg", "movhlps", "Vq,Uq"),
  insn("NP 0F 13 /r mem", "movlps", "Mq,Vq", { op: "movlps_store" }),
  insn("NP 0F 16 /r mem", "movhps", "Vq,Mq"),
  insn("NP 0F 16 /r reg", "movlhps", "Vq,Uq"),
  insn("NP 0F 17 /r mem", "movhps", "Mq,Vq", { op: "movhps_store" }),
  insn("NP 0F 2B /r mem", "movntps", "Mps,Vps"),
  insn("NP 0F 14 /r", "unpcklps", "Vps,Wps"),
  insn("NP 0F 15 /r", "unpckhps", "Vps,Wps"),
  insn("NP 0F C6 /r", "shufps", "Vps,Wps,Ib"),
  insn("NP 0F 50 /r reg", "movmskps", "Gd,Ups"),
  insn("NP 0F 54 /r", "andps", "Vps,Wps"),
  insn("NP 0F 55 /r", "andnps", "Vps,Wps"),
  insn("NP 0F 56 /r", "orps", "Vps,Wps"),
  insn("NP 0F 57 /r", "xorps", "Vps,Wps"),
  ...single("58", "add"),
  ...single("59", "mul"),
  ...single("5C", "sub"),
  ...single("5D", "min"),
  ...single("5E", "div"),
  ...single("5F", "max"),
  ...single("51", "sqrt"),
  ...single("52", "rsqrt"),
  ...single("53", "rcp"),
  ...single("C2", "cmp", ",Ib"),
  insn("NP 0F 2E /r", "ucomiss", "Vss,Wss"),
  insn("NP 0F 2F /r", "comiss", "Vss,Wss"),
  insn("NP 0F 2A /r", "cvtpi2ps", "Vps,Qq"),
  insn("F3 0F 2A /r", "cvtsi2ss", "Vss,Ey"),
  insn("NP 0F 2C /r", "cvttps2pi", "Pq,Wq"),
  insn("NP 0F 2D /r", "cvtps2pi", "Pq,Wq"),
  insn("F3 0F 2C /r", "cvttss2si", "Gy,Wss"),
  insn("F3 0F 2D /r", "cvtss2si", "Gy,Wss"),
];

export const SSE: readonly InsnSpec[] = [...SSE1, ...SSE2, ...PACKED_XMM, ...SSE3_4];
