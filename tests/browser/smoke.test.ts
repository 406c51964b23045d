/** The package in Chromium: on a cross-origin isolated page with a thread per processor, on any other page without. And the
 *  demonstration page. Needs a Chromium on this host; without one the tests are skipped. */
import { existsSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tinyKernel } from "../support/tiny_kernel";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const CANDIDATES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const chromium = CANDIDATES.find((path) => path && existsSync(path));

const test = suite("Chromium");
if (!chromium) {
  test.skip("the package runs in Chromium");
  console.log("# no Chromium found (apt-get install chromium, or set CHROMIUM): browser tests are skipped");
}

type Serve = (options: { folder: string; isolated: boolean }) => Promise<Server>;
let browser: Browser;
let serve: Serve;

if (chromium) {
  test.before(async () => {
    const playwright = await import("playwright-core");
    browser = await playwright.chromium.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
    ({ serve } = (await import(pathToFileURL(join(root, "scripts/page.mjs")).href)) as { serve: Serve });
  });
  test.after(() => browser?.close());
}

/** A page of a server for dist/, with what it says on its console. */
async function open(isolated: boolean, path: string, body: (page: Page, said: string[]) => Promise<void>): Promise<void> {
  const server = await serve({ folder: join(root, "dist"), isolated });
  const page = await browser.newPage();
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  try {
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
    await body(page, said);
  } catch (error) {
    console.log(said.join("\n"));
    throw error;
  } finally {
    await page.close();
    server.close();
  }
}

/** In the page: greets, echoes, sleeps, powers off; a second domain is destroyed. */
const SCENARIO = `(async (kernelBytes) => {
  const { Machine } = await import("/index.js");
  const kernel = Uint8Array.from(kernelBytes), log = [];
  const machine = await Machine.create({ memory: 32, log: (line) => log.push(line) });
  const before = machine.freeMemory;
  const domain = await machine.createDomain({ kernel, cmdline: "e", memory: 4 });
  const reader = domain.console.readable.getReader(), decoder = new TextDecoder();
  let text = "";
  const until = async (part) => { while (!text.includes(part)) text += decoder.decode((await reader.read()).value); };
  await until("console\\r\\n");
  const keyboard = domain.console.writable.getWriter();
  const started = performance.now();
  await keyboard.write(new TextEncoder().encode("typed"));
  await until("typed");
  const echo = performance.now() - started;
  await keyboard.write(new TextEncoder().encode("q"));
  const { reason } = await domain.stopped;
  const busy = await machine.createDomain({ kernel, cmdline: "l", memory: 4 });
  let ticks = 0;
  for (const end = performance.now() + 200; performance.now() < end; ticks++) await new Promise((resolve) => setTimeout(resolve));
  await busy.destroy();
  const after = machine.freeMemory;
  await machine.destroy();
  const refused = await Machine.create({ threads: true, memory: 8 }).then((other) => other.destroy(), (error) => error.message);
  return { isolated: crossOriginIsolated, threads: machine.threads, text, reason, log, balance: after - before, echo, ticks, refused };
})`;

interface Seen {
  isolated: boolean;
  threads: boolean;
  text: string;
  reason: string;
  log: string[];
  balance: number;
  echo: number;
  ticks: number;
  refused?: string;
}

for (const isolated of [true, false]) {
  if (!chromium) break;
  test(isolated ? "an isolated page has threads" : "any other page runs domains on its event loop", async () => {
    await open(isolated, "/page/index.html", async (page) => {
      const seen = (await page.evaluate(`${SCENARIO}(${JSON.stringify([...tinyKernel()])})`)) as Seen;
      assert.is(seen.isolated, isolated);
      assert.is(seen.threads, isolated);
      assert.is(seen.text, "hello from the console\r\ntyped");
      assert.is(seen.reason, "poweroff");
      assert.equal(seen.log, ["(d1) hello from port e9", "(d2) hello from port e9"]);
      assert.is(seen.balance, 0);
      assert.ok(seen.echo < 1000, `echo took ${seen.echo} ms`);
      assert.ok(seen.ticks > 5, `${seen.ticks} turns of the event loop beside a busy guest`);
      if (isolated) assert.is(seen.refused, undefined);
      else assert.match(seen.refused ?? "", /Cross-Origin-Opener-Policy/);
    });
  });
}

if (chromium) {
  test("the demonstration page boots a kernel and takes keys", async () => {
    await open(true, "/page/index.html", async (page, said) => {
      await page.setInputFiles("#kernel", { name: "tiny", mimeType: "application/octet-stream", buffer: Buffer.from(tinyKernel()) });
      await page.fill("#cmdline", "e");
      await page.fill("#memory", "32");
      await page.click("button");
      const terminal = page.locator("#terminal");
      await terminal.getByText("hello from the console").waitFor();
      await page.keyboard.type("keys");
      await terminal.getByText("keys").waitFor();
      await page.keyboard.type("q");
      await page.getByText("stopped: poweroff").waitFor();
      assert.ok(said.includes("(d1) hello from port e9"), said.join("\n"));
    });
  });
}

test.run();
