/** CMPS whose two operands both fault. The manuals leave open which fault is reported (SDM volume 3, "Prioritization of Concurrent
 *  Events"; AMD's family 25 reports that of ES:rDI, family 26 that of DS:rSI unless REP is in front), so either is right. */
import { DATA, differences, type Case, ENVS, type Result, runNative } from "./native";

const RSI = 6;
const OVERRIDES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const DS = 3;

/** The case with DS:rSI, or what overrides it, at the beginning of the data. */
function withSource(c: Case): Case {
  const gpr = c.gpr.slice();
  const { bits, seg } = ENVS[c.env];
  const known = bits === 64 ? OVERRIDES.slice(4) : OVERRIDES;
  const prefix = [...c.code.subarray(0, -1)].reverse().find((byte) => known.includes(byte));
  gpr[RSI] = BigInt(DATA - seg[prefix === undefined ? DS : OVERRIDES.indexOf(prefix)].base);
  return { ...c, gpr };
}

/** Whether `got`, which is not what the processor answered, is what it answers when the first operand does not fault. */
export function isOtherFault(program: string, c: Case, want: Result, got: Result): boolean {
  if (![13, 14].includes(want.trap) || ![13, 14].includes(got.trap)) return false;
  const other = withSource(c);
  const [answer] = runNative(program, [other]);
  const gpr = got.gpr.slice();
  gpr[RSI] = other.gpr[RSI];
  return got.gpr[RSI] === c.gpr[RSI] && differences(other, answer, { ...got, gpr }).length === 0;
}
