/** The hypercall table and the way in and out (public/xen.h; arch-x86/xen-x86_64.h, xen-x86_32.h): every number has a
 *  row, arguments come in the ABI's registers, the result goes to rax, and only kernel code in protected mode may call. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, Mode, PcpuOff, VcpuOff } from "../../assembly/abi/layout";
import { Hypercall, Xen } from "../../assembly/abi/xen";
import { setHvmParam } from "../../src/hypervisor/control";
import { HYPERCALLS } from "../../src/hypervisor/hypercalls";
import { ARGS, Guest, TestMachine } from "./guest";

const machine = new TestMachine();
const table = suite("the hypercall table");

table("has every number from 0 to 55 once, in order, with a way to answer", () => {
  assert.equal(
    HYPERCALLS.map(({ number }) => number),
    Array.from({ length: 56 }, (_, n) => n),
  );
  for (const { name, does } of HYPERCALLS) {
    if (typeof does === "function") continue;
    assert.ok(does.answers < 0 && does.because.length > 10, name);
  }
});

table("answers a number that is not in it with -ENOSYS, at full width", () => {
  const a = new Guest(machine, { pages: 16 });
  for (const number of [56, 100, 0xffffffff, 2n ** 32n + 17n, 2n ** 63n, 2n ** 64n - 1n]) {
    assert.is(a.call(number), -Errno.ENOSYS, `${number}`);
  }
  assert.is(a.call32(56), -Errno.ENOSYS);
  assert.is(a.call32(0xffffffff), -Errno.ENOSYS);
  assert.is(a.call32(Hypercall.xen_version, Xen.XENVER_version), (4 << 16) | 17, "upper halves mean nothing");
  a.destroy();
});

table("what is not a PVH guest's is refused as Xen refuses it", () => {
  const a = new Guest(machine, { pages: 16 });
  const EPERM = ["platform_op", "sysctl", "domctl", "dm_op", "hypfs_op", "kexec_op", "mca"];
  for (const { number, name, who, does } of HYPERCALLS) {
    if (typeof does === "function") continue;
    const result = a.call(number, ARGS, ARGS, ARGS);
    if (EPERM.includes(name)) assert.is(result, -Errno.EPERM, name);
    else if (!who.includes("pvh")) assert.is(result, -Errno.ENOSYS, name);
    assert.is(result, does.answers);
  }
  a.destroy();
});

table("user code, real mode and virtual-8086 mode may not call", () => {
  const a = new Guest(machine, { pages: 16 });
  const attempt = (mode: number, cpl: number) => {
    a.mem.set32(a.pcpu + PcpuOff.mode, mode);
    a.mem.set32(a.pcpu + PcpuOff.cpl, cpl);
    a.mem.set64(a.pcpu + PcpuOff.gpr, BigInt(Hypercall.xen_version));
    a.mem.set64(a.pcpu + PcpuOff.gpr + 56, 0n); // rdi
    a.mem.set64(a.pcpu + PcpuOff.gpr + 24, 0n); // ebx
    assert.is(a.once(), "continue");
    return BigInt.asIntN(mode & Mode.bits64 ? 64 : 32, a.mem.get64(a.pcpu + PcpuOff.gpr));
  };
  const version = BigInt((4 << 16) | 17);
  const eperm = BigInt(-Errno.EPERM);
  assert.is(attempt(Mode.bits64, 0), version);
  assert.is(attempt(Mode.bits64 | Mode.cpl3, 3), eperm);
  assert.is(attempt(Mode.bits32, 0), version);
  assert.is(attempt(Mode.bits32, 1), eperm);
  assert.is(attempt(Mode.bits32 | Mode.cpl3, 3), eperm);
  assert.is(attempt(Mode.bits16, 0), version, "16-bit protected mode has the 32-bit ABI");
  assert.is(attempt(Mode.bits16 | Mode.real, 0), eperm);
  assert.is(attempt(Mode.bits16 | Mode.v86 | Mode.cpl3, 3), eperm);
  a.destroy();
});

const version = suite("xen_version");

version("describes Xen 4.17 to an unprivileged translated guest", () => {
  const a = new Guest(machine, { pages: 16 });
  const ask = (cmd: number, lin: number | bigint = ARGS) => a.call(Hypercall.xen_version, cmd, lin);
  const text = (length: number) => {
    const bytes = Array.from({ length }, (_, n) => a.u8(ARGS + n));
    return String.fromCharCode(...bytes).replace(/\0+$/, "");
  };
  assert.is(ask(Xen.XENVER_version, 0), 0x40011);
  assert.is(ask(Xen.XENVER_pagesize, 0), 4096);
  assert.is(ask(Xen.XENVER_extraversion), 0);
  assert.match(text(16), /^\./);
  assert.is(ask(Xen.XENVER_capabilities), 0);
  assert.is(text(1024), "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ");
  for (const cmd of [Xen.XENVER_compile_info, Xen.XENVER_changeset, Xen.XENVER_commandline]) assert.is(ask(cmd), 0);
  assert.is(ask(Xen.XENVER_platform_parameters), 0);
  assert.is(a.u64(ARGS), 0xffff_8000_0000_0000n);
  assert.is(ask(Xen.XENVER_build_id), -Errno.EPERM);
  assert.is(ask(11), -Errno.ENOSYS);
  for (let cmd = 1; cmd < 10; cmd++) {
    if (cmd !== Xen.XENVER_pagesize) assert.is(ask(cmd, 0xdead_0000_0000n), -Errno.EFAULT, `${cmd}`);
  }
  a.write(ARGS, ["u32", 0], ["u32", 0]);
  assert.is(ask(Xen.XENVER_get_features), 0);
  const has = (bit: number) => (a.u32(ARGS + 4) & (1 << bit)) !== 0;
  for (const bit of [Xen.XENFEAT_auto_translated_physmap, Xen.XENFEAT_writable_page_tables, Xen.XENFEAT_hvm_callback_vector, Xen.XENFEAT_hvm_safe_pvclock]) assert.ok(has(bit), `${bit}`);
  for (const bit of [Xen.XENFEAT_hvm_pirqs, Xen.XENFEAT_dom0, Xen.XENFEAT_direct_mapped]) assert.not(has(bit), `${bit}`);
  a.write(ARGS, ["u32", 1], ["u32", 0]);
  assert.is(ask(Xen.XENVER_get_features), -Errno.EINVAL);
  a.destroy();
});

const params = suite("hvm_op");

function setParam(a: Guest, index: number, value: number | bigint, domid: number = Xen.DOMID_SELF): number {
  a.write(ARGS, ["u16", domid], ["u16", 0], ["u32", index], ["u64", value]);
  return a.call(Hypercall.hvm_op, Xen.HVMOP_set_param, ARGS);
}
function getParam(a: Guest, index: number, domid: number = Xen.DOMID_SELF): number | bigint {
  a.write(ARGS, ["u16", domid], ["u16", 0], ["u32", index], ["u64", 0]);
  const result = a.call(Hypercall.hvm_op, Xen.HVMOP_get_param, ARGS);
  return result === 0 ? a.u64(ARGS + 8) : result;
}

params("a guest reads where its rings are and may not move them", () => {
  const a = new Guest(machine, { pages: 16 });
  for (const index of [Xen.HVM_PARAM_STORE_PFN, Xen.HVM_PARAM_CONSOLE_PFN]) {
    assert.is(setHvmParam(a.mem, a.domid, index, 0x1234n), 0);
    assert.is(getParam(a, index), 0x1234n);
    assert.is(setParam(a, index, 5), -Errno.EPERM);
    assert.is(getParam(a, index), 0x1234n);
  }
  for (const index of [Xen.HVM_PARAM_IDENT_PT, Xen.HVM_PARAM_MONITOR_RING_PFN, Xen.HVM_PARAM_ALTP2M, Xen.HVM_PARAM_IOREQ_SERVER_PFN]) {
    assert.is(getParam(a, index), -Errno.EPERM, `${index}`);
    assert.is(setParam(a, index, 1), -Errno.EPERM, `${index}`);
  }
  for (const index of [3, 4, 7, 13, 20, 24, 30, 39, 40, 0x7fffffff, 0x80000000, 0xffffffff]) {
    assert.is(getParam(a, index), -Errno.EINVAL, `${index}`);
    assert.is(setParam(a, index, 1), -Errno.EINVAL, `${index}`);
  }
  assert.is(getParam(a, Xen.HVM_PARAM_STORE_PFN, 0), -Errno.EPERM);
  assert.is(getParam(a, Xen.HVM_PARAM_STORE_PFN, 0x7abc), -Errno.ESRCH);
  assert.is(getParam(a, Xen.HVM_PARAM_STORE_PFN, a.domid), 0x1234n);
  a.destroy();
});

params("the callback vector is taken from HVM_PARAM_CALLBACK_IRQ; other ways lead nowhere in a PVH guest", () => {
  const a = new Guest(machine, { pages: 16 });
  assert.is(setParam(a, Xen.HVM_PARAM_CALLBACK_IRQ, (2n << 56n) | 0xf3n), 0);
  assert.is(a.mem.get32(a.domain + DomainOff.callbackVector), 0xf3);
  assert.is(getParam(a, Xen.HVM_PARAM_CALLBACK_IRQ), (2n << 56n) | 0xf3n);
  assert.is(setParam(a, Xen.HVM_PARAM_CALLBACK_IRQ, 9), 0);
  assert.is(a.mem.get32(a.domain + DomainOff.callbackVector), 0);
  a.write(ARGS, ["u32", 0], ["u8", 0x40]);
  assert.is(a.call(Hypercall.hvm_op, Xen.HVMOP_set_evtchn_upcall_vector, ARGS), 0);
  assert.is(a.mem.get32(a.vcpu + VcpuOff.callbackVector), 0x40);
  a.write(ARGS, ["u32", 0], ["u8", 0x0f]);
  assert.is(a.call(Hypercall.hvm_op, Xen.HVMOP_set_evtchn_upcall_vector, ARGS), -Errno.EINVAL);
  a.write(ARGS, ["u32", 1], ["u8", 0x40]);
  assert.is(a.call(Hypercall.hvm_op, Xen.HVMOP_set_evtchn_upcall_vector, ARGS), -Errno.ENOENT);
  a.destroy();
});

params("the other operations", () => {
  const a = new Guest(machine, { pages: 16 });
  const op = (n: number, lin: number | bigint = ARGS) => a.call(Hypercall.hvm_op, n, lin);
  assert.is(op(Xen.HVMOP_get_time), 0);
  assert.is(a.u64(ARGS), BigInt(machine.now));
  a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", 0], ["u32", 0], ["u64", 3]);
  assert.is(op(Xen.HVMOP_get_mem_type), 0);
  assert.is(a.u16(ARGS + 2), 0, "HVMMEM_ram_rw");
  a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", 0], ["u32", 0], ["u64", 2n ** 62n]);
  assert.is(op(Xen.HVMOP_get_mem_type), 0);
  assert.is(a.u16(ARGS + 2), 2, "HVMMEM_mmio_dm");
  assert.is(op(Xen.HVMOP_flush_tlbs, 0), 0);
  assert.is(op(Xen.HVMOP_flush_tlbs), -Errno.EINVAL);
  assert.is(op(Xen.HVMOP_pagetable_dying), -Errno.ENOSYS);
  assert.is(op(Xen.HVMOP_altp2m), -Errno.EOPNOTSUPP);
  assert.is(op(Xen.HVMOP_guest_request_vm_event, 0), 0);
  for (const n of [2, 3, 4, 6, 7, 8, 12, 14, 16, 22, 26, 0xffffffff]) assert.is(op(n), -Errno.ENOSYS, `${n}`);
  a.destroy();
});

const console = suite("console_io");

console("lines reach the log whole, however they are written", () => {
  const a = new Guest(machine);
  const write = (text: string) => {
    a.write(0x8000, ...[...text].map((c) => ["u8", c.charCodeAt(0)] as ["u8", number]));
    return a.call(Hypercall.console_io, Xen.CONSOLEIO_write, text.length, 0x8000);
  };
  machine.log.length = 0;
  assert.is(write("Hello"), 0);
  assert.equal(machine.log, []);
  assert.is(write(", \x1b[1mworld\x07\r\nnext\tline\n"), 0);
  assert.equal(machine.log, [`(d${a.domid}) Hello, [1mworld`, `(d${a.domid}) next\tline`]);
  machine.log.length = 0;
  assert.is(write("x".repeat(5000)), 0);
  assert.ok(machine.log.every((line) => line.length <= 520) && machine.log.length === 9, "long lines are broken");
  assert.is(a.call(Hypercall.console_io, Xen.CONSOLEIO_write, 10, 0xdead_0000_0000n), -Errno.EFAULT);
  assert.is(a.call(Hypercall.console_io, Xen.CONSOLEIO_write, 0xffffffff, 0x8000), -Errno.EINVAL);
  assert.is(a.call(Hypercall.console_io, Xen.CONSOLEIO_write, 0x7fffffff, 0x8000), -Errno.EFAULT, "to the end of memory");
  assert.is(a.call(Hypercall.console_io, Xen.CONSOLEIO_read, 10, 0x8000), 0);
  assert.is(a.call(Hypercall.console_io, 2, 10, 0x8000), -Errno.ENOSYS);
  a.destroy();
});

const multicalls = suite("multicall");

multicalls("does each entry, stores each result, and continues long lists and long entries", () => {
  const a = new Guest(machine, { maxPages: 4096 });
  const entry = (n: number, op: number | bigint, ...args: (number | bigint)[]) => {
    const fields = [op, 0x5555, ...args, ...Array(6 - args.length).fill(0)];
    a.write(0x8000 + 64 * n, ...fields.map((value) => ["u64", value] as ["u64", number | bigint]));
  };
  for (let n = 0; n < 100; n++) entry(n, Hypercall.xen_version, n % 2 ? Xen.XENVER_pagesize : Xen.XENVER_version);
  entry(50, 2n ** 40n);
  entry(51, Hypercall.multicall, 0x8000, 1);
  a.write(ARGS, ["u64", 0x4000], ["u64", 400], ["u32", 1], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  a.write(0x4000, ...Array.from({ length: 400 }, (_, n) => ["u64", 0x1000 + 2 * n] as ["u64", number]));
  entry(52, Hypercall.memory_op, Xen.XENMEM_populate_physmap, ARGS);
  assert.is(a.call(Hypercall.multicall, 0x8000, 100), 0);
  for (let n = 0; n < 100; n++) {
    const expected = n === 50 ? -Errno.ENOSYS : n === 51 ? -Errno.EINVAL : n === 52 ? 400 : n % 2 ? 4096 : 0x40011;
    assert.is(Number(BigInt.asIntN(64, a.u64(0x8000 + 64 * n + 8))), expected, `entry ${n}`);
  }
  assert.is(a.call(Hypercall.multicall, 0x8000, 0), 0);
  assert.is(a.call(Hypercall.multicall, a.pages * 4096 - 64, 2), -Errno.EFAULT);
  assert.is(a.call(Hypercall.multicall, 0xdead_0000_0000n, 0xffffffff), -Errno.EFAULT);
  // struct multicall_entry of a 32-bit guest: 32 bytes
  a.write(0x8000, ["u32", Hypercall.xen_version], ["u32", 1], ["u32", Xen.XENVER_pagesize], ["u32", 0]);
  a.write(0x8020, ["u32", 56], ["u32", 1]);
  assert.is(a.call32(Hypercall.multicall, 0x8000, 2), 0);
  assert.equal([a.u32(0x8004), a.u32(0x8024) | 0], [4096, -Errno.ENOSYS]);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

multicalls("an entry that gives up the processor ends the pass, not the list", () => {
  const a = new Guest(machine, { pages: 16 });
  a.write(0x8000, ["u64", Hypercall.sched_op], ["u64", 9], ["u64", Xen.SCHEDOP_block], ["u64", 0]);
  a.write(0x8040, ["u64", Hypercall.xen_version], ["u64", 9], ["u64", Xen.XENVER_pagesize], ["u64", 0]);
  assert.is(a.call(Hypercall.multicall, 0x8000, 2), 0);
  assert.equal([a.u64(0x8008), a.u64(0x8048)], [0n, 4096n]);
  a.destroy();
});

multicalls("entries that take long end the pass", () => {
  const slow = new TestMachine();
  const a = new Guest(slow, { pages: 16 });
  let now = slow.now;
  Object.defineProperty(slow, "now", { get: () => (now += 4e5) }); // each look at the clock
  for (let n = 0; n < 30; n++) a.write(0x8000 + 64 * n, ["u64", Hypercall.xen_version], ["u64", 9], ["u64", Xen.XENVER_pagesize]);
  const done = () => Array.from({ length: 30 }, (_, n) => a.u64(0x8008 + 64 * n)).filter((result) => result === 4096n).length;
  const { hypervisor } = a;
  const perform = hypervisor.hypercall.bind(hypervisor);
  let passes = 0;
  hypervisor.hypercall = (vcpu) => {
    const before = done();
    const outcome = perform(vcpu);
    passes++;
    assert.ok(done() - before >= 1 && done() - before < 5, "at least one, and not all");
    return outcome;
  };
  assert.is(a.call(Hypercall.multicall, 0x8000, 30), 0);
  assert.is(done(), 30);
  assert.ok(passes > 6);
});

const assist = suite("vm_assist");
assist("translated guests have one assist", () => {
  const a = new Guest(machine, { pages: 16 });
  const call = (cmd: number, type: number | bigint) => a.call(Hypercall.vm_assist, cmd, type);
  assert.is(call(Xen.VMASST_CMD_enable, Xen.VMASST_TYPE_runstate_update_flag), 0);
  assert.is(call(Xen.VMASST_CMD_disable, Xen.VMASST_TYPE_runstate_update_flag), 0);
  assert.is(call(2, Xen.VMASST_TYPE_runstate_update_flag), -Errno.ENOSYS);
  for (const type of [0, 1, 2, 3, 4, 6, 31, 32, 63, 64, 2n ** 63n]) assert.is(call(0, type), -Errno.EINVAL, `${type}`);
  a.destroy();
});

for (const each of [table, version, params, console, multicalls, assist]) each.run();
