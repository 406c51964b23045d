/** Watches by path, and the events on their way to them. Events wait until the operation that caused them is done, and
 *  those that a watcher's own reaction causes wait until it returns: delivery never nests. */
import { domainPath, isSpecial } from "./xs_path";
import { type Caller, isPrivileged, mayRead, type Perms } from "./xs_perms";

/** Bytes of paths that may be on their way to one domain at a time. Beyond that all that happens to a watch becomes one event at the watched path,
 *  as it would in the domain's connection (xs_output.ts): a transaction can change a thousand nodes under a hundred watches. */
const MOST_WAITING = 65536;

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
  /** An event at the watched path is on its way, which tells of everything before it. */
  merged?: boolean;
}

interface QueuedEvent {
  readonly watch: XsWatch;
  readonly path: string;
  readonly merged: boolean;
}

export class WatchTable {
  private readonly byPath = new Map<string, Set<XsWatch>>();
  /** How many watched paths have a length: of the paths above a node, which may be a thousand, few are watched. */
  private readonly lengths = new Map<number, number>();
  /** Those lengths, ascending. */
  private ascending: readonly number[] = [];
  private queue: QueuedEvent[] = [];
  private readonly waiting = new Map<Caller, number>();
  private delivering = false;

  /** A new watch fires at once, so that its owner reads the present state after it is armed. */
  add(watch: XsWatch): void {
    const there = this.byPath.get(watch.path);
    if (there) there.add(watch);
    else {
      this.byPath.set(watch.path, new Set([watch]));
      this.countLength(watch.path.length, 1);
    }
    this.enqueue(watch, watch.name);
  }

  remove(watch: XsWatch): void {
    watch.active = false;
    const there = this.byPath.get(watch.path);
    there?.delete(watch);
    if (there?.size !== 0) return;
    this.byPath.delete(watch.path);
    this.countLength(watch.path.length, -1);
  }

  /** Queues an event at `path` for every watch on it or, unless `exact`, above it, whose owner may read a node with one
   *  of the permissions `readable`. */
  fire(path: string, exact: boolean, readable: readonly Perms[]): void {
    for (const at of exact || isSpecial(path) ? [path] : this.watchedAbove(path))
      for (const watch of this.byPath.get(at) ?? [])
        if (!watch.merged && readable.some((perms) => mayRead(watch.caller, perms))) this.enqueue(watch, nameFor(watch, path));
  }

  private enqueue(watch: XsWatch, path: string): void {
    const { caller, name } = watch;
    const waiting = this.waiting.get(caller) ?? 0;
    const merged = waiting + path.length > MOST_WAITING && !isPrivileged(caller);
    if (merged) watch.merged = true;
    const event = { watch, path: merged ? name : path, merged };
    this.waiting.set(caller, waiting + event.path.length);
    this.queue.push(event);
  }

  private dequeued({ watch, path, merged }: QueuedEvent): void {
    if (merged) watch.merged = false;
    const waiting = (this.waiting.get(watch.caller) ?? 0) - path.length;
    if (waiting > 0) this.waiting.set(watch.caller, waiting);
    else this.waiting.delete(watch.caller);
  }

  /** The path itself and all above it, from the root down, as far as their lengths are those of watched paths. */
  private *watchedAbove(path: string): Generator<string> {
    for (const length of this.ascending) {
      if (length > path.length) return;
      if (length === path.length || length === 1 || path[length] === "/") yield path.slice(0, length);
    }
  }

  private countLength(length: number, change: number): void {
    const count = (this.lengths.get(length) ?? 0) + change;
    if (count === 0) this.lengths.delete(length);
    else this.lengths.set(length, count);
    if (count === 0 || (count === 1 && change === 1)) this.ascending = [...this.lengths.keys()].sort((a, b) => a - b);
  }

  /** Delivers what is queued. A callback's failure is its owner's: it surfaces as an uncaught error and stops nobody. */
  deliver(): void {
    if (this.delivering) return;
    this.delivering = true;
    try {
      while (this.queue.length > 0) {
        const events = this.queue;
        this.queue = [];
        for (const event of events) {
          const { watch, path } = event;
          this.dequeued(event);
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

/** A watch set with a relative path hears relative paths. */
function nameFor(watch: XsWatch, path: string): string {
  return watch.name === watch.path ? path : path.slice(domainPath(watch.caller.domid).length + 1);
}
