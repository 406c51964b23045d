/** Limits of the translator: more regions than slots, records dropped under a running region, a host that makes no code. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitMemory, JitOff, RegionOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { LAYOUT, nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const resources = suite("limits of the translator");
const word = (twins: Twins, offset: number) => twins.translated.mem.get32(Region.PCPUS + offset);

resources("more regions than there are slots", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const out = twins.run(
    `mov rbx, 0x400000
    mov ebp, 1400
    copy:
      mov rdi, rbx
      lea rsi, [rel piece]
      mov ecx, 32
      rep movsb
      mov [rbx + 1], ebp ; a loop of its own
      call rbx
      add rbx, 128
      dec ebp
      jnz copy
    mov r12d, 2
    again:
      mov rbx, 0x400000
      mov ebp, 1400
    each:
      call rbx
      add rbx, 128
      dec ebp
      jnz each
      dec r12d
      jnz again
      hlt
    piece:
      mov eax, 0
      mov ecx, 40
    inner:
      add r8, rax
      rol r8, 1
      dec ecx
      jnz inner
      ret`,
    64,
  );
  assert.is(out.regs.rbp, 0n);
  assert.ok(twins.regions > RegionOff.MAX);
  assert.ok(word(twins, PcpuOff.JIT + JitOff.regions) <= RegionOff.MAX);
});

resources("records are dropped while a region runs", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  twins.run("mov ecx, 500\nagain: dec ecx\njnz again\nhlt", 64);
  const epoch = word(twins, PcpuOff.codeEpoch), mode = word(twins, PcpuOff.mode);
  // functions whose records share a bucket of the record cache: more than one may hold (code_cache)
  const bucket = (at: number) => Math.imul(at ^ (mode << 20), 0x9e3779b1) >>> 15;
  const places: number[] = [];
  const wanted = bucket(twins.translated.guest.maddr(0x300000));
  for (let page = 0x110000; page < LAYOUT.size; page += 4096) {
    const at = twins.translated.guest.maddr(page);
    for (let i = 0; i < 4096 - 16; i++) if (bucket(at + i) === wanted && (page < LAYOUT.data || page >= LAYOUT.data + 0x4000)) places.push(page + i);
  }
  const out = twins.run(
    `mov r12d, 40
    outer:
      xor ebp, ebp
    each:
      mov rax, [rsi + rbp * 8]
      call rax
      rol r8, 1
      inc ebp
      cmp ebp, ${places.length}
      jb each
      dec r12d
      jnz outer
      hlt`,
    64,
    { regs: { rsi: BigInt(LAYOUT.data) } },
    (pc) =>
      places.forEach((at, i) => {
        pc.guest.set64(LAYOUT.data + i * 8, BigInt(at));
        pc.guest.write(at, Uint8Array.of(0x49, 0x83, 0xc0, i & 127, 0xc3)); // ADD R8, i; RET
      }),
  );
  assert.is(out.regs.r12, 0n);
  assert.ok(word(twins, PcpuOff.codeEpoch) > epoch + 10);
});

// Each sum is used twice by the next: written out at each access, the last would take more additions than there are bytes of memory.
for (const [name, step] of [["loads", "mov edx, [rdi + 8]"], ["stores", "mov [rdi + 16], edx"], ["both", "add [rdi + 24], edx"], ["pushes", "push rdx"]] as const) {
  for (const bits of [64, 32] as const) {
    resources(`sums of sums between ${name}, ${bits}-bit`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create();
      const chain = Array.from({ length: 28 }, (_, i) => `lea ${i & 1 ? "eax" : "ebx"}, [eax + ebx + ${i}]\n${i % 3 ? "" : step}`).join("\n");
      const source = `mov ecx, 300\nagain:\nmov esp, ${LAYOUT.stack}\n${chain}\nxor edx, ebx\ndec ecx\njnz again\nhlt`;
      twins.run(bits === 64 ? source.replaceAll("[eax + ebx", "[rax + rbx") : source.replaceAll("rdi", "edi").replaceAll("rdx", "edx"), bits, { regs: { rax: 1n, rbx: 1n, rdi: BigInt(LAYOUT.data), rsp: BigInt(LAYOUT.stack) } });
      assert.ok(twins.regions > 0);
      assert.ok(word(twins, PcpuOff.JIT + JitOff.bytes) < 16384);
    });
  }
}

resources("a host that makes no code", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const real = WebAssembly.Module;
  (WebAssembly as { Module: unknown }).Module = function Module() {
    throw new EvalError("refused");
  };
  try {
    twins.run(`mov r12d, 20\nouter: ${Array.from({ length: 8 }, (_, i) => `mov ecx, 300\nagain${i}: add rax, rcx\ndec ecx\njnz again${i}`).join("\n")}\ndec r12d\njnz outer\nhlt`, 64);
  } finally {
    (WebAssembly as { Module: unknown }).Module = real;
  }
  assert.is(twins.regions, 0);
  assert.is(word(twins, PcpuOff.JIT + JitOff.memory), JitMemory.off);
});

resources.run();
