/** All of the hypervisor's state is shared: two domains of two vCPUs each, every vCPU on a thread of its own, bind, send,
 *  grant, map, copy, balloon and close against each other. No thread may fail, and at the end every frame is free. */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Hypercall, Xen } from "../../assembly/abi/xen";
import { growGrantTable, sharedEntryAddr } from "../../src/hypervisor/grant_table";
import { framesOf } from "../../src/machine/frames";
import { MachineMemory } from "../../src/machine/memory";
import { Guest, TestMachine } from "./guest";

const ROUNDS = 3000;
const THREADS = 4;

interface Part {
  memory: WebAssembly.Memory;
  domains: number[];
  domids: number[];
  me: number;
}

/** What one vCPU does. Its arguments are in a page of its own. */
function hammer({ memory, domains, domids, me }: Part): Record<string, number> {
  const side = me >> 1;
  const mem = new MachineMemory(memory);
  const guest = new Guest({ mem, now: 1e9, log: [], shutdowns: [] }, { attach: { domain: domains[side], vcpu: me & 1 } }, me);
  const other = domids[1 - side];
  const args = (2 + (me & 1)) * 4096;
  const done: Record<string, number> = {};
  const count = (what: string) => (done[what] = (done[what] ?? 0) + 1);
  const ports: number[] = [];
  let state = me + 1;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 10) % n;
  };
  for (let round = 0; round < ROUNDS; round++) {
    switch (below(6)) {
      case 0: {
        guest.write(args, ["u16", Xen.DOMID_SELF], ["u16", other]);
        if (guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_alloc_unbound, args) === 0) ports.push(guest.u32(args + 4));
        guest.write(args, ["u16", other], ["u32", 1 + below(40)]);
        if (guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_bind_interdomain, args) === 0) {
          ports.push(guest.u32(args + 8));
          count("bound");
        }
        break;
      }
      case 1:
        guest.write(args, ["u32", 1 + below(40)]);
        if (guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_send, args) === 0) count("sent");
        break;
      case 2:
        guest.write(args, ["u32", ports.length > 12 ? (ports.shift() as number) : 1 + below(40)]);
        if (guest.call(Hypercall.event_channel_op, Xen.EVTCHNOP_close, args) === 0) count("closed");
        break;
      case 3: {
        // Grant a page of ours that the balloon below may take away at any time.
        const at = sharedEntryAddr(mem, domains[side], below(16));
        mem.set32(at + 4, 100 + below(16));
        mem.store(at, Xen.GTF_permit_access | (other << 16));
        const gpa = (0x8000 + below(8)) * 4096;
        guest.write(args, ["u64", gpa], ["u32", Xen.GNTMAP_host_map], ["u32", below(16)], ["u16", other], ["u16", 9], ["u32", 0], ["u64", 0]);
        guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_map_grant_ref, args, 1);
        if (guest.i16(args + 18) === 0) count("mapped");
        break;
      }
      case 4: {
        // Handles and places are few, so both vCPUs of a domain try to unmap the same ones.
        guest.write(args, ["u64", (0x8000 + below(8)) * 4096], ["u64", 0], ["u32", below(8)], ["u16", 9]);
        guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_unmap_grant_ref, args, 1);
        if (guest.i16(args + 20) === 0) count("unmapped");
        guest.write(args, ["u64", below(16)], ["u16", other], ["u16", 0], ["u64", 50], ["u16", Xen.DOMID_SELF], ["u16", 0]);
        guest.write(args + 32, ["u16", 64], ["u16", Xen.GNTCOPY_source_gref], ["u16", 9]);
        guest.call(Hypercall.grant_table_op, Xen.GNTTABOP_copy, args, 1);
        if (guest.i16(args + 36) === 0) count("copied");
        break;
      }
      default: {
        const op = below(2) ? Xen.XENMEM_populate_physmap : Xen.XENMEM_decrease_reservation;
        guest.write(args, ["u64", args + 64], ["u64", 2], ["u32", 0], ["u32", 0], ["u16", Xen.DOMID_SELF]);
        guest.write(args + 64, ["u64", 100 + below(16)], ["u64", 100 + below(16)]);
        if (guest.call(Hypercall.memory_op, op, args) > 0) count("ballooned");
      }
    }
  }
  return done;
}

if (!isMainThread) {
  parentPort?.postMessage(hammer(workerData as Part));
} else {
  const threads = suite("hypercalls on several threads");
  threads("keep the tables whole", async () => {
    const machine = new TestMachine(16, THREADS);
    const guests = [0, 1].map(() => new Guest(machine, { pages: 200, vcpus: 2 }));
    for (const { domain } of guests) assert.ok(growGrantTable(machine.mem, domain, 1));
    const part = { memory: machine.mem.memory, domains: guests.map(({ domain }) => domain), domids: guests.map(({ domid }) => domid) };
    const results = await Promise.all(
      Array.from({ length: THREADS }, (_, me) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: { ...part, me } satisfies Part });
        return new Promise<Record<string, number>>((resolve, reject) => {
          worker.once("message", resolve);
          worker.once("error", reject);
        });
      }),
    );
    const total: Record<string, number> = {};
    for (const result of results) for (const [what, n] of Object.entries(result)) total[what] = (total[what] ?? 0) + n;
    for (const what of ["bound", "sent", "closed", "mapped", "unmapped", "copied", "ballooned"]) assert.ok(total[what] > 10, `${what}: ${total[what]}`);
    for (const guest of guests) {
      const frames = [...framesOf(machine.mem, guest.domid)];
      assert.ok(frames.length >= 200 - 16, `${frames.length}`);
    }
    for (const guest of guests) guest.destroy();
    assert.is(machine.freeFrames, machine.free);
  });
  threads.run();
}
