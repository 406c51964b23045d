/** FIFO event channels (public/event_channel.h, "FIFO ABI"): a word per port in the guest's event array, queues linked
 *  through the words by priority, heads and ready bits in a control block per vCPU. The consumer below follows the
 *  protocol as a guest must. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../assembly/abi/errno";
import { FifoControlOff, Hypercall, Xen } from "../../assembly/abi/xen";
import { VcpuOff } from "../../assembly/abi/layout";
import { portState, usesFifo } from "../../src/hypervisor/event_port";
import { ARGS, Guest, TestMachine } from "./guest";

const fifo = suite("FIFO event channels");
const machine = new TestMachine();

const CONTROL_GFN = 8;
const ARRAY_GFN = 16;
const [PENDING, MASKED, LINKED] = [31, 30, 29].map((bit) => 1 << bit);
const LINK = (1 << Xen.EVTCHN_FIFO_LINK_BITS) - 1;

function initControl(guest: Guest, vcpu = 0, gfn = CONTROL_GFN, offset = 0): number {
  guest.write(ARGS, ["u64", gfn], ["u32", offset], ["u32", vcpu], ["u8", 0]);
  return guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_init_control, ARGS);
}
function expand(guest: Guest, gfn: number): number {
  guest.write(ARGS, ["u64", gfn]);
  return guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_expand_array, ARGS);
}
function word(guest: Guest, port: number): number {
  return guest.maddr((ARRAY_GFN + (port >> 10)) * 4096) + 4 * (port & 1023);
}
function control(guest: Guest): number {
  return guest.maddr(CONTROL_GFN * 4096);
}
function upcall(guest: Guest): boolean {
  const info = guest.mem.get32(guest.vcpu + VcpuOff.infoMaddr);
  return (guest.mem.exchange(info, 0) & 0xff) !== 0;
}

/** The guest's side: takes all events off all queues, highest priority first. */
function consume(guest: Guest): number[] {
  const { mem } = guest;
  const at = control(guest);
  const taken: number[] = [];
  let ready = mem.exchange(at + FifoControlOff.ready, 0);
  for (let q = 0; ready; q++) {
    if ((ready & (1 << q)) === 0) continue;
    ready &= ~(1 << q);
    let port = mem.get32(at + FifoControlOff.head + 4 * q);
    while (port) {
      const w = word(guest, port);
      let old = mem.load(w);
      while (mem.compareExchange(w, old, old & ~(LINKED | LINK)) !== old) old = mem.load(w);
      if (old & PENDING && !(old & MASKED)) {
        taken.push(port);
        mem.and(w, ~PENDING);
      }
      port = old & LINK;
      mem.set32(at + FifoControlOff.head + 4 * q, port);
    }
  }
  return taken;
}

function ready(pages = 256): { guest: Guest; ports: number[][] } {
  const guest = new Guest(machine, { pages });
  assert.is(initControl(guest), 0);
  assert.is(guest.u8(ARGS + 16), Xen.EVTCHN_FIFO_LINK_BITS);
  assert.is(expand(guest, ARRAY_GFN), 0);
  const ports = Array.from({ length: 6 }, () => {
    const port = machine.control.allocUnboundIn(guest.domid);
    return [port, machine.control.bindInterdomain(guest.domid, port)];
  });
  consume(guest);
  upcall(guest);
  return { guest, ports };
}
function finish(guest: Guest, ports: number[][]): void {
  guest.destroy();
  for (const [, mine] of ports) machine.control.close(mine);
  machine.control.takeControlEvents();
  assert.is(machine.freeFrames, machine.free);
}

fifo("events come in the order they were sent, each once, with one upcall", () => {
  const { guest, ports } = ready();
  const order = [3, 0, 5, 1, 0, 3, 4];
  for (const n of order) machine.control.notify(ports[n][1]);
  assert.ok(upcall(guest));
  assert.not.ok(upcall(guest));
  assert.is(guest.mem.get32(control(guest)), 1 << Xen.EVTCHN_FIFO_PRIORITY_DEFAULT);
  assert.equal(consume(guest), [3, 0, 5, 1, 4].map((n) => ports[n][0]));
  assert.equal(consume(guest), []);
  machine.control.notify(ports[2][1]);
  assert.ok(upcall(guest));
  assert.equal(consume(guest), [ports[2][0]]);
  finish(guest, ports);
});

fifo("each priority has a queue of its own, and a port moves with its priority", () => {
  const { guest, ports } = ready();
  const priority = (n: number, value: number) => guest.evtchn(Xen.EVTCHNOP_set_priority, ports[n][0], value);
  assert.is(priority(4, Xen.EVTCHN_FIFO_PRIORITY_MAX), 0);
  assert.is(priority(1, Xen.EVTCHN_FIFO_PRIORITY_MIN), 0);
  assert.is(priority(1, 16), -Errno.EINVAL);
  assert.is(guest.evtchn(Xen.EVTCHNOP_set_priority, 999, 1), -Errno.EINVAL);
  for (const n of [1, 0, 4]) machine.control.notify(ports[n][1]);
  assert.equal(consume(guest), [4, 0, 1].map((n) => ports[n][0]));
  machine.control.notify(ports[0][1]);
  assert.is(priority(0, 3), 0, "while it is on the old queue");
  machine.control.notify(ports[2][1]);
  assert.equal(consume(guest), [0, 2].map((n) => ports[n][0]));
  for (const n of [0, 2, 0]) machine.control.notify(ports[n][1]);
  assert.equal(consume(guest), [0, 2].map((n) => ports[n][0]));
  finish(guest, ports);
});

fifo("masked events wait, unlinked, for EVTCHNOP_unmask", () => {
  const { guest, ports } = ready();
  const [port, mine] = ports[0];
  guest.mem.or(word(guest, port), MASKED);
  machine.control.notify(mine);
  assert.is(guest.mem.load(word(guest, port)), PENDING | MASKED);
  assert.not.ok(upcall(guest));
  assert.is(guest.evtchn(Xen.EVTCHNOP_unmask, port), 0);
  assert.ok(upcall(guest));
  assert.equal(consume(guest), [port]);
  finish(guest, ports);
});

fifo("a tail the guest has already taken off its queue starts a new queue", () => {
  const { guest, ports } = ready();
  machine.control.notify(ports[0][1]);
  consume(guest); // the hypervisor still believes port 0 is the tail
  upcall(guest);
  machine.control.notify(ports[1][1]);
  assert.ok(upcall(guest));
  assert.is(guest.mem.get32(control(guest) + FifoControlOff.head + 4 * 7), ports[1][0]);
  assert.equal(consume(guest), [ports[1][0]]);
  finish(guest, ports);
});

fifo("a guest that scribbles on words and control block harms itself only", () => {
  const { guest, ports } = ready();
  let seed = 12345;
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) | 0);
  for (let n = 0; n < 2000; n++) {
    guest.mem.store(word(guest, (random() >>> 8) & 1023), random());
    if (n % 7 === 0) guest.mem.store(control(guest) + 4 * ((random() >>> 8) % 18), random());
    machine.control.notify(ports[(random() >>> 8) % 6][1]);
    if (n % 5 === 0) guest.evtchn(Xen.EVTCHNOP_unmask, ports[(random() >>> 8) % 6][0]);
  }
  finish(guest, ports);
});

fifo("what was pending when the format changed, or sent before the array page came, is raised by it", () => {
  const guest = new Guest(machine, { pages: 64 });
  const [a, b] = [0, 1].map(() => {
    const port = machine.control.allocUnboundIn(guest.domid);
    return [port, machine.control.bindInterdomain(guest.domid, port)];
  });
  machine.control.notify(a[1]); // into the two-level bitmap
  assert.is(initControl(guest), 0);
  machine.control.notify(b[1]); // nowhere yet
  assert.is(expand(guest, ARRAY_GFN), 0);
  assert.equal(consume(guest), [a[0], b[0]]);
  assert.is(initControl(guest), -Errno.EINVAL, "a control block is registered once");
  finish(guest, [a, b]);
});

fifo("bad pages, offsets and vCPUs are refused, and reset goes back to two levels", () => {
  const guest = new Guest(machine, { pages: 64, vcpus: 2 });
  assert.is(expand(guest, ARRAY_GFN), -Errno.EOPNOTSUPP);
  assert.is(guest.evtchn(Xen.EVTCHNOP_set_priority, 1, 1), -Errno.ENOSYS);
  assert.is(initControl(guest, 2), -Errno.ENOENT);
  assert.is(initControl(guest, 0, 64), -Errno.EINVAL);
  assert.is(initControl(guest, 0, 2 ** 40), -Errno.EINVAL);
  assert.is(initControl(guest, 0, CONTROL_GFN, 4), -Errno.EINVAL, "not a multiple of 8");
  assert.is(initControl(guest, 0, CONTROL_GFN, 4096 - 64), -Errno.EINVAL, "crosses the page");
  assert.is(initControl(guest, 0, CONTROL_GFN, 0xfffffff8), -Errno.EINVAL);
  assert.is(initControl(guest, 0, CONTROL_GFN, 4096 - 72), 0);
  assert.is(initControl(guest, 1, CONTROL_GFN + 1), 0);
  assert.is(expand(guest, 2 ** 30), -Errno.EINVAL);
  for (let n = 0; n < 128; n++) assert.is(expand(guest, ARRAY_GFN), 0);
  assert.is(expand(guest, ARRAY_GFN), -Errno.ENOSPC, "131072 ports are covered");
  guest.write(ARGS, ["u16", Xen.DOMID_SELF]);
  assert.is(guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_reset, ARGS), 0);
  assert.is(expand(guest, ARRAY_GFN), -Errno.EOPNOTSUPP);
  assert.is(initControl(guest), 0);
  guest.destroy();
  assert.is(machine.freeFrames, machine.free);
});

fifo("a closed port that is still on a queue is not given out again", () => {
  const { guest, ports } = ready();
  machine.control.notify(ports[5][1]);
  assert.is(guest.evtchn(Xen.EVTCHNOP_close, ports[5][0]), 0);
  const next = machine.control.allocUnboundIn(guest.domid);
  assert.is.not(next, ports[5][0]);
  assert.equal(consume(guest), [], "its event is gone");
  guest.evtchn(Xen.EVTCHNOP_close, next);
  assert.is(machine.control.allocUnboundIn(guest.domid), ports[5][0]);
  finish(guest, ports);
});

fifo("a reset of many ports is done in pieces", () => {
  const guest = new Guest(machine);
  assert.is(initControl(guest), 0);
  for (let n = 0; n < 4; n++) assert.is(expand(guest, ARRAY_GFN + n), 0);
  const OPEN = 3000;
  for (let n = 0; n < OPEN; n++) assert.is(guest.evtchn(Xen.EVTCHNOP_alloc_unbound, (0x7ff0 << 16) | Xen.DOMID_SELF, 0), 0);
  const { hypervisor } = guest;
  const open = () => Array.from({ length: OPEN + 1 }, (_, port) => portState(guest.mem, guest.domain, port)).filter((state) => state !== Xen.EVTCHNSTAT_closed).length;
  const left: number[] = [];
  const perform = hypervisor.hypercall.bind(hypervisor);
  hypervisor.hypercall = (vcpu) => {
    const outcome = perform(vcpu);
    left.push(open());
    return outcome;
  };
  guest.write(ARGS, ["u16", Xen.DOMID_SELF]);
  assert.is(guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_reset, ARGS), 0);
  assert.ok(left.length > 2, `${left.length} passes`);
  left.forEach((count, n) => assert.ok((left[n - 1] ?? OPEN) - count <= 1024, `${count} are open after pass ${n}`));
  assert.is(left.at(-1), 0);
  assert.not(usesFifo(guest.mem, guest.domain));
  guest.destroy();
  assert.is(machine.freeFrames, machine.free);
});

fifo.run();
