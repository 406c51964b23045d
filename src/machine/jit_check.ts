/** What the checker of translated code found (assembly/cpu/jit/check), in words: where, both states, and the region's instructions. */
import { CheckOff, Difference, JitOff, RegionOff } from "../../assembly/abi/jit";
import { PcpuOff } from "../../assembly/abi/layout";
import { BlockOff, RecOff } from "../../assembly/abi/record";
import { pcpuBase } from "./kick";
import type { MachineMemory } from "./memory";

const GPRS = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
const WHAT: Readonly<Record<Difference, string>> = {
  [Difference.none]: "nothing",
  [Difference.way]: "it goes another way",
  [Difference.state]: "registers",
  [Difference.memory]: "memory",
  [Difference.fault]: "the fault",
};
const MOST_INSTRUCTIONS = 200;

const hex = (value: number | bigint) => `0x${value.toString(16)}`;

/** Lines for the log. */
export function describeDifference(memory: MachineMemory, pcpu: number): string[] {
  const base = pcpuBase(pcpu);
  const area = memory.get32(base + PcpuOff.JIT + JitOff.checkAt);
  const word = (offset: number) => memory.get32(area + offset) >>> 0;
  const [before, after] = [area + CheckOff.before, area + CheckOff.after];
  const head = word(CheckOff.head);
  const rip = memory.get64(before + PcpuOff.ripBase) + BigInt(memory.get16(head + BlockOff.off));
  const lines = [`translated code at rip ${hex(rip)} differs from the interpreter: ${WHAT[word(CheckOff.difference) as Difference]}`];

  const place = (state: number, record: number) =>
    record === 0 ? "a fault" : `rip ${hex(memory.get64(state + PcpuOff.ripBase) + BigInt(memory.get16(record + RecOff.off)))}, record ${hex(record)}`;
  lines.push(`  translated to ${place(after, word(CheckOff.record))}, ${word(CheckOff.left) | 0} instructions left`);
  lines.push(`  interpreted to ${place(base, word(CheckOff.replayed))}, ${word(CheckOff.replayedLeft) | 0} instructions left`);

  const show = (name: string, offset: number) => {
    const [was, translated, interpreted] = [before, after, base].map((at) => memory.get64(at + offset));
    const mark = translated === interpreted ? "" : "  <--";
    lines.push(`  ${name.padEnd(8)} ${hex(was).padEnd(18)}  translated ${hex(translated).padEnd(18)}  interpreted ${hex(interpreted)}${mark}`);
  };
  GPRS.forEach((name, i) => show(name, PcpuOff.gpr + i * 8));
  show("rflags", PcpuOff.rflags);
  for (let offset = PcpuOff.gpr + 128; offset < PcpuOff.apic; offset += 8) {
    const isLazy = offset >= PcpuOff.rip && offset < PcpuOff.tlbBase;
    if (!isLazy && memory.get64(after + offset) !== memory.get64(base + offset)) show(`+${offset}`, offset);
  }
  if (memory.get32(after + PcpuOff.faultVector) !== memory.get32(base + PcpuOff.faultVector)) show("fault", PcpuOff.faultVector);

  if (word(CheckOff.difference) === Difference.memory) {
    const at = word(CheckOff.where);
    const pages = Array.from({ length: word(CheckOff.pages) }, (_, i) => word(CheckOff.list + i * 4));
    const page = pages.indexOf(at & ~4095);
    const saved = (list: number) => memory.get64(area + list + page * 4096 + (at & 4095));
    const translated = saved(page < word(CheckOff.regionPages) ? CheckOff.pagesAfter : CheckOff.pagesBefore);
    lines.push(`  at ${hex(at)}: ${hex(saved(CheckOff.pagesBefore))}, translated ${hex(translated)}, interpreted ${hex(memory.get64(at))}`);
  }
  lines.push(...instructions(memory, memory.get32(base + PcpuOff.codeBase) + word(CheckOff.region) * RegionOff.SIZE));
  return lines;
}

/** The region's blocks: page offset, handler and bytes of each instruction. */
function* instructions(memory: MachineMemory, region: number): Generator<string> {
  let left = MOST_INSTRUCTIONS;
  const blocks = memory.get32(region + RegionOff.blocks);
  for (let i = 0; i < blocks; i++) {
    const head = memory.get32(region + RegionOff.list + i * 4);
    const page = memory.get32(head + BlockOff.maddr) & ~4095;
    yield `  block ${i}, record ${hex(head)}, at ${hex(memory.get32(head + BlockOff.maddr) >>> 0)}`;
    const records = memory.get8(head + BlockOff.records) & ~BlockOff.IN_REGION;
    for (let k = 1; k <= records; k++) {
      if (--left < 0) return yield "  ...";
      const u = head + k * RecOff.SIZE;
      const [offset, length] = [memory.get16(u + RecOff.off), memory.get8(u + RecOff.len)];
      const bytes = [...memory.u8.subarray(page + offset, page + offset + length)].map((byte) => byte.toString(16).padStart(2, "0"));
      yield `    ${offset.toString(16).padStart(3, "0")}  handler ${String(memory.get16(u)).padEnd(4)} ${bytes.join(" ")}`;
    }
  }
}
