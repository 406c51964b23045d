/** Grant tables, version 1 (public/grant_table.h): a domain shares a frame by an entry of its table; users pin it, which
 *  the entry shows (GTF_reading, GTF_writing); a frame stays as long as anybody has it pinned, whatever its owner does. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../assembly/abi/errno";
import { FrameOff, FrameType, P2m } from "../../assembly/abi/layout";
import { Hypercall, Xen } from "../../assembly/abi/xen";
import { mapForControl, seedGrant, unmapForControl } from "../../src/hypervisor/control";
import { pinGrant, sharedEntryAddr } from "../../src/hypervisor/grant_table";
import { frameType } from "../../src/hypervisor/guest_frame";
import { frameEntry } from "../../src/machine/frames";
import { MachineMemory } from "../../src/machine/memory";
import { p2mGet, p2mMfn, p2mType } from "../../src/machine/p2m";
import { ARGS, Guest, TestMachine } from "./guest";

const grants = suite("grant tables");
const machine = new TestMachine();
const FREE_GFN = 0x9000; // where nothing is

/** Extends the table to `frames` and maps its first page at FREE_GFN - 1, as guests do. */
function setup(guest: Guest, frames = 1): void {
  guest.write(ARGS, ["u16", Xen.DOMID_SELF], ["u32", frames], ["u16", 1], ["u64", ARGS + 64]);
  assert.is(guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_setup_table, ARGS, 1), 0);
  assert.is(guest.i16(ARGS + 8), Xen.GNTST_okay);
}
function grant(guest: Guest, gref: number, domid: number, gfn: number, flags = 0): void {
  guest.mem.store(sharedEntryAddr(guest.mem, guest.domain, gref) + 4, gfn);
  guest.mem.store(sharedEntryAddr(guest.mem, guest.domain, gref), Xen.GTF_permit_access | flags | (domid << 16));
}
function flags(guest: Guest, gref: number): number {
  return guest.mem.get16(sharedEntryAddr(guest.mem, guest.domain, gref));
}
interface Mapped {
  status: number;
  handle: number;
}
function map(guest: Guest, domid: number, gref: number, gpa: number, mapFlags: number = Xen.GNTMAP_host_map): Mapped {
  guest.write(ARGS, ["u64", gpa], ["u32", mapFlags], ["u32", gref], ["u16", domid], ["u16", 99], ["u32", 0], ["u64", 0]);
  assert.is(guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_map_grant_ref, ARGS, 1), 0);
  return { status: guest.i16(ARGS + 18), handle: guest.u32(ARGS + 20) };
}
function unmap(guest: Guest, handle: number, gpa: number): number {
  guest.write(ARGS, ["u64", gpa], ["u64", 0], ["u32", handle], ["u16", 99]);
  assert.is(guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_unmap_grant_ref, ARGS, 1), 0);
  return guest.i16(ARGS + 20);
}

grants("a mapping shows the owner's frame and its use, and ends without a trace", () => {
  const [a, b] = [new Guest(machine), new Guest(machine)];
  setup(a);
  grant(a, 8, b.domid, 5);
  a.write(5 * 4096, ["u64", 0x1122334455667788n]);
  const rw = map(b, a.domid, 8, FREE_GFN * 4096);
  assert.is(rw.status, Xen.GNTST_okay);
  assert.is(b.u64(FREE_GFN * 4096), 0x1122334455667788n);
  assert.is(p2mType(p2mGet(b.mem, b.domain, FREE_GFN)), P2m.grant_rw);
  assert.is(flags(a, 8), Xen.GTF_permit_access | Xen.GTF_reading | Xen.GTF_writing);

  const ro = map(b, a.domid, 8, (FREE_GFN + 1) * 4096, Xen.GNTMAP_host_map | Xen.GNTMAP_readonly);
  assert.is(p2mType(p2mGet(b.mem, b.domain, FREE_GFN + 1)), P2m.grant_ro);
  assert.is(unmap(b, rw.handle, FREE_GFN * 4096), Xen.GNTST_okay);
  assert.is(flags(a, 8), Xen.GTF_permit_access | Xen.GTF_reading, "the last writer has gone, a reader is left");
  assert.is(unmap(b, ro.handle, (FREE_GFN + 1) * 4096), Xen.GNTST_okay);
  assert.is(flags(a, 8), Xen.GTF_permit_access);
  assert.is(p2mGet(b.mem, b.domain, FREE_GFN), 0);
  assert.is(unmap(b, ro.handle, (FREE_GFN + 1) * 4096), Xen.GNTST_bad_handle);
  a.destroy();
  b.destroy();
  assert.is(machine.freeFrames, machine.free);
});

grants("what the entry does not grant is refused", () => {
  const [a, b] = [new Guest(machine), new Guest(machine)];
  setup(a);
  const at = FREE_GFN * 4096;
  const RO = Xen.GNTMAP_host_map | Xen.GNTMAP_readonly;
  grant(a, 8, b.domid, 5, Xen.GTF_readonly);
  grant(a, 9, a.domid, 5);
  grant(a, 10, b.domid, 0x12345);
  grant(a, 11, b.domid, 0x7fffffff);
  a.mem.store(sharedEntryAddr(a.mem, a.domain, 12), Xen.GTF_accept_transfer | (b.domid << 16));
  //  gref         domid      flags  status
  const cases: [number, number, number, number][] = [
    [8, a.domid, Xen.GNTMAP_host_map, Xen.GNTST_general_error],
    [9, a.domid, RO, Xen.GNTST_general_error],
    [10, a.domid, RO, Xen.GNTST_bad_page],
    [11, a.domid, RO, Xen.GNTST_bad_page],
    [12, a.domid, RO, Xen.GNTST_general_error],
    [13, a.domid, RO, Xen.GNTST_general_error],
    [511, a.domid, RO, Xen.GNTST_general_error],
    [512, a.domid, RO, Xen.GNTST_bad_gntref],
    [0x80000000, a.domid, RO, Xen.GNTST_bad_gntref],
    [0xffffffff, a.domid, RO, Xen.GNTST_bad_gntref],
    [8, 0x7000, RO, Xen.GNTST_bad_domain],
    [8, Xen.DOMID_SELF, RO, Xen.GNTST_bad_domain],
    [8, a.domid, 0, Xen.GNTST_bad_gntref],
    [8, a.domid, Xen.GNTMAP_readonly, Xen.GNTST_bad_gntref],
    [8, a.domid, RO | Xen.GNTMAP_device_map, Xen.GNTST_general_error],
    [8, a.domid, RO | Xen.GNTMAP_contains_pte, Xen.GNTST_general_error],
    [8, a.domid, RO | Xen.GNTMAP_application_map, Xen.GNTST_general_error],
    [8, a.domid, 0xffff0000 | RO, Xen.GNTST_general_error],
  ];
  for (const [gref, domid, mapFlags, status] of cases) {
    assert.is(map(b, domid, gref, at, mapFlags).status, status, `gref ${gref} of ${domid} with ${mapFlags.toString(16)}`);
  }
  assert.is(map(b, a.domid, 8, Number.MAX_SAFE_INTEGER - 4095, RO).status, Xen.GNTST_general_error, "no such gpa");
  for (const gref of [8, 9, 10, 11, 12]) assert.is(flags(a, gref) & (Xen.GTF_reading | Xen.GTF_writing), 0, `gref ${gref}`);
  assert.is(unmap(b, 0, at), Xen.GNTST_bad_handle);
  assert.is(unmap(b, 0xffffffff, at), Xen.GNTST_bad_handle);
  const good = map(b, a.domid, 8, at, RO);
  assert.is(good.status, Xen.GNTST_okay);
  assert.is(unmap(b, good.handle, at + 4096), Xen.GNTST_general_error, "not where it is mapped");
  assert.is(map(b, a.domid, 8, at, RO).status, Xen.GNTST_general_error, "that place is taken by a grant");
  assert.is(unmap(b, good.handle, at), Xen.GNTST_okay);
  a.destroy();
  b.destroy();
  assert.is(machine.freeFrames, machine.free);
});

grants("a frame outlives its domain while it is mapped, and is free at the last unmap", () => {
  const a = new Guest(machine);
  assert.is(seedGrant(a.mem, a.domid, Xen.GNTTAB_RESERVED_XENSTORE, 7), 0);
  a.write(7 * 4096, ["u32", 0xfeed]);
  const one = mapForControl(a.mem, a.domid, Xen.GNTTAB_RESERVED_XENSTORE, false);
  const two = mapForControl(a.mem, a.domid, Xen.GNTTAB_RESERVED_XENSTORE, true);
  if (typeof one === "number" || typeof two === "number") throw new Error(`${one} ${two}`);
  assert.is(one.mfn, two.mfn);
  const kept = machine.control && machine.freeFrames;
  a.destroy();
  assert.ok(machine.freeFrames > kept);
  const before = machine.freeFrames;
  assert.is(a.mem.get32(one.mfn * 4096), 0xfeed, "not given to anybody else");
  assert.is(unmapForControl(a.mem, one.handle), 0);
  assert.is(machine.freeFrames, before);
  assert.is(unmapForControl(a.mem, two.handle), 0);
  assert.is(machine.freeFrames, before + 1);
  assert.is(unmapForControl(a.mem, two.handle), Xen.GNTST_bad_handle);
  assert.is(mapForControl(a.mem, a.domid, 1, true), Xen.GNTST_bad_domain);
  assert.is(machine.freeFrames, machine.free - 1, "a frame of the control domain's maptrack is kept");
});

grants("giving back a page that is mapped elsewhere does not take it away from there (XSA-27, XSA-380)", () => {
  const [a, b] = [new Guest(machine), new Guest(machine)];
  const start = machine.freeFrames;
  setup(a);
  grant(a, 8, b.domid, 5);
  const { handle } = map(b, a.domid, 8, FREE_GFN * 4096);
  const mfn = p2mMfn(p2mGet(b.mem, b.domain, FREE_GFN));
  a.write(ARGS, ["u64", ARGS + 64], ["u64", 1], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  a.write(ARGS + 64, ["u64", 5]);
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_decrease_reservation, ARGS), 1);
  assert.is(a.maddr(5 * 4096), 0);
  assert.is(p2mMfn(p2mGet(b.mem, b.domain, FREE_GFN)), mfn);
  const now = machine.freeFrames;
  assert.is(unmap(b, handle, FREE_GFN * 4096), Xen.GNTST_okay);
  assert.is(machine.freeFrames, now + 1);
  assert.ok(start > now);
  a.destroy();
  b.destroy();
});

grants("a page given back while it is mapped is still mapped when its domain has gone", () => {
  const a = new Guest(machine);
  const before = machine.freeFrames + a.pages;
  seedGrant(a.mem, a.domid, 0, 7);
  const mapping = mapForControl(a.mem, a.domid, 0, false);
  if (typeof mapping === "number") throw new Error(`${mapping}`);
  a.write(ARGS, ["u64", ARGS + 64], ["u64", 1], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  a.write(ARGS + 64, ["u64", 7]);
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_decrease_reservation, ARGS), 1);
  a.destroy();
  const after = machine.freeFrames;
  assert.ok(after >= before - 1);
  assert.is(unmapForControl(a.mem, mapping.handle), 0);
  assert.is(machine.freeFrames, after + 1);
});

grants("a domain that dies lets go of what it had mapped", () => {
  const [a, b] = [new Guest(machine), new Guest(machine)];
  setup(a);
  for (let n = 0; n < 300; n++) {
    grant(a, 8 + n, b.domid, 5);
    assert.is(map(b, a.domid, 8 + n, (FREE_GFN + n) * 4096).status, Xen.GNTST_okay);
  }
  b.destroy();
  for (let n = 0; n < 300; n++) assert.is(flags(a, 8 + n), Xen.GTF_permit_access);
  a.destroy();
  assert.is(machine.freeFrames, machine.free - 1);
});

grants("copies go between frames and grants, within pages, by each side's rights", () => {
  const [a, b] = [new Guest(machine), new Guest(machine)];
  setup(a);
  grant(a, 8, b.domid, 5);
  grant(a, 9, b.domid, 6, Xen.GTF_readonly);
  const S = Xen.GNTCOPY_source_gref;
  const D = Xen.GNTCOPY_dest_gref;
  const copy = (
    source: [number, number, number],
    dest: [number, number, number],
    length: number,
    copyFlags: number,
  ): number => {
    b.write(
      ARGS,
      ...([["u64", source[0]], ["u16", source[1]], ["u16", source[2]]] as ["u64" | "u16", number][]),
      ...([["u64", dest[0]], ["u16", dest[1]], ["u16", dest[2]]] as ["u64" | "u16", number][]),
    );
    b.write(ARGS + 32, ["u16", length], ["u16", copyFlags], ["u16", 99]);
    assert.is(b.call(Hypercall.grant_table_op, Xen.GNTTABOP_copy, ARGS, 1), 0);
    return b.i16(ARGS + 36);
  };
  const self = Xen.DOMID_SELF;
  b.write(3 * 4096 + 100, ["u32", 0xcafe]);
  assert.is(copy([3, self, 100], [8, a.domid, 200], 4, D), Xen.GNTST_okay);
  assert.is(a.u32(5 * 4096 + 200), 0xcafe);
  a.write(6 * 4096 + 4092, ["u32", 0xbeef]);
  assert.is(copy([9, a.domid, 4092], [4, self, 0], 4, S), Xen.GNTST_okay);
  assert.is(b.u32(4 * 4096), 0xbeef);
  assert.is(copy([9, a.domid, 0], [8, a.domid, 0], 4096, S | D), Xen.GNTST_okay);
  assert.is(a.u32(5 * 4096 + 4092), 0xbeef);
  assert.is(copy([3, self, 0], [9, a.domid, 0], 4, D), Xen.GNTST_general_error, "granted for reading");
  assert.is(copy([3, self, 0], [8, a.domid, 4093], 4, D), Xen.GNTST_bad_copy_arg);
  assert.is(copy([3, self, 4000], [8, a.domid, 0], 97, D), Xen.GNTST_bad_copy_arg);
  assert.is(copy([3, self, 0xffff], [8, a.domid, 0], 0xffff, D), Xen.GNTST_bad_copy_arg);
  assert.is(copy([3, a.domid, 0], [4, self, 0], 4, 0), Xen.GNTST_permission_denied, "somebody else's frame by number");
  assert.is(copy([3, self, 0], [4, a.domid, 0], 4, 0), Xen.GNTST_permission_denied);
  assert.is(copy([0x9999, self, 0], [4, self, 0], 4, 0), Xen.GNTST_bad_page);
  assert.is(copy([3, self, 0], [2 ** 40, self, 0], 4, 0), Xen.GNTST_bad_page);
  assert.is(copy([600, a.domid, 0], [4, self, 0], 4, S), Xen.GNTST_bad_gntref);
  assert.is(copy([8, 0x6fff, 0], [4, self, 0], 4, S), Xen.GNTST_bad_domain);
  for (const gref of [8, 9]) assert.is(flags(a, gref) & (Xen.GTF_reading | Xen.GTF_writing), 0);
  a.destroy();
  b.destroy();
  assert.is(machine.freeFrames, machine.free - 1);
});

grants("long batches are continued and every element has its status", () => {
  const [a, b] = [new Guest(machine), new Guest(machine)];
  setup(a);
  for (let n = 0; n < 200; n++) {
    if (n % 3) grant(a, n, b.domid, 5);
    b.write(ARGS + 32 * n, ["u64", (FREE_GFN + n) * 4096], ["u32", Xen.GNTMAP_host_map], ["u32", n], ["u16", a.domid], ["u16", 99]);
  }
  assert.is(b.call(Hypercall.grant_table_op, Xen.GNTTABOP_map_grant_ref, ARGS, 200), 0);
  for (let n = 0; n < 200; n++) {
    assert.is(b.i16(ARGS + 32 * n + 18), n % 3 ? Xen.GNTST_okay : Xen.GNTST_general_error, `element ${n}`);
  }
  assert.is(b.call(Hypercall.grant_table_op, Xen.GNTTABOP_map_grant_ref, ARGS, 0), 0);
  assert.is(b.call(Hypercall.grant_table_op, Xen.GNTTABOP_map_grant_ref, ARGS, 0x80000000), -Errno.EINVAL);
  assert.is(b.call(Hypercall.grant_table_op, Xen.GNTTABOP_map_grant_ref, b.pages * 4096 - 40, 2), -Errno.EFAULT);
  b.destroy();
  a.destroy();
  assert.is(machine.freeFrames, machine.free - 1);
});

grants("the table grows to 64 frames, version 1 is the only one, and the rest is refused cleanly", () => {
  const a = new Guest(machine);
  const query = () => {
    a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u32", 0], ["u32", 0], ["u16", 99]);
    assert.is(a.call(Hypercall.grant_table_op, Xen.GNTTABOP_query_size, ARGS, 1), 0);
    return [a.u32(ARGS + 4), a.u32(ARGS + 8), a.i16(ARGS + 12)];
  };
  assert.equal(query(), [0, 64, 0]);
  setup(a, 3);
  assert.equal(query(), [3, 64, 0]);
  setup(a, 64);
  assert.equal(query(), [64, 64, 0]);
  a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u32", 65], ["u16", 1], ["u64", ARGS + 64]);
  assert.is(a.call(Hypercall.grant_table_op, Xen.GNTTABOP_setup_table, ARGS, 1), 0);
  assert.is(a.i16(ARGS + 8), Xen.GNTST_general_error);
  for (const [dom, status] of [[0, Xen.GNTST_permission_denied], [0x7001, Xen.GNTST_bad_domain]]) {
    a.write(ARGS, ["u16", dom], ["u32", 1], ["u16", 1], ["u64", ARGS + 64]);
    assert.is(a.call(Hypercall.grant_table_op, Xen.GNTTABOP_setup_table, ARGS, 1), 0);
    assert.is(a.i16(ARGS + 8), status);
  }
  for (const [version, result] of [[1, 0], [2, -Errno.ENOSYS], [3, -Errno.EINVAL], [0, -Errno.EINVAL]]) {
    a.write(ARGS, ["u32", version]);
    assert.is(a.call(Hypercall.grant_table_op, Xen.GNTTABOP_set_version, ARGS, 1), result, `version ${version}`);
    assert.is(a.u32(ARGS), 1);
  }
  a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", 0], ["u32", 0]);
  assert.is(a.call(Hypercall.grant_table_op, Xen.GNTTABOP_get_version, ARGS, 1), 0);
  assert.is(a.u32(ARGS + 4), 1);
  const NOT_OURS = [Xen.GNTTABOP_dump_table, Xen.GNTTABOP_transfer, Xen.GNTTABOP_unmap_and_replace, Xen.GNTTABOP_get_status_frames];
  for (const op of [...NOT_OURS, Xen.GNTTABOP_cache_flush, 13, 0xffffffff]) {
    assert.is(a.call(Hypercall.grant_table_op, op, ARGS, 1), -Errno.ENOSYS);
  }
  a.destroy();
  assert.is(machine.freeFrames, machine.free - 1);
});

grants("entries swap unless they are in use", () => {
  const a = new Guest(machine);
  setup(a);
  const swap = (x: number, y: number) => {
    a.write(ARGS, ["u32", x], ["u32", y], ["u16", 99]);
    assert.is(a.call(Hypercall.grant_table_op, Xen.GNTTABOP_swap_grant_ref, ARGS, 1), 0);
    return a.i16(ARGS + 8);
  };
  grant(a, 8, 0, 5);
  grant(a, 9, 7, 6);
  assert.is(swap(8, 9), Xen.GNTST_okay);
  assert.is(a.mem.load(sharedEntryAddr(a.mem, a.domain, 9) + 4), 5);
  const map9 = mapForControl(a.mem, a.domid, 9, false);
  if (typeof map9 === "number") throw new Error(`${map9}`);
  assert.is(swap(8, 9), Xen.GNTST_eagain);
  assert.is(swap(8, 512), Xen.GNTST_bad_gntref);
  unmapForControl(a.mem, map9.handle);
  assert.is(swap(9, 9), Xen.GNTST_okay);
  a.destroy();
});

grants("32-bit guests have 32-bit argument layouts", () => {
  const [a, b] = [new Guest(machine), new Guest(machine)];
  // struct gnttab_setup_table: dom, nr_frames, status, 32-bit frame_list
  a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u32", 1], ["u16", 99], ["u32", ARGS + 64]);
  assert.is(a.call32(Hypercall.grant_table_op, Xen.GNTTABOP_setup_table, ARGS, 1), 0);
  assert.is(a.i16(ARGS + 8), 0);
  assert.is(a.u32(ARGS + 64), 0xffffffff, "not mapped anywhere yet");
  grant(a, 8, b.domid, 5);
  a.write(5 * 4096, ["u32", 77]);
  // struct gnttab_copy: {u32, domid, offset} twice, len, flags, status
  b.write(ARGS, ["u32", 8], ["u16", a.domid], ["u16", 0], ["u32", 4], ["u16", Xen.DOMID_SELF], ["u16", 8], ["u16", 4], ["u16", Xen.GNTCOPY_source_gref], ["u16", 99]);
  assert.is(b.call32(Hypercall.grant_table_op, Xen.GNTTABOP_copy, ARGS, 1), 0);
  assert.is(b.i16(ARGS + 20), 0);
  assert.is(b.u32(4 * 4096 + 8), 77);
  a.destroy();
  b.destroy();
});

grants("what becomes a table of the hypervisor's while it is pinned is not", () => {
  const free = machine.freeFrames;
  const [a, b] = [new Guest(machine), new Guest(machine)];
  setup(a);
  grant(a, 8, b.domid, 5);
  const mfn = p2mMfn(p2mGet(a.mem, a.domain, 5));
  let meanwhile = () => {
    meanwhile = () => {};
    a.write(ARGS, ["u64", ARGS + 64], ["u64", 1], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
    a.write(ARGS + 64, ["u64", 5]);
    assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_decrease_reservation, ARGS), 1);
    assert.is(a.evtchn(Xen.EVTCHNOP_alloc_unbound, (0x7ff0 << 16) | Xen.DOMID_SELF, 0), 0);
    assert.is(frameType(a.mem, mfn), FrameType.hv, "the port table is where the page was");
  };
  /** The memory as a thread sees it that is held up when it is about to take hold of the frame. */
  const slow = new (class extends MachineMemory {
    override load(at: number): number {
      if (at === frameEntry(mfn) + FrameOff.count) meanwhile();
      return super.load(at);
    }
  })(machine.mem.memory);
  assert.is(pinGrant(slow, a.domid, 8, b.domid, false), Xen.GNTST_bad_page);
  assert.is(flags(a, 8), Xen.GTF_permit_access);
  a.destroy();
  b.destroy();
  assert.is(machine.freeFrames, free);
});

grants.run();
