/** HYPERVISOR_memory_op of translated guests (public/memory.h): the reservation shrinks and grows within its limit, pages
 *  of the hypervisor and of the guest can be put where it wants them, and nothing is charged twice or lost. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, P2m } from "../../assembly/abi/layout";
import { Hypercall, Xen } from "../../assembly/abi/xen";
import { type ControlMapping, mapForControl, seedGrant, setMemoryMap, unmapForControl } from "../../src/hypervisor/control";
import { growGrantTable, sharedEntryAddr } from "../../src/hypervisor/grant_table";
import { p2mGet, p2mMfn, p2mType } from "../../src/machine/p2m";
import { ARGS, Guest, TestMachine } from "./guest";

const memory = suite("memory_op");
const machine = new TestMachine(32);
const LIST = 0x4000;

function reservation(guest: Guest, op: number, gfns: (number | bigint)[], order = 0, domid: number = Xen.DOMID_SELF): number {
  guest.write(ARGS, ["u64", LIST], ["u64", gfns.length], ["u32", order], ["u32", 0], ["u16", domid]);
  guest.write(LIST, ...gfns.map((gfn) => ["u64", gfn] as ["u64", number | bigint]));
  return guest.call(Hypercall.memory_op, op, ARGS);
}
function pages(guest: Guest): number {
  guest.write(ARGS, ["u16", Xen.DOMID_SELF]);
  return guest.call(Hypercall.memory_op, Xen.XENMEM_current_reservation, ARGS);
}
function addToPhysmap(guest: Guest, space: number, idx: number | bigint, gpfn: number | bigint, size = 0): number {
  guest.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", size], ["u32", space], ["u64", idx], ["u64", gpfn]);
  return guest.call(Hypercall.memory_op, Xen.XENMEM_add_to_physmap, ARGS);
}
function mapped(guest: Guest, gfn: number): number {
  const entry = p2mGet(guest.mem, guest.domain, gfn);
  return p2mType(entry) === P2m.ram_rw ? p2mMfn(entry) : 0;
}
const POPULATE = Xen.XENMEM_populate_physmap;
const DECREASE = Xen.XENMEM_decrease_reservation;

memory("a balloon gives pages back to the machine and takes zeroed ones", () => {
  const a = new Guest(machine);
  a.write(100 * 4096, ["u32", 0x5ec7e7]);
  const free = machine.freeFrames;
  assert.is(reservation(a, DECREASE, [100, 101, 102]), 3);
  assert.is(machine.freeFrames, free + 3);
  assert.is(pages(a), a.pages - 3);
  assert.is(a.maddr(100 * 4096), 0);
  assert.is(reservation(a, POPULATE, [102, 100, 0x8000]), 3);
  assert.is(a.u32(100 * 4096), 0);
  assert.is(pages(a), a.pages);
  assert.ok(mapped(a, 0x8000) && !mapped(a, 101));
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

memory("a batch ends at its first bad extent and says how many were done", () => {
  const a = new Guest(machine);
  assert.is(reservation(a, DECREASE, [100, 101, 0x9999, 102]), 2);
  assert.is(reservation(a, DECREASE, [2n ** 63n, 102]), 0);
  assert.is(reservation(a, POPULATE, [100, 2 ** 30, 101]), 1);
  assert.is(pages(a), a.pages - 1);
  assert.is(reservation(a, DECREASE, [5], 0, 0), 0, "another domain's");
  assert.is(reservation(a, DECREASE, [5], 0, 0x7abc), 0);
  assert.is(reservation(a, POPULATE, [512], 10), 0, "order above 9");
  assert.is(reservation(a, POPULATE, [2 ** 30 - 1], 1), 0, "beyond the last gfn");
  a.write(ARGS, ["u64", LIST], ["u64", 2n ** 40n], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  assert.is(a.call(Hypercall.memory_op, POPULATE, ARGS), 0, "more extents than can be counted");
  a.write(ARGS, ["u64", 0xdead_beef_0000n], ["u64", 3], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  assert.is(a.call(Hypercall.memory_op, POPULATE, ARGS), 0);
  assert.is(a.call(Hypercall.memory_op, POPULATE, 0xdead_beef_0000n), 0);
  assert.is(pages(a), a.pages - 1);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

memory("the limit holds for single pages and for superpages, all or nothing", () => {
  const a = new Guest(machine, { pages: 64, maxPages: 64 + 512 });
  assert.is(reservation(a, POPULATE, [0x200], 9), 1);
  assert.is(pages(a), 64 + 512);
  assert.is(reservation(a, POPULATE, [0x400], 9), 0);
  assert.is(reservation(a, POPULATE, [0x400]), 0);
  assert.is(reservation(a, Xen.XENMEM_increase_reservation, [0]), 0);
  assert.is(pages(a), 64 + 512);
  assert.is(reservation(a, DECREASE, [0x200], 9), 1);
  assert.is(reservation(a, Xen.XENMEM_increase_reservation, [0]), 1);
  assert.is(pages(a), 65);
  assert.is(reservation(a, POPULATE, [3]), 1, "what was there is given back");
  assert.is(pages(a), 65);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

memory("long batches are continued from the extent in the command", () => {
  const a = new Guest(machine, { pages: 64, maxPages: 4096 });
  const gfns = Array.from({ length: 500 }, (_, n) => 0x1000 + n);
  assert.is(reservation(a, POPULATE, gfns), 500);
  const again = () => a.write(ARGS, ["u64", LIST], ["u64", 500], ["u32", 2], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  again();
  a.write(LIST, ...gfns.map((_, n) => ["u64", 0x2000 + 4 * n] as ["u64", number]));
  assert.is(a.call(Hypercall.memory_op, POPULATE, ARGS), 500);
  assert.is(pages(a), 64 + 500 + 2000);
  again();
  assert.is(a.call(Hypercall.memory_op, DECREASE | (498 << 6), ARGS), 500);
  assert.is(pages(a), 64 + 500 + 2000 - 8);
  again();
  assert.is(a.call(Hypercall.memory_op, DECREASE | (500 << 6), ARGS), 500, "beyond the end: nothing");
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_current_reservation | (1 << 6), ARGS), -Errno.EINVAL);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

memory("shared_info and grant frames appear where they are put, one place at a time", () => {
  const a = new Guest(machine);
  const info = a.mem.get32(a.domain + DomainOff.sharedInfo);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_shared_info, 0, 0x7000), 0);
  assert.is(mapped(a, 0x7000), info);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_shared_info, 0, 0x7000), 0, "where it is already");
  const before = pages(a);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_shared_info, 0, 50), 0, "over a page of RAM, which is given back");
  assert.is(mapped(a, 50), info);
  assert.is(mapped(a, 0x7000), 0);
  assert.is(pages(a), before - 1);
  for (let n = 0; n < 4; n++) assert.is(addToPhysmap(a, Xen.XENMAPSPACE_grant_table, n, 0x7100 + n), 0);
  assert.is(new Set([0, 1, 2, 3].map((n) => mapped(a, 0x7100 + n))).size, 4);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_grant_table, 63, 0x7200), 0);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_grant_table, 64, 0x7300), -Errno.EINVAL);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_grant_table, 0x80000000, 0x7300), -Errno.EINVAL, "version 2's status frames");
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_shared_info, 1, 0x7300), -Errno.EINVAL);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_shared_info, 0, 2 ** 30), -Errno.EINVAL);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_shared_info, 0, 2n ** 60n), -Errno.EINVAL);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_gmfn_foreign, 0, 0x7300), -Errno.ENOSYS);
  assert.is(addToPhysmap(a, 17, 0, 0x7300), -Errno.EINVAL);
  assert.is(reservation(a, DECREASE, [50]), 1, "unhooks it, no more");
  assert.is(pages(a), before - 1);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_shared_info, 0, 51), 0);
  assert.is(mapped(a, 51), info);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

memory("a guest page moves by gmfn, singly or in ranges", () => {
  const a = new Guest(machine);
  a.write(20 * 4096, ["u32", 0x20]);
  const mfn = mapped(a, 20);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_gmfn, 20, 0x7000), 0);
  assert.is(mapped(a, 0x7000), mfn);
  assert.is(mapped(a, 20), 0);
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_gmfn, 20, 0x7001), -Errno.EINVAL, "there is nothing any more");
  assert.is(addToPhysmap(a, Xen.XENMAPSPACE_gmfn_range, 100, 0x7100, 200), 0);
  for (let n = 0; n < 200; n++) assert.ok(mapped(a, 0x7100 + n) && !mapped(a, 100 + n));
  assert.is(pages(a), a.pages);
  a.write(ARGS, ["u16", 0], ["u16", 0], ["u32", 0], ["u64", 0], ["u64", 1]);
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_add_to_physmap, ARGS), -Errno.EPERM);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

memory("batches report an error per page, and foreign pages are not to be had", () => {
  const [a, b] = [new Guest(machine), new Guest(machine)];
  const batch = (space: number, foreign: number, idxs: number[], gpfns: number[], op = 0): number => {
    a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", space], ["u16", idxs.length], ["u16", foreign], ["u64", LIST], ["u64", LIST + 2048], ["u64", LIST + 4096]);
    a.write(LIST, ...idxs.map((n) => ["u64", n] as ["u64", number]));
    a.write(LIST + 2048, ...gpfns.map((n) => ["u64", n] as ["u64", number]));
    return a.call(Hypercall.memory_op, Xen.XENMEM_add_to_physmap_batch | op, ARGS);
  };
  assert.is(batch(Xen.XENMAPSPACE_grant_table, 0, [0, 99, 1], [0x7000, 0x7001, 0x7002]), 0);
  assert.equal([0, 1, 2].map((n) => a.u32(LIST + 4096 + 4 * n) | 0), [0, -Errno.EINVAL, 0]);
  const many = Array.from({ length: 150 }, (_, n) => 100 + n);
  assert.is(batch(Xen.XENMAPSPACE_gmfn, 0, many, many.map((n) => n + 0x7100)), 0);
  for (const n of many) assert.ok(mapped(a, n + 0x7100));
  assert.is(batch(Xen.XENMAPSPACE_gmfn_range, 0, [1], [0x7000]), -Errno.EOPNOTSUPP);
  assert.is(batch(Xen.XENMAPSPACE_gmfn_foreign, b.domid, [1], [0x7000]), -Errno.EPERM);
  assert.is(batch(Xen.XENMAPSPACE_gmfn_foreign, 0, [1], [0x7000]), -Errno.EPERM);
  assert.is(batch(Xen.XENMAPSPACE_gmfn_foreign, a.domid, [1], [0x7000]), -Errno.EINVAL);
  assert.is(batch(Xen.XENMAPSPACE_gmfn_foreign, 0x7bcd, [1], [0x7000]), -Errno.ESRCH);
  assert.is(batch(Xen.XENMAPSPACE_gmfn, 0, [], []), 0);
  assert.is(batch(Xen.XENMAPSPACE_gmfn, 0, [1], [0x7000], 9 << 6), -Errno.EILSEQ);
  a.destroy();
  b.destroy();
  assert.is(machine.freeFrames, machine.free);
});

memory("remove_from_physmap hides a page that stays the domain's", () => {
  const a = new Guest(machine);
  a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u64", 60]);
  const free = machine.freeFrames;
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_remove_from_physmap, ARGS), 0);
  assert.is(mapped(a, 60), 0);
  assert.is(machine.freeFrames, free);
  assert.is(pages(a), a.pages);
  a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u64", 60]);
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_remove_from_physmap, ARGS), -Errno.ENOENT);
  a.destroy();
  assert.is(machine.freeFrames, machine.free, "and goes with it");
});

memory("the memory map is the toolstack's, cut to the caller's buffer", () => {
  const a = new Guest(machine);
  const ask = (entries: number) => {
    a.write(ARGS, ["u32", entries], ["u64", LIST]);
    return a.call(Hypercall.memory_op, Xen.XENMEM_memory_map, ARGS);
  };
  assert.is(ask(10), -Errno.ENOSYS);
  const map = [
    { addr: 0, size: 0x200000, type: 1 },
    { addr: 0xfc000000, size: 0x1000, type: 2 },
    { addr: 2 ** 32, size: 2 ** 33, type: 1 },
  ];
  assert.is(setMemoryMap(a.mem, a.domid, map), 0);
  assert.is(ask(10), 0);
  assert.is(a.u32(ARGS), 3);
  assert.equal(
    map.map((_, n) => [n, 20 * n + LIST]).map(([, at]) => ({ addr: Number(a.u64(at)), size: Number(a.u64(at + 8)), type: a.u32(at + 16) })),
    map,
  );
  a.write(LIST + 20, ["u32", 0]);
  assert.is(ask(1), 0);
  assert.is(a.u32(ARGS), 1);
  assert.is(a.u32(LIST + 20), 0, "the second entry is not written");
  a.write(ARGS, ["u32", 3], ["u64", a.pages * 4096 - 30]);
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_memory_map, ARGS), -Errno.EFAULT);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

//  op                                   answer to an unprivileged translated guest
const ANSWERS: [number, number][] = [
  [Xen.XENMEM_machine_memory_map, -Errno.ENOSYS],
  [Xen.XENMEM_machphys_mfn_list, -Errno.ENOSYS],
  [Xen.XENMEM_machphys_mapping, -Errno.ENOSYS],
  [Xen.XENMEM_machphys_compat_mfn_list, -Errno.ENOSYS],
  [Xen.XENMEM_exchange, -Errno.EOPNOTSUPP],
  [Xen.XENMEM_set_memory_map, -Errno.EPERM],
  [Xen.XENMEM_set_pod_target, -Errno.EPERM],
  [Xen.XENMEM_get_pod_target, -Errno.EPERM],
  [Xen.XENMEM_paging_op, -Errno.EPERM],
  [Xen.XENMEM_access_op, -Errno.EPERM],
  [Xen.XENMEM_sharing_op, -Errno.EPERM],
  [Xen.XENMEM_claim_pages, -Errno.EPERM],
  [Xen.XENMEM_acquire_resource, -Errno.EPERM],
  [Xen.XENMEM_get_vnumainfo, -Errno.EOPNOTSUPP],
  [8, -Errno.ENOSYS],
  [29, -Errno.ENOSYS],
  [63, -Errno.ENOSYS],
];
for (const [op, answer] of ANSWERS) {
  memory(`operation ${op} answers ${answer}`, () => {
    const a = new Guest(machine, { pages: 8 });
    a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", 0], ["u64", 0], ["u64", 0], ["u64", 0], ["u64", 0]);
    assert.is(a.call(Hypercall.memory_op, op, ARGS), answer);
    a.destroy();
  });
}

memory("questions about the domain and the machine", () => {
  const a = new Guest(machine, { pages: 100, maxPages: 300 });
  const ask = (op: number, domid: number = Xen.DOMID_SELF) => {
    a.write(ARGS, ["u16", domid]);
    return a.call(Hypercall.memory_op, op, ARGS);
  };
  assert.is(ask(Xen.XENMEM_maximum_reservation), 300);
  assert.is(ask(Xen.XENMEM_maximum_gpfn), 99);
  assert.is(ask(Xen.XENMEM_current_reservation, a.domid), 100);
  assert.is(ask(Xen.XENMEM_current_reservation, 0), -Errno.EPERM);
  assert.is(ask(Xen.XENMEM_current_reservation, 0x7bcd), -Errno.ESRCH);
  assert.is(ask(Xen.XENMEM_maximum_ram_page), a.mem.frames - 1);
  a.write(ARGS, ["u32", 1], ["u32", 5], ["u64", LIST], ["u32", 0]);
  assert.is(a.call(Hypercall.memory_op, Xen.XENMEM_reserved_device_memory_map, ARGS), 0);
  assert.is(a.u32(ARGS + 4), 0);
  a.destroy();
});

memory("32-bit guests count in 32-bit longs", () => {
  const a = new Guest(machine);
  // struct xen_memory_reservation: extent_start, nr_extents, extent_order, mem_flags, domid
  a.write(ARGS, ["u32", LIST], ["u32", 2], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
  a.write(LIST, ["u32", 100], ["u32", 101]);
  assert.is(a.call32(Hypercall.memory_op, DECREASE, ARGS), 2);
  assert.ok(!mapped(a, 100) && !mapped(a, 101));
  a.write(ARGS, ["u16", Xen.DOMID_SELF], ["u16", 0], ["u32", Xen.XENMAPSPACE_shared_info], ["u32", 0], ["u32", 100]);
  assert.is(a.call32(Hypercall.memory_op, Xen.XENMEM_add_to_physmap, ARGS), 0);
  assert.is(mapped(a, 100), a.mem.get32(a.domain + DomainOff.sharedInfo));
  a.destroy();
});

memory("a page that somebody holds counts until it is free", () => {
  const a = new Guest(machine, { pages: 64, maxPages: 64 });
  growGrantTable(a.mem, a.domain, 1);
  const entry = sharedEntryAddr(a.mem, a.domain, 8);
  a.mem.store(entry + 4, 5);
  a.mem.store(entry, Xen.GTF_permit_access | (a.domid << 16));
  a.write(ARGS, ["u64", 0x9000 * 4096], ["u32", Xen.GNTMAP_host_map], ["u32", 8], ["u16", a.domid], ["u16", 0], ["u32", 0], ["u64", 0]);
  assert.is(a.call(Hypercall.grant_table_op, Xen.GNTTABOP_map_grant_ref, ARGS, 1), 0);
  assert.is(a.i16(ARGS + 18), Xen.GNTST_okay);
  const handle = a.u32(ARGS + 20);
  assert.is(reservation(a, DECREASE, [5]), 1);
  assert.is(pages(a), 64);
  assert.is(reservation(a, POPULATE, [5]), 0, "it has all its pages, one of them by its own grant");
  a.write(ARGS, ["u64", 0x9000 * 4096], ["u64", 0], ["u32", handle], ["u16", 0]);
  assert.is(a.call(Hypercall.grant_table_op, Xen.GNTTABOP_unmap_grant_ref, ARGS, 1), 0);
  assert.is(pages(a), 63);
  assert.is(reservation(a, POPULATE, [5]), 1);
  a.destroy();
  assert.is(machine.freeFrames, machine.free);
});

memory("a page held by others outlives its domain and is charged to nobody", () => {
  const a = new Guest(machine, { pages: 64, maxPages: 64 });
  seedGrant(a.mem, a.domid, Xen.GNTTAB_RESERVED_CONSOLE, 5);
  const held = mapForControl(a.mem, a.domid, Xen.GNTTAB_RESERVED_CONSOLE, false) as ControlMapping;
  assert.is(reservation(a, DECREASE, [5]), 1);
  a.destroy();
  const b = new Guest(machine, { pages: 64, maxPages: 64 });
  assert.is(unmapForControl(b.mem, held.handle), 0);
  assert.is(pages(b), 64);
  b.destroy();
});

memory("pages put all over the address space do not use up the machine", () => {
  const a = new Guest(machine, { pages: 64, maxPages: 64 });
  const free = machine.freeFrames;
  let at = 5;
  let result = 0;
  for (let n = 1; n < 1000 && result === 0; n++) {
    result = addToPhysmap(a, Xen.XENMAPSPACE_gmfn, at, n << 10);
    if (result === 0) at = n << 10;
  }
  assert.is(result, -Errno.ENOMEM);
  assert.ok(free - machine.freeFrames <= 257, `${free - machine.freeFrames} frames`);
  assert.is(reservation(a, POPULATE, [6 << 10]), 0, "no page is left");
  assert.is(reservation(a, DECREASE, [6]), 1);
  assert.is(reservation(a, POPULATE, [6 << 10]), 1, "there is a table");
  a.destroy();
});

memory.run();
