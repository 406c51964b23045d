/** The body of run() stays under 35 KB in both builds: above that V8 11 allocates its registers badly (docs/adr/0006). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";

declare const XENOLITH_ROOT: string;

/** Bytes of the body of the exported function `name` (WebAssembly core specification, "Binary Format", "Modules"). */
function bodySize(wasm: Uint8Array, name: string): number {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const text = () => {
    const length = number();
    at += length;
    return new TextDecoder().decode(wasm.subarray(at - length, at));
  };
  const limits = () => {
    const flags = wasm[at++];
    number();
    if (flags & 1) number();
  };
  let imported = 0;
  let index = -1;
  while (at < wasm.length) {
    const section = wasm[at++];
    const length = number();
    const end = at + length;
    if (section === 2) {
      for (let n = number(); n > 0; n--) {
        text();
        text();
        const kind = wasm[at++];
        if (kind === 0) imported += 1;
        if (kind === 0) number();
        else if (kind === 2) limits();
        else if (kind === 3) at += 2;
        else throw new Error(`import kind ${kind}`);
      }
    } else if (section === 7) {
      for (let n = number(); n > 0; n--) {
        const exported = text();
        const kind = wasm[at++];
        const which = number();
        if (kind === 0 && exported === name) index = which;
      }
    } else if (section === 10) {
      const count = number();
      for (let n = 0; n < count; n++) {
        const size = number();
        if (n + imported === index) return size;
        at += size;
      }
    }
    at = end;
  }
  throw new Error(`no function ${name}`);
}

const size = suite("size of run()");
for (const file of ["xenolith.wasm", "xenolith.shared.wasm"])
  size(`is under 35 KB in ${file}`, () => {
    const bytes = bodySize(readFileSync(join(XENOLITH_ROOT, "build", file)), "run");
    assert.ok(bytes > 10_000, `${bytes}`);
    assert.ok(bytes < 35_000, `${bytes} bytes: take a handler out of src/spec/hot.ts`);
  });
size.run();
