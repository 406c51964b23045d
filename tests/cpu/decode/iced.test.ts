/** The decoder agrees with an independent one (iced-x86) about lengths and invalid opcodes, over random prefixes, opcodes of all
 *  maps and ModRM bytes in the three code sizes. What only newer or other processors have must be invalid here. */
import { Code, CpuidFeature, Decoder, DecoderError, DecoderOptions } from "iced-x86";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CODE, type Case, ENVS, MEMORY } from "../../hardware/native";
import { BatchPc } from "../../support/batch_pc";
import { Random } from "../../support/random";
import { randomEncoding } from "./encodings";

const COUNT = process.env.XENOLITH_LONG === "1" ? 1_000_000 : 25_000;

/** Features of the processor the core is; with the rest an opcode is invalid (SDM Vol.2A "CPUID"). */
const HAS = new Set(
  ["INTEL8086", "INTEL8086_ONLY", "INTEL186", "INTEL286", "INTEL386", "INTEL486", "X64", "FPU", "FPU287", "FPU387", "CPUID", "CMOV", "CX8", "CMPXCHG16B", "MMX", "SSE", "SSE2", "SSE3", "SSSE3", "SSE4_1", "SSE4_2", "POPCNT", "LZCNT",
    "BMI1", "BMI2", "ADX", "MOVBE", "AES", "PCLMULQDQ", "FXSR", "XSAVE", "MSR", "TSC", "RDTSCP", "RDPMC", "PAUSE", "MULTIBYTENOP", "SEP", "SYSCALL", "CLFSH", "PREFETCHW"].map((name) => (CpuidFeature as unknown as Record<string, number>)[name]),
);
/** Valid where iced has them, refused here for a reason: undefined by intent, the mode (CPL 3, CR4 and EFER of the test) or the
 *  register form that AMD processors refuse. */
const REFUSED = /^(Ud0|Ud1|Ud2|Loadall|Cl1invmb|Umov|Xbts|Ibts|Rsm|Xgetbv|Xsetbv|Xsave|Xrstor|Femms|Prefetchreserved|Reservednop|Nop_rm(16|32|64)|Monitor|Mwait|Getsec|Smsw|Sysexit|Sysret|Jmpe|Storeall|Lar|Lsl|Cmpxchg486|Cmpxchg_)/;

const iced = suite("decoder against iced-x86");

iced(`${COUNT} random encodings`, async () => {
  const pc = await BatchPc.create();
  const r = new Random("iced");
  const wrong = new Map<string, string>();
  const CODES = Code as unknown as Record<number, string>;
  let compared = 0;
  for (let i = 0; i < COUNT; i++) {
    const env = r.pick([0, 1, 3]);
    const { bits } = ENVS[env];
    const code = randomEncoding(r, bits);
    const rip = (bits === 16 ? 0 : CODE) + 0x100 + (i % 200) * 256;
    const c: Case = { env, rip, step: true, repeats: true, code, gpr: new BigUint64Array(16), rflags: 0, memory: new Uint8Array(MEMORY) };
    const { length, result } = pc.decode(c);
    const refused = result.trap === 6 && result.rip === BigInt(rip);
    const decoder = new Decoder(bits, code.subarray(0, 15), DecoderOptions.None);
    const instruction = decoder.decode();
    const name = CODES[instruction.code];
    const features = [...instruction.cpuidFeatures()];
    const text = `${bits}-bit ${[...code.subarray(0, 15)].map((b) => b.toString(16).padStart(2, "0")).join(" ")}`;
    if (instruction.code === Code.INVALID) {
      if (decoder.lastError !== DecoderError.NoMoreBytes && !refused) wrong.set(`invalid, but accepted: ${text}`, "");
    } else if (!refused) {
      compared++;
      if (length !== instruction.length) wrong.set(`${name}: ${length} bytes, not ${instruction.length}`, text);
    } else if (features.every((f) => HAS.has(f)) && !REFUSED.test(name)) wrong.set(`${name} is refused`, text);
    instruction.free();
    decoder.free();
  }
  assert.is(wrong.size, 0, [...wrong].slice(0, 12).map(([what, text]) => `${what} ${text}`).join("\n"));
  assert.ok(compared > COUNT / 3);
});

iced.run();
