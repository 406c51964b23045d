/** assembly/abi/{xen,errno}.ts and the argument structures of src/hypervisor against the public headers: a C compiler
 *  prints every constant, size and offset. Nothing runs; numbers are read from the assembler output, so that 32-bit
 *  layouts can be asked for without 32-bit libraries. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CStruct } from "../../src/hypervisor/c_struct";
import * as event from "../../src/hypervisor/event_op";
import * as grant from "../../src/hypervisor/grant_op";
import * as hvm from "../../src/hypervisor/hvm_op";
import * as memory from "../../src/hypervisor/memory_op";
import * as multi from "../../src/hypervisor/multicall";
import * as physmap from "../../src/hypervisor/physmap";
import * as runstate from "../../src/hypervisor/runstate";
import * as sched from "../../src/hypervisor/sched_op";
import * as context from "../../src/hypervisor/vcpu_context";
import * as vcpu from "../../src/hypervisor/vcpu_op";
import * as version from "../../src/hypervisor/version";

declare const XENOLITH_ROOT: string;

const HEADERS = "/usr/include/xen";
const missing = !existsSync(join(HEADERS, "xen.h"))
  ? "libxen-dev is not installed"
  : spawnSync("gcc", ["--version"]).status !== 0
    ? "there is no gcc"
    : "";
if (missing) console.log(`comparison with the C headers skipped: ${missing}`);

const INCLUDES = [
  ...["xen", "event_channel", "grant_table", "memory", "sched", "vcpu", "version", "features", "physdev"],
  ...["errno", "hvm/hvm_op", "hvm/params", "hvm/hvm_vcpu", "arch-x86/hvm/start_info"],
];

/** Values of C integer constant expressions, in order. */
function ask(expressions: readonly string[], bits: 32 | 64): number[] {
  const source = [
    "#include <stdint.h>",
    "#include <stddef.h>",
    "#define __XEN_TOOLS__ 1",
    "#define __XEN_INTERFACE_VERSION__ 0x00041100",
    ...INCLUDES.map((name) => `#include <xen/${name}.h>`),
    "long long answers[] = {",
    ...expressions.map((text) => `(long long)(${text}),`),
    "};",
  ].join("\n");
  const run = spawnSync("gcc", [`-m${bits}`, "-ffreestanding", "-fno-zero-initialized-in-bss", "-x", "c", "-S", "-o", "-", "-"], {
    input: source,
    encoding: "utf8",
  });
  if (run.status !== 0) throw new Error(run.stderr.slice(0, 2000));
  const words = run.stdout.slice(run.stdout.indexOf("answers:")).split("\n");
  const numbers: number[] = [];
  let low: number | null = null; // -m32 writes the two halves
  for (const line of words) {
    const directive = /^\s+\.(quad|long|zero)\s+(-?\d+)/.exec(line);
    if (!directive) continue;
    const value = Number(directive[2]);
    if (directive[1] === "quad") numbers.push(value);
    else if (directive[1] === "zero") for (let n = 0; n < value; n += 8) numbers.push(0);
    else if (low === null) low = value;
    else {
      numbers.push((value | 0) * 2 ** 32 + (low >>> 0));
      low = null;
    }
  }
  return numbers.slice(0, expressions.length);
}

/** Members of a const enum, read from the source: the compiler leaves none at run time. */
function members(file: string, name: string): [string, number][] {
  const text = readFileSync(join(XENOLITH_ROOT, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
  const body = new RegExp(`const enum ${name} \\{([^}]*)\\}`).exec(text)?.[1];
  if (body === undefined) throw new Error(`no enum ${name} in ${file}`);
  return [...body.matchAll(/(\w+)\s*=\s*(-?\w+)/g)].map(([, key, value]) => [key, Number(value)]);
}

function compare(what: string, rows: readonly (readonly [string, number])[], bits: 32 | 64): void {
  const answers = ask(
    rows.map(([expression]) => expression),
    bits,
  );
  assert.is(answers.length, rows.length, what);
  rows.forEach(([expression, ours], n) => assert.is(ours, answers[n], `${what}: ${expression} (${bits}-bit)`));
}

const constants = suite("constants of the public headers");
const layouts = suite("layouts of the public headers");

if (!missing) {
  constants("are ours", () => {
    compare("Xen", members("assembly/abi/xen.ts", "Xen"), 64);
  });
  constants("hypercall numbers are ours", () => {
    compare(
      "Hypercall",
      members("assembly/abi/xen.ts", "Hypercall").map(([name, value]) => [`__HYPERVISOR_${name}`, value]),
      64,
    );
  });
  constants("error numbers are ours", () => {
    compare(
      "Errno",
      members("assembly/abi/errno.ts", "Errno").map(([name, value]) => [`XEN_${name}`, value]),
      64,
    );
  });

  const SHARED: [enumName: string, struct: string, bits: 32 | 64][] = [
    ["SharedInfoOff", "struct shared_info", 64],
    ["SharedInfo32Off", "struct shared_info", 32],
    ["VcpuInfoOff", "struct vcpu_info", 64],
    ["VcpuInfo32Off", "struct vcpu_info", 32],
    ["VcpuTimeInfoOff", "struct vcpu_time_info", 64],
    ["VcpuTimeInfoOff", "struct vcpu_time_info", 32],
    ["FifoControlOff", "struct evtchn_fifo_control_block", 64],
    ["GrantEntryV1Off", "struct grant_entry_v1", 64],
    ["HvmStartInfoOff", "struct hvm_start_info", 64],
    ["HvmStartInfoOff", "struct hvm_start_info", 32],
    ["HvmModlistEntryOff", "struct hvm_modlist_entry", 64],
    ["HvmMemmapEntryOff", "struct hvm_memmap_table_entry", 64],
  ];
  for (const [name, struct, bits] of SHARED) {
    layouts(`${name} is ${struct} (${bits}-bit)`, () => {
      const rows = members("assembly/abi/xen.ts", name).map(([field, offset]): [string, number] => {
        const path = field === "wc_sec_hi" && bits === 32 ? "arch.wc_sec_hi" : field;
        return [field === "SIZE" ? `sizeof(${struct})` : `offsetof(${struct}, ${path})`, offset];
      });
      compare(name, rows, bits);
    });
  }

  /** Ours, the C type, and fields whose path differs. A path of "" is a part without a name of its own. */
  const ARGUMENTS: [CStruct<Record<string, unknown>>, string, Record<string, string>?][] = [
    [event.ALLOC_UNBOUND, "struct evtchn_alloc_unbound"],
    [event.BIND_INTERDOMAIN, "struct evtchn_bind_interdomain"],
    [event.BIND_VIRQ, "struct evtchn_bind_virq"],
    [event.BIND_PIRQ, "struct evtchn_bind_pirq"],
    [event.BIND_IPI, "struct evtchn_bind_ipi"],
    [event.CLOSE, "struct evtchn_close"],
    [event.STATUS, "struct evtchn_status", { u_dom: "u.interdomain.dom", u_port: "u.interdomain.port" }],
    [event.BIND_VCPU, "struct evtchn_bind_vcpu"],
    [event.RESET, "struct evtchn_reset"],
    [event.INIT_CONTROL, "struct evtchn_init_control"],
    [event.EXPAND_ARRAY, "struct evtchn_expand_array"],
    [event.SET_PRIORITY, "struct evtchn_set_priority"],
    [grant.MAP_GRANT_REF, "struct gnttab_map_grant_ref"],
    [grant.UNMAP_GRANT_REF, "struct gnttab_unmap_grant_ref"],
    [grant.SETUP_TABLE, "struct gnttab_setup_table"],
    [grant.QUERY_SIZE, "struct gnttab_query_size"],
    [
      grant.COPY,
      "struct gnttab_copy",
      {
        source_u: "source.u",
        source_domid: "source.domid",
        source_offset: "source.offset",
        dest_u: "dest.u",
        dest_domid: "dest.domid",
        dest_offset: "dest.offset",
        dest_end: "",
      },
    ],
    [grant.SET_VERSION, "struct gnttab_set_version"],
    [grant.GET_VERSION, "struct gnttab_get_version"],
    [grant.SWAP_GRANT_REF, "struct gnttab_swap_grant_ref"],
    [sched.SHUTDOWN, "struct sched_shutdown"],
    [sched.POLL, "struct sched_poll"],
    [sched.REMOTE_SHUTDOWN, "struct sched_remote_shutdown"],
    [sched.WATCHDOG, "struct sched_watchdog"],
    [memory.RESERVATION, "struct xen_memory_reservation"],
    [memory.MEMORY_DOMAIN, "struct xen_memory_domain"],
    [memory.REMOVE_FROM_PHYSMAP, "struct xen_remove_from_physmap"],
    [memory.MEMORY_MAP, "struct xen_memory_map"],
    [
      memory.RESERVED_DEVICE_MEMORY_MAP,
      "struct xen_reserved_device_memory_map",
      { seg: "dev.pci.seg", bus: "dev.pci.bus", devfn: "dev.pci.devfn" },
    ],
    [memory.VNUMA_TOPOLOGY_INFO, "struct xen_vnuma_topology_info"],
    [physmap.ADD_TO_PHYSMAP, "struct xen_add_to_physmap"],
    [physmap.ADD_TO_PHYSMAP_BATCH, "struct xen_add_to_physmap_batch"],
    [vcpu.SET_PERIODIC_TIMER, "struct vcpu_set_periodic_timer"],
    [vcpu.SET_SINGLESHOT_TIMER, "struct vcpu_set_singleshot_timer"],
    [vcpu.REGISTER_VCPU_INFO, "struct vcpu_register_vcpu_info"],
    [vcpu.REGISTER_AREA, "struct vcpu_register_runstate_memory_area"],
    [vcpu.GET_PHYSID, "struct vcpu_get_physid"],
    [runstate.RUNSTATE_INFO, "struct vcpu_runstate_info", { time1: "time[1]", time2: "time[2]", time3: "time[3]" }],
    [context.VCPU_HVM_CONTEXT, "struct vcpu_hvm_context", { rest: "" }],
    [context.X86_32, "struct vcpu_hvm_x86_32"],
    [context.X86_64, "struct vcpu_hvm_x86_64"],
    [hvm.HVM_PARAM, "struct xen_hvm_param"],
    [hvm.GET_TIME, "struct xen_hvm_get_time"],
    [hvm.XENTRACE, "struct xen_hvm_xentrace"],
    [hvm.GET_MEM_TYPE, "struct xen_hvm_get_mem_type"],
    [hvm.UPCALL_VECTOR, "struct xen_hvm_evtchn_upcall_vector"],
    [version.COMPILE_INFO, "struct xen_compile_info"],
    [version.FEATURE_INFO, "struct xen_feature_info"],
    [
      multi.MULTICALL_ENTRY,
      "struct multicall_entry",
      Object.fromEntries([0, 1, 2, 3, 4, 5].map((n) => [`arg${n}`, `args[${n}]`])),
    ],
  ];
  for (const bits of [64, 32] as const) {
    layouts(`argument structures of ${bits}-bit guests`, () => {
      const rows: [string, number][] = [];
      for (const [ours, struct, paths = {}] of ARGUMENTS) {
        for (const [field, offset] of Object.entries(bits === 64 ? ours.lp64 : ours.ilp32)) {
          const path = paths[field] ?? field;
          if (path === "") continue;
          rows.push([field === "sizeof" ? `sizeof(${struct})` : `offsetof(${struct}, ${path})`, offset]);
        }
      }
      compare("arguments", rows, bits);
    });
  }
}

constants.run();
layouts.run();
