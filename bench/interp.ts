/** The guest programs on the engines, under benny: for each program and mode one suite, three times, one case "engine: program" for each
 *  engine. A case that gives another checksum than the host, or none in time, is reported and does not count. A host that
 *  runs 64-bit code only still has the checksum: it is the same in both modes. */
import { add, complete, configure, suite } from "benny";
import { buildImage, type Image } from "./build_programs";
import { type Engine, type Loaded, type Sample, within } from "./engines/engine";
import { type Native, runNative } from "./engines/native";
import { type Bits, PROGRAMS, type Program } from "./programs";
import type { Figure, ProgramResult, Results } from "./report";
import { median, spread } from "./statistics";
import { allIsWell } from "./watchdog";

const DEADLINE_MS = 15_000; // for one run, which takes a fraction of a second
const CLOSE_MS = 5_000;
const SAMPLE_MS = 60; // a sample of a fast engine is several runs
const MOST_ROUNDS = 20;
/* An engine is warm when so many runs in turn were no faster, but for this part, than the best before them; or so many were done, or so much time has passed. */
const STEADY_RUNS = 6;
const FASTER = 0.98;
const MOST_WARM_UPS = 60;
const WARM_UP_MS = 6_000;
/** All engines in turn, that often: a host that is slower for a while, as by what its neighbour does, is so for all of them. */
const TURNS = 3;
const BENNY = { minSamples: 1, minTime: 0.001, maxTime: 0.2, delay: 0 };

/** One engine with the program loaded: counts what benny lets it do. */
class Case {
  readonly samples: Sample[] = [];
  failure: string | null = null;
  private rounds = 1;

  private constructor(
    readonly engine: Engine,
    private readonly image: Image,
    private readonly expected: number,
    private readonly loaded: Loaded,
  ) {}

  static async prepare(engine: Engine, image: Image, expected: number): Promise<Case> {
    const each = new Case(engine, image, expected, await engine.load(image));
    const best = await each.warmUp();
    each.rounds = Math.min(Math.ceil(SAMPLE_MS / Math.max(best, 1)), MOST_ROUNDS);
    return each;
  }

  /** Compilers of all kinds are at work meanwhile. CPU time of the quickest run. */
  private async warmUp(): Promise<number> {
    const until = performance.now() + WARM_UP_MS;
    let best = Number.POSITIVE_INFINITY;
    for (let n = 0, steady = 0; n < MOST_WARM_UPS && steady < STEADY_RUNS && performance.now() < until && !this.failure; n++) {
      const { cpuMs } = await this.once();
      steady = cpuMs < best * FASTER ? 0 : steady + 1;
      best = Math.min(best, cpuMs);
    }
    return best;
  }

  private async once(): Promise<Sample> {
    allIsWell();
    try {
      const sample = await this.loaded.run(this.image.program.count, DEADLINE_MS);
      if (sample.checksum === this.expected) return sample;
      this.failure = `checksum ${sample.checksum.toString(16)} instead of ${this.expected.toString(16)}`;
    } catch (error) {
      this.failure = String(error);
    }
    return { checksum: 0, wallMs: 0, cpuMs: 0 };
  }

  async sample(): Promise<void> {
    if (this.failure) return;
    const sum = { wallMs: 0, cpuMs: 0, instructions: undefined as number | undefined };
    for (let n = 0; n < this.rounds; n++) {
      const { wallMs, cpuMs, instructions } = await this.once();
      if (this.failure) return;
      sum.wallMs += wallMs / this.rounds;
      sum.cpuMs += cpuMs / this.rounds;
      sum.instructions = instructions;
    }
    this.samples.push({ checksum: this.expected, ...sum });
  }

  figure(): Figure {
    const cpu = this.samples.map(({ cpuMs }) => cpuMs);
    const wallMs = median(this.samples.map((sample) => sample.wallMs));
    return { engine: this.engine.name, cpuMs: median(cpu), wallMs, spread: spread(cpu), samples: cpu.length };
  }

  close(): Promise<void> | void {
    return this.loaded.close();
  }
}

export async function benchPrograms(engines: readonly Engine[], wanted: (name: string) => boolean, results: Results): Promise<void> {
  for (const program of PROGRAMS.filter(({ name }) => wanted(name))) {
    for (const bits of [32, 64] as const) {
      const able = engines.filter((engine) => engine.runs(program, bits));
      if (able.length) await benchProgram(program, bits, able, results);
    }
  }
}

function nativeOrNothing(image: Image): Native | null {
  try {
    return runNative(image);
  } catch (error) {
    if (image.bits === 64) throw error;
    console.log(`  without the host's own figure: ${error}`);
    return null;
  }
}

async function benchProgram(program: Program, bits: Bits, engines: readonly Engine[], results: Results): Promise<void> {
  const title = `${program.name}, ${bits}-bit`;
  const image = buildImage(program, bits);
  const native = nativeOrNothing(image);
  const expected = native?.checksum ?? runNative(buildImage(program, 64)).checksum;
  const cases: Case[] = [];
  const fail = (engine: Engine, why: string) => results.failures.push(`${engine.name}: ${title}: ${why}`);
  for (const engine of engines) {
    try {
      cases.push(await Case.prepare(engine, image, expected));
    } catch (error) {
      fail(engine, String(error));
    }
  }

  for (let turn = 1; turn <= TURNS; turn++) {
    // benny calls each function while it assembles the suite; only from `begin` on does it count.
    let begun = false;
    const begin = async () => (assembled: never) => {
      begun = true;
      return assembled;
    };
    await suite(
      `${title}, ${turn} of ${TURNS}`,
      configure({ cases: BENNY }),
      ...cases.map((each) => add(`${each.engine.name}: ${program.name}`, async () => (begun ? each.sample() : undefined))),
      complete(() => {}),
      begin as never,
    );
  }

  const good = cases.filter((each) => !each.failure && each.samples.length > 0);
  const instructions = good.flatMap(({ samples }) => samples.map((sample) => sample.instructions)).find((count) => count !== undefined) ?? null;
  const result: ProgramResult = {
    name: program.name,
    title: program.title,
    bits,
    instructions,
    nativeMs: native?.cpuMs ?? null,
    figures: good.map((each) => each.figure()),
    event: program.event && { name: program.event.name, count: program.event.perCount * program.count },
  };
  for (const figure of result.figures) {
    if (instructions && !program.noMips) figure.mips = instructions / figure.cpuMs / 1000;
    const mips = figure.mips ? `${figure.mips.toFixed(0).padStart(5)} MIPS  ` : "".padStart(12);
    console.log(`  ${figure.engine.padEnd(8)} ${mips}${figure.cpuMs.toFixed(1).padStart(8)} ms CPU  +-${(figure.spread * 100).toFixed(0)} %  ${figure.samples} samples`);
  }
  for (const each of cases) {
    if (each.failure) fail(each.engine, each.failure);
    await within(CLOSE_MS, `${each.engine.name}: closing`, Promise.resolve(each.close())).catch((error) => fail(each.engine, String(error)));
  }
  results.programs.push(result);
}
