/** The opcode space as iced-x86 knows it, instruction by instruction, beside what the rows make of it. */
import { Code, CpuidFeature, Decoder, DecoderOptions, EncodingKind, Instruction, Mnemonic } from "iced-x86";
import type { InsnSpec } from "../row";
import { ALL_ROWS, type Bits, bytesOf, type Encoding, legacyEncodings, rowOf, vectorEncodings } from "./encodings";
import { FEATURES } from "./features";

const nameIn = (names: object, value: number) => (names as Record<number, string>)[value];

export interface Known {
  /** iced-x86's name of the instruction and its operands' forms. */
  readonly code: string;
  readonly mnemonic: string;
  readonly features: readonly string[];
  readonly bits: Bits;
  /** The first encoding of it that this row takes, or none. */
  readonly encoding: Encoding;
  readonly row?: InsnSpec;
}

const CHUNK = 4096;
const STRIDE = 20;

/** Every instruction in every mode, split by the row that takes it; and encodings a row takes that iced-x86 says are invalid. */
export function walkOpcodes(): { known: Known[]; invalid: { encoding: Encoding; row: InsnSpec }[] } {
  const known = new Map<string, Known>();
  const invalid: { encoding: Encoding; row: InsnSpec }[] = [];
  const instruction = new Instruction();
  const buffer = new Uint8Array(CHUNK * STRIDE);
  const decodeAll = (chunk: readonly Encoding[]) => {
    chunk.forEach((e, i) => void buffer.set(bytesOf(e).slice(0, STRIDE), i * STRIDE));
    const decoder = new Decoder(chunk[0].bits, buffer.subarray(0, chunk.length * STRIDE), DecoderOptions.None);
    chunk.forEach((encoding, i) => {
      decoder.position = i * STRIDE;
      decoder.decodeOut(instruction);
      const row = rowOf(encoding);
      if (instruction.code === Code.INVALID) {
        if (row) invalid.push({ encoding, row });
        return;
      }
      const key = `${encoding.bits} ${instruction.code} ${row ? ALL_ROWS.indexOf(row) : ""}`;
      if (known.has(key)) return;
      const features = [...instruction.cpuidFeatures()].map((f) => nameIn(CpuidFeature, f));
      known.set(key, { code: nameIn(Code, instruction.code), mnemonic: nameIn(Mnemonic, instruction.mnemonic).toLowerCase(), features, bits: encoding.bits, encoding, row });
    });
    decoder.free();
  };
  for (const encodings of [legacyEncodings, vectorEncodings]) {
    let chunk: Encoding[] = [];
    for (const e of encodings()) {
      if (chunk.length === CHUNK || (chunk.length && chunk[0].bits !== e.bits)) {
        decodeAll(chunk);
        chunk = [];
      }
      chunk.push(e);
    }
    if (chunk.length) decodeAll(chunk);
  }
  instruction.free();
  return { known: [...known.values()], invalid };
}

/** Instructions of the legacy and VEX maps that iced-x86 has and the walk has not met: it should meet them all. */
export function unmet(known: readonly Known[], optional: (code: string) => boolean): string[] {
  const met = new Set(known.map((k) => k.code));
  const instruction = new Instruction();
  const missing: string[] = [];
  for (const code of Object.values(Code)) {
    if (typeof code !== "number" || code === Code.INVALID) continue;
    const name = nameIn(Code, code);
    if (met.has(name) || optional(name)) continue;
    instruction.code = code;
    if (instruction.encoding === EncodingKind.Legacy) missing.push(name);
  }
  instruction.free();
  return missing;
}

/** Is everything an instruction needs reported? */
export const isReported = (features: readonly string[]): boolean =>
  features.every((name) => {
    const feature = FEATURES[name];
    if (!feature) throw new Error(`src/spec/isa/features.ts does not know ${name}`);
    return feature.absent === undefined;
  });
