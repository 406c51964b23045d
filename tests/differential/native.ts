/** Programs on this machine's processor and on the core, and what is left of one that differs after shrinking. */
import { differences, type Result, runNative } from "../hardware/native";
import type { BatchPc, Under } from "../support/batch_pc";
import { type Program, PROGRAM_FLAGS, PROGRAM_WINDOWS, without } from "./programs";

export function compare(native: string, pc: BatchPc, programs: readonly Program[], under: Under = "compatibility"): string[][] {
  const wanted = runNative(native, programs, PROGRAM_WINDOWS);
  return programs.map((program, i) => differ(program, wanted[i], pc, under));
}

function differ(program: Program, want: Result, pc: BatchPc, under: Under): string[] {
  if (want.trap === 255) return []; // ran away
  const got = pc.run(program, under, 2_000_000);
  return differences(program, want, got, PROGRAM_FLAGS, PROGRAM_WINDOWS);
}

/** Leaves out unit after unit as long as the difference stays. */
export function shrink(native: string, pc: BatchPc, program: Program, under: Under = "compatibility"): Program {
  let removed: number[] = [];
  for (;;) {
    const left = program.units.map((_, i) => i).filter((i) => !removed.includes(i));
    const tries = left.map((i) => without(program, [...removed, i]));
    const found = compare(native, pc, tries, under);
    const gone = left.filter((_, i) => found[i].length > 0);
    if (gone.length === 0) return without(program, removed);
    const all = without(program, [...removed, ...gone]);
    removed = gone.length > 1 && compare(native, pc, [all], under)[0].length ? [...removed, ...gone] : [...removed, gone[0]];
  }
}
