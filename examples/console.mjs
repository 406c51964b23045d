// Boots a kernel, types one command, prints what comes back, and powers off:
//   node examples/console.mjs VMLINUZ INITRD
import { readFile } from "node:fs/promises";
import { Machine } from "xenolith";

const [kernel, ramdisk] = await Promise.all(process.argv.slice(2, 4).map((file) => readFile(file)));
const machine = await Machine.create({ memory: 256 });
const domain = await machine.createDomain({ name: "example", kernel, ramdisk, cmdline: "console=hvc0 quiet", memory: 256 });

const output = domain.console.readable.pipeTo(new WritableStream({ write: (bytes) => void process.stdout.write(bytes) }));
const keyboard = domain.console.writable.getWriter();
await keyboard.write(new TextEncoder().encode("cat /proc/cpuinfo; poweroff -f\n"));

const { reason } = await domain.stopped;
await output;
await machine.destroy();
console.log(`\nthe domain stopped: ${reason}`);
