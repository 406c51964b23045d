// A device of one's own for a bare-PC kernel: a lottery at port 0x500, and a window of device memory beside it.
//   node examples/device.mjs KERNEL
import { readFile } from "node:fs/promises";
import { Machine } from "xenolith";

const machine = await Machine.create({ memory: 64, threads: false }); // handlers run where the processor runs
const domain = await machine.createDomain({
  type: "hvm",
  kernel: await readFile(process.argv[2]),
  memory: 32,
  ports: [{ base: 0x500, length: 4, read: () => 42, write: (_port, _size, value) => console.log(`the guest bets ${value}`) }],
  mmio: [{ base: 0xd000_0000, length: 0x1000, read: (address, size) => address + size }],
});
domain.console.readable.pipeTo(new WritableStream({ write: (bytes) => void process.stdout.write(bytes) }));

const { reason, error } = await domain.stopped; // "crash", and the error, should a handler throw
await machine.destroy();
console.log(`the domain stopped: ${reason}`, error ?? "");
