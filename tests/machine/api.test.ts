/** Domains as programs see them: created, fed, paused, stopped, and gone without a trace; with threads and without. The guest
 *  is tests/support/tiny_kernel.ts. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ConfigError, type DomainConfig, DomainError, ImageError, MachineError, version } from "../../src/index";
import { readText, testMachine, within } from "../support/machine";
import { becomes, cpuDuring, worstDelay } from "../support/quiet";
import { tinyKernel } from "../support/tiny_kernel";

const kernel = tinyKernel();
const PATIENCE = 10_000;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const encoder = new TextEncoder();

for (const threads of [true, false]) {
  const test = suite(threads ? "domains on threads" : "domains on the event loop");
  const create = () => testMachine({ threads });
  const small = (cmdline: string, more: Partial<DomainConfig> = {}): DomainConfig => ({ kernel, cmdline, memory: 4, ...more });

  test("a guest's words reach console and log, and its reason the caller", async () => {
    const { machine, log } = await create();
    try {
      assert.is(machine.threads, threads);
      const REASONS = { p: "poweroff", r: "reboot", s: "suspend", c: "crash", h: "poweroff", t: "crash" };
      for (const [letter, reason] of Object.entries(REASONS)) {
        const before = machine.freeMemory;
        log.length = 0;
        const domain = await machine.createDomain(small(letter, { name: `ends-${letter}` }));
        const text = readText(domain.console.readable);
        assert.equal(await within(PATIENCE, letter, domain.stopped), { reason });
        assert.is(await text, "hello from the console\r\n", letter);
        assert.is(log[0], `(d${domain.id}) hello from port e9`);
        if (letter === "t") assert.match(log[1], /triple fault/);
        assert.is(machine.freeMemory, before, `memory after ${letter}`);
        assert.equal(machine.domains, []);
      }
    } finally {
      await machine.destroy();
    }
  });

  test("input reaches the guest, and it sleeps in between", async () => {
    const { machine } = await create();
    try {
      const domain = await machine.createDomain(small("e"));
      await within(PATIENCE, "greeting", readText(domain.console.readable, /console\r\n/));
      const keyboard = domain.console.writable.getWriter();
      await keyboard.write(encoder.encode("abc"));
      assert.is(await within(PATIENCE, "echo", readText(domain.console.readable, /abc/)), "abc");
      await becomes(2, "% of a core while idle", () => cpuDuring(150));
      const rest = readText(domain.console.readable);
      await keyboard.write(encoder.encode(`${"x".repeat(5000)}q`));
      assert.equal(await within(PATIENCE, "end", domain.stopped), { reason: "poweroff" });
      assert.is(await rest, "x".repeat(5000));
      await keyboard.write(encoder.encode("?")).then(() => assert.unreachable(), () => {});
    } finally {
      await machine.destroy();
    }
  });

  test("two busy domains run side by side, and pausing one stops it", async () => {
    const { machine } = await create();
    try {
      const [a, b] = await Promise.all([machine.createDomain(small("f", { name: "a" })), machine.createDomain(small("f", { name: "b" }))]);
      const count = { a: 0, b: 0 };
      const drain = async (name: "a" | "b", readable: ReadableStream<Uint8Array>) => {
        for await (const bytes of readable as unknown as AsyncIterable<Uint8Array>) count[name] += bytes.length;
      };
      void drain("a", a.console.readable);
      void drain("b", b.console.readable);
      const reach = async (what: string, condition: () => boolean) => {
        for (const end = performance.now() + PATIENCE; !condition(); await sleep(5))
          assert.ok(performance.now() < end, `${what}: ${count.a} and ${count.b} bytes`);
      };
      await reach("both print", () => count.a > 10_000 && count.b > 10_000);
      await within(PATIENCE, "pause", a.pause());
      assert.ok(a.paused);
      await sleep(20);
      const [pausedAt, goesOn] = [count.a, count.b];
      await sleep(100);
      await reach("the other goes on", () => count.b > goesOn);
      assert.is(count.a, pausedAt);
      a.unpause();
      await reach("the paused one too", () => count.a > pausedAt);
      await within(PATIENCE, "destroy", a.destroy());
      assert.equal(await a.stopped, { reason: "destroyed" });
      assert.equal(machine.domains, [b]);
    } finally {
      await within(PATIENCE, "machine.destroy", machine.destroy());
    }
  });

  test("pausing settles when the guest rests, or when it is to go on after all", async () => {
    const { machine } = await create();
    try {
      const domain = await machine.createDomain(small("l"));
      const settled: string[] = [];
      const [one, two] = ["one", "two"].map((name) => domain.pause().then(() => void settled.push(name)));
      await within(PATIENCE, "both", Promise.all([one, two]));
      assert.equal(settled, ["one", "two"], "a second request waits as well");
      domain.unpause();
      for (let n = 0; n < 50; n++) {
        const pause = domain.pause();
        domain.unpause();
        await within(PATIENCE, `pause ${n}`, pause);
      }
      assert.not.ok(domain.paused);
      const last = domain.pause();
      await within(PATIENCE, "destroy", domain.destroy());
      await within(PATIENCE, "a pause that destruction overtook", last);
      await domain.pause();
      domain.unpause();
      assert.equal(await domain.shutdown(), { reason: "destroyed" });
    } finally {
      await machine.destroy();
    }
  });

  test("the host's event loop is not held up by a guest that spins", async () => {
    const { machine } = await create();
    try {
      await machine.createDomain(small("l"));
      await becomes(25, "ms of delay", () => worstDelay(100));
    } finally {
      await machine.destroy();
    }
  });

  test("a log that throws is its owner's affair", async () => {
    const errors: string[] = [];
    const caught = (error: Error) => void errors.push(error.message);
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException").on("uncaughtException", caught);
    const { machine } = await testMachine({
      threads,
      log: (line) => {
        throw new Error(`refused: ${line}`);
      },
    });
    try {
      const domain = await machine.createDomain(small("p"));
      assert.equal(await within(PATIENCE, "end", domain.stopped), { reason: "poweroff" });
      await sleep(10);
      assert.is(errors[0], `refused: (d${domain.id}) hello from port e9`);
    } finally {
      await within(PATIENCE, "machine.destroy", machine.destroy());
      process.off("uncaughtException", caught);
      for (const listener of before) process.on("uncaughtException", listener);
    }
  });

  test("shutdown asks through xenstore, an aborted signal destroys", async () => {
    const { machine } = await create();
    try {
      const stop = new AbortController();
      const domain = await machine.createDomain(small("l", { signal: stop.signal }));
      await within(PATIENCE, "refusal", domain.shutdown("explode" as never)).then(() => assert.unreachable(), (error) => assert.match(error.message, /"explode" is none of .*poweroff/));
      const stopped = domain.shutdown("reboot");
      assert.is(machine.xenstore.read(`/local/domain/${domain.id}/control/shutdown`), "reboot");
      stop.abort();
      assert.equal(await within(PATIENCE, "abort", stopped), { reason: "destroyed" });
      try {
        await machine.createDomain(small("l", { signal: stop.signal }));
        assert.unreachable();
      } catch (error) {
        assert.is((error as Error).name, "AbortError");
      }
    } finally {
      await machine.destroy();
    }
  });

  test("domains come and go a hundred times without growth", async () => {
    const { machine } = await create();
    try {
      const before = machine.freeMemory;
      for (let n = 0; n < 100; n++) {
        const domain = await machine.createDomain(small("p"));
        await within(PATIENCE, `domain ${n}`, domain.stopped);
      }
      assert.is(machine.freeMemory, before);
      assert.equal(machine.xenstore.ls("/local/domain"), ["0"]);
    } finally {
      await machine.destroy();
    }
  });

  test("what cannot be built is refused by name and leaves nothing behind", async () => {
    const { machine } = await create();
    try {
      const before = machine.freeMemory;
      //   configuration                                            error        says
      const BAD: [Partial<DomainConfig>, new (...args: never[]) => Error, RegExp][] = [
        [{ memory: 0 }, ConfigError, /^memory: /],
        [{ memory: 3.5 }, ConfigError, /^memory: /],
        [{ memory: undefined as never }, ConfigError, /^memory: /],
        [{ memory: 1 }, ConfigError, /^memory: .*cannot hold/],
        [{ memory: 4000 }, DomainError, /memory is used up/],
        [{ vcpus: 2 }, ConfigError, /^vcpus: /],
        [{ name: "a/b" }, ConfigError, /^name: /],
        [{ name: "Domain-0" }, ConfigError, /^name: .*Domain-0/],
        [{ type: "pv" as never }, ConfigError, /^type: /],
        [{ kernel: undefined as never }, ConfigError, /^kernel: /],
        [{ kernel: new Uint8Array(100) }, ImageError, /^kernel: /],
        [{ kernel: kernel.subarray(0, 200) }, ImageError, /^kernel: /],
        [{ kernel: "/nonexistent/vmlinuz" }, ImageError, /^\/nonexistent\/vmlinuz: /],
        [{ kernel: 42 as never }, ImageError, /^kernel: .*bytes, a path or URL/],
        [{ ramdisk: () => Promise.reject(new Error("lost")) }, ImageError, /^ramdisk: .*lost/],
      ];
      for (const [config, kind, says] of BAD) {
        try {
          await machine.createDomain(small("p", config));
          assert.unreachable(`${says} was accepted`);
        } catch (error) {
          assert.instance(error, kind, `${says}: ${error}`);
          assert.match((error as Error).message, says);
        }
        assert.is(machine.freeMemory, before, `memory after ${says}`);
      }
      await machine.createDomain(small("l", { name: "twin" }));
      await machine.createDomain(small("l", { name: "twin" })).then(() => assert.unreachable(), (error) => assert.match(error.message, /^name: .*twin/));
    } finally {
      await machine.destroy();
    }
    await machine.createDomain(small("p")).then(() => assert.unreachable(), (error) => assert.instance(error, MachineError));
  });

  test.run();
}

const test = suite("package");
test("one processor is enough for guests that spin and those that come later", async () => {
  const { machine } = await testMachine({ threads: true, pcpus: 1 });
  try {
    const sleeper = await machine.createDomain({ kernel, cmdline: "e", memory: 4 });
    await within(PATIENCE, "greeting", readText(sleeper.console.readable, /console\r\n/));
    await machine.createDomain({ kernel, cmdline: "l", memory: 4 });
    await sleep(50);
    const late = await machine.createDomain({ kernel, cmdline: "p", memory: 4 });
    assert.equal(await within(PATIENCE, "the last one's end", late.stopped), { reason: "poweroff" });
    const keyboard = sleeper.console.writable.getWriter();
    await within(PATIENCE, "input", keyboard.write(encoder.encode("abc")));
    await within(PATIENCE, "destroy", sleeper.destroy());
  } finally {
    await within(PATIENCE, "machine.destroy", machine.destroy());
  }
});

test("a core that is not there or not one is a MachineError about the option", async () => {
  for (const threads of [true, false]) {
    await testMachine({ threads, wasm: "/nonexistent/core.wasm" }).then(() => assert.unreachable(), (error) => {
      assert.instance(error, MachineError);
      assert.match(error.message, /^wasm: .*\/nonexistent\/core.wasm/);
    });
    const { machine } = await testMachine({ threads, wasm: new Uint8Array(100) });
    await machine.createDomain({ kernel, memory: 4 }).then(() => assert.unreachable(), (error) => {
      assert.instance(error, MachineError);
      assert.match(error.message, /^wasm: /);
    });
    await machine.destroy();
  }
});
test("the version is the package's", () => assert.match(version, /^\d+\.\d+\.\d+/));
test.run();
