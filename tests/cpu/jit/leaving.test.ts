/** Where translated code must leave, or meets what it was not made for: pages that go, prepared writes, code that changes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { LAYOUT, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const leaving = suite("leaving translated code");

/** Page table of 4 KiB pages for linear 4..6 MiB, which is otherwise one large page: identity. */
const TABLE = 0x20000;
function smallPages(pc: TestPc): void {
  for (let i = 0; i < 512; i++) pc.guest.set64(TABLE + i * 8, BigInt(0x400000 + i * 4096) | 7n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
}

leaving("flags at a page that is no longer there", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  // the block at `there` begins with an instruction that sets all flags, so nobody in the region looks at those of CMP
  const out = twins.run(
    `mov rsi, src
    mov rdi, 0x400f80
    mov ecx, 0x100
    rep movsb
    mov rax, 0x400f80
    mov edx, 0x401000 | 7
    mov ebp, 4000
    mov ebx, 5
    jmp rax
    src:
    here:
      dec ebp
      jnz on
      mov rdx, 0
      mov [abs ${TABLE} + 8], rdx
      invlpg [abs 0x401000]
      on: cmp ebp, ebx
      jmp there
    times 0x80 - ($ - src) nop
    there:
      xor eax, eax
      add r8, 1
      jmp here`,
    64,
    {},
    smallPages,
  );
  assert.ok(twins.regions > 0);
  assert.is(out.fault?.vector, Vector.PF);
  assert.is(out.fault?.cr2, 0x401000n);
  assert.is(out.rflags & 0x8d5n, 0x91n); // 0 - 5: CF, AF, SF
});

leaving("a write that was prepared and not made stays unmade", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const out = twins.run(
    `mov ebp, 300
    xor ecx, ecx
    again:
      shl qword [rsi + 0xffc], cl ; two pages, and nothing to store
      mov [rsi + 0xff8], rbp
      mov [rsi + 0x1000], rbp
      mov [rsi + 0x2000], rbp
      mov [rsi + 0x1002000], rbp ; the same entry of the TLB
      mov rax, [rsi + 0x1000]
      cmp rax, rbp
      jne wrong
      dec ebp
      jnz again
      hlt
    wrong: mov ebx, 1
      hlt`,
    64,
    { regs: { rsi: BigInt(LAYOUT.data) } },
    (pc) => pc.guest.set64(LAYOUT.pml4 + 0x2000 + 9 * 8, BigInt(LAYOUT.data) | 0x87n),
  );
  assert.ok(twins.regions > 0);
  assert.is(out.regs.rbx, 0n);
});

const STORES: readonly (readonly [string, string])[] = [
  ["MOV", "mov [rdi], eax"],
  ["a byte of MOV", "mov [rdi], al"],
  ["ADD", "add dword [rdi], 1"],
  ["INC", "inc dword [rdi]"],
  ["locked ADD", "lock add dword [rdi], 1"],
  ["XCHG", "mov edx, eax\nxchg [rdi], edx"],
  ["PUSH", "mov r14, rsp\nlea rsp, [rdi + 8]\nmov rdx, [rdi]\nadd rdx, 1\npush rdx\nmov rsp, r14"],
  ["CALL", "mov r14, rsp\nlea rsp, [rdi + 12]\ncall over\nover: mov rsp, r14"],
  ["STOSD", "mov r14, rdi\nstosd\nmov rdi, r14"],
  ["MOVSD", "mov r14, rdi\nmov [rel cell], eax\nlea rsi, [rel cell]\nmovsd\nmov rdi, r14"],
  ["REP STOSB", "mov r14, rdi\nmov ecx, 1\nrep stosb\nmov rdi, r14"],
  ["MOVD", "movd xmm0, eax\nmovd [rdi], xmm0"],
  ["SETcc", "test al, 1\nsetnz [rdi]"],
  ["an alias", "mov [rdi + r13], eax"],
];
// where the patched immediate is: behind the store in its block, before it, in another block of the loop, in what the loop calls
const PLACES: readonly (readonly [string, (store: string) => string])[] = [
  ["the next instruction", (s) => `${s}\npatched: mov ebx, 0x01010101\nadd r8, rbx`],
  ["before the store", (s) => `patched: mov ebx, 0x01010101\nadd r8, rbx\n${s}`],
  ["another block", (s) => `test ebp, 1\njz odd\npatched: mov ebx, 0x01010101\nadd r8, rbx\nodd: ${s}`],
  ["a subroutine", (s) => `call sub\nadd r8, rbx\n${s}`],
];

for (const [place, build] of PLACES)
  leaving(`${place} changes`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    for (const [name, store] of STORES) {
      // each eighth round patches
      const code = build(`test ebp, 7\njnz keep\nlea eax, [rbp + 3]\n${store}\nkeep: nop`);
      const straight = build(`lea eax, [rbp + 3]\n${store}`);
      for (const body of [code, straight]) {
        if (body === straight && name === "CALL" && place !== "another block") continue;
        const before = twins.regions;
        twins.run(
          `start: mov ebp, 400
          lea rdi, [rel patched + 1]
          mov r13, 0x600000
          again:
          ${body}
          dec ebp
          jnz again
          hlt
          sub: xor ecx, ecx
          ${place === "a subroutine" ? "patched: mov ebx, 0x01010101" : ""}
          ret
          align 8
          cell: dd 0`,
          64,
          {},
          (pc) => pc.guest.set64(LAYOUT.pml4 + 0x2000 + 3 * 8, BigInt(0) | 0x87n), // linear 6 MiB is 0 again
        );
        assert.ok(name === "CALL" || twins.regions >= before, name);
      }
    }
    assert.ok(twins.regions > 0);
  });

leaving("a store beside code goes on, the next one into that code does not", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  // every 512th round turns INC EBP into DEC EBP or back, right before it; the others store the same byte elsewhere on the page
  const out = twins.run(
    `mov ecx, 4000
    xor ebp, ebp
    mov eax, 0xc5
    mov rdi, beside
    mov r8, target + 1
    again:
      mov rdx, rdi
      mov r9d, eax
      xor r9d, 8
      test ecx, 0x1ff
      cmovz eax, r9d
      cmovz rdx, r8
      mov [rdx], al
      target: inc ebp
      dec ecx
      jnz again
    hlt
    times 0x200 db 0
    beside: db 0`,
    64,
  );
  let [sum, step] = [0, 1];
  for (let n = 4000; n > 0; n--) {
    if (n % 512 === 0) step = -step;
    sum += step;
  }
  assert.ok(twins.regions > 0);
  assert.is(BigInt.asIntN(32, out.regs.rbp), BigInt(sum));
});

leaving.run();
