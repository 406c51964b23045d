/** Watches by path, and the events on their way to them. Events wait until the operation that caused them is done, and
 *  those that a watcher's own reaction causes wait until it returns: delivery never nests. */
import { domainPath, isSpecial } from "./xs_path";
import { type Caller, mayRead, type Perms } from "./xs_perms";

/** `path` is what changed, `name` the watched path, both as the watcher writes paths. */
export type WatchCallback = (path: string, token: string, name: string) => void;

export interface XsWatch {
  readonly caller: Caller;
  /** As the watcher wrote it. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly token: string;
  readonly callback: WatchCallback;
  active: boolean;
}

export class WatchTable {
  private readonly byPath = new Map<string, Set<XsWatch>>();
  private queue: { watch: XsWatch; path: string }[] = [];
  private delivering = false;

  /** A new watch fires at once, so that its owner reads the present state after it is armed. */
  add(watch: XsWatch): void {
    const there = this.byPath.get(watch.path);
    if (there) there.add(watch);
    else this.byPath.set(watch.path, new Set([watch]));
    this.queue.push({ watch, path: watch.name });
  }

  remove(watch: XsWatch): void {
    watch.active = false;
    const there = this.byPath.get(watch.path);
    there?.delete(watch);
    if (there?.size === 0) this.byPath.delete(watch.path);
  }

  /** Queues an event at `path` for every watch on it or, unless `exact`, above it, whose owner may read a node with one
   *  of the permissions `readable`. */
  fire(path: string, exact: boolean, readable: readonly Perms[]): void {
    for (const at of exact || isSpecial(path) ? [path] : ancestry(path))
      for (const watch of this.byPath.get(at) ?? [])
        if (readable.some((perms) => mayRead(watch.caller, perms))) this.queue.push({ watch, path: nameFor(watch, path) });
  }

  /** Delivers what is queued. A callback's failure is its owner's: it surfaces as an uncaught error and stops nobody. */
  deliver(): void {
    if (this.delivering) return;
    this.delivering = true;
    try {
      while (this.queue.length > 0) {
        const events = this.queue;
        this.queue = [];
        for (const { watch, path } of events) {
          if (!watch.active) continue;
          try {
            watch.callback(path, watch.token, watch.name);
          } catch (error) {
            queueMicrotask(() => {
              throw error;
            });
          }
        }
      }
    } finally {
      this.delivering = false;
    }
  }

  get size(): number {
    let count = 0;
    for (const there of this.byPath.values()) count += there.size;
    return count;
  }
}

/** The path itself and all above it, from the root down. */
function ancestry(path: string): string[] {
  const paths = ["/"];
  for (let slash = path.indexOf("/", 1); slash > 0; slash = path.indexOf("/", slash + 1)) paths.push(path.slice(0, slash));
  if (path !== "/") paths.push(path);
  return paths;
}

/** A watch set with a relative path hears relative paths. */
function nameFor(watch: XsWatch, path: string): string {
  return watch.name === watch.path ? path : path.slice(domainPath(watch.caller.domid).length + 1);
}
