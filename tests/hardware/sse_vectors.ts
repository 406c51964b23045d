/** The file of recorded results: gzip over a line of JSON (processor, then per form its key and number of cases), a
 *  newline, and the results in the order of casesOf(). One result is the bytes of the destination (Form.size), then one
 *  byte of MXCSR flags with bit 7 for "trapped" if Form.usesMxcsr, then one byte of status flags if Form.writesFlags.
 *  After a trap the destination is written as zeros. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Form } from "../cpu/sse/forms";

export interface Header {
  readonly cpu: string;
  readonly forms: readonly (readonly [key: string, cases: number])[];
}

export const bytesPerCase = (form: Form): number => form.size + (form.usesMxcsr ? 1 : 0) + (form.writesFlags ? 1 : 0);

/** CF PF AF ZF SF OF in bits 0 2 4 6 7 and 3. */
export const foldStatus = (flags: number): number => (flags & 0xd5) | (flags & 0x800 ? 8 : 0);

export function readVectors(path: string): { header: Header; results: Uint8Array } {
  const all = gunzipSync(readFileSync(path));
  const line = all.indexOf(10);
  return { header: JSON.parse(all.subarray(0, line).toString()) as Header, results: all.subarray(line + 1) };
}
