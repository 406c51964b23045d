/** Hostile guest kernels: each spoils what it shares with its host, for ever, and never asks to be stopped. Code for the small
 *  assembler of tests/support/tiny_kernel.ts: 32-bit, flat, no paging. Numbers as there, and from public/io/{console,xs_wire}.h,
 *  public/{vcpu,grant_table,memory,event_channel}.h. */
import { Assembler, elfKernel } from "../support/tiny_kernel";

const STACK = 0x1f0000;
const SHARED_GFN = 0x180;

/** Finds console and xenstore: EDI console page, ESI xenstore page; ports and page numbers at labels. EBX start info kept in EBP. */
function begin(): Assembler {
  const a = new Assembler();
  a.set("esp", STACK).raw(0x89, 0xdd); // mov ebp, ebx
  a.hypercall(12, 7, "physmap");
  for (const [param, label] of [[17, "console"], [18, "console_port"], [1, "store"], [2, "store_port"]] as const) {
    a.storeImmediate("index", param).hypercall(34, 1, "param").load("eax", "value").store(label, "eax");
  }
  a.load("edi", "console").raw(0xc1, 0xe7, 12).load("esi", "store").raw(0xc1, 0xe6, 12); // shl edi, 12; shl esi, 12
  return a;
}

function end(a: Assembler): Uint8Array<ArrayBuffer> {
  a.label("halt").raw(0xfa, 0xf4).jump("halt");
  // eax = a random number: xorshift32, ECX spoilt
  a.label("random").load("eax", "state").raw(0x89, 0xc1, 0xc1, 0xe1, 13, 0x31, 0xc8, 0x89, 0xc1, 0xc1, 0xe9, 17, 0x31, 0xc8, 0x89, 0xc1, 0xc1, 0xe1, 5, 0x31, 0xc8).store("state", "eax").raw(0xc3);
  while (a.bytes.length % 8) a.raw(0);
  a.label("physmap").raw(0xf0, 0x7f, 0, 0).long(0).long(0).long(SHARED_GFN);
  a.label("param").raw(0xf0, 0x7f, 0, 0).label("index").long(17).label("value").long(0).long(0);
  for (const name of ["console", "console_port", "store", "store_port", "pad0", "pad1"]) a.label(name).long(0);
  a.label("state").long(0x12345678).long(0);
  a.label("gfn64").long(0).long(0);
  a.label("reservation").long("gfn64").long(1).long(0).long(0).raw(0xf0, 0x7f, 0, 0); // extent_start, nr_extents, extent_order, mem_flags, domid (ILP32)
  a.label("block");
  for (let n = 0; n < 16; n++) a.long(0);
  return elfKernel(a.assemble());
}

const notify = (a: Assembler, port: string) => a.hypercall(32, 4, port);
/** The result of a hypercall, modulo 64, as a character from "0" on and a line of the log: so that tests see it succeed. */
const tell = (a: Assembler) => a.raw(0x24, 0x3f, 0x04, 0x30, 0xe6, 0xe9, 0xb0, 0x0a, 0xe6, 0xe9);

const KERNELS: Record<string, (a: Assembler) => void> = {
  /** All indices of the console ring take random values, with an event each time. */
  "console ring": (a) => {
    a.label("again");
    for (const at of [3072, 3076, 3080, 3084, 0, 1024]) a.call("random").store(["edi", at], "eax");
    notify(a, "console_port").jump("again");
  },
  /** The xenstore ring as well, requests included; now and then a reconnection. */
  "xenstore ring": (a) => {
    a.label("again");
    for (const at of [0, 4, 8, 12, 16, 1024, 2048, 2052, 2056, 2060]) a.call("random").store(["esi", at], "eax");
    notify(a, "store_port");
    a.call("random").raw(0x83, 0xe0, 0x01).store(["esi", 2068], "eax"); // and eax, 1: connection
    notify(a, "store_port").jump("again");
  },
  /** Well-formed requests of random kinds with random payloads, as fast as they are taken. */
  "xenstore requests": (a) => {
    a.label("again").call("random").raw(0x83, 0xe0, 0x1f).store(["esi", 0], "eax"); // type
    a.raw(0xc7, 0x86).long(4).long(1).raw(0xc7, 0x86).long(8).long(0).raw(0xc7, 0x86).long(12).long(16); // req_id, tx_id, len
    a.raw(0xc7, 0x86).long(16).long(0x61746164).raw(0xc7, 0x86).long(20).long(0x0000002f).call("random").store(["esi", 24], "eax").store(["esi", 28], "eax");
    a.raw(0xc7, 0x86).long(2048).long(0).raw(0xc7, 0x86).long(2052).long(32); // req_cons, req_prod
    a.load("eax", ["esi", 2060]).store(["esi", 2056], "eax"); // rsp_cons = rsp_prod
    notify(a, "store_port").jump("again");
  },
  "event flood": (a) => {
    a.label("again");
    notify(a, "console_port");
    notify(a, "store_port").jump("again");
  },
  "log flood": (a) => a.label("again").raw(0xb0, 0x41, 0xe6, 0xe9, 0xb0, 0x0a, 0xe6, 0xe9).jump("again"), // mov al, 'A'; out 0xe9, al; newline
  "console_io flood": (a) => {
    a.storeImmediate("block", 0x0a410a41);
    a.label("again").set("edx", "block").set("eax", 18).set("ebx", 0).set("ecx", 64).raw(0x0f, 0x01, 0xc1).jump("again");
  },
  hypercalls: (a) => a.label("again").hypercall(17, 0, 0).jump("again"),
  /** Every hypercall with random registers, but none that ends the domain. */
  "random hypercalls": (a) => {
    a.label("again").call("random").raw(0x89, 0xc3, 0x83, 0xe3, 0x1f); // ebx = random & 31
    a.call("random").raw(0x89, 0xc2).call("random").raw(0x83, 0xe0, 0x3f, 0x83, 0xf8, 29).jumpIf(4, "again"); // edx; eax = random & 63, not sched_op
    a.raw(0x83, 0xf8, 13).jumpIf(4, "again"); // nor multicall, which might
    a.set("ecx", "block").raw(0x0f, 0x01, 0xc1).jump("again");
  },
  /** Its own shared pages and frames go away under the backends, and come back. */
  "gives pages back": (a) => {
    a.label("again");
    for (const page of ["console", "store"]) {
      a.load("eax", page).store("gfn64", "eax");
      a.hypercall(12, 1, "reservation"); // XENMEM_decrease_reservation
      notify(a, "console_port");
      notify(a, "store_port");
      a.hypercall(12, 6, "reservation"); // XENMEM_populate_physmap
      notify(a, "console_port");
    }
    a.jump("again");
  },
  "gives pages back for good": (a) => {
    for (const page of ["console", "store"]) tell(a.load("eax", page).store("gfn64", "eax").hypercall(12, 1, "reservation"));
    a.label("again");
    notify(a, "console_port");
    notify(a, "store_port").jump("again");
  },
  /** Timers for the past, the end of time and everything between, then sleep. */
  timers: (a) => {
    a.set("edx", "block").storeImmediate("block", 0x7fffffff).set("ebx", 6).set("ecx", 0).set("eax", 24).raw(0x0f, 0x01, 0xc1);
    tell(a).label("again");
    for (const [low, high] of [[1, 0], [-1, -1], [0, 0x80000000], [-1, 0x7fffffff], [1, 0]]) a.set("ebx", low).set("ecx", high).set("eax", 15).raw(0x0f, 0x01, 0xc1);
    a.storeImmediate("block", 1).set("edx", "block").set("ebx", 6).set("ecx", 0).set("eax", 24).raw(0x0f, 0x01, 0xc1); // VCPUOP_set_periodic_timer, 1 ns
    a.call("random").store("block", "eax").set("edx", "block").set("ebx", 8).set("ecx", 0).set("eax", 24).raw(0x0f, 0x01, 0xc1); // set_singleshot_timer
    a.set("eax", 0xfee00380).raw(0xc7, 0x00).long(1); // APIC timer: one tick
    a.set("eax", 0xfee00320).raw(0xc7, 0x00).long(0x20040); // periodic
    a.jump("again");
  },
  /** Start info, command line, ACPI tables and all else below 1 MiB and around the special pages. */
  "overwrites what it was given": (a) => {
    a.raw(0x31, 0xc0, 0x57, 0x56); // xor eax, eax; push edi; push esi
    a.set("edi", 0).set("ecx", 0x40000).raw(0xfc, 0xf3, 0xab); // rep stosd: below 1 MiB
    a.set("edi", 0xfc000000).set("ecx", 0x40000).raw(0xf3, 0xab);
    a.set("edi", 0xfeff0000).set("ecx", 0x4000).raw(0xf3, 0xab).raw(0x5e, 0x5f);
    a.label("again");
    notify(a, "console_port");
    notify(a, "store_port").jump("again");
  },
  /** Handlers that cannot be fetched, one after another. */
  "endless faults": (a) => a.raw(0x0f, 0x01, 0x1d).long("idtr").jump("bad").label("idtr").raw(0xff, 0x07).long(0x200000).label("bad").raw(0x0f, 0x0b),
  /** REP over 4 GiB of holes, with devices' slowness. */
  "endless string": (a) => a.label("again").set("esi", 0x10000000).set("ecx", -1).raw(0xfd, 0xf3, 0xac).jump("again"),
  "grant scribbling": (a) => {
    // the grant table's first frame at gfn 0x181, then its reserved entries change for ever
    a.raw(0xc7, 0x05).long("physmap_space").long(1).raw(0xc7, 0x05).long("physmap_gfn").long(SHARED_GFN + 1);
    tell(a.hypercall(12, 7, "physmap2"));
    a.label("again");
    for (const at of [0, 4, 8, 12]) a.call("random").raw(0xa3).long((SHARED_GFN + 1) * 4096 + at); // mov [..], eax
    notify(a, "console_port");
    notify(a, "store_port").jump("again");
    while (a.bytes.length % 8) a.raw(0);
    a.label("physmap2").raw(0xf0, 0x7f, 0, 0).label("physmap_space").long(1).long(0).label("physmap_gfn").long(SHARED_GFN + 1);
  },
};

/** What the kernels above say before they begin: their first hypercalls succeed. */
export const SAYS: Readonly<Record<string, readonly string[]>> = {
  "gives pages back for good": ["1", "1"],
  timers: ["0"],
  "grant scribbling": ["0"],
};

export const hostileNames = Object.keys(KERNELS);

export function hostileKernel(name: string): Uint8Array<ArrayBuffer> {
  const a = begin();
  KERNELS[name](a);
  return end(a);
}
