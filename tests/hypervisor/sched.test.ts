/** Scheduling, vCPUs, timers and time (public/sched.h, vcpu.h, struct vcpu_time_info in xen.h). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, PcpuOff, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { Hypercall, SharedInfo32Off, SharedInfoOff, VcpuInfoOff, VcpuTimeInfoOff, Xen } from "../../assembly/abi/xen";
import { HvDomain, HvVcpu } from "../../src/hypervisor/state";
import { timeScale } from "../../src/hypervisor/time";
import { ARGS, Guest, TestMachine, TSC_KHZ } from "./guest";

const machine = new TestMachine();
const SECOND = 1e9;

const sched = suite("sched_op");

sched("a word that holds a u64 or an f64 is at a multiple of 8", () => {
  for (const at of [HvVcpu.pollDeadline, HvVcpu.runstateLin, HvVcpu.timeLin, HvVcpu.timePublished]) assert.is(at % 8, 0);
  for (const at of [HvDomain.watchdog, HvDomain.hvmParams]) assert.is(at % 8, 0);
  assert.ok(DomainOff.hv + HvDomain.SIZE <= DomainOff.SIZE && VcpuOff.hv + HvVcpu.SIZE <= VcpuOff.SIZE);
});

sched("yield and block say so, and block opens the upcall mask first", () => {
  const a = new Guest(machine, { pages: 16 });
  assert.is(a.call(Hypercall.sched_op, Xen.SCHEDOP_yield, 0), 0);
  assert.is(a.outcome, "yield");
  const info = a.mem.get32(a.vcpu + VcpuOff.infoMaddr);
  a.mem.set8(info + VcpuInfoOff.evtchn_upcall_mask, 1);
  assert.is(a.call(Hypercall.sched_op, Xen.SCHEDOP_block, 0), 0);
  assert.is(a.outcome, "block");
  assert.is(a.mem.get8(info + VcpuInfoOff.evtchn_upcall_mask), 0);
  a.mem.set8(info, 1);
  assert.is(a.call(Hypercall.sched_op, Xen.SCHEDOP_block, 0), 0);
  assert.is(a.outcome, "continue", "an upcall is pending");
  a.destroy();
});

for (const reason of [0, 1, 2, 3, 4, 5, 77]) {
  sched(`shutdown with reason ${reason} is final`, () => {
    const a = new Guest(machine, { pages: 16 });
    machine.shutdowns.length = 0;
    a.write(ARGS, ["u32", reason]);
    assert.is(a.call(Hypercall.sched_op, Xen.SCHEDOP_shutdown, ARGS), 0);
    assert.is(a.outcome, "shutdown");
    assert.is(a.mem.load(a.domain + DomainOff.shutdownReason), reason);
    assert.equal(machine.shutdowns, [[a.domid, reason]]);
    assert.ok(a.mem.load(a.vcpu + VcpuOff.request) & VcpuRequest.pause);
    a.hypervisor.crash(a.vcpu, "too late");
    assert.is(a.mem.load(a.domain + DomainOff.shutdownReason), reason);
    a.destroy();
  });
}

sched("a latched code is what a later shutdown reports; a crash is reported with its text", () => {
  const a = new Guest(machine, { pages: 16 });
  a.write(ARGS, ["u32", Xen.SHUTDOWN_reboot]);
  assert.is(a.call(Hypercall.sched_op, Xen.SCHEDOP_shutdown_code, ARGS), 0);
  assert.is(a.mem.load(a.domain + DomainOff.shutdownReason), -1);
  a.write(ARGS, ["u32", Xen.SHUTDOWN_poweroff]);
  a.call(Hypercall.sched_op, Xen.SCHEDOP_shutdown, ARGS);
  assert.is(a.mem.load(a.domain + DomainOff.shutdownReason), Xen.SHUTDOWN_reboot);
  const b = new Guest(machine, { pages: 16, deaf: true });
  b.hypervisor.crash(b.vcpu, "triple fault");
  assert.is(b.mem.load(b.domain + DomainOff.shutdownReason), Xen.SHUTDOWN_crash);
  assert.is(machine.log.at(-1), `(d${b.domid}) vCPU 0: triple fault`);
  a.destroy();
  b.destroy();
});

sched("poll returns at once for a pending port, else waits for one of them or for its time limit", () => {
  const a = new Guest(machine, { pages: 16 });
  const port = machine.control.allocUnboundIn(a.domid);
  const mine = machine.control.bindInterdomain(a.domid, port);
  const poll = (count: number, timeout: number | bigint, list = ARGS + 64) => {
    a.write(ARGS, ["u64", list], ["u32", count], ["u64", timeout]);
    a.write(ARGS + 64, ["u32", port]);
    return a.call(Hypercall.sched_op, Xen.SCHEDOP_poll, ARGS);
  };
  assert.is(poll(1, 0), 0);
  assert.is(a.outcome, "block");
  assert.is(a.hypervisor.nextDeadline(a.vcpu), Number.POSITIVE_INFINITY);
  a.mem.store(a.vcpu + VcpuOff.runnable, 0);
  a.mem.store(a.vcpu + VcpuOff.request, 0);
  machine.control.notify(mine);
  assert.is(a.mem.load(a.vcpu + VcpuOff.runnable), 1);
  assert.is.not(a.mem.load(a.vcpu + VcpuOff.request), 0);
  assert.is(a.mem.load(a.vcpu + VcpuOff.polled), 0);
  assert.is(poll(1, 0), 0);
  assert.is(a.outcome, "continue", "it is pending already");

  const bits = a.mem.get32(a.domain + DomainOff.sharedInfo) * 4096 + SharedInfoOff.evtchn_pending;
  a.mem.store(bits, 0);
  assert.is(poll(1, machine.now + 5000), 0);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), machine.now + 5000);
  a.mem.store(a.vcpu + VcpuOff.runnable, 0);
  a.hypervisor.fireTimers(a.vcpu, machine.now + 4999);
  assert.is(a.mem.load(a.vcpu + VcpuOff.runnable), 0);
  a.hypervisor.fireTimers(a.vcpu, machine.now + 5000);
  assert.is(a.mem.load(a.vcpu + VcpuOff.runnable), 1);

  assert.is(poll(129, 0), -Errno.EINVAL);
  assert.is(poll(0xffffffff, 0), -Errno.EINVAL);
  assert.is(poll(1, 0, 0xffff0000), -Errno.EFAULT);
  assert.is(poll(2, 0), -Errno.EINVAL, "port 0 is none");
  assert.is(a.mem.load(a.vcpu + VcpuOff.polled), 0);
  // struct sched_poll of a 32-bit guest: ports, nr_ports, timeout at 8
  a.write(ARGS, ["u32", ARGS + 64], ["u32", 1], ["u64", 123]);
  assert.is(a.call32(Hypercall.sched_op, Xen.SCHEDOP_poll, ARGS), 0);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), 123);
  machine.control.close(mine);
  machine.control.takeControlEvents();
  a.destroy();
});

sched("watchdogs shut the domain down unless poked", () => {
  const a = new Guest(machine, { pages: 16 });
  const watchdog = (id: number, timeout: number) => {
    a.write(ARGS, ["u32", id], ["u32", timeout]);
    return a.call(Hypercall.sched_op, Xen.SCHEDOP_watchdog, ARGS);
  };
  assert.is(watchdog(0, 0), -Errno.EINVAL);
  assert.is(watchdog(3, 10), -Errno.EINVAL);
  assert.is(watchdog(1, 10), -Errno.EINVAL, "not set up");
  assert.is(watchdog(0, 10), 1);
  assert.is(watchdog(0, 20), 2);
  assert.is(watchdog(0, 30), -Errno.ENOSPC);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), machine.now + 10 * SECOND);
  assert.is(watchdog(1, 40), 0);
  assert.is(watchdog(2, 0), 0);
  a.hypervisor.fireTimers(a.vcpu, machine.now + 39 * SECOND);
  assert.is(a.mem.load(a.domain + DomainOff.shutdownReason), -1);
  a.hypervisor.fireTimers(a.vcpu, machine.now + 40 * SECOND);
  assert.is(a.mem.load(a.domain + DomainOff.shutdownReason), Xen.SHUTDOWN_watchdog);
  a.destroy();
});

sched("other domains' fate and processor affinity are not a guest's", () => {
  const [a, b] = [new Guest(machine, { pages: 16 }), new Guest(machine, { pages: 16 })];
  a.write(ARGS, ["u16", b.domid], ["u32", 0]);
  assert.is(a.call(Hypercall.sched_op, Xen.SCHEDOP_remote_shutdown, ARGS), -Errno.EPERM);
  a.write(ARGS, ["u16", 0x7abc], ["u32", 0]);
  assert.is(a.call(Hypercall.sched_op, Xen.SCHEDOP_remote_shutdown, ARGS), -Errno.ESRCH);
  assert.is(a.call(Hypercall.sched_op, Xen.SCHEDOP_pin_override, ARGS), -Errno.EPERM);
  assert.is(a.call(Hypercall.sched_op, 8, ARGS), -Errno.ENOSYS);
  assert.is(b.mem.load(b.domain + DomainOff.shutdownReason), -1);
  a.destroy();
  b.destroy();
});

const timers = suite("timers");

/** Binds VIRQ_TIMER and returns a function that says whether it came since the last question. */
function timerPort(a: Guest): () => boolean {
  a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_TIMER, 0);
  const port = a.u32(ARGS + 8);
  const at = a.mem.get32(a.domain + DomainOff.sharedInfo) * 4096 + SharedInfoOff.evtchn_pending;
  return () => (a.mem.and(at, ~(1 << port)) & (1 << port)) !== 0;
}

timers("the one-shot timer fires once at its time; 0 stops it", () => {
  const a = new Guest(machine, { pages: 16 });
  const ticked = timerPort(a);
  const at = machine.now + 12345;
  assert.is(a.call(Hypercall.set_timer_op, at), 0);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), at);
  a.hypervisor.fireTimers(a.vcpu, at - 1);
  assert.not.ok(ticked());
  a.hypervisor.fireTimers(a.vcpu, at);
  assert.ok(ticked());
  assert.is(a.hypervisor.nextDeadline(a.vcpu), Number.POSITIVE_INFINITY);
  a.call(Hypercall.set_timer_op, at);
  a.call(Hypercall.set_timer_op, 0);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), Number.POSITIVE_INFINITY);
  for (const wild of [-1n, -(2n ** 63n), 2n ** 62n, BigInt(machine.now) + 2n ** 50n]) {
    a.call(Hypercall.set_timer_op, wild);
    assert.is(a.hypervisor.nextDeadline(a.vcpu), machine.now + 1e8, `${wild} comes from wrapped jiffies: a tick in 100 ms`);
  }
  assert.is(a.call32(Hypercall.set_timer_op, 5, 1), 0);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), 2 ** 32 + 5, "low and high half in a 32-bit guest");
  a.destroy();
});

timers("VCPUOP one-shot: a past time fires at once or is -ETIME by flag; only for the caller itself", () => {
  const a = new Guest(machine, { pages: 16, vcpus: 2 });
  const set = (timeout: number | bigint, flags: number, vcpu = 0) => {
    a.write(ARGS, ["u64", timeout], ["u32", flags]);
    return a.call(Hypercall.vcpu_op, Xen.VCPUOP_set_singleshot_timer, vcpu, ARGS);
  };
  assert.is(set(machine.now + 7, 1), 0);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), machine.now + 7);
  assert.is(set(machine.now - 7, 1), -Errno.ETIME);
  assert.is(set(machine.now - 7, 0), 0);
  assert.ok(a.hypervisor.nextDeadline(a.vcpu) <= machine.now);
  assert.is(set(-5n, 0), 0);
  assert.ok(a.hypervisor.nextDeadline(a.vcpu) <= machine.now);
  assert.is(set(machine.now + 7, 0, 1), -Errno.EINVAL);
  assert.is(a.call(Hypercall.vcpu_op, Xen.VCPUOP_stop_singleshot_timer, 0, 0), 0);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), Number.POSITIVE_INFINITY);
  a.destroy();
});

timers("the periodic timer keeps its phase and collapses missed ticks", () => {
  const a = new Guest(machine, { pages: 16 });
  const ticked = timerPort(a);
  const set = (period: number | bigint) => {
    a.write(ARGS, ["u64", period]);
    return a.call(Hypercall.vcpu_op, Xen.VCPUOP_set_periodic_timer, 0, ARGS);
  };
  assert.is(set(999_999), -Errno.EINVAL);
  assert.is(set(0), -Errno.EINVAL);
  assert.is(set(2n ** 63n), -Errno.EINVAL);
  assert.is(set(10_000_000), 0);
  const t0 = machine.now;
  assert.is(a.hypervisor.nextDeadline(a.vcpu), t0 + 1e7);
  a.hypervisor.fireTimers(a.vcpu, t0 + 1e7);
  assert.ok(ticked());
  a.hypervisor.fireTimers(a.vcpu, t0 + 5.5e7);
  assert.ok(ticked());
  assert.is(a.hypervisor.nextDeadline(a.vcpu), t0 + 6e7);
  assert.is(a.call(Hypercall.vcpu_op, Xen.VCPUOP_stop_periodic_timer, 0, 0), 0);
  assert.is(a.hypervisor.nextDeadline(a.vcpu), Number.POSITIVE_INFINITY);
  a.destroy();
});

const time = suite("time");

/** What a guest computes: struct vcpu_time_info's algorithm. */
function systemTime(tsc: bigint, at: { stamp: bigint; system: bigint; mul: number; shift: number }): bigint {
  const delta = tsc - at.stamp;
  const shifted = at.shift < 0 ? delta >> BigInt(-at.shift) : delta << BigInt(at.shift);
  return at.system + ((shifted * BigInt(at.mul)) >> 32n);
}

for (const khz of [1, 1000, 999_999, 1_000_000, 1_000_001, 2_000_000, 2_593_905, 4_000_000, 10_000_000]) {
  time(`a TSC of ${khz} kHz scales to ns`, () => {
    const { mul, shift } = timeScale(khz);
    assert.ok(mul >= 2 ** 31 && mul < 2 ** 32, "all 32 bits are used");
    const hour = BigInt(khz) * 1000n * 3600n;
    const ns = Number(systemTime(hour, { stamp: 0n, system: 0n, mul, shift }));
    assert.ok(Math.abs(ns - 3600e9) < 3600e9 * 2 ** -30, `${ns}`);
  });
}

time("a vCPU that comes to run finds its time words and the wallclock", () => {
  const a = new Guest(machine, { pages: 16 });
  const offset = 10n ** 12n;
  a.mem.set64(a.pcpu + PcpuOff.tscOffset, offset);
  a.hypervisor.runstate(a.vcpu, "running", machine.now);
  const at = a.mem.get32(a.vcpu + VcpuOff.infoMaddr) + VcpuInfoOff.time;
  const words = {
    stamp: a.mem.view.getBigUint64(at + VcpuTimeInfoOff.tsc_timestamp, true),
    system: a.mem.view.getBigUint64(at + VcpuTimeInfoOff.system_time, true),
    mul: a.mem.view.getUint32(at + VcpuTimeInfoOff.tsc_to_system_mul, true),
    shift: a.mem.view.getInt8(at + VcpuTimeInfoOff.tsc_shift),
  };
  assert.is(a.mem.get32(at) & 1, 0);
  assert.is.not(a.mem.get32(at), 0);
  assert.is(words.system, BigInt(machine.now));
  const later = BigInt(machine.now) + 10n * BigInt(SECOND);
  const tsc = (later * BigInt(TSC_KHZ)) / 1_000_000n + offset;
  assert.ok(Math.abs(Number(systemTime(tsc, words) - later)) <= 10);
  a.mem.set64(a.pcpu + PcpuOff.tscOffset, 0n);

  const info = a.mem.get32(a.domain + DomainOff.sharedInfo) * 4096;
  assert.is(a.mem.get32(info + SharedInfoOff.wc_version) & 1, 0);
  assert.is(a.mem.get32(info + SharedInfoOff.wc_sec), 0x2345_6789);
  assert.is(a.mem.get32(info + SharedInfoOff.wc_sec_hi), 1);
  assert.is(a.mem.get32(info + SharedInfoOff.wc_nsec), 987654321);
  a.call32(Hypercall.xen_version, 0);
  assert.is(a.mem.get32(info + SharedInfo32Off.wc_sec), 0x2345_6789, "where 32-bit guests look for it");
  assert.is(a.mem.get32(info + SharedInfo32Off.wc_sec_hi), 1);
  a.destroy();
});

time("the version changes with every update and ends even", () => {
  const a = new Guest(machine, { pages: 16 });
  const at = a.mem.get32(a.vcpu + VcpuOff.infoMaddr) + VcpuInfoOff.time;
  let last = a.mem.get32(at);
  for (const scribbled of [0, 1, 7, 0xffffffff, 0xfffffffe]) {
    a.mem.store(at, scribbled);
    a.hypervisor.updateTime(a.vcpu, machine.now);
    assert.is(a.mem.get32(at) & 1, 0);
    assert.is.not(a.mem.get32(at), last);
    last = a.mem.get32(at);
  }
  a.destroy();
});

const vcpus = suite("vcpu_op");

vcpus("runstate times add up and reach the registered area", () => {
  const a = new Guest(machine, { pages: 16 });
  a.hypervisor.runstate(a.vcpu, "running", 1000);
  a.hypervisor.runstate(a.vcpu, "blocked", 1500);
  a.hypervisor.runstate(a.vcpu, "runnable", 4500);
  const area = 5 * 4096 + 8;
  a.write(ARGS, ["u64", area]);
  assert.is(a.call(Hypercall.vcpu_op, Xen.VCPUOP_register_runstate_memory_area, 0, ARGS), 0);
  assert.is(a.u32(area), Xen.RUNSTATE_runnable);
  a.hypervisor.runstate(a.vcpu, "running", 4700);
  assert.is(a.u32(area), Xen.RUNSTATE_running);
  assert.equal([8, 16, 24, 32, 40].map((o) => Number(a.u64(area + o))), [4700, 500, 200, 3000, 1000]);
  assert.is(a.call(Hypercall.vcpu_op, Xen.VCPUOP_get_runstate_info, 0, ARGS), 0);
  const total = [16, 24, 32, 40].reduce((sum, o) => sum + Number(a.u64(ARGS + o)), 0);
  assert.is(total, machine.now, "their sum is system time");
  assert.is(a.call(Hypercall.vcpu_op, Xen.VCPUOP_get_runstate_info, 0, 0xffff0000), -Errno.EFAULT);
  // struct vcpu_runstate_info of a 32-bit guest: state_entry_time at 4
  assert.is(a.call32(Hypercall.vcpu_op, Xen.VCPUOP_get_runstate_info, 0, ARGS), 0);
  assert.is(a.u32(ARGS + 4), 4700);
  a.write(ARGS, ["u64", 0xffff_8000_0000_0000n]);
  assert.is(a.call(Hypercall.vcpu_op, Xen.VCPUOP_register_runstate_memory_area, 0, ARGS), 0);
  a.hypervisor.runstate(a.vcpu, "running", 5000); // out of reach: nothing happens
  a.destroy();
});

vcpus("vcpu_info moves once, keeps its contents, and marks everything pending", () => {
  const a = new Guest(machine, { pages: 16 });
  const register = (gfn: number | bigint, offset: number, vcpu = 0) => {
    a.write(ARGS, ["u64", gfn], ["u32", offset], ["u32", 0]);
    return a.call(Hypercall.vcpu_op, Xen.VCPUOP_register_vcpu_info, vcpu, ARGS);
  };
  assert.is(register(16, 0), -Errno.EINVAL);
  assert.is(register(2n ** 50n, 0), -Errno.EINVAL);
  assert.is(register(6, 4096 - 60), -Errno.EINVAL, "crosses the page");
  assert.is(register(6, 0xffffffff), -Errno.EINVAL);
  assert.is(register(6, 0, 1), -Errno.ENOENT);
  a.hypervisor.updateTime(a.vcpu, machine.now);
  assert.is(register(6, 4096 - 64), 0);
  const at = 6 * 4096 + 4096 - 64;
  assert.is(a.u8(at), 1);
  assert.is(a.u64(at + VcpuInfoOff.evtchn_pending_sel), 2n ** 64n - 1n);
  assert.is(Number(a.u64(at + VcpuInfoOff.time + VcpuTimeInfoOff.system_time)), machine.now);
  assert.is(register(7, 0), -Errno.EINVAL, "only once");
  a.write(ARGS, ["u64", ARGS + 64], ["u64", 1], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  a.write(ARGS + 64, ["u64", 6]);
  const free = machine.freeFrames;
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_decrease_reservation, ARGS), 1);
  assert.is(machine.freeFrames, free, "the page is held while it is in use (XSA-93)");
  a.evtchn(Xen.EVTCHNOP_bind_ipi, 0);
  assert.is(a.evtchn(Xen.EVTCHNOP_send, a.u32(ARGS + 4)), 0);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

vcpus("the secondary time area follows the first", () => {
  const a = new Guest(machine, { pages: 16 });
  a.hypervisor.updateTime(a.vcpu, machine.now);
  a.write(ARGS, ["u64", 9 * 4096]);
  assert.is(a.call(Hypercall.vcpu_op, Xen.VCPUOP_register_vcpu_time_memory_area, 0, ARGS), 0);
  assert.is(Number(a.u64(9 * 4096 + VcpuTimeInfoOff.system_time)), machine.now);
  a.hypervisor.updateTime(a.vcpu, machine.now + 555);
  assert.is(Number(a.u64(9 * 4096 + VcpuTimeInfoOff.system_time)), machine.now + 555);
  a.destroy();
});

vcpus("a second vCPU starts from a context, once, and stops; the last one to stop powers off", () => {
  const a = new Guest(machine, { pages: 16, vcpus: 2, deaf: true });
  const second = a.vcpu + VcpuOff.SIZE;
  const op = (n: number, vcpu: number, arg = ARGS) => a.call(Hypercall.vcpu_op, n, vcpu, arg);
  assert.is(op(Xen.VCPUOP_up, 1), -Errno.EINVAL, "not initialised");
  const context = (cr0: bigint, efer: bigint) => {
    a.write(ARGS, ["u32", Xen.VCPU_HVM_MODE_64B], ["u32", 0]);
    const regs = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 0xffff_ffff_8000_0000n, 0x202n, cr0, 0x5000n, 0x20n, efer];
    a.write(ARGS + 8, ...regs.map((value) => ["u64", value] as ["u64", bigint]));
  };
  context(0x80000001n, 0x100n);
  assert.is(op(Xen.VCPUOP_initialise, 1), -Errno.EINVAL, "64-bit mode is not active");
  context(0x80050033n, 0xd00n);
  assert.is(op(Xen.VCPUOP_initialise, 1), 0);
  assert.is(a.mem.get64(second + PcpuOff.rip), 0xffff_ffff_8000_0000n);
  assert.is(a.mem.get64(second + PcpuOff.gpr + 8 * 7), 8n);
  assert.is(op(Xen.VCPUOP_initialise, 1), -Errno.EEXIST);
  assert.is(op(Xen.VCPUOP_initialise, 0), -Errno.EEXIST);
  assert.is(op(Xen.VCPUOP_is_up, 1), 0);
  assert.is(op(Xen.VCPUOP_up, 1), 0);
  assert.is(op(Xen.VCPUOP_is_up, 1), 1);
  assert.is(op(Xen.VCPUOP_down, 1), 0);
  assert.is(op(Xen.VCPUOP_is_up, 1), 0);
  assert.is(op(Xen.VCPUOP_is_up, 2), -Errno.ENOENT);
  assert.is(op(Xen.VCPUOP_is_up, 0x80000000), -Errno.ENOENT);
  assert.is(op(Xen.VCPUOP_get_physid, 0), -Errno.EINVAL);
  assert.is(op(14, 0), -Errno.ENOSYS);
  assert.is(op(Xen.VCPUOP_down, 0), 0);
  assert.is(a.outcome, "shutdown");
  assert.is(a.mem.load(a.domain + DomainOff.shutdownReason), Xen.SHUTDOWN_poweroff);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

sched.run();
timers.run();
time.run();
vcpus.run();
