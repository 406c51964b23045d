/** One row per instruction form, in the notation of SDM Vol.2D Appendix A:
 *
 *  opcode   "[NP|66|F3|F2] [VEX.xx] [0F | 0F 38 | 0F 3A] XX [XX] [/r | /0../7] [mem | reg]"
 *           a mandatory prefix only where it selects the instruction; "mem"/"reg" restrict ModRM.mod;
 *           "+r" after the last byte: the register is in its low three bits (one row for eight opcodes)
 *  operands E G S C D R M O J A I X Y V W P Q N U H B with a size letter: b w d q v (16/32/64) z (16/32) y (32/64) p s t dq ...
 *           or a fixed register: AL eAX rAX CL DX, "1", ES..GS
 */
export interface InsnOptions {
  /** Valid only in 64-bit mode, or only outside it. */
  readonly mode?: "long" | "legacy";
  readonly lock?: true;
  /** Changes rip, mode or mappings, or may exit: nothing is decoded after it in its block. */
  readonly endsBlock?: true;
  /** Operand size is 64 bits in 64-bit mode without REX.W. */
  readonly default64?: true;
  /** Name of its Op where the mnemonic alone is ambiguous. */
  readonly op?: string;
  /** Status flags left undefined, of "oszapc". */
  readonly undefinedFlags?: string;
  /** REX.W must be 0 or 1 to select this row. */
  readonly w?: 0 | 1;
}

export interface InsnSpec extends InsnOptions {
  readonly opcode: string;
  readonly mnemonic: string;
  readonly operands: string;
}

export function insn(opcode: string, mnemonic: string, operands: string, options: InsnOptions = {}): InsnSpec {
  return { opcode, mnemonic, operands, ...options };
}
