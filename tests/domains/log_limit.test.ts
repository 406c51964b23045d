/** What a guest prints on the hypervisor log is limited in rate, each domain by itself, and the log says what it lacks. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { limited } from "../../src/domains/pcpu";

const test = suite("rate of the hypervisor log");

test("a flood is cut, time gives room again, other domains are not affected", () => {
  let now = 0;
  const lines: string[] = [];
  const log = limited((domid, line) => lines.push(`${domid} ${line}`), { nowNs: () => now });
  for (let n = 0; n < 20_000; n++) log(1, `line ${n}`);
  assert.is(lines.length, 5000);
  log(2, "another");
  assert.is(lines.at(-1), "2 another");
  now += 10e6; // ten lines' worth
  log(1, "later");
  assert.equal(lines.slice(-2), ["1 (15000 lines dropped)", "1 later"]);
});

test.run();
