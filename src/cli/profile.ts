/** `xenolith run --profile FILE`: where the time went, in the file format of speedscope (speedscope.app, "file-format-spec"). What a viewer
 *  does not know stands under "xenolith". */
import { readFile } from "node:fs/promises";
import { isBzImage, loadKernel } from "../domains/bzimage";
import { compressionOf } from "../domains/decompress";
import { cString, type Elf, isElf, sectionContents, Sht } from "../domains/elf";
import { type GuestSymbol, kallsyms } from "../domains/kallsyms";
import type { Profile } from "../machine/profile";

const STT_FUNC = 2;
const FAR = 1n << 22n; // a function is not longer
const HOTTEST = 50;

/** Symbols of a kernel's file: its symbol table, or what Linux has in itself. */
export async function kernelSymbols(file: string): Promise<GuestSymbol[]> {
  const bytes = new Uint8Array(await readFile(file));
  if (!isElf(bytes) && !isBzImage(bytes) && compressionOf(bytes) === null) return [];
  try {
    const { elf } = await loadKernel(bytes, file);
    const own = symbolTable(elf);
    return own.length > 0 ? own : kallsyms(elf.bytes);
  } catch {
    return []; // whoever builds the domain says what is wrong
  }
}

function symbolTable(elf: Elf): GuestSymbol[] {
  const symbols: GuestSymbol[] = [];
  const wide = elf.bits === 64;
  const size = wide ? 24 : 16;
  for (const section of elf.sections) {
    if (section.type !== Sht.SYMTAB) continue;
    const table = sectionContents(elf, section);
    const names = elf.sections.find(({ name }) => name === ".strtab");
    const strings = names && sectionContents(elf, names);
    if (!table || !strings) continue;
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
    for (let at = 0; at + size <= table.length; at += size) {
      const info = view.getUint8(at + (wide ? 4 : 12));
      const address = wide ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true));
      if ((info & 15) === STT_FUNC && address !== 0n) symbols.push({ address, name: cString(strings, view.getUint32(at, true)) });
    }
  }
  return symbols.sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** The function that `rip` is in. */
export function nameOf(symbols: readonly GuestSymbol[], rip: bigint): string | null {
  let [low, high] = [0, symbols.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (symbols[middle].address <= rip) low = middle + 1;
    else high = middle;
  }
  const symbol = symbols[low - 1];
  return symbol && rip - symbol.address < FAR ? symbol.name : null;
}

export function speedscope(profile: Profile, symbols: readonly GuestSymbol[], title: string): object {
  const frames: { name: string }[] = [];
  const numbers = new Map<string, number>();
  const frame = (name: string) => {
    let n = numbers.get(name);
    if (n === undefined) numbers.set(name, (n = frames.push({ name }) - 1));
    return n;
  };
  const hex = (rip: bigint) => `0x${rip.toString(16)}`;
  const places = [...profile.places.values()].sort((a, b) => b.ns - a.ns);
  const total = places.reduce((sum, { ns }) => sum + ns, 0);
  const interpreted = places.reduce((sum, { ns, translated }) => sum + (translated ? 0 : ns), 0);
  const label = ({ user, rip }: { user: boolean; rip: bigint }) => (user ? null : nameOf(symbols, rip)) ?? `${hex(rip & ~0xfffn)} (page)`;
  return {
    $schema: "https://www.speedscope.app/file-format-schema.json",
    name: title,
    exporter: `xenolith ${XENOLITH_VERSION}`,
    activeProfileIndex: 0,
    profiles: [
      {
        type: "sampled",
        name: title,
        unit: "nanoseconds",
        startValue: 0,
        endValue: Math.round(total),
        samples: places.map((place) => [frame(`domain ${place.domid}`), frame(place.user ? "user" : "kernel"), frame(label(place)), frame(place.translated ? "translated" : "interpreted")]),
        weights: places.map(({ ns }) => Math.round(ns)),
      },
    ],
    shared: { frames },
    xenolith: {
      ns: Math.round(total),
      instructions: profile.instructions,
      interpreterShare: total === 0 ? 0 : interpreted / total,
      translations: profile.translations,
      exits: Object.fromEntries(profile.exits),
      hottestRegions: places
        .filter(({ translated }) => translated)
        .slice(0, HOTTEST)
        .map((place) => ({ rip: hex(place.rip), name: label(place), user: place.user, ns: Math.round(place.ns) })),
    },
  };
}
