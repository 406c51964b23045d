/** Hot loops around what changes the machine under them: devices, segments, flags, debug registers, page tables. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../../assembly/abi/exit";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { assemble, EAGER, LAYOUT, nasmMissing, TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const system = suite("translated loops and the system around them");
const TABLE = 0x20000;
/** 4 MiB in small pages, 18 MiB is 0 again, 20 MiB a device. */
const mappings = (pc: TestPc) => {
  for (let i = 0; i < 512; i++) pc.guest.set64(TABLE + i * 8, BigInt(0x400000 + i * 4096) | 7n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 9 * 8, 0x87n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 10 * 8, 0xfe000000n | 0x87n);
};

system("devices in loops", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  twins.run(`mov edi, 20 << 20
  mov ebp, 500
  again: mov [rdi], eax
  add dword [rdi + 4], 3
  mov ax, [rdi + 0xffe]
  adc rbx, [rdi + 9]
  inc byte [rdi + 7]
  push qword [rdi]
  pop rdx
  setc [rdi]
  xchg [rdi], ecx
  mov rsi, rdi
  movsd
  mov rdi, rsi
  and edi, ~0xfff
  dec ebp
  jnz again
  hlt`, 64, {}, mappings);
  assert.ok(twins.regions);
});

system("same bytes at two addresses", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  twins.run(`mov ebp, 500
  outer:
  lea rax, [rel f]
  call rax
  add rax, 18 << 20
  call rax
  dec ebp
  jnz outer
  hlt
  f: mov ecx, 20
  g: lea rdx, [rel f]
  add r8, rdx
  rol r8, 1
  loop2: dec ecx
  jnz g
  ret`, 64, {}, mappings);
  assert.ok(twins.regions);
});

system("STI, CLI, MOV SS, ports; the trap flag is set while the loop is hot", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  twins.run(`mov ebp, 700
  mov eax, 0x18
  again: sti
  nop
  cli
  mov ss, eax
  add r8, rbp
  pushfq
  pop rdx
  add r9, rdx
  out 0x80, al
  in al, 0x80
  mov eax, 0x18
  cmp ebp, 350
  jne on
  pushfq
  or dword [rsp], 0x100
  popfq
  on: dec ebp
  jnz again
  hlt`, 64, {}, mappings);
  assert.ok(twins.regions);
});

system("the second page of a loop is another one from time to time", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  twins.run(`mov rsi, src
  mov rdi, 0x400f80
  mov ecx, 0x180
  rep movsb
  mov rsi, src + 0x80
  mov rdi, 0x402000
  mov ecx, 0x40
  rep movsb
  mov byte [0x402000 + other - there + 2], 7
  mov ebp, 3000
  mov rax, 0x400f80
  mov ebx, 0x401007
  mov edx, 0x402007
  call rax
  hlt
  src:
  here: dec ebp
  jz done
  test ebp, 63
  jnz on
  xchg rbx, rdx
  mov [abs ${TABLE} + 8], rbx
  mov rcx, cr3
  mov cr3, rcx
  on: cmp ebp, 77
  jmp there
  done: ret
  times 0x80 - ($ - src) nop
  there: xor eax, eax
  other: add r8, 1
  adc r8, rbp
  rol r8, 1
  jmp here`, 64, {}, mappings);
  assert.ok(twins.regions);
});

system("breakpoints set while the loop is hot", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  twins.run(`mov ebp, 700
  lea rsi, [rel cell]
  again: add [rsi], ebp
  inc qword [rsi]
  dec ebp
  cmp ebp, 200
  jne on
  mov dr0, rsi
  mov eax, 0xd0402
  mov dr7, rax
  on: test ebp, ebp
  jnz again
  hlt
  align 8
  cell: dq 0`, 64, {}, mappings);
  twins.run(`mov ebp, 700
  again: add r8, rbp
  spot: rol r8, 3
  dec ebp
  cmp ebp, 200
  jne on
  lea rsi, [rel spot]
  mov dr0, rsi
  mov eax, 0x402
  mov dr7, rax
  on: test ebp, ebp
  jnz again
  hlt`, 64, {}, mappings);
  assert.ok(twins.regions);
});

system("alignment checks begin; SMAP", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  for (const cr0 of [0x80040031n, 0x80000031n])
    twins.run(`mov ebp, 700
    again: mov eax, [rsi + rcx]
    add r8, rax
    cmp ebp, 100
    jne on
    pushfq
    or dword [rsp], 0x40000
    popfq
    mov ecx, 1
    on: dec ebp
    jnz again
    ud2`, 64, { cpl: 3, cr0, regs: { rsi: BigInt(LAYOUT.data) } }, mappings);
  twins.run(`mov ebp, 700
    again: stac
    mov eax, [rsi]
    add r8, rax
    clac
    cmp ebp, 100
    jne on
    add r8, [rsi]
    on: dec ebp
    jnz again
    ud2`, 64, { cr4: 0x200620n, regs: { rsi: BigInt(LAYOUT.data) } }, mappings);
  assert.ok(twins.regions);
});

system("addresses that wrap at 4 GiB", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  twins.run(`mov ebp, 600
  mov esi, 0xfffffff0
  again: mov eax, [esi + ${LAYOUT.data} + 0x20]
  add [esi + ${LAYOUT.data} + 0x30], ebp
  lea esi, [esi + 3]
  and esi, 0xffffffff
  or esi, 0xffffff00
  adc ebx, eax
  dec ebp
  jnz again
  mov ecx, 500
  more: mov edx, [ecx * 4 - 1024]
  add ebx, edx
  dec ecx
  jnz more
  hlt`, 32, {}, mappings);
  assert.ok(twins.regions);
});

system("direction flag", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  twins.run(`mov ebp, 600
  mov rdi, ${LAYOUT.data + 0x800}
  lea rsi, [rdi - 0x400]
  again: test ebp, 1
  jz even
  std
  jmp go
  even: cld
  go: movsb
  lodsw
  stosw
  add rsi, 2
  dec ebp
  jnz again
  hlt`, 64, {}, mappings);
  assert.ok(twins.regions);
});
// STI's shadow covers a RET, the last record of its block. What lies behind it in memory is the head of the loop, to be looked at for once.
system("an interrupt after STI and RET, and one at the head of a region that got the look meant for it", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const handler = LAYOUT.code + 0x3000;
  const SELF = "mov ecx, 0x83f\nmov eax, 0x60\nxor edx, edx\nwrmsr";
  const out = twins.run(
    `mov ecx, 0x1b
    xor edx, edx
    mov eax, 0xfee00800 ; the APIC on, then as x2APIC
    wrmsr
    or ah, 4
    wrmsr
    mov ecx, 0x80f
    mov eax, 0x1ff
    xor edx, edx
    wrmsr
    mov ebp, 300
    mov r12d, 3
    call f
    loop: add r8, rbp
    dec ebp
    jnz loop
    dec r12d
    jz end
    cli
    ${SELF}
    call f
    mov ebp, 5
    pushfq
    cli
    ${SELF}
    popfq
    jmp loop
    end: hlt
    times 0x2000 - ($ - $$) nop
    f: sti
    ret
    times 0x3000 - ($ - $$) nop
    push rcx
    push rax
    push rdx
    inc r15
    mov ecx, 0x80b
    xor eax, eax
    xor edx, edx
    wrmsr
    pop rdx
    pop rax
    pop rcx
    iretq`,
    64,
    {},
    (pc) => pc.guest.write(LAYOUT.stubs + 0x60 * 16, Uint8Array.of(0xe9, ...new Uint8Array(Int32Array.of(handler - (LAYOUT.stubs + 0x60 * 16 + 5)).buffer))),
  );
  assert.ok(twins.regions > 0);
  assert.is(out.fault, undefined);
  assert.equal([out.regs.r12, out.regs.r15], [0n, 4n]);
});

// Each write to the task priority makes the processor look for interrupts: one waits, and its priority is too low. Before the write the region
// has counted instructions that memory knows nothing of yet.
system("a loop that writes to the local APIC is out of its budget in time", async () => {
  if (nasmMissing()) return;
  const pc = await TestPc.create({ jit: EAGER });
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 10 * 8, 0xfee00000n | 0x97n);
  const retired = () => pc.mem.get64(Region.PCPUS + PcpuOff.retired);
  const translated = () => pc.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated);
  const code = assemble(
    `mov ecx, 0x1b
    xor edx, edx
    mov eax, 0xfee00800
    wrmsr
    mov edi, 20 << 20
    mov dword [rdi + 0xf0], 0x1ff ; software enable
    mov dword [rdi + 0x80], 0xff ; TPR: nothing gets through
    mov dword [rdi + 0x300], 0x40060 ; ICR: vector 60h to itself
    sti
    mov eax, 0xff
    mov ebp, 300000
    again:
    ${"add rbx, rbp\n".repeat(12)}
    mov [rdi + 0x80], eax
    ${"xor rdx, rbx\n".repeat(12)}
    dec ebp
    jnz again
    hlt`,
    64,
  );
  const before = retired(), budget = 100_000;
  const out = pc.run(code, 64, {}, budget);
  assert.ok(translated() > 0);
  assert.is(out.exit, Exit.budget);
  const done = Number(retired() - before);
  assert.ok(done >= budget && done < budget + 100, `${done} instructions`);
  const rounds = (300000 - Number(out.regs.rbp)) * 27; // instructions of one round
  assert.ok(Math.abs(rounds - done) < 100, `${rounds} instructions by the loop's own count, ${done} retired`);
});

system.run();
