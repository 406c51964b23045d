/** Symbols out of a kernel's own tables, built here as scripts/kallsyms.c lays them out, before and after Linux 6.4. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kallsyms } from "../../src/domains/kallsyms";

const test = suite("kallsyms");
const BASE = 0xffffffff81000000n;

/** Token n stands for character n; what is no character of a name stands for more, as Linux uses all 256. */
const TOKENS = Array.from({ length: 256 }, (_, n) => (n === 0x01 ? "sys_" : n === 0x02 ? "do_" : n >= 0x21 && n < 0x7f ? String.fromCharCode(n) : `unused_${n}`));
const encode = (text: string) => [...text.replaceAll("sys_", "\x01").replaceAll("do_", "\x02")].map((c) => c.charCodeAt(0));

function image(symbols: readonly (readonly [offset: number, text: string])[], late: boolean): Uint8Array {
  const bytes: number[] = Array(4096).fill(0xcc);
  const align = () => { while (bytes.length % 8) bytes.push(0); };
  const word = (value: number) => bytes.push(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);
  const addresses = () => {
    for (const [offset] of symbols) word(offset);
    align();
    bytes.push(...new Uint8Array(BigUint64Array.of(BASE).buffer));
  };
  if (!late) addresses();
  word(symbols.length);
  align();
  const markers: number[] = [];
  const start = bytes.length;
  symbols.forEach(([, text], n) => {
    if (n % 256 === 0) markers.push(bytes.length - start);
    const name = encode(text);
    bytes.push(...(name.length > 127 ? [(name.length & 127) | 128, name.length >> 7] : [name.length]), ...name);
  });
  align();
  for (const marker of markers) word(marker);
  align();
  const places: number[] = [];
  const table = bytes.length;
  for (const token of TOKENS) {
    places.push(bytes.length - table);
    bytes.push(...Buffer.from(token, "latin1"), 0);
  }
  align();
  for (const place of places) bytes.push(place & 255, place >> 8);
  align();
  if (late) addresses();
  return Uint8Array.from([...bytes, ...Array(4096).fill(0)]);
}

const MANY = Array.from({ length: 1500 }, (_, n) => [-1 - n * 64, `${"tTdD"[n % 4]}do_sys_${n}`] as const);

for (const late of [false, true])
  test(`functions by address, tables ${late ? "behind the index" : "before the number"}`, () => {
    const symbols = kallsyms(image([...MANY, [0x1000, "Aper_cpu"], [-1 - 99999, `T${"x".repeat(300)}`]], late));
    assert.is(symbols.length, 751);
    assert.equal(symbols[0], { address: BASE, name: "do_sys_0" });
    assert.equal(symbols[1], { address: BASE + 64n, name: "do_sys_1" });
    assert.equal(symbols[750], { address: BASE + 99999n, name: "x".repeat(300) });
  });

test("no tables, cut ones, damaged ones: no symbols", () => {
  const whole = image(MANY, false);
  assert.equal(kallsyms(new Uint8Array(100_000)), []);
  for (let length = 0; length < whole.length - 4096; length += 997) kallsyms(whole.subarray(0, length));
  for (let at = 4096; at < whole.length; at += 211) {
    const damaged = whole.slice();
    damaged[at] ^= 0xff;
    kallsyms(damaged);
  }
});

test("an image in which names might begin everywhere is not searched for ever", () => {
  const tables = image(MANY, true);
  const tail = tables.subarray(tables.findIndex((_, at) => at > 4096 && at % 8 === 0 && Buffer.from(tables.subarray(at, at + 9)).toString("latin1") === "unused_0\0"));
  const pattern = Uint8Array.of(20000 & 255, 20000 >> 8, 0, 0, 0, 0, 0, 0, 15, 1, 1, 1, 1, 1, 1, 1); // a number, and a name that reaches over the next
  const bytes = new Uint8Array(2 ** 21 + tail.length);
  for (let at = 0; at < 2 ** 21; at += 16) bytes.set(pattern, at);
  bytes.fill(0, 2 ** 21 - 8);
  bytes.set(tail, 2 ** 21);
  const began = performance.now();
  assert.equal(kallsyms(bytes), []);
  assert.ok(performance.now() - began < 5000, `${performance.now() - began} ms`);
});

test.run();
