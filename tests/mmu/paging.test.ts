import { suite } from "uvu";
import { buildFixture, env, fixtureMemory } from "../support/asc_fixture";
const s = suite("x");
s("builds", async () => {
  console.time("b");
  const m = await buildFixture("tests/mmu/fixture/paging.ts", { replace: {"assembly/cpu/code_cache.ts":"tests/mmu/fixture/code_cache.ts", "assembly/cpu/helpers/apic.ts": "tests/mmu/fixture/apic.ts"}});
  console.timeEnd("b");
  const i = await WebAssembly.instantiate(m, env(fixtureMemory()));
  console.log(Object.keys(i.exports));
});
s.run();
