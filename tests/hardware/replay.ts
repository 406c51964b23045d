/** Replays a file of recorded results on the core, in all environments, and says how much was compared. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../assembly/abi/jit";
import { PcpuOff, Region } from "../../assembly/abi/layout";
import type { Row } from "../cpu/integer/rows";
import { BatchPc, TRANSLATING, type Under } from "../support/batch_pc";
import { readVectors, unpackResult } from "./case_vectors";
import { type Case, describe, differences, ENVS } from "./native";

declare const XENOLITH_ROOT: string;

type Cases = readonly (Case & { readonly defined: number })[];

/** An instruction form: row, mode, operand size, register or memory operand; other prefixes, registers and addresses are operands. */
function formOf(row: Row, c: Case): string {
  const { bits } = ENVS[c.env];
  const code = [...c.code];
  let opsize = false;
  while ([0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65].includes(code[0])) opsize = code.shift() === 0x66 || opsize;
  const wide = bits === 64 && (code[0] & 0xf8) === 0x48 && !row.vex;
  if (bits === 64 && (code[0] & 0xf0) === 0x40 && !row.vex) code.shift();
  const modrm = code[row.vex ? 4 : row.escape.length + 1];
  const sized = row.string ? row.spec.operands !== "b" : row.operands.some((operand) => /^[A-Z][vyz]$/.test(operand));
  return `${bits} ${row.key} ${sized ? (wide ? 8 : opsize ? 2 : 4) : ""} ${row.modrm ? (modrm >= 0xc0 ? "reg" : "mem") : ""}`;
}

export type Rows = readonly Row[];
type CasesOf = (row: Row, env: number, count?: number) => Cases;

export function replay(title: string, file: string, rows: Rows, casesOf: CasesOf, exists: (row: Row, env: number) => boolean): void {
  const { header, results } = readVectors(join(XENOLITH_ROOT, file));
  const hardware = suite(`${title} against ${header.cpu}`);
  const byKey = new Map<string, { at: number; cases: number }>();
  let offset = 0;
  for (const [env, key, cases, bytes] of header.rows) {
    byKey.set(`${env} ${key}`, { at: offset, cases });
    offset += bytes;
  }
  hardware("every row has recorded cases in every mode it exists in", () => {
    for (const row of rows) ENVS.forEach((_, env) => exists(row, env) && assert.ok(byKey.has(`${env} ${row.key}`), `${row.key}: record again (tests/hardware/case_record.ts)`));
  });

  let pc: BatchPc;
  const forms = new Map<string, number>();
  const count = { cases: 0, faults: 0, wrong: 0 };
  hardware.before(async () => {
    pc = await BatchPc.create();
  });
  for (const under of ["compatibility", "legacy"] as readonly Under[])
    ENVS.forEach((environment, env) => {
      if ((environment.bits === 64 && under === "legacy") || !header.rows.some(([recorded]) => recorded === env)) return;
      hardware(`${environment.name} code${environment.bits === 64 ? "" : under === "legacy" ? " without long mode" : " under long mode"}`, () => {
        const wrong: string[] = [];
        for (const row of rows) {
          const recorded = byKey.get(`${env} ${row.key}`);
          if (!recorded) continue;
          let { at } = recorded;
          for (const c of casesOf(row, env, recorded.cases)) {
            const [want, next] = unpackResult(c, results, at);
            at = next;
            const found = differences(c, want, pc.run(c, under), c.defined);
            if (found.length) wrong.push(`${row.key}: ${describe(c)}: ${found.join("; ")}`);
            if (under === "legacy") continue;
            const form = formOf(row, c);
            forms.set(form, (forms.get(form) ?? 0) + 1);
            count.cases++;
            if (want.trap !== 1) count.faults++;
          }
        }
        count.wrong += wrong.length;
        assert.is(wrong.length, 0, `${wrong.length} wrong:\n${wrong.slice(0, 8).join("\n")}`);
      });
    });

  hardware("enough was compared", () => {
    const often = [...forms.values()].filter((n) => n >= 20).length;
    console.log(`${title}: ${forms.size} instruction forms (${often} of them with 20 operands or more), ${count.cases} cases, ${count.faults} of them faults, ${count.wrong} mismatches`);
    assert.ok(often >= 2000);
  });
  hardware.run();
}

/** Every `n`th case, in translated code: it runs as a block of a region. */
export function replayTranslated(title: string, file: string, rows: Rows, casesOf: CasesOf, n: number): void {
  const { header, results } = readVectors(join(XENOLITH_ROOT, file));
  const hardware = suite(`${title}, translated, against ${header.cpu}`);
  for (const env of [0, 1, 2, 3])
    hardware(`${ENVS[env].name} code`, async () => {
      const pc = await BatchPc.create(undefined, undefined, TRANSLATING);
      pc.leadIn = true;
      const restless = Region.PCPUS + PcpuOff.JIT + JitOff.restless;
      const byKey = new Map(rows.map((row) => [row.key, row]));
      const wrong: string[] = [];
      let [at, count, cases] = [0, 0, 0];
      for (const [recorded, key, many, bytes] of header.rows) {
        const row = byKey.get(key);
        let next = at;
        at += bytes;
        if (recorded !== env || !row) continue;
        for (const c of casesOf(row, env, many)) {
          const [want, behind] = unpackResult(c, results, next);
          next = behind;
          if (count++ % n) continue;
          cases++;
          pc.memory.u8.fill(0, restless, restless + 1024); // each case overwrites the last one's code
          pc.memory.set32(Region.PCPUS + PcpuOff.JIT + JitOff.climbFrom, 0); // no caller is looked for
          pc.memory.set32(Region.PCPUS + PcpuOff.JIT + JitOff.climbed, 12);
          const found = differences(c, want, pc.run(c), c.defined);
          if (found.length) wrong.push(`${row.key}: ${describe(c)}: ${found.join("; ")}`);
        }
      }
      const regions = pc.memory.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated);
      assert.is(wrong.length, 0, `${wrong.length} wrong of ${cases}:\n${wrong.slice(0, 8).join("\n")}`);
      assert.ok(regions > cases / 2, `${regions} regions for ${cases} cases`);
    });
  hardware.run();
}
