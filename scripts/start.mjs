// `npm start`: Debian's current kernel with busybox in the foreground, 256 MiB. Further words are xl.cfg settings:
//   npm start -- memory=512 'cmdline=console=hvc0 quiet'
import { spawn } from "node:child_process";
import { join } from "node:path";
import { GuestUnavailable } from "../guests/fetch.mjs";
import { obtainLinux } from "../guests/initramfs.mjs";
import { nodeEnvironment, nodeOptions } from "./build.mjs";

const root = join(import.meta.dirname, "..");
let guest;
try {
  guest = await obtainLinux("debian");
} catch (error) {
  if (!(error instanceof GuestUnavailable)) throw error;
  console.error(`xenolith: ${error.message}`);
  process.exit(1);
}
const settings = ["name=debian", "memory=256", "cmdline=console=hvc0", `ramdisk=${guest.ramdisk}`, ...process.argv.slice(2)];
// The program inherits the terminal; signals reach it directly, so this process only waits.
const child = spawn(process.execPath, [...nodeOptions, join(root, "dist/cli.mjs"), "run", guest.kernel, ...settings], { stdio: "inherit", env: { ...nodeEnvironment, ...process.env } });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
