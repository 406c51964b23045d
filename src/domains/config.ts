/** Domain configuration, xl.cfg(5): names, types, defaults and limits of the keys. Strict where a value cannot be meant (ConfigError
 *  naming key and line), lenient where a key is not known: configurations written for other hosts should start. */
import { MAX_PVH_VCPUS } from "./acpi";
import { applyOverrides, type ConfigValue, parseConfig, type RawConfig } from "./config_parser";
import { ConfigError } from "./errors";

export { applyOverrides, parseConfig, type RawConfig } from "./config_parser";

export type GuestType = "pvh" | "pv" | "hvm";

const ACTIONS = ["destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart", "soft-reset"] as const;
export type ShutdownAction = (typeof ACTIONS)[number];

export interface DomainConfig {
  name: string;
  /** Undefined: the toolstack makes one. */
  uuid: string | undefined;
  type: GuestType;
  kernel: string | undefined;
  ramdisk: string | undefined;
  /** HVM: further modules of a Multiboot kernel after the ramdisk, each a file and, after a space, its command line. */
  modules: string[];
  /** HVM: a ROM image to start at the reset vector. */
  firmware: string | undefined;
  /** HVM: whether writing to port 0xF4 ends the domain with a status, and fw_cfg and pc-testdev are there. */
  debug_exit: boolean;
  /** From `cmdline`, else from `root` and `extra`. */
  cmdline: string;
  /** MiB the domain starts with, and at most. */
  memory: number;
  maxmem: number;
  vcpus: number;
  maxvcpus: number;
  on_poweroff: ShutdownAction;
  on_reboot: ShutdownAction;
  on_crash: ShutdownAction;
  on_watchdog: ShutdownAction;
  on_soft_reset: ShutdownAction;
  /** Device specifications as written, each a string; their own modules know the syntax. */
  disk: string[];
  vif: string[];
  p9: string[];
  serial: string[];
}

/** libxl's default for `memory`. */
const DEFAULT_MEMORY = 32;
const MAX_NAME = 64;

/** Reads a configuration. `warn` is told of each key that has no effect, once. */
export function domainConfig(raw: RawConfig, warn: (message: string) => void = () => {}): DomainConfig {
  const keys = new Keys(raw);
  const name = keys.text("name");
  if (!name) throw keys.error("name", "every domain needs a name.");
  if (name.length > MAX_NAME || /[\p{Cc}/]/u.test(name) || /^\d+$/.test(name))
    throw keys.error("name", `"${name}" is no domain name: those have up to ${MAX_NAME} characters without "/" and are not numbers.`);
  const uuid = keys.text("uuid")?.toLowerCase();
  if (uuid !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid))
    throw keys.error("uuid", `"${uuid}" is not of the form 00112233-4455-6677-8899-aabbccddeeff.`);

  const maxmemGiven = keys.whole("maxmem", 1);
  const memory = keys.whole("memory", 1) ?? maxmemGiven ?? DEFAULT_MEMORY;
  const maxmem = maxmemGiven ?? memory;
  if (maxmem < memory) throw keys.error("maxmem", `${maxmem} is less than memory, ${memory}.`);
  const vcpus = keys.whole("vcpus", 1, MAX_PVH_VCPUS) ?? 1;
  const maxvcpus = keys.whole("maxvcpus", 1, MAX_PVH_VCPUS) ?? vcpus;
  if (maxvcpus < vcpus) throw keys.error("maxvcpus", `${maxvcpus} is less than vcpus, ${vcpus}.`);

  const config: DomainConfig = {
    name,
    uuid,
    type: guestType(keys, warn),
    kernel: keys.text("kernel"),
    ramdisk: keys.text("ramdisk") || undefined,
    modules: keys.list("modules", true),
    firmware: keys.text("firmware"),
    debug_exit: keys.whole("debug_exit", 0, 1) === 1,
    cmdline: commandLine(keys, warn),
    memory,
    maxmem,
    vcpus,
    maxvcpus,
    on_poweroff: keys.choice("on_poweroff", ACTIONS) ?? "destroy",
    on_reboot: keys.choice("on_reboot", ACTIONS) ?? "restart",
    on_crash: keys.choice("on_crash", ACTIONS) ?? "destroy",
    on_watchdog: keys.choice("on_watchdog", ACTIONS) ?? "destroy",
    on_soft_reset: keys.choice("on_soft_reset", ACTIONS) ?? "soft-reset",
    disk: keys.list("disk"),
    vif: keys.list("vif"),
    p9: keys.list("p9"),
    serial: keys.list("serial", true),
  };
  for (const key of keys.unread()) warn(`${key}: this key is not known here and has no effect.`);
  return config;
}

/** A configuration from text and `key=value` words. */
export function readConfig(text: string, overrides: readonly string[] = [], warn?: (message: string) => void): DomainConfig {
  return domainConfig(applyOverrides(parseConfig(text), overrides), warn);
}

/** A configuration from a plain object with the same keys, as programs have it. */
export function configFromObject(
  settings: Readonly<Record<string, ConfigValue | undefined>>,
  warn?: (message: string) => void,
): DomainConfig {
  const raw: RawConfig = new Map();
  for (const [key, value] of Object.entries(settings)) if (value !== undefined) raw.set(key, { value, line: undefined });
  return domainConfig(raw, warn);
}

/** What a domain that can be built boots: one of both. Else an error saying why it cannot. */
export function bootFile({ type, kernel, firmware }: DomainConfig): { readonly kernel?: string; readonly firmware?: string } {
  if (type === "pv") throw new ConfigError("type", `PV domains are not supported yet; write type = "pvh".`);
  if (type === "pvh" && !kernel) throw new ConfigError("kernel", "a PVH domain needs a kernel.");
  if (type === "pvh") return { kernel };
  if (!kernel && !firmware) throw new ConfigError("kernel", "an HVM domain needs a kernel or firmware.");
  if (kernel && firmware) throw new ConfigError("firmware", "firmware starts instead of a kernel: give one of them.");
  return kernel ? { kernel } : { firmware };
}

/** `type`, or `builder` as it was called before Xen 4.10; PV if neither is given. */
function guestType(keys: Keys, warn: (message: string) => void): GuestType {
  const type = keys.choice("type", ["pv", "pvh", "hvm"] as const);
  const builder = keys.choice("builder", ["generic", "hvm"] as const);
  if (builder === undefined) return type ?? "pv";
  const meant = builder === "hvm" ? "hvm" : "pv";
  if (type !== undefined && type !== meant) throw keys.error("builder", `"${builder}" contradicts type = "${type}".`);
  warn(`builder: this key is deprecated, write type = "${meant}".`);
  return meant;
}

function commandLine(keys: Keys, warn: (message: string) => void): string {
  const cmdline = keys.text("cmdline");
  const root = keys.text("root");
  const extra = keys.text("extra");
  if (cmdline === undefined) return [root && `root=${root}`, extra].filter(Boolean).join(" ");
  if (root !== undefined || extra !== undefined) warn("cmdline: it is given, so root and extra have no effect.");
  return cmdline;
}

/** Typed access to a raw configuration that remembers which keys were asked for. */
class Keys {
  private readonly read = new Set<string>();
  constructor(private readonly raw: RawConfig) {}

  error(key: string, message: string): ConfigError {
    return new ConfigError(key, message, this.raw.get(key)?.line);
  }
  unread(): string[] {
    return [...this.raw.keys()].filter((key) => !this.read.has(key));
  }
  private value(key: string): ConfigValue | undefined {
    this.read.add(key);
    return this.raw.get(key)?.value;
  }

  text(key: string): string | undefined {
    const value = this.value(key);
    if (value !== undefined && typeof value !== "string")
      throw this.error(key, `a string is expected, not ${described(value)}.`);
    if (value?.includes("\0")) throw this.error(key, "a string with a zero byte cannot be used.");
    return value;
  }

  /** A whole number; quoted ones count too, as in xl. */
  whole(key: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    const number = typeof value === "string" && /^(0x[0-9a-f]+|\d+)$/i.test(value) ? Number(value) : value;
    if (typeof number !== "number" || !Number.isInteger(number))
      throw this.error(key, `a whole number is expected, not ${described(value)}.`);
    if (number < least || number > most)
      throw this.error(key, `${number} is ${number < least ? `less than ${least}` : `more than ${most}`}.`);
    return number;
  }

  choice<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const value = this.text(key);
    if (value === undefined || (choices as readonly string[]).includes(value)) return value as T | undefined;
    throw this.error(key, `"${value}" is none of ${choices.join(", ")}.`);
  }

  /** A list of strings, or where it may be, one string alone. */
  list(key: string, single = false): string[] {
    const value = this.value(key);
    if (value === undefined) return [];
    if (single && typeof value === "string") return [value];
    if (!Array.isArray(value) || !value.every((item): item is string => typeof item === "string"))
      throw this.error(key, `a list of strings is expected, not ${described(value)}.`);
    return value;
  }
}

const described = (value: ConfigValue): string =>
  Array.isArray(value) ? "a list" : typeof value === "string" ? `"${value}"` : `the number ${value}`;
