/** Runs, ranges of addresses whose bounds translated code has for constants: whatever they say has to be what the TLB would have said, as long as it would
 *  (SDM Vol.3A "Invalidation of TLBs and Paging-Structure Caches", "Accessed and Dirty Flags"). Large pages map all of the test machine's memory. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../../assembly/abi/jit";
import { DomainOff, DomainType, FrameType, P2m, PcpuOff, Region, VcpuOff } from "../../../assembly/abi/layout";
import { createDomainBlock, vcpuAddr } from "../../../src/hypervisor/domain_table";
import { allocFrame } from "../../../src/machine/frames";
import { GuestMemory } from "../../../src/machine/guest_memory";
import { p2mGet, p2mMfn, p2mSet } from "../../../src/machine/p2m";
import { assemble, EAGER, LAYOUT, nasmMissing, TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const runs = suite("runs of translated code");
const J = Region.PCPUS + PcpuOff.JIT;
/** There are none while translated code is checked. */
const THERE = !EAGER.check;
const PAGE = 0x400000;
/** The page-directory entry that maps PAGE, and the one of the next page. */
const PDE = LAYOUT.pml4 + 0x2000 + (PAGE >>> 21) * 8;

const countOf = (pc: TestPc) => [JitOff.runsGood, JitOff.runsDoubt, JitOff.runsParked].reduce((sum, off) => sum | pc.mem.get32(J + off), 0);
const used = (twins: Twins) => countOf(twins.translated) !== 0;

/** A test of two processors, which have slices long enough for regions to do some rounds. */
const withTwins = (test: (twins: Twins) => Promise<void>) => async () => {
  if (!nasmMissing()) await test(await Twins.create({}, { slice: 400 }));
};

/** `body` 3000 times, and `change` at every 64th; rsi is PAGE. */
const loop = (body: string, change: string) => `
  mov ecx, 3000
  mov esi, ${PAGE}
  xor edx, edx
  again:
    ${body}
    test ecx, 63
    jnz .same
    ${change}
  .same:
    dec ecx
    jnz again
  mov [abs ${LAYOUT.data}], edx
  mov rax, [abs ${PDE}]
  hlt`;

const FLUSHES = [
  ["INVLPG", `invlpg [rsi]`],
  ["a write of CR3", "mov rax, cr3\nmov cr3, rax"],
  ["a change of CR4.PGE", "mov rax, cr4\nxor rax, 80h\nmov cr4, rax"],
] as const;

for (const [name, flush] of FLUSHES) {
  runs(`another page after ${name}`, withTwins(async (twins) => {
    twins.run(loop("add edx, [rsi + rcx * 4]\nadd [rsi + rcx * 8 + 4096], edx", `mov rax, [abs ${PDE}]\nxchg rax, [abs ${PDE + 8}]\nmov [abs ${PDE}], rax\n${flush}`), 64, {}, (pc) => {
      for (let i = 0; i < 0x4000; i += 4) pc.guest.set32(PAGE + i, i);
      for (let i = 0; i < 0x4000; i += 4) pc.guest.set32(PAGE + 0x200000 + i, i * 7);
    });
    assert.is(used(twins), THERE);
  }));

  for (const [which, mask] of [["accessed and dirty flag", 0x60], ["dirty flag", 0x40], ["accessed flag", 0x20]] as const)
    runs(`${which} set again after ${name}`, withTwins(async (twins) => {
      // edx: which of the two were set when it was looked at
      const out = twins.run(
        loop("mov eax, [rsi + rcx * 4]\nadd [rsi + 4096], eax", `mov eax, [abs ${PDE}]\nshr eax, 5\nand eax, 3\nadd edx, eax\nand dword [abs ${PDE}], ~${mask}\n${flush}`),
        64,
      );
      assert.is(out.regs.rdx, 3n * 46n); // at each of 46 looks
      assert.is(used(twins), THERE);
    }));

  for (const [what, mask, error] of [["present", 1, 2], ["writable", 2, 3]] as const)
    runs(`no longer ${what} after ${name}`, withTwins(async (twins) => {
      const out = twins.run(loop("add [rsi + rcx * 4], ecx", `cmp ecx, 512\njne .same\nand dword [abs ${PDE}], ~${mask}\n${flush}`), 64, { cr0: 0x80010031n });
      assert.equal(out.fault && [out.fault.vector, out.fault.error, out.fault.cr2], [14, error, BigInt(PAGE + 511 * 4)]);
    }));
}

runs("without a flush nothing has to change, and nothing else does", withTwins(async (twins) => {
  // a page table of which only the accessed flag changes: edx stays what it is
  twins.run(loop("add edx, [rsi + rcx * 4]", `invlpg [abs ${LAYOUT.data}]\ninvlpg [abs 100000h]`), 64, {}, (pc) => pc.guest.set32(PAGE + 400, 9));
  assert.is(used(twins), THERE);
}));

for (const bits of [64, 32] as const)
  for (const [when, calls] of [["later", 2000], ["from the beginning", 4000]] as const)
    runs(`data that is called ${when}, and goes on being written, ${bits} bits`, withTwins(async (twins) => {
      const [ax, di] = bits === 64 ? ["rax", "rdi"] : ["eax", "edi"];
      // a function that adds a number, which is another one each time: all of it is written, so that its records go each time, too
      const out = twins.run(
        `mov ecx, 4000
        xor ebx, ebx
        mov ${di}, ${PAGE}
        again:
          mov word [${di} + 100h], 0c381h      ; add ebx, imm32; ret
          mov [${di} + 102h], ecx
          mov byte [${di} + 106h], 0c3h
          cmp ecx, ${calls}
          ja .not
          lea ${ax}, [${di} + 100h]
          call ${ax}
        .not:
          dec ecx
          jnz again
        hlt`,
        bits,
      );
      assert.is(out.regs.rbx, BigInt((calls * (calls + 1)) / 2));
    }));

runs("a user's page beside a supervisor's", withTwins(async (twins) => {
  const code = `
    mov ecx, 3000
    mov esi, ${PAGE}
    again:
      mov eax, [rsi]
      add rsi, 8
      dec ecx
      jnz again
    mov esi, ${PAGE + 0x200000 - 800}
    mov ecx, 3000
    jmp again`;
  const out = twins.run(code, 64, { cpl: 3 }, (pc) => pc.guest.set64(PDE + 8, pc.guest.get64(PDE + 8) & ~4n));
  assert.equal(out.fault && [out.fault.vector, out.fault.error, out.fault.cr2], [14, 5, BigInt(PAGE + 0x200000)]);
}));

for (const bits of [64, 32] as const)
  runs(`accesses that cross the end of memory, ${bits} bits`, withTwins(async (twins) => {
    const si = bits === 64 ? "rsi" : "esi";
    // what is beyond reads as ones, and forgets what is written; in 64-bit code nothing is mapped there
    const out = twins.run(
      `mov ecx, 30000
      mov esi, ${LAYOUT.size - 60000}
      again:
        mov eax, [${si}]
        add edx, eax
        mov [${si} + 1], ecx
        mov [${si} - 2], dx
        add ${si}, 2
        dec ecx
        jnz again
      hlt`,
      bits,
    );
    if (bits === 64) assert.equal(out.fault && [out.fault.vector, out.fault.cr2], [14, BigInt(LAYOUT.size)]);
    assert.is(used(twins), THERE);
  }));

runs("accesses that seldom are where they were", withTwins(async (twins) => {
  // a third page of 2 MiB is mapped by small ones, to which most accesses go later
  twins.run(
    `mov ecx, 60000
    mov esi, ${PAGE}
    again:
      mov edi, esi
      cmp ecx, 40000
      ja .same
      lea edi, [esi + 200000h]
    .same:
      add edx, [rdi + 16]
      add [rdi + 32], edx
      dec ecx
      jnz again
    mov [abs ${LAYOUT.data}], edx
    hlt`,
    64,
    {},
    (pc) => {
      pc.guest.set64(PDE + 8, BigInt(0x20000 | 7));
      for (let i = 0; i < 512; i++) pc.guest.set64(0x20000 + i * 8, BigInt((PAGE + 0x200000 + i * 4096) | 7));
      pc.guest.set32(PAGE + 0x200000 + 16, 77);
    },
  );
  assert.ok(twins.regions > 1 || !THERE); // written again without
}));

runs("another frame, at the hypervisor's wish", async () => {
  if (nasmMissing()) return;
  const moved = PAGE + 0x80000;
  let now: TestPc | undefined, own = 0, spare = 0, asked = 0, before = 0;
  const ports = () => {
    if (!now || ++asked < 20) return 0;
    if (asked === 20) before ||= countOf(now);
    const { domain } = now.guest, there = p2mMfn(p2mGet(now.mem, domain, moved >>> 12));
    p2mSet(now.mem, domain, moved >>> 12, there === own ? spare : own, P2m.ram_rw);
    return 0;
  };
  // all translations are dropped, as by p2mChanged(), at a moment that both twins know
  const twins = await Twins.create({ ports }, { slice: 400 });
  const out = twins.run(loop("add edx, [rsi + 80000h]\ninc dword [rsi + 80004h]", "out 80h, al\nmov rax, cr4\nxor rax, 80h\nmov cr4, rax"), 64, {}, (pc) => {
    now = pc;
    asked = 0;
    own = p2mMfn(p2mGet(pc.mem, pc.guest.domain, moved >>> 12));
    spare = allocFrame(pc.mem, pc.mem.get32(pc.guest.domain + DomainOff.domid), FrameType.ram);
    pc.mem.set32(own * 4096, 1);
    pc.mem.set32(spare * 4096, 1000);
  });
  assert.ok(Number(out.regs.rdx) > 500_000 && Number(out.regs.rdx) < 3_000_000);
  assert.is(before !== 0, THERE);
});

runs("another domain that runs the same code", async () => {
  if (nasmMissing()) return;
  const pc = await TestPc.create({ jit: { ...EAGER, slice: 400 } });
  const code = assemble(`mov ecx, 3000\nmov esi, ${PAGE + 0x8000}\nxor edx, edx\nagain:\nadd edx, [rsi]\ndec ecx\njnz again\nhlt`, 64);
  const { mem, guest } = pc, other = createDomainBlock(mem, { type: DomainType.pvh, vcpus: 1, maxPages: LAYOUT.size >>> 12 });
  const theirs = new GuestMemory(mem, other), domid = mem.get32(other + DomainOff.domid), page = LAYOUT.code >>> 12;
  for (const gfn of [page, ...Array(0x20).keys(), ...Array.from({ length: 0x40 }, (_, n) => (PAGE >>> 12) + n)]) {
    if (gfn === page) p2mSet(mem, other, gfn, p2mMfn(p2mGet(mem, guest.domain, gfn)), P2m.foreign);
    else p2mSet(mem, other, gfn, allocFrame(mem, domid, FrameType.ram), P2m.ram_rw);
  }
  for (const at of [LAYOUT.pml4, LAYOUT.pml4 + 0x1000, LAYOUT.pml4 + 0x2000]) theirs.write(at, guest.read(at, 4096));
  guest.set32(PAGE + 0x8000, 1);
  theirs.set32(PAGE + 0x8000, 5);
  const mine = vcpuAddr(mem, guest.domain, 0), vcpu = vcpuAddr(mem, other, 0);
  assert.is(pc.run(code, 64).regs.rdx, 3000n);
  for (const [which, each] of [[vcpu, 5n], [mine, 1n], [vcpu, 5n], [mine, 1n]] as const) {
    mem.u8.copyWithin(which + VcpuOff.image, mine + VcpuOff.image, mine + VcpuOff.image + PcpuOff.STATE_SIZE);
    mem.set64(which + VcpuOff.image + PcpuOff.rip, BigInt(LAYOUT.code));
    mem.set32(which + VcpuOff.image + PcpuOff.halted, 0);
    pc.core.exports.switchTo(which);
    pc.core.run(1_000_000);
    pc.core.exports.switchTo(0);
    assert.is(mem.get64(which + VcpuOff.image + PcpuOff.gpr + 2 * 8), 3000n * each);
  }
  assert.is(countOf(pc) !== 0, THERE);
});

/** Where the last page table that mapLarge() has made is; they follow this word, a page each. */
const NEXT_TABLE = 0x20000;

/** Maps `lin` to `gpa` by a page of 2 MiB. */
function mapLarge(pc: TestPc, lin: bigint, gpa: number): void {
  let table: number = LAYOUT.pml4;
  for (const shift of [39n, 30n]) {
    const at = table + Number((lin >> shift) & 511n) * 8;
    if (!(pc.guest.get64(at) & 1n)) {
      const next = (pc.guest.get32(NEXT_TABLE) || NEXT_TABLE) + 0x1000;
      pc.guest.set32(NEXT_TABLE, next);
      pc.guest.fill(next, 0x1000, 0);
      pc.guest.set64(at, BigInt(next) | 0x27n);
    }
    table = Number(pc.guest.get64(at) & ~0xfffn);
  }
  pc.guest.set64(table + Number((lin >> 21n) & 511n) * 8, BigInt(gpa) | 0xe7n);
}

runs("32-bit addresses that wrap where a run of 64-bit ones would go on", withTwins(async (twins) => {
  twins.run(
    `mov ecx, 30000
    mov esi, 0ffff0000h
    again:
      add edx, [esi + ebx]
      add ebx, 4
      and ebx, 1ffffh
      dec ecx
      jnz again
    mov [abs ${LAYOUT.data}], edx
    hlt`,
    64,
    {},
    (pc) => {
      mapLarge(pc, 0xffe00000n, PAGE);
      mapLarge(pc, 0x100000000n, PAGE + 0x200000);
      for (let i = 0; i < 0x10000; i += 4) pc.guest.set32(PAGE + 0x200000 + i, i * 7 + 1);
    },
  );
  assert.is(used(twins), THERE);
}));

runs("addresses that are not canonical", async () => {
  if (nasmMissing()) return;
  for (const [from, by] of [[0x7fffffff0000n, 8], [0xffff800000010000n, -8]] as const) {
    const twins = await Twins.create({}, { slice: 400 });
    const out = twins.run(`mov rsi, ${from}
again:
add rdx, [rsi]
add rsi, ${by}
jmp again`, 64, {}, (pc) => {
      mapLarge(pc, 0x7fffffe00000n, PAGE);
      mapLarge(pc, 0xffff800000000000n, PAGE + 0x200000);
    });
    assert.equal(out.fault && [out.fault.vector, out.fault.error, out.regs.rsi], [13, 0, by > 0 ? 0x800000000000n : 0xffff7ffffffffff8n]);
    assert.is(used(twins), THERE);
  }
});

runs("the end of all addresses, and another page there", withTwins(async (twins) => {
  const top = 0xffffffffffe00000n, low = 0x600000, tables = 0x400000; // linear 0 is low, the page tables are at `tables`
  const code = assemble(
    `mov ecx, 4000
    mov rsi, -4096
    xor edx, edx
    again:
      add edx, [rsi + 16]
      cmp ecx, 2000
      jne .same
      mov eax, [abs ${LAYOUT.data + 8}]
      xor dword [rax + 0ff8h], 600000h
      mov rax, cr3
      mov cr3, rax
    .same:
      dec ecx
      jnz again
    mov [abs ${LAYOUT.data}], edx
    hlt`,
    64,
  );
  const out = twins.run(code, 64, { memory: [[low + LAYOUT.code, code]] }, (pc) => {
    mapLarge(pc, top, PAGE);
    const directory = Number(pc.guest.get32(NEXT_TABLE));
    pc.guest.set64(LAYOUT.pml4 + 0x2000, BigInt(low) | 0xe7n);
    pc.guest.set64(PDE, 0xe7n);
    pc.guest.set32(LAYOUT.data + 8, tables + directory);
    pc.guest.set32(PAGE + 0x1ff010, 1);
    pc.guest.set32(0x3ff010, 100);
  });
  assert.is(out.regs.rdx, 2001n + 1999n * 100n);
  assert.is(used(twins), THERE);
}));

runs("INVLPG elsewhere on the page of 1 GiB that a run's pages have become", withTwins(async (twins) => {
  const pdpte = LAYOUT.pml4 + 0x1000 + 8, GIB = 0x40000000;
  const out = twins.run(
    `mov ecx, 9000
    mov esi, ${GIB + PAGE}
    mov r8, [abs ${pdpte}]
    xor edx, edx
    again:
      add edx, [rsi]
      cmp ecx, 6000
      jne .first
      mov qword [abs ${pdpte}], 0e7h
      mov rax, cr3
      mov cr3, rax
    .first:
      cmp ecx, 3000
      jne .second
      mov [abs ${pdpte}], r8
      mov eax, r8d
      and eax, ~0fffh
      mov qword [rax + 16], ${PAGE + 0x200000 + 0xe7}
      invlpg [abs ${GIB + 0x10000000}]
    .second:
      dec ecx
      jnz again
    mov [abs ${LAYOUT.data}], edx
    hlt`,
    64,
    {},
    (pc) => {
      for (let at = 0; at < LAYOUT.size; at += 0x200000) mapLarge(pc, BigInt(GIB + at), at);
      pc.guest.set32(PAGE, 1);
      pc.guest.set32(PAGE + 0x200000, 100);
    },
  );
  assert.is(out.regs.rdx, 6001n + 2999n * 100n);
  assert.is(used(twins), THERE);
}));

for (const flush of ["mov rax, cr3\nmov cr3, rax", ""])
  runs(`a local APIC that is moved onto memory, ${flush ? "with" : "without"} a flush behind`, withTwins(async (twins) => {
    const out = twins.run(
      `mov ecx, 4000
      mov esi, ${PAGE}
      again:
        mov ebx, [rsi + 1030h]
        cmp ecx, 2000
        jne .same
        push rcx
        mov ecx, 1bh
        mov eax, ${PAGE + 0x1800}
        xor edx, edx
        wrmsr
        pop rcx
        ${flush}
      .same:
        dec ecx
        jnz again
      hlt`,
      64,
      {},
      (pc) => pc.guest.set32(PAGE + 0x1030, 77),
    );
    assert.is(out.regs.rbx & 0xffn, 0x14n); // the version register
    assert.is(used(twins), THERE);
  }));

/** Accesses across the ends of pages, which a run does not mind, up to where it ends: the last page has room for fewer rounds than code asks for at once. */
for (const bits of [64, 32] as const)
  for (const count of [3, 4, 5, 6, 9])
    runs(`the end of a run, ${count} instructions a round, ${bits} bits`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create({}, { slice: 8000 }), si = bits === 64 ? "rsi" : "esi", last = LAYOUT.size - 4096;
      for (const [before, step] of [[4000, 40], [4000, 200]] as const) {
        const out = twins.run(`mov esi, ${last - 2 - before * step}\nxor eax, eax\nagain: add eax, [${si}]\nadd ${si}, ${step}\n${"mov edx, eax\n".repeat(count - 3)}jmp again`, bits, bits === 32 ? { cr0: 0x80000031n, cr3: 0x30000n, cr4: 0x610n } : {}, (pc) => {
          for (let i = 0; i < 1024; i++) pc.guest.set32(0x30000 + i * 4, i < LAYOUT.size >>> 22 ? (i << 22) | 0x87 : 0);
          for (let i = last - 0x40000; i < LAYOUT.size; i += 4) pc.guest.set32(i, i * 7 + 1);
        });
        assert.is(out.fault?.cr2, BigInt(last - 2 + Math.ceil(4095 / step) * step));
        assert.is(used(twins), THERE);
      }
    });

runs.run();
