/** Invariants 3 and 6 of the design: whatever a guest passes, a hypercall returns (never throws, never fails to end), no
 *  other domain changes, and when the domains are gone every frame is free again. Seeded random hypercalls with arguments
 *  that are mostly almost right. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DomainOff } from "../../assembly/abi/layout";
import { Hypercall, Xen } from "../../assembly/abi/xen";
import { mapForControl, unmapForControl } from "../../src/hypervisor/control";
import { framesOf } from "../../src/machine/frames";
import { ARGS, Guest, TestMachine } from "./guest";

const hostile = suite("hostile guests");
const machine = new TestMachine(40);

class Random {
  constructor(private state: number) {}
  next(): number {
    this.state = (Math.imul(this.state ^ (this.state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return (this.state ^ (this.state >>> 13)) >>> 0;
  }
  below(n: number): number {
    return this.next() % n;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

const OPS: [number, number][] = [
  [Hypercall.memory_op, 30],
  [Hypercall.event_channel_op, 15],
  [Hypercall.grant_table_op, 14],
  [Hypercall.sched_op, 2],
  [Hypercall.vcpu_op, 15],
  [Hypercall.hvm_op, 27],
  [Hypercall.xen_version, 12],
  [Hypercall.console_io, 3],
  [Hypercall.vm_assist, 3],
];

function value(random: Random, domids: readonly number[]): bigint {
  switch (random.below(9)) {
    case 0:
      return BigInt(random.pick(domids));
    case 1:
      return BigInt(Xen.DOMID_SELF);
    case 2:
      return BigInt(random.below(8));
    case 3:
      return BigInt(random.below(600));
    case 4:
      return BigInt(ARGS + 8 * random.below(2048));
    case 5:
      return BigInt(random.next());
    case 6:
      return BigInt.asUintN(64, BigInt(random.next()) << BigInt(random.below(40)));
    case 7:
      return 1n << BigInt(random.below(64));
    default:
      return BigInt.asUintN(64, -BigInt(random.below(4096)));
  }
}

/** Fills the argument area with plausible fields of mixed widths. */
function arguments_(guest: Guest, random: Random, domids: readonly number[], count: number): void {
  for (let at = ARGS; at < ARGS + count; ) {
    const size = random.pick([2, 2, 4, 8] as const);
    at = Math.ceil(at / size) * size;
    const host = guest.maddr(at);
    if (!host) return;
    const bits = value(random, domids);
    if (size === 2) guest.mem.view.setUint16(host, Number(bits & 0xffffn), true);
    else if (size === 4) guest.mem.view.setUint32(host, Number(bits & 0xffff_ffffn), true);
    else guest.mem.view.setBigUint64(host, bits, true);
    at += size;
  }
}

for (const seed of [1, 2, 3, 4, 5, 6]) {
  hostile(`random hypercalls, seed ${seed}, leave a balanced frame table`, () => {
    const random = new Random(seed);
    const guests = [0, 1, 2].map(() => new Guest(machine, { pages: 400, maxPages: 900, vcpus: 2 }));
    const domids = [0, ...guests.map(({ domid }) => domid), 0x7abc];
    for (const guest of guests) {
      // Something to fight over: a grant table, some ports between all of them.
      guest.write(ARGS, ["u16", Xen.DOMID_SELF], ["u32", 1], ["u16", 0], ["u64", ARGS + 64]);
      guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_setup_table, ARGS, 1);
      guest.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", 0], ["u32", Xen.XENMAPSPACE_grant_table], ["u64", 0], ["u64", 390]);
      guest.call(Hypercall.memory_op, Xen.XENMEM_add_to_physmap, ARGS);
      for (const remote of guests) {
        const port = machine.control.allocUnboundIn(guest.domid, remote.domid);
        remote.write(ARGS, ["u16", guest.domid], ["u32", port]);
        remote.call(Hypercall.event_channel_op, Xen.EVTCHNOP_bind_interdomain, ARGS);
      }
    }
    const handles: number[] = [];
    for (let n = 0; n < 4000; n++) {
      const guest = random.pick(guests);
      const [number, ops] = random.pick(OPS);
      if (!guest.maddr(ARGS)) {
        // It has thrown away its own argument page.
        guest.write(0x2000, ["u64", 0x2100], ["u64", 1], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
        guest.write(0x2100, ["u64", ARGS >> 12]);
        guest.call(Hypercall.memory_op, Xen.XENMEM_populate_physmap, 0x2000);
        if (!guest.maddr(ARGS)) continue;
      }
      arguments_(guest, random, domids, 256);
      if (random.below(3) === 0 && guest.maddr(390 * 4096)) {
        const entry = guest.maddr(390 * 4096) + 8 * random.below(64);
        guest.mem.set16(entry, random.below(8) ? 1 : random.next() & 0xffff);
        guest.mem.set16(entry + 2, random.pick(domids));
        guest.mem.set32(entry + 4, random.below(500));
      }
      const op = random.below(ops);
      const count = random.pick([0, 1, 1, 2, 3, 70, 0x7fffffff, 0x80000001]);
      const lin = random.below(12) ? BigInt(ARGS) : value(random, domids);
      const args: (number | bigint)[] =
        number === Hypercall.grant_table_op
          ? [op, lin, Math.min(count, 100)]
          : number === Hypercall.vcpu_op
            ? [op === Xen.VCPUOP_down ? 3 : op, random.below(3), lin]
            : number === Hypercall.console_io
              ? [op, count % 5000, lin]
              : [op, lin];
      const result = random.below(4) ? guest.call(number, ...args) : guest.call32(number, ...args.map((arg) => Number(BigInt(arg) & 0xffff_ffffn)));
      assert.ok(Number.isInteger(result) && result >= -200, `${number} ${args} gives ${result}`);
      guest.hypervisor.fireTimers(guest.vcpu, machine.now + random.below(1e9));
      if (random.below(10) === 0) {
        const mapping = mapForControl(guest.mem, random.pick(domids), random.below(70), random.below(2) === 0);
        if (typeof mapping !== "number") handles.push(mapping.handle);
      }
      if (random.below(20) === 0) unmapForControl(guest.mem, random.pick(handles) ?? random.next());
    }
    for (const guest of guests) {
      assert.ok(guest.mem.load(guest.domain + DomainOff.totPages) <= 900);
      const ram = [...framesOf(guest.mem, guest.domid)].filter((mfn) => guest.mem.get8(0x200000 + 32 * mfn + 2) === 1).length;
      assert.ok(ram >= guest.mem.load(guest.domain + DomainOff.totPages), "what is charged is there");
    }
    for (const guest of guests) guest.destroy();
    for (const handle of handles) unmapForControl(machine.mem, handle);
    for (const port of Array(300).keys()) machine.control.close(port);
    machine.control.takeControlEvents();
    // The control domain keeps the tables it grew; nothing else is left.
    const kept = [...framesOf(machine.mem, 0)].length;
    assert.is(machine.freeFrames + kept, baseline, `${kept} frames of the control domain`);
  });
}

const baseline = machine.free + [...framesOf(machine.mem, 0)].length;

hostile("domains come and go a hundred times without growth", () => {
  const before = machine.freeFrames;
  for (let n = 0; n < 100; n++) {
    const guest = new Guest(machine, { pages: 32 });
    const port = machine.control.allocUnboundIn(guest.domid);
    const mine = machine.control.bindInterdomain(guest.domid, port);
    guest.evtchn(Xen.EVTCHNOP_bind_virq, 0, 0);
    guest.destroy();
    machine.control.close(mine);
  }
  assert.is(machine.freeFrames, before);
});

hostile.run();
