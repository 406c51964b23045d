/** What the manual says about control transfers and segment loads in protected mode, for comparison: the "Operation" parts of SDM
 *  Vol.2 CALL, JMP, RET, IRET, INT n and MOV, and Vol.3A "Privilege Level Checking". Shares nothing with the core. */

/** Kinds of segment descriptors by their type field; system descriptors are `system`. */
export type DescriptorKind = "data" | "writable" | "code" | "readable" | "conforming" | "system";
export const KINDS: readonly DescriptorKind[] = ["data", "writable", "code", "readable", "conforming", "system"];
/** Access byte without DPL and P: S and type; an LDT for `system`. */
export const TYPE: Record<DescriptorKind, number> = { data: 0x11, writable: 0x13, code: 0x19, readable: 0x1b, conforming: 0x1f, system: 0x02 };

export interface Descriptor {
  readonly kind: DescriptorKind;
  readonly dpl: number;
  readonly present: boolean;
}

/** A selector and what it selects; undefined: a null selector. */
export interface Selected {
  readonly selector: number;
  readonly descriptor?: Descriptor;
}

export interface Fault {
  readonly vector: number;
  readonly error: number;
}
export interface Outcome {
  readonly fault?: Fault;
  /** CPL afterwards. */
  readonly cpl?: number;
}

const [NP, SS, GP] = [11, 12, 13];
const isCode = ({ kind }: Descriptor) => kind === "code" || kind === "readable" || kind === "conforming";
const refuse = (vector: number, selector: number): Outcome => ({ fault: { vector, error: selector & ~3 } });
const rpl = ({ selector }: Selected) => selector & 3;

/** RET and IRET to `cs`, with `ss` if the level changes. */
export function returnTo(cpl: number, cs: Selected, ss: Selected): Outcome {
  const code = cs.descriptor;
  if (!code) return refuse(GP, 0);
  const level = rpl(cs);
  if (!isCode(code) || level < cpl) return refuse(GP, cs.selector);
  if (code.kind === "conforming" ? code.dpl > level : code.dpl !== level) return refuse(GP, cs.selector);
  if (!code.present) return refuse(NP, cs.selector);
  if (level > cpl) {
    const stack = ss.descriptor;
    if (!stack) return refuse(GP, 0);
    if (rpl(ss) !== level || stack.kind !== "writable" || stack.dpl !== level) return refuse(GP, ss.selector);
    if (!stack.present) return refuse(SS, ss.selector);
  }
  return { cpl: level };
}

/** Far CALL and JMP to a code segment. */
export function transferTo(cpl: number, cs: Selected): Outcome {
  const code = cs.descriptor;
  if (!code) return refuse(GP, 0);
  if (!isCode(code)) return refuse(GP, cs.selector);
  if (code.kind === "conforming" ? code.dpl > cpl : rpl(cs) > cpl || code.dpl !== cpl) return refuse(GP, cs.selector);
  if (!code.present) return refuse(NP, cs.selector);
  return { cpl };
}

/** Far CALL or JMP through a call gate, selected by `gate` with the gate's own DPL and P. */
export function throughGate(cpl: number, gate: Selected, cs: Selected, jump: boolean): Outcome {
  const { dpl, present } = gate.descriptor!;
  if (dpl < cpl || dpl < rpl(gate)) return refuse(GP, gate.selector);
  if (!present) return refuse(NP, gate.selector);
  return target(cpl, cs, jump);
}

/** INT n through an interrupt or trap gate in IDT entry `vector`. */
export function throughIdt(cpl: number, vector: number, gate: { readonly dpl: number; readonly present: boolean; readonly legal: boolean }, cs: Selected): Outcome {
  const entry = vector * 8 + 2;
  if (!gate.legal || gate.dpl < cpl) return { fault: { vector: GP, error: entry } };
  if (!gate.present) return { fault: { vector: NP, error: entry } };
  return target(cpl, cs, false);
}

/** The code segment a gate leads to: never less privileged; JMP may not change CPL. */
function target(cpl: number, cs: Selected, jump: boolean): Outcome {
  const code = cs.descriptor;
  if (!code) return refuse(GP, 0);
  if (!isCode(code) || code.dpl > cpl) return refuse(GP, cs.selector);
  if (jump && code.kind !== "conforming" && code.dpl !== cpl) return refuse(GP, cs.selector);
  if (!code.present) return refuse(NP, cs.selector);
  return { cpl: code.kind === "conforming" ? cpl : code.dpl };
}

/** MOV to SS, or to another data segment register. */
export function loadOf(cpl: number, stack: boolean, s: Selected): Outcome {
  const d = s.descriptor;
  if (!d) return stack ? refuse(GP, 0) : { cpl };
  if (stack) {
    if (rpl(s) !== cpl || d.kind !== "writable" || d.dpl !== cpl) return refuse(GP, s.selector);
    return d.present ? { cpl } : refuse(SS, s.selector);
  }
  if (d.kind === "system" || d.kind === "code") return refuse(GP, s.selector);
  if (d.kind !== "conforming" && (rpl(s) > d.dpl || cpl > d.dpl)) return refuse(GP, s.selector);
  return d.present ? { cpl } : refuse(NP, s.selector);
}
