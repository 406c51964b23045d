import { PROGRAMS } from "./programs";
import { buildImage } from "./build_programs";
import { coreEngine } from "./engines/core";
const [names, bitsArg = "32,64", rounds = "3"] = process.argv.slice(2);
const engine = coreEngine("jit", { shared: false, jit: true });
for (const name of names.split(",")) {
  const program = PROGRAMS.find((p) => p.name === name)!;
  for (const bits of bitsArg.split(",").map(Number) as (32 | 64)[]) {
    const image = buildImage(program, bits);
    const loaded = await engine.load(image);
    let best = Infinity, n = 0, sum = 0;
    for (let i = 0; i < 3 + Number(rounds); i++) {
      const s = await loaded.run(program.count, 60000);
      sum = s.checksum; n = s.instructions!;
      console.log(i, (s.instructions!/s.cpuMs/1000).toFixed(0)); if (i >= 2) best = Math.min(best, s.cpuMs);
    }
    loaded.close();
    console.log(`${name}${bits}\t${(n / best / 1000).toFixed(0)}\t${best.toFixed(1)}ms\t${sum.toString(16)}`);
  }
}
process.exit(0);
