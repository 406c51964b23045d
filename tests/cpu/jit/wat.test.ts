/** What small loops become, as text, to be read by eye: tests/cpu/jit/wat/*.wat. XENOLITH_GOLDEN=write writes them anew after a change of the
 *  translator; the difference then shows what the change does. Offsets into the pCPU block and addresses of records are named. */
import binaryen from "binaryen";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { assemble, type Bits, EAGER, LAYOUT, nasmMissing, TestPc } from "../../support/test_pc";

/** What is told beside a record's address (cpu/jit/handover, sse_mode). */
const LOW_BITS: Readonly<Record<number, string>> = { 0: "", 1: "|elsewhere", 2: "|taken", 4: "|fall", 8: "|run" };

declare const XENOLITH_ROOT: string;

const FOLDER = join(XENOLITH_ROOT, "tests/cpu/jit/wat");
const wat = suite("emitted code as text");

//    name           bits  a loop that ends; RDI points to zeroed memory
const LOOPS: readonly (readonly [name: string, bits: Bits, source: string])[] = [
  ["count", 64, "mov ecx, 300\nagain: dec ecx\njnz again"],
  ["sum", 64, "lea rsi, [rdi + 1200]\nagain: add eax, [rdi]\nadd rdi, 4\ncmp rdi, rsi\njne again"],
  ["sum32", 32, "lea esi, [edi + 1200]\nagain: add eax, [edi]\nadd edi, 4\ncmp edi, esi\njne again"],
  ["store", 64, "mov ecx, 300\nagain: mov [rdi + rcx * 8], rcx\ndec ecx\njnz again"],
  ["bytes", 64, "mov ecx, 300\nagain: mov al, cl\nadd ah, al\nmov [rdi], ax\nloop again"],
  ["carry", 64, "mov ecx, 300\nagain: add rax, rbx\nadc rdx, rsi\nlea ecx, [rcx - 1]\njrcxz done\njmp again\ndone:"],
  ["shifts", 64, "mov ecx, 300\nagain: shl rax, 3\nxor rax, rcx\nrol eax, 7\nsar rdx, 1\ndec ecx\njnz again"],
  ["select", 64, "mov ecx, 300\nagain: cmp eax, ecx\ncmovl eax, ecx\nsetb dl\ndec ecx\njns again"],
  ["nest", 64, "mov ebx, 20\nouter: mov ecx, 30\ninner: add rax, rcx\ndec ecx\njnz inner\ndec ebx\njnz outer"],
  ["diamond", 64, "mov ecx, 300\nagain: test cl, 1\njz even\nadd rax, rcx\njmp on\neven: sub rax, rcx\non: dec ecx\njnz again"],
  ["call", 64, "mov ecx, 300\nagain: call f\ndec ecx\njnz again\njmp done\nf: add rax, rcx\nret\ndone:"],
  ["frame", 64, "mov ebx, 300\nagain: call f\ndec ebx\njnz again\njmp done\nf: push rbp\npush rbx\nmov [rsp - 8], rax\nmov rcx, [rdi + 8]\nadd rcx, [rdi + 16]\nmov [rsp - 16], ecx\npop rbx\npop rbp\nret\ndone:"],
  ["string", 64, "mov ebx, 300\nagain: mov ecx, 8\nrep stosb\nsub rdi, 8\ndec ebx\njnz again"],
];

/** Modules the host compiles while `body` runs. */
function modulesOf(body: () => void): Uint8Array[] {
  const real = WebAssembly.Module;
  const modules: Uint8Array[] = [];
  (WebAssembly as { Module: unknown }).Module = function Module(bytes: Uint8Array) {
    modules.push(bytes.slice());
    return new real(bytes as BufferSource);
  };
  try {
    body();
  } finally {
    (WebAssembly as { Module: unknown }).Module = real;
  }
  return modules;
}

function textOf(bytes: Uint8Array, records: number): string {
  const module = binaryen.readBinary(bytes);
  const whole = module.emitText();
  const text = whole.slice(whole.lastIndexOf("\n (func ") + 1); // what is before is the same in all
  module.dispose();
  const named = (value: number) => {
    if (value >= records && value < records + 0x10000) return `record+${(value - records) >> 5}${LOW_BITS[value & 31]}`;
    if (value >= Region.PCPUS && value < Region.PCPUS + Region.PCPU_STRIDE) return `pcpu+0x${(value - Region.PCPUS).toString(16)}`;
    return String(value);
  };
  return text.replace(/(i32\.const |offset=)(\d{6,})/g, (_, before, digits) => before + named(Number(digits)));
}

for (const [name, bits, source] of LOOPS) {
  (nasmMissing() ? wat.skip : wat)(name, async () => {
    const pc = await TestPc.create({ jit: { ...EAGER, check: false } });
    const records = pc.mem.get32(Region.PCPUS + PcpuOff.codeNext);
    const modules = modulesOf(() => pc.run(assemble(`${source}\nhlt`, bits), bits, { regs: { rdi: BigInt(LAYOUT.data) } }));
    assert.ok(modules.length > 0, "it was translated");
    const text = modules.map((bytes) => textOf(bytes, records)).join("\n");
    const file = join(FOLDER, `${name}.wat`);
    if (process.env.XENOLITH_GOLDEN === "write") {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(file, text);
    }
    assert.ok(existsSync(file), `${file} is missing`);
    assert.fixture(text, readFileSync(file, "utf8"));
  });
}

wat.run();
