/** Event channels (public/event_channel.h): a port is one bit of information, raised at one end, seen at the other; a
 *  0->1 transition of an unmasked port causes one upcall on the vCPU the port notifies. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, VcpuOff } from "../../assembly/abi/layout";
import { Hypercall, SharedInfo32Off, SharedInfoOff, VcpuInfoOff, Xen } from "../../assembly/abi/xen";
import { sendVirq } from "../../src/hypervisor/event_channel";
import { ARGS, Guest, TestMachine } from "./guest";

const events = suite("event channels");
const machine = new TestMachine();

function sharedInfo(guest: Guest): number {
  return guest.mem.get32(guest.domain + DomainOff.sharedInfo) * 4096;
}
function isPending(guest: Guest, port: number): boolean {
  return (guest.mem.load(sharedInfo(guest) + SharedInfoOff.evtchn_pending + 4 * (port >> 5)) & (1 << (port & 31))) !== 0;
}
function setMask(guest: Guest, port: number, masked: boolean): void {
  const at = sharedInfo(guest) + SharedInfoOff.evtchn_mask + 4 * (port >> 5);
  if (masked) guest.mem.or(at, 1 << (port & 31));
  else guest.mem.and(at, ~(1 << (port & 31)));
}
function upcall(guest: Guest): number {
  return guest.mem.get8(guest.mem.get32(guest.vcpu + VcpuOff.infoMaddr));
}
/** What a guest's upcall handler does before it looks at ports. */
function consume(guest: Guest): bigint {
  const info = guest.mem.get32(guest.vcpu + VcpuOff.infoMaddr);
  guest.mem.set8(info, 0);
  const sel = guest.mem.get64(info + VcpuInfoOff.evtchn_pending_sel);
  guest.mem.set64(info + VcpuInfoOff.evtchn_pending_sel, 0n);
  for (let n = 0; n < 128; n++) guest.mem.set32(sharedInfo(guest) + SharedInfoOff.evtchn_pending + 4 * n, 0);
  return sel;
}
function allocUnbound(guest: Guest, remote: number): number {
  guest.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", remote]);
  assert.is(guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_alloc_unbound, ARGS), 0);
  return guest.u32(ARGS + 4);
}
function bind(guest: Guest, remote: number, port: number): number {
  guest.write(ARGS, ["u16", remote], ["u32", port]);
  const result = guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_bind_interdomain, ARGS);
  return result === 0 ? guest.u32(ARGS + 8) : result;
}
function status(guest: Guest, port: number): number[] {
  guest.write(ARGS, ["u16", Xen.DOMID_SELF], ["u32", port], ["u32", 0], ["u32", 0], ["u32", 0], ["u32", 0]);
  const result = guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_status, ARGS);
  return result === 0 ? [guest.u32(ARGS + 8), guest.u32(ARGS + 12), guest.u16(ARGS + 16), guest.u32(ARGS + 20)] : [result];
}

events("two domains connect, send both ways, and close leaves the other end unbound", () => {
  const a = new Guest(machine);
  const b = new Guest(machine);
  const pa = allocUnbound(a, b.domid);
  assert.equal(status(a, pa), [Xen.EVTCHNSTAT_unbound, 0, b.domid, 0]);
  const pb = bind(b, a.domid, pa);
  assert.ok(pb > 0);
  assert.equal(status(a, pa), [Xen.EVTCHNSTAT_interdomain, 0, b.domid, pb]);
  assert.equal(status(b, pb), [Xen.EVTCHNSTAT_interdomain, 0, a.domid, pa]);
  assert.ok(isPending(b, pb), "binding sets the local port pending: the peer may have sent before");
  consume(b);

  assert.is(a.evtchn(Xen.EVTCHNOP_send, pa), 0);
  assert.ok(isPending(b, pb) && !isPending(a, pa));
  assert.is(upcall(b), 1);
  assert.is(consume(b), 1n << BigInt(pb >> 6));
  assert.is(b.evtchn(Xen.EVTCHNOP_send, pb), 0);
  assert.ok(isPending(a, pa));

  assert.is(b.evtchn(Xen.EVTCHNOP_close, pb), 0);
  assert.equal(status(a, pa), [Xen.EVTCHNSTAT_unbound, 0, b.domid, 0]);
  assert.is(status(b, pb)[0], Xen.EVTCHNSTAT_closed);
  assert.is(a.evtchn(Xen.EVTCHNOP_send, pa), 0, "sending to nobody is no error");
  assert.not.ok(isPending(b, pb));
  assert.ok(bind(b, a.domid, pa) > 0, "and the port may be bound again");
  a.destroy();
  b.destroy();
  assert.is(machine.freeFrames, machine.free);
});

events("a masked port becomes pending without an upcall; EVTCHNOP_unmask delivers it", () => {
  const a = new Guest(machine);
  const port = allocUnbound(a, Xen.DOMID_SELF);
  const other = bind(a, Xen.DOMID_SELF, port);
  consume(a);
  setMask(a, other, true);
  assert.is(a.evtchn(Xen.EVTCHNOP_send, port), 0);
  assert.ok(isPending(a, other));
  assert.is(upcall(a), 0);
  assert.is(a.evtchn(Xen.EVTCHNOP_unmask, other), 0);
  assert.is(upcall(a), 1);
  consume(a);
  setMask(a, other, true);
  assert.is(a.evtchn(Xen.EVTCHNOP_unmask, other), 0);
  assert.is(upcall(a), 0, "nothing pending, nothing delivered");
  a.destroy();
});

events("an event wakes a blocked vCPU, a second one before it is consumed does not ring again", () => {
  const a = new Guest(machine);
  const port = allocUnbound(a, 0);
  const control = machine.control.bindInterdomain(a.domid, port);
  a.mem.store(a.vcpu + VcpuOff.runnable, 0);
  a.mem.store(a.vcpu + VcpuOff.request, 0);
  machine.control.notify(control);
  assert.is(a.mem.load(a.vcpu + VcpuOff.runnable), 1);
  assert.is(a.mem.load(a.vcpu + VcpuOff.request) & 1, 1);
  a.mem.store(a.vcpu + VcpuOff.request, 0);
  machine.control.notify(control);
  assert.is(a.mem.load(a.vcpu + VcpuOff.request), 0);
  machine.control.close(control);
  machine.control.takeControlEvents();
  a.destroy();
});

events("VIRQs bind once per vCPU, global ones to vCPU 0 first, and move only if global", () => {
  const a = new Guest(machine, { vcpus: 2 });
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_TIMER, 0), 0);
  const port = a.u32(ARGS + 8);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_TIMER, 0), -Errno.EEXIST);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_TIMER, 1), 0);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_ARGO, 1), -Errno.EINVAL);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_TIMER, 2), -Errno.ENOENT);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.NR_VIRQS, 0), -Errno.EINVAL);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_vcpu, port, 1), -Errno.EINVAL);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_ARGO, 0), 0);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_vcpu, a.u32(ARGS + 8), 1), 0);
  sendVirq(a.mem, a.vcpu, Xen.VIRQ_TIMER);
  assert.ok(isPending(a, port));
  assert.is(a.evtchn(Xen.EVTCHNOP_send, port), -Errno.EINVAL, "a guest cannot send its own VIRQ");
  assert.is(a.evtchn(Xen.EVTCHNOP_close, port), 0);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_TIMER, 0), 0, "closing unbinds");
  a.destroy();
});

events("an IPI port notifies the vCPU it was bound to and no other", () => {
  const a = new Guest(machine, { vcpus: 2 });
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_ipi, 1), 0);
  const port = a.u32(ARGS + 4);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_vcpu, port, 0), -Errno.EINVAL);
  assert.is(a.evtchn(Xen.EVTCHNOP_send, port), 0);
  assert.is(upcall(a), 0);
  assert.is(a.mem.get8(a.mem.get32(a.vcpu + VcpuOff.SIZE + VcpuOff.infoMaddr)), 1);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_ipi, 2), -Errno.ENOENT);
  a.destroy();
});

events("the 64-bit ABI has 4096 ports, the 32-bit one 1024, and both know where masks and selectors are", () => {
  const a = new Guest(machine, { pages: 64 });
  let last = 0;
  for (;;) {
    const port = machine.control.allocUnboundIn(a.domid);
    if (port < 0) {
      assert.is(port, -Errno.ENOSPC);
      break;
    }
    last = port;
  }
  assert.is(last, 4095);
  a.destroy();

  const b = new Guest(machine, { pages: 64 });
  assert.is(b.call32(Hypercall.xen_version, Xen.XENVER_version), (4 << 16) | 17);
  for (last = 0; ; ) {
    const port = machine.control.allocUnboundIn(b.domid);
    if (port < 0) break;
    last = port;
  }
  assert.is(last, 1023);
  const port = 1023;
  const control = machine.control.bindInterdomain(b.domid, port);
  b.mem.or(sharedInfo(b) + SharedInfo32Off.evtchn_mask + 4 * (port >> 5), 1 << 31);
  machine.control.notify(control);
  assert.is(upcall(b), 0, "masked");
  b.write(ARGS, ["u32", port]);
  assert.is(b.call32(Hypercall.event_channel_op, Xen.EVTCHNOP_unmask, ARGS), 0);
  assert.is(upcall(b), 1);
  assert.is(b.mem.get32(b.mem.get32(b.vcpu + VcpuOff.infoMaddr) + 4), 1 << 31 >>> 0, "selector bit 31 of 32");
  machine.control.close(control);
  b.destroy();
  assert.is(machine.freeFrames, machine.free);
});

events("the control thread takes each pending port once", () => {
  const a = new Guest(machine);
  const ports = [1, 2, 3].map(() => {
    const port = machine.control.allocUnboundIn(a.domid);
    return [port, machine.control.bindInterdomain(a.domid, port)];
  });
  assert.equal(
    machine.control.takeControlEvents(),
    ports.map(([, mine]) => mine),
    "binding makes them pending",
  );
  assert.equal(machine.control.takeControlEvents(), []);
  a.evtchn(Xen.EVTCHNOP_send, ports[1][0]);
  a.evtchn(Xen.EVTCHNOP_send, ports[1][0]);
  assert.equal(machine.control.takeControlEvents(), [ports[1][1]]);
  a.destroy();
  assert.is(machine.control.notify(ports[0][1]), 0, "the other end is gone: unbound");
  for (const [, mine] of ports) assert.is(machine.control.close(mine), 0);
  assert.is(machine.control.close(ports[0][1]), -Errno.EINVAL);
});

events("EVTCHNOP_reset closes everything", () => {
  const a = new Guest(machine);
  const port = machine.control.allocUnboundIn(a.domid);
  const control = machine.control.bindInterdomain(a.domid, port);
  a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_TIMER, 0);
  a.write(ARGS, ["u16", Xen.DOMID_SELF]);
  assert.is(a.call(Hypercall.event_channel_op, Xen.EVTCHNOP_reset, ARGS), 0);
  assert.is(status(a, port)[0], Xen.EVTCHNSTAT_closed);
  assert.is(a.evtchn(Xen.EVTCHNOP_bind_virq, Xen.VIRQ_TIMER, 0), 0);
  machine.control.close(control);
  a.destroy();
});

events("only the domain a port was made for may bind it", () => {
  const [a, b, c] = [new Guest(machine), new Guest(machine), new Guest(machine)];
  const port = allocUnbound(a, b.domid);
  assert.is(bind(c, a.domid, port), -Errno.EINVAL);
  assert.is(bind(b, a.domid, port + 1), -Errno.EINVAL);
  assert.is(bind(b, a.domid, 0), -Errno.EINVAL);
  assert.is(bind(b, a.domid, 0xffffffff), -Errno.EINVAL);
  assert.is(bind(b, 0x7123, port), -Errno.ESRCH);
  b.write(ARGS, ["u16", a.domid], ["u16", b.domid]);
  assert.is(b.call(Hypercall.event_channel_op, Xen.EVTCHNOP_alloc_unbound, ARGS), -Errno.EPERM, "in somebody else's name");
  b.write(ARGS, ["u16", a.domid], ["u32", port]);
  assert.is(b.call(Hypercall.event_channel_op, Xen.EVTCHNOP_status, ARGS), -Errno.EPERM);
  b.write(ARGS, ["u16", a.domid]);
  assert.is(b.call(Hypercall.event_channel_op, Xen.EVTCHNOP_reset, ARGS), -Errno.EPERM);
  for (const guest of [a, b, c]) guest.destroy();
});

//  op                        fields                 without such a port, without a place to write
const BAD_PORTS = [0, 5, 255, 256, 4095, 4096, 0x1ffff, 0x20000, 0x7fffffff, 0x80000000, 0xffffffff];
for (const op of [Xen.EVTCHNOP_send, Xen.EVTCHNOP_close, Xen.EVTCHNOP_unmask, Xen.EVTCHNOP_bind_vcpu]) {
  events(`operation ${op} refuses ports that are not in use`, () => {
    const a = new Guest(machine, { pages: 16 });
    for (const port of BAD_PORTS) assert.is(a.evtchn(op, port, 0), -Errno.EINVAL, `port ${port}`);
    a.destroy();
  });
}

events("every operation answers -EFAULT for arguments out of reach, and takes nothing", () => {
  const a = new Guest(machine, { pages: 16 });
  for (let op = 0; op <= Xen.EVTCHNOP_set_priority; op++) {
    for (const lin of [0x10000n, 0xffff_ffff_ffff_fff8n, 0xdead_0000_0000n]) {
      assert.is(a.call(Hypercall.event_channel_op, op, lin), -Errno.EFAULT, `op ${op} at ${lin.toString(16)}`);
    }
  }
  assert.is(a.call(Hypercall.event_channel_op, 15, ARGS), -Errno.ENOSYS); // 14 goes on with a reset
  // In reach to read, but the end of RAM cuts off the OUT field: the port is given back.
  const edge = 16 * 4096 - 4;
  a.write(edge, ["u16", Xen.DOMID_SELF], ["u16", 0]);
  for (let n = 0; n < 5000; n++) assert.is(a.call(Hypercall.event_channel_op, Xen.EVTCHNOP_alloc_unbound, edge), -Errno.EFAULT);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

events.run();
