/** Two sides of one store for tests that need no ring: domain 0 and a guest, domain 5. */
import { Xenstore, XenstoreError, type XenstoreSession } from "../../src/domains/xenstore";
import type { XsQuotas } from "../../src/domains/xs_quota";

export const bytes = (text: string) => new TextEncoder().encode(text);
export const text = (value: Uint8Array) => new TextDecoder().decode(value);

/** Name of the error `body` is refused with. */
export function refusal(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof XenstoreError) return error.code;
    throw error;
  }
  return "ok";
}

/** Domain 5 with a home it may read, and a node there that it owns. */
export function withGuest(quotas: Partial<XsQuotas> = {}): { store: Xenstore; guest: XenstoreSession } {
  const store = new Xenstore({ quotas });
  store.mkdir("/local/domain/5");
  store.setPerms("/local/domain/5", "n0 r5");
  store.mkdir("/local/domain/5/data");
  store.setPerms("/local/domain/5/data", "n5");
  store.introduce(5);
  return { store, guest: store.session(5) };
}

/** Events as `path token`. */
export function listen(session: { watch: Xenstore["watch"] }, path: string, token = "t"): string[] {
  const events: string[] = [];
  session.watch(path, token, (changed, name) => events.push(`${changed} ${name}`));
  return events;
}
