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
}

/** The modules find their cache by their own place, so they are loaded as they are, not bundled. */
export const guestScript = (name: string): Promise<Record<string, (...args: never[]) => unknown>> =>
  import(pathToFileURL(`${root}/guests/${name}.mjs`).href);

/** The guest, or null after saying why it cannot be had. */
export async function guestOrSkip(name: string): Promise<Guest | null> {
  const { obtain } = await guestScript("fetch");
  try {
    return (await (obtain as unknown as (name: string) => Promise<Guest>)(name)) satisfies Guest;
  } catch (error) {
    if ((error as Error).name !== "GuestUnavailable") throw error;
    console.log(`skipped: ${(error as Error).message}`);
    return null;
  }
}
