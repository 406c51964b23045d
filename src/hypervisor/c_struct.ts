/** Layouts of hypercall argument structures, computed from their fields by the rules of the two x86 System V ABIs:
 *  in 64-bit guests longs and pointers take 8 bytes and u64 is aligned to 8; in 32-bit guests longs take 4 and u64 is
 *  aligned to 4. `tests/abi` compares the results with those of a C compiler over the public headers. */

/** "end" closes a nested structure that has a long in it: what follows begins at a multiple of a long. */
export type CType = "u8" | "u16" | "i16" | "u32" | "i32" | "u64" | "long" | `u8[${number}]` | "end";

export type Layout<F> = { readonly [K in keyof F]: number } & { readonly sizeof: number };

export interface CStruct<F> {
  readonly lp64: Layout<F>;
  readonly ilp32: Layout<F>;
}

export function cStruct<const F extends Record<string, CType>>(fields: F): CStruct<F> {
  return { lp64: layOut(fields, 8), ilp32: layOut(fields, 4) };
}

function layOut<F extends Record<string, CType>>(fields: F, word: 4 | 8): Layout<F> {
  const out: Record<string, number> = {};
  let end = 0;
  let structAlign = 1;
  for (const [name, type] of Object.entries(fields)) {
    const array = /^u8\[(\d+)\]$/.exec(type);
    const size = array ? Number(array[1]) : type === "end" ? 0 : type === "long" ? word : Number(type.slice(1)) / 8;
    const align = array ? 1 : type === "end" ? word : Math.min(size, word);
    end = Math.ceil(end / align) * align;
    out[name] = end;
    end += size;
    structAlign = Math.max(structAlign, align);
  }
  out.sizeof = Math.ceil(end / structAlign) * structAlign;
  return out as Layout<F>;
}
