/** The decoder agrees with an independent one (iced-x86) about lengths and invalid opcodes, over random prefixes, opcodes of all
 *  maps and ModRM bytes in the three code sizes. What only newer or other processors have must be invalid here. */
import { Code, CpuidFeature, Decoder, DecoderError, DecoderOptions } from "iced-x86";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TAKEN } from "../../../src/spec/isa/features";
import { isReported } from "../../../src/spec/isa/walk";
import { CODE, type Case, ENVS, MEMORY } from "../../hardware/native";
import { BatchPc } from "../../support/batch_pc";
import { Random } from "../../support/random";
import { randomEncoding } from "./encodings";

const COUNT = process.env.XENOLITH_LONG === "1" ? 1_000_000 : 25_000;

/** Valid where iced has them, refused here by choice (docs/isa.md). */
const REFUSED = /^(Ud[012]|Reservednop_rm\d+_r\d+_0F0D)/;

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
    const { length, refused, result } = pc.decode(c);
    const undefinedHere = result.trap === 6 && result.rip === BigInt(rip); // some operands are looked at when it runs
    const decoder = new Decoder(bits, code.subarray(0, 15), DecoderOptions.None);
    const instruction = decoder.decode();
    const name = CODES[instruction.code];
    const features = [...instruction.cpuidFeatures()].map((f) => (CpuidFeature as unknown as Record<number, string>)[f]);
    const text = `${bits}-bit ${[...code.subarray(0, 15)].map((b) => b.toString(16).padStart(2, "0")).join(" ")}`;
    if (instruction.code === Code.INVALID) {
      if (decoder.lastError !== DecoderError.NoMoreBytes && !undefinedHere) wrong.set(`invalid, but accepted: ${text}`, "");
    } else if (!refused && !undefinedHere) {
      compared++;
      if (!isReported(features) && !TAKEN[name]) wrong.set(`${name} is accepted`, text);
      if (length !== instruction.length) wrong.set(`${name}: ${length} bytes, not ${instruction.length}`, text);
    } else if (refused && isReported(features) && !REFUSED.test(name)) wrong.set(`${name} is refused`, text);
    instruction.free();
    decoder.free();
  }
  assert.is(wrong.size, 0, [...wrong].slice(0, 12).map(([what, text]) => `${what} ${text}`).join("\n"));
  assert.ok(compared > COUNT / 3);
});

iced.run();
