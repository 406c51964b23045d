/** What was found out about one instruction holds for all of its kind (assembly/cpu/known): after others with the same prefixes and opcode an
 *  encoding is decoded to the record it has where nothing is known. That records mean what the manual says is for the other tests of instructions. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CODE, type Case, ENVS, MEMORY } from "../../hardware/native";
import { BatchPc } from "../../support/batch_pc";
import { Random } from "../../support/random";

const COUNT = process.env.XENOLITH_LONG === "1" ? 200_000 : 12_000;

const known = suite("decoder, kinds of instructions");

/** Prefixes and opcode that kinds are known of, and others in between. */
function randomStart(r: Random, bits: number): number[] {
  const bytes: number[] = [];
  if (r.chance(0.2)) bytes.push(0x66);
  if (r.chance(0.03)) bytes.push(r.pick([0x66, 0x67, 0xf3, 0xf0, 0x64, 0x3e]));
  if (bits === 64 && r.chance(0.5)) bytes.push(0x40 | r.below(16));
  if (r.chance(0.3)) bytes.push(0x0f);
  bytes.push(r.chance(0.4) ? r.pick([0xc1, 0xd1, 0x80, 0x81, 0x83, 0xf6, 0xf7, 0xfe, 0xff, 0xc0, 0x90 + r.below(8), 0xb8 + r.below(8), 0xba, 0xa5, 0xac, 0x01, 0x1f]) : r.below(256));
  return bytes;
}

/** ModRM and what may follow. `like`: with the same ModRM.reg. */
function randomRest(r: Random, like: number): number[] {
  const modrm = (like & 0x38) | (r.chance(0.4) ? 0xc0 : r.below(4) << 6) | r.below(8);
  return [modrm, ...Array.from({ length: 14 }, () => (r.chance(0.4) ? r.pick([0, 1, 0x20, 0x40, 0xff, 0x80, 0x7f, 0x25]) : r.below(256)))];
}

known(`${COUNT} random encodings`, async () => {
  const pc = await BatchPc.create();
  const r = new Random("kinds");
  const wrong: string[] = [];
  let kinds = 0;
  for (let i = 0; i < COUNT; i++) {
    const env = r.pick([0, 1]);
    const { bits } = ENVS[env];
    const start = randomStart(r, bits);
    const like = r.below(256);
    const code = Uint8Array.from([...start, ...randomRest(r, like)]);
    const decode = (page: number, bytes: Uint8Array) => {
      const c: Case = { env, rip: CODE + page * 4096 + 0x180 + (i % 12) * 256, step: true, repeats: true, code: bytes, gpr: new BigUint64Array(16), rflags: 0, memory: new Uint8Array(MEMORY) };
      return pc.decode(c).record;
    };
    pc.forgetKinds();
    const alone = decode(1, code);
    if (!pc.knowsKinds()) continue;
    kinds++;
    pc.forgetKinds();
    for (let n = 0; n < 3; n++) decode(2 + n, Uint8Array.from([...start, ...randomRest(r, like)]));
    const after = decode(5, code);
    const again = decode(6, code);
    for (const record of [after, again])
      if (Buffer.compare(record, alone) !== 0) wrong.push(`${bits}-bit ${Buffer.from(code).toString("hex")}: ${Buffer.from(record).toString("hex")}, not ${Buffer.from(alone).toString("hex")}`);
  }
  assert.is(wrong.length, 0, `${wrong.length} wrong\n${wrong.slice(0, 12).join("\n")}`);
  assert.ok(kinds > COUNT / 2, `${kinds} of ${COUNT}`);
});

known.run();
