/** Hypercalls of an HVM guest that has closed its A20 gate: each odd MiB of its RAM shows the even one below, but a page is
 *  freed once, and what others have granted ends with the grant. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DomainOff, DomainType, FrameType, P2m } from "../../assembly/abi/layout";
import { Hypercall, Xen } from "../../assembly/abi/xen";
import { createPc } from "../../src/domains/pc_host";
import { createPcPage } from "../../src/domains/pc_page";
import { growGrantTable, sharedEntryAddr } from "../../src/hypervisor/grant_table";
import { frameType } from "../../src/hypervisor/guest_frame";
import { ownerOf } from "../../src/machine/frames";
import { p2mGet, p2mMfn, p2mType } from "../../src/machine/p2m";
import { ARGS, Guest, TestMachine } from "./guest";

const gate = suite("a closed A20 gate");
const machine = new TestMachine();
const LIST = 0x4000;
const MIB = 256; // pages
const PAGE = 4096;

/** A PC of two MiB, and its gate. */
function pcGuest(): { guest: Guest; open(yes: boolean): void } {
  const guest = new Guest(machine);
  const { mem, domain } = guest;
  mem.set32(domain + DomainOff.type, DomainType.hvm);
  createPcPage(mem, domain, { debugExit: false, afterFirmware: false, lowRam: guest.pages * PAGE, highRam: 0 });
  const pc = createPc({ memory: mem, domain, pcpu: 0, clock: { nowNs: () => machine.now }, log: () => {} });
  return { guest, open: (yes) => pc.ports.write(0x92, 1, yes ? 2 : 0) };
}

function reservation(guest: Guest, op: number, gfn: number): number {
  guest.write(ARGS, ["u64", LIST], ["u64", 1], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  guest.write(LIST, ["u64", gfn]);
  return guest.call(Hypercall.memory_op, op, ARGS);
}

/** The guest reaches no frame that is not its own RAM. */
function assertOwn(guest: Guest): void {
  const { mem, domain, domid } = guest;
  for (let gfn = 0; gfn < 2 * MIB; gfn++) {
    const entry = p2mGet(mem, domain, gfn);
    if (p2mType(entry) === P2m.none) continue;
    assert.is(ownerOf(mem, p2mMfn(entry)), domid, `gfn ${gfn}`);
    assert.is(frameType(mem, p2mMfn(entry)), FrameType.ram, `gfn ${gfn}: type of frame`);
  }
}

gate("shows pages twice, but whoever gives one back gives it back once", () => {
  const { guest, open } = pcGuest();
  guest.write(0x20 * PAGE, ["u32", 0x111]);
  guest.write((MIB + 0x20) * PAGE, ["u32", 0x222]);
  open(false);
  assert.is(guest.u32((MIB + 0x20) * PAGE), 0x111);
  const free = machine.freeFrames;
  assert.is(reservation(guest, Xen.XENMEM_decrease_reservation, MIB + 0x20), 0, "the page that is shown");
  assert.is(reservation(guest, Xen.XENMEM_populate_physmap, MIB + 0x20), 0, "another one in its place");
  assert.is(reservation(guest, Xen.XENMEM_decrease_reservation, 0x20), 1, "the page itself");
  assert.is(machine.freeFrames, free, "which is still shown");
  for (let n = 0; n < 20; n++) guest.evtchn(Xen.EVTCHNOP_alloc_unbound, (0x7ff0 << 16) | Xen.DOMID_SELF, 0);
  assertOwn(guest);
  open(true);
  assert.is(guest.u32((MIB + 0x20) * PAGE), 0x222);
  assert.ok(machine.freeFrames >= free, "free at last");
  assertOwn(guest);
  guest.destroy();
  assert.is(machine.freeFrames, machine.free);
});

gate("does not keep what a grant has shown", () => {
  const { guest, open } = pcGuest();
  const other = new Guest(machine);
  growGrantTable(other.mem, other.domain, 1);
  const entry = sharedEntryAddr(other.mem, other.domain, 8);
  other.mem.store(entry + 4, 5);
  other.mem.store(entry, Xen.GTF_permit_access | (guest.domid << 16));
  assert.is(reservation(guest, Xen.XENMEM_decrease_reservation, 0x50), 1);
  guest.write(ARGS, ["u64", 0x50 * PAGE], ["u32", Xen.GNTMAP_host_map], ["u32", 8], ["u16", other.domid], ["u16", 0], ["u32", 0], ["u64", 0]);
  assert.is(guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_map_grant_ref, ARGS, 1), 0);
  assert.is(guest.i16(ARGS + 18), Xen.GNTST_okay);
  const handle = guest.u32(ARGS + 20);
  open(false);
  guest.write(ARGS, ["u64", 0x50 * PAGE], ["u64", 0], ["u32", handle], ["u16", 0]);
  assert.is(guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_unmap_grant_ref, ARGS, 1), 0);
  assert.is(guest.i16(ARGS + 20), Xen.GNTST_okay);
  assertOwn(guest);
  guest.destroy(); // with the gate closed
  other.destroy();
  assert.is(machine.freeFrames, machine.free);
});

gate.run();
