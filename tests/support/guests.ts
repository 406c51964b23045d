/** Real guests for tests (guests/fetch.mjs): fetched when they are not here, or a reason to skip with. */
import { pathToFileURL } from "node:url";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;

export interface Guest {
  name: string;
  version: string;
  root: string;
  kernel?: string;
  ramdisk?: string;
  modules?: string;
  release?: string;
  busybox?: string;
  pv64?: string;
  pv32?: string;
  firmware?: string;
  large?: string;
  kernel32?: string;
}

/** The modules find their cache by their own place, so they are loaded as they are, not bundled. */
export const guestScript = (name: string): Promise<Record<string, (...args: never[]) => unknown>> =>
  import(pathToFileURL(`${root}/guests/${name}.mjs`).href);

/** The guest, or null after saying why it cannot be had. */
export const guestOrSkip = (name: string): Promise<Guest | null> => orSkip("fetch", "obtain", name);

/** A Linux guest with an initramfs of busybox (guests/initramfs.mjs), whose options these are, or null after saying why not. */
export const linuxOrSkip = (name: string, options: object = {}): Promise<Guest | null> =>
  orSkip("initramfs", "obtainLinux", name, options);

async function orSkip(script: string, way: string, ...args: unknown[]): Promise<Guest | null> {
  const obtain = (await guestScript(script))[way] as unknown as (...args: unknown[]) => Promise<Guest>;
  try {
    return await obtain(...args);
  } catch (error) {
    if ((error as Error).name !== "GuestUnavailable") throw error;
    console.log(`skipped: ${(error as Error).message}`);
    return null;
  }
}
