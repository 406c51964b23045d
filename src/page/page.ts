/** The demonstration page: one domain, its console as text. */
import { type Domain, Machine } from "../index";
import { keyBytes, Screen } from "./screen";

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const status = element("status");
const terminal = element("terminal");
const encoder = new TextEncoder();

async function chosen(id: string): Promise<Uint8Array | undefined> {
  const file = element<HTMLInputElement>(id).files?.[0];
  return file && new Uint8Array(await file.arrayBuffer());
}

let machine: Machine | null = null;
let keyboard: WritableStreamDefaultWriter<Uint8Array> | null = null;

terminal.addEventListener("keydown", (event) => {
  const bytes = keyboard && keyBytes(event);
  if (!bytes || (event.ctrlKey && event.shiftKey)) return;
  event.preventDefault();
  keyboard?.write(encoder.encode(bytes)).catch(() => {});
});
terminal.addEventListener("paste", (event) => {
  const text = event.clipboardData?.getData("text");
  if (text) keyboard?.write(encoder.encode(text.replaceAll("\r\n", "\r").replaceAll("\n", "\r"))).catch(() => {});
});

async function show(domain: Domain): Promise<void> {
  const screen = new Screen();
  let due = false;
  const draw = () => {
    due = false;
    const atEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 40;
    const lines = screen.text.split("\n");
    const { row, column } = screen.cursor;
    const line = (lines[row] ?? "").padEnd(column + 1);
    const cursor = document.createElement("span");
    cursor.className = "cursor";
    cursor.textContent = line[column];
    terminal.replaceChildren(
      `${lines.slice(0, row).map((text) => `${text}\n`).join("")}${line.slice(0, column)}`,
      cursor,
      `${line.slice(column + 1)}\n${lines.slice(row + 1).join("\n")}`,
    );
    if (atEnd) window.scrollTo(0, document.body.scrollHeight);
  };
  const reader = domain.console.readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    screen.write(value);
    if (!due) {
      due = true;
      requestAnimationFrame(draw);
    }
  }
  draw();
}

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await machine?.destroy();
    const memory = Number(element<HTMLInputElement>("memory").value);
    machine = await Machine.create({ memory, log: (line) => console.log(line) });
    const kernel = (await chosen("kernel"))!;
    const cmdline = element<HTMLInputElement>("cmdline").value;
    const domain = await machine.createDomain({ kernel, ramdisk: await chosen("ramdisk"), cmdline, memory });
    keyboard = domain.console.writable.getWriter();
    status.textContent = `running${machine.threads ? "" : ", single-threaded"}`;
    terminal.focus();
    void show(domain);
    const { reason } = await domain.stopped;
    keyboard = null;
    status.textContent = `stopped: ${reason}`;
  } catch (error) {
    status.textContent = String((error as Error).message ?? error);
  }
});

status.textContent = crossOriginIsolated ? "ready" : "ready; not cross-origin isolated, so single-threaded";
