/** Which cases the machine at hand can run at all. A processor of one's own runs all of them; one that a hypervisor lends without
 *  hardware virtualization may be lent for 64-bit code only, and not be entered with an RSP that is no canonical address. */
import { CODE, type Case, DONE, ENVS, MEMORY, runNative } from "./native";

const RSP = 4;
const NON_CANONICAL = 1n << 60n;
const isCanonical = (address: bigint) => BigInt.asIntN(48, address) === BigInt.asIntN(64, address);

function steps(program: string, env: number, rsp: bigint): boolean {
  const gpr = new BigUint64Array(16);
  gpr[RSP] = rsp;
  const nop: Case = { env, rip: ENVS[env].seg[1].base === CODE ? 0x100 : CODE + 0x100, step: true, repeats: false, code: Uint8Array.of(0x90), gpr, rflags: 0, memory: new Uint8Array(MEMORY) };
  try {
    return runNative(program, [nop])[0].trap === DONE;
  } catch {
    return false; // without the segments of the environment the recorder cannot go on
  }
}

export interface Host {
  /** By index in ENVS. */
  readonly envs: readonly boolean[];
  runs(c: Case): boolean;
  /** What is left out here, in words; empty if nothing is. */
  readonly without: string;
}

export function hostOf(program: string): Host {
  const envs = ENVS.map((_, env) => steps(program, env, 0n));
  const anyRsp = steps(program, 0, NON_CANONICAL);
  return {
    envs,
    runs: (c) => envs[c.env] && (anyRsp || ENVS[c.env].bits !== 64 || isCanonical(c.gpr[RSP])),
    without: [...ENVS.filter((_, env) => !envs[env]).map(({ name }) => `${name} code`), ...(anyRsp ? [] : ["stack pointers that are not canonical"])].join("; "),
  };
}
