/** Threads and event loop: an idle pCPU costs next to nothing and still wakes in time; a busy one never keeps the host's
 *  event loop from its work; all doorbells reach the control thread. */
import { build } from "esbuild";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../assembly/abi/exit";
import { DomainOff, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { kick, ringControl } from "../../src/machine/kick";
import { Hardware, type HardwareOptions, MachineError } from "../../src/machine/machine";
import { hostPlatform } from "../../src/machine/platform";
import { dequeueVcpu, Scheduler } from "../../src/machine/scheduler";
import { FakeCore, FakeHypervisor, fakeDomain, type Script } from "../support/fake_pcpu";
import { becomes, cpuDuring, worstDelay } from "../support/quiet";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const worker = `${root}/build/fixtures/idle_worker-${process.pid}.mjs`;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for something a busy host may take its time for. */
async function until(condition: () => boolean, what: string): Promise<void> {
  const limit = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > limit) throw new Error(`${what}: not within 10 s`);
    await sleep(1);
  }
}

const test = suite("hardware");

test.before(async () => {
  const entryPoints = [`${root}/tests/machine/fixture/idle_worker.ts`];
  await build({ entryPoints, outfile: worker, bundle: true, format: "esm", platform: "node", logLevel: "error" });
});

async function hardware(options: Partial<HardwareOptions>): Promise<Hardware> {
  return Hardware.create({
    platform: hostPlatform(),
    bytes: 128 * 2 ** 20,
    threads: true,
    pcpus: 1,
    wasm: EMPTY_MODULE,
    worker: pathToFileURL(worker),
    makePcpu: async () => {
      throw new Error("no pCPU on this thread");
    },
    onLog: () => {},
    onControl: () => {},
    onPcpuLost: (_pcpu, error) => {
      throw error;
    },
    ...options,
  });
}

test("a pCPU's thread sleeps without cost, wakes for kicks and deadlines, and reports", async () => {
  const lines: string[] = [];
  let rung = 0;
  const machine = await hardware({ onLog: (domid, line) => lines.push(`(d${domid}) ${line}`), onControl: () => rung++ });
  const { memory, clock } = machine;
  const { domain, vcpu } = fakeDomain(memory, 0);
  const [entries, last, deadline] = [0, 8, 16].map((offset) => vcpu + VcpuOff.image + offset);
  try {
    await machine.place(vcpu);
    await until(() => lines.length > 0, "the first entry");
    await sleep(30);
    assert.is(memory.load(entries), 1);
    assert.equal(lines, ["(d1) first entry"]);

    const late: number[] = [];
    for (let n = 0; n < 20; n++) {
      const before = memory.load(entries);
      const due = clock.nowNs() + 2e6 + n * 1.3e5;
      memory.setF64(deadline, due);
      kick(memory, vcpu, VcpuRequest.time);
      await until(() => memory.getF64(last) >= due, "the deadline");
      late.push(memory.getF64(last) - due);
      // One entry for the kick, one for the deadline: another would be one before its time.
      assert.ok(memory.load(entries) - before <= 2, `${memory.load(entries) - before} entries`);
    }
    assert.ok(Math.min(...late) < 1e6, `lateness ${late} ns`);

    await becomes(2, "% of a core while idle", () => cpuDuring(400));

    // pausing brings the vCPU home and rings the control thread
    rung = 0;
    memory.add(domain + DomainOff.pauseCount, 1);
    kick(memory, vcpu, VcpuRequest.pause);
    await until(() => memory.load(vcpu + VcpuOff.pcpu) === -1, "leaving the pCPU");
    await until(() => rung > 0, "the control thread's doorbell");
  } finally {
    machine.destroy();
  }
});

test("the control thread hears doorbells rung while it works", async () => {
  let seen = 0;
  const machine = await hardware({ onControl: () => seen++ });
  try {
    await sleep(5);
    for (let n = 0; n < 5; n++) {
      const before = seen;
      ringControl(machine.memory);
      await until(() => seen > before, `ring ${n}`);
    }
  } finally {
    machine.destroy();
  }
});

test("a thread that dies is reported as such", async () => {
  const lost: string[] = [];
  const machine = await hardware({ onPcpuLost: (pcpu, error) => lost.push(`${pcpu}: ${error.message}`) });
  machine.destroy();
  const broken = await hardware({ worker: new URL("file:///nonexistent/worker.mjs") });
  const { vcpu } = fakeDomain(broken.memory, 0);
  try {
    await broken.place(vcpu);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, MachineError);
    assert.match((error as Error).message, /^pCPU 0: /);
  } finally {
    broken.destroy();
  }
});

test("vCPUs are placed on processors that are left", async () => {
  const dies = `import { parentPort } from "node:worker_threads";
    parentPort.once("message", ({ pcpu }) => {
      parentPort.postMessage({ type: "ready" });
      setTimeout(() => { throw new Error("that was processor " + pcpu); });
    });`;
  const lost: string[] = [];
  const options = { bytes: 160 * 2 ** 20, pcpus: 2, worker: `data:text/javascript,${encodeURIComponent(dies)}` };
  const machine = await hardware({ ...options, onPcpuLost: (pcpu, error) => lost.push(`${pcpu}: ${error.message}`) });
  try {
    for (const n of [0, 1]) {
      const { vcpu } = fakeDomain(machine.memory, n);
      await machine.place(vcpu);
      assert.is(machine.memory.load(vcpu + VcpuOff.home), n);
      await until(() => lost.length > n, "the end of its thread");
      assert.is(lost[n], `${n}: that was processor ${n}`);
      dequeueVcpu(machine.memory, vcpu);
    }
    const { vcpu } = fakeDomain(machine.memory, 2);
    await machine.place(vcpu).then(() => assert.unreachable(), (error) => assert.instance(error, MachineError));
    assert.is(machine.memory.load(vcpu + VcpuOff.home), -1);
  } finally {
    machine.destroy();
  }
});

/** Single-threaded hardware with one vCPU that runs `script`. */
async function local(script: (machine: { now(): number }, vcpu: number) => Script, options: Partial<HardwareOptions> = {}) {
  let hypervisor!: FakeHypervisor;
  const scripts = new Map<number, Script>();
  const machine = await hardware({
    threads: false,
    makePcpu: async ({ memory, pcpu, clock }) => {
      hypervisor = new FakeHypervisor(memory);
      return new Scheduler(memory, new FakeCore(memory, pcpu, scripts).asCore(), hypervisor, clock);
    },
    ...options,
  });
  const { vcpu, domain } = fakeDomain(machine.memory, 0);
  scripts.set(vcpu, script({ now: () => machine.clock.nowNs() }, vcpu));
  await machine.place(vcpu);
  return { machine, vcpu, domain, hypervisor };
}

test("single-threaded: a busy guest leaves the event loop its turns", async () => {
  let entries = 0;
  const { machine } = await local((clock) => () => {
    const end = clock.now() + 2e5;
    while (clock.now() < end);
    entries++;
    return Exit.budget;
  });
  assert.not.ok(machine.memory.shared);
  try {
    await becomes(25, "ms of delay", () => worstDelay(20));
    await until(() => entries > 100, "entries");
  } finally {
    machine.destroy();
  }
});

test("single-threaded: sleep costs nothing, deadlines and doorbells wake it", async () => {
  let entries = 0;
  let rung = 0;
  const { machine, vcpu, hypervisor } = await local(
    (_clock, vcpu) => () => {
      entries++;
      machine0().memory.and(vcpu + VcpuOff.request, VcpuRequest.pause);
      ringControl(machine0().memory);
      return Exit.hlt;
    },
    { onControl: () => rung++ },
  );
  function machine0(): Hardware {
    return machine;
  }
  try {
    await until(() => entries > 0, "the first entry");
    await sleep(20);
    assert.is(entries, 1);
    assert.is(rung, 1);
    await becomes(2, "% of a core while idle", () => cpuDuring(300));
    kick(machine.memory, vcpu, VcpuRequest.upcall);
    await until(() => entries === 2, "the upcall");
    hypervisor.deadlines.set(vcpu, machine.clock.nowNs() + 10e6);
    kick(machine.memory, vcpu, VcpuRequest.time);
    await until(() => hypervisor.fired.length > 0, "the deadline");
    await sleep(20);
    assert.ok(entries === 3 || entries === 4, `${entries} entries`); // for the kick and for the deadline, or, late, for both
    assert.is(hypervisor.fired.length, 1);
    assert.is(rung, entries);
  } finally {
    machine.destroy();
  }
});

test("single-threaded: a processor that fails is reported as lost", async () => {
  const lost: string[] = [];
  const { machine, vcpu, hypervisor } = await local(() => () => Exit.hlt, { onPcpuLost: (pcpu, error) => lost.push(`${pcpu}: ${error.message}`) });
  try {
    hypervisor.nextDeadline = () => {
      throw new Error("a bug");
    };
    kick(machine.memory, vcpu, VcpuRequest.upcall);
    await until(() => lost.length > 0, "the report");
    kick(machine.memory, vcpu, VcpuRequest.upcall);
    await sleep(5);
    assert.equal(lost, ["0: a bug"]);
    await machine.place(vcpu).then(() => assert.unreachable(), (error) => assert.instance(error, MachineError));
  } finally {
    machine.destroy();
  }
});

test("a machine too large for the host is refused with a reason", async () => {
  for (const bytes of [5 * 2 ** 30, 2 ** 40]) {
    try {
      await hardware({ bytes });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, MachineError);
      assert.match((error as Error).message, /4 GiB/);
    }
  }
});

test.run();
