// Obtains real guests from Debian packages: kernels, the installer, GRUB, busybox. Nothing of them is in the repository;
// they are unpacked under guests/cache (git-ignored) and reused from there. Needs no root: packages come through
// `apt-get download` and are unpacked with `dpkg-deb -x`.
//
//   node guests/fetch.mjs                 lists the guests and which of them are here
//   node guests/fetch.mjs debian grub     obtains those named
//   node guests/fetch.mjs --refresh NAME  asks apt for a newer package even if one is here
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
export const CACHE = process.env.XENOLITH_GUESTS ?? join(HERE, "cache");

/** Why a guest cannot be had on this host now. Tests skip with `message`; it is one sentence. */
export class GuestUnavailable extends Error {
  name = "GuestUnavailable";
}

/** What each guest is made of. `meta` packages depend on the current version of the real one; `find` tells where the
 *  parts are in the unpacked tree (paths may use `*` for one component or a part of it). */
export const GUESTS = {
  debian: {
    about: "Debian kernel, amd64 (xz payload; PVH, PV, HVM)",
    meta: "linux-image-amd64",
    find: { kernel: "boot/vmlinuz-*", modules: "lib/modules/*" },
  },
  cloud: {
    about: "Debian cloud kernel, amd64 (lz4 payload; PVH, PV, HVM)",
    meta: "linux-image-cloud-amd64",
    find: { kernel: "boot/vmlinuz-*", modules: "lib/modules/*" },
  },
  "debian-i386": {
    about: "Debian 686-pae kernel, 32-bit (PVH, HVM)",
    arch: "i386",
    meta: "linux-image-686-pae",
    find: { kernel: "boot/vmlinuz-*", modules: "lib/modules/*" },
  },
  rt: {
    about: "Debian real-time kernel, amd64 (PVH, HVM)",
    meta: "linux-image-rt-amd64",
    find: { kernel: "boot/vmlinuz-*", modules: "lib/modules/*" },
  },
  "nopae-i386": {
    about: "Debian 686 kernel, 32-bit with two-level paging (HVM)",
    arch: "i386",
    meta: "linux-image-686",
    find: { kernel: "boot/vmlinuz-*", modules: "lib/modules/*" },
  },
  netboot: {
    about: "Debian installer, amd64",
    package: "debian-installer-12-netboot-amd64",
    find: {
      kernel: "usr/lib/debian-installer/images/*/amd64/text/debian-installer/amd64/linux",
      ramdisk: "usr/lib/debian-installer/images/*/amd64/text/debian-installer/amd64/initrd.gz",
    },
  },
  grub: {
    about: "GRUB for Xen: PVH, 64-bit PV and 32-bit PV images",
    package: "grub-xen-host",
    find: {
      kernel: "usr/lib/grub-xen/grub-i386-xen_pvh.bin",
      pv64: "usr/lib/grub-xen/grub-x86_64-xen.bin",
      pv32: "usr/lib/grub-xen/grub-i386-xen.bin",
    },
  },
  "grub-modules": {
    about: "GRUB modules and tools for Xen targets",
    package: "grub-xen-bin",
    find: { modules: "usr/lib/grub" },
  },
  seabios: {
    about: "SeaBIOS, 128 and 256 KiB (firmware of HVM domains)",
    package: "seabios",
    find: { firmware: "usr/share/seabios/bios.bin", large: "usr/share/seabios/bios-256k.bin" },
  },
  memtest: {
    about: "memtest86+, 64- and 32-bit (HVM, by Linux's boot protocol)",
    package: "memtest86+",
    find: { kernel: "boot/memtest86+x64.bin", kernel32: "boot/memtest86+ia32.bin" },
  },
  xen: {
    about: "Xen itself (HVM, Multiboot)",
    package: "xen-hypervisor-4.17-amd64",
    find: { kernel: "boot/xen-4.17-amd64.gz" },
  },
  busybox: { about: "busybox, static, amd64", package: "busybox-static", find: { busybox: "bin/busybox" } },
  "busybox-i386": {
    about: "busybox, static, i386",
    arch: "i386",
    package: "busybox-static",
    find: { busybox: "bin/busybox" },
  },
};

/** Paths of one guest's parts, fetched and unpacked first if they are not here.
 *  @param {string} name a key of GUESTS
 *  @param {{refresh?: boolean, offline?: boolean, log?: (line: string) => void}} [options]
 *  @returns {Promise<{name: string, package: string, version: string, root: string, kernel?: string, ramdisk?: string,
 *    modules?: string, release?: string, busybox?: string, pv32?: string, pv64?: string, firmware?: string, large?: string,
 *    kernel32?: string}>} */
export async function obtain(name, options = {}) {
  const guest = GUESTS[name];
  if (!guest) throw new GuestUnavailable(`There is no guest "${name}"; known are ${Object.keys(GUESTS).join(", ")}.`);
  const cached = readManifest(name);
  if (cached && !options.refresh) return cached;
  if (options.offline || process.env.XENOLITH_OFFLINE === "1")
    throw new GuestUnavailable(`Guest "${name}" is not in ${CACHE} and fetching is switched off.`);
  const log = options.log ?? ((line) => process.stderr.write(`${line}\n`));
  return locked(name, log, async () => readManifest(name, !options.refresh) ?? (await download(name, guest, cached, log)));
}

/** The guest if it is already here, else null: for callers that must not use the network. */
export function readManifest(name, use = true) {
  const file = join(CACHE, name, "guest.json");
  if (!use || !existsSync(file)) return null;
  const stored = JSON.parse(readFileSync(file, "utf8"));
  const found = locate(name, join(CACHE, name, "root"));
  return found && { ...stored, ...found };
}

async function download(name, guest, cached, log) {
  const apt = await aptFor(guest.arch ?? "amd64", log);
  const wanted = guest.meta ? await dependency(apt, guest.meta) : qualified(apt, guest.package);
  const version = await candidate(apt, wanted);
  if (cached?.package === wanted && cached.version === version) return cached;

  const home = join(CACHE, name);
  const work = join(home, "incoming");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  log(`guests: downloading ${wanted} ${version}${await size(apt, wanted)}`);
  await run("apt-get", [...apt.options, "download", wanted], work, `downloading ${wanted}`);
  const deb = readdirSync(work).find((file) => file.endsWith(".deb"));
  if (!deb) throw new GuestUnavailable(`apt-get downloaded nothing for ${wanted}.`);
  log(`guests: unpacking ${deb}`);
  await run("dpkg-deb", ["-x", join(work, deb), join(work, "root")], work, `unpacking ${deb}`);

  const root = join(home, "root");
  rmSync(root, { recursive: true, force: true });
  renameSync(join(work, "root"), root);
  rmSync(work, { recursive: true, force: true });
  const found = locate(name, root);
  if (!found) throw new GuestUnavailable(`Package ${wanted} ${version} lacks ${Object.values(guest.find).join(" or ")}.`);
  const manifest = { name, package: wanted, version };
  writeFileSync(join(home, "guest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return { ...manifest, ...found };
}

/** Resolves the patterns of `find` in an unpacked tree; null unless every part is there. */
function locate(name, root) {
  const parts = { root };
  for (const [part, pattern] of Object.entries(GUESTS[name].find)) {
    const path = expand(root, pattern.split("/"));
    if (!path) return null;
    parts[part] = path;
  }
  const release = /boot\/vmlinuz-([^/]+)$/.exec(parts.kernel ?? "")?.[1];
  if (release) parts.release = release;
  return parts;
}

function expand(at, [first, ...rest]) {
  if (first === undefined) return at;
  if (!existsSync(at)) return null;
  if (!first.includes("*")) {
    const next = join(at, first);
    return existsSync(next) ? expand(next, rest) : null;
  }
  const shape = new RegExp(`^${first.split("*").map((text) => text.replace(/[.+]/g, "\\$&")).join(".*")}$`);
  for (const entry of readdirSync(at).sort()) {
    const found = shape.test(entry) && expand(join(at, entry), rest);
    if (found) return found;
  }
  return null;
}

/** How to call apt for one architecture. The host's own package lists serve if they know the architecture; otherwise a
 *  private set under guests/cache/apt, which needs no root and leaves the host's configuration alone. */
async function aptFor(arch, log) {
  if (process.platform !== "linux" || !(await works("apt-get")) || !(await works("dpkg-deb")))
    throw new GuestUnavailable("Fetching guests needs apt-get and dpkg-deb, that is a Debian-like Linux host.");
  const native = (await run("dpkg", ["--print-architecture"], "/", "asking dpkg")).trim();
  const foreign = (await run("dpkg", ["--print-foreign-architectures"], "/", "asking dpkg")).split(/\s+/);
  const probe = `busybox-static:${arch}`;
  const host = { arch, native, options: ["-q"] };
  if ((arch === native || foreign.includes(arch)) && (await candidate(host, probe, true))) return host;
  const isRoot = process.getuid?.() === 0;
  if (arch === native && isRoot) {
    log("guests: apt-get update");
    await run("apt-get", ["-q", "update"], "/", "updating the package lists");
    if (await candidate(host, probe, true)) return host;
  }
  const state = join(CACHE, "apt", arch);
  const own = { arch, native, options: privateApt(state, native, arch) };
  if (await candidate(own, probe, true)) return own;
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(state, folder), { recursive: true });
  log(`guests: apt-get update for ${arch} (lists under ${state})`);
  // One broken list of several (a mirror being updated) does not matter if the packages can be found without it.
  let reason = null;
  await run("apt-get", [...own.options, "update"], "/", `fetching the package lists of ${arch}`).catch((error) => (reason = error));
  if (await candidate(own, probe, true)) return own;
  if (reason) throw reason;
  throw new GuestUnavailable(`The package sources of this host offer nothing for ${arch}.`);
}

function privateApt(state, native, arch) {
  const options = ["-q"];
  const set = (key, value) => options.push("-o", `${key}=${value}`);
  set("Dir::State::lists", join(state, "lists"));
  set("Dir::Cache", join(state, "cache"));
  for (const each of new Set([native, arch])) set("APT::Architectures::", each);
  set("Acquire::Languages", "none");
  return options;
}

const qualified = (apt, name) => (apt.arch === apt.native ? name : `${name}:${apt.arch}`);

/** The package a meta package currently depends on, e.g. linux-image-6.1.0-56-amd64. */
async function dependency(apt, meta) {
  const text = await run("apt-cache", [...apt.options, "depends", qualified(apt, meta)], "/", `looking up ${meta}`);
  const found = /Depends:\s*<?(linux-image-\d[^\s<>:]*)/.exec(text)?.[1];
  if (!found) throw new GuestUnavailable(`apt-cache knows no kernel that ${meta} depends on.`);
  return qualified(apt, found);
}

async function candidate(apt, name, quiet = false) {
  let text = "";
  try {
    text = await run("apt-cache", [...apt.options, "policy", name], "/", `looking up ${name}`);
  } catch (error) {
    if (!quiet) throw error;
  }
  const version = /Candidate:\s*(\S+)/.exec(text)?.[1];
  if (version && version !== "(none)") return version;
  if (quiet) return null;
  throw new GuestUnavailable(`The package lists of this host do not offer ${name}.`);
}

async function size(apt, name) {
  const text = await run("apt-cache", [...apt.options, "show", "--no-all-versions", name], "/", `looking up ${name}`);
  const bytes = Number(/^Size:\s*(\d+)/m.exec(text)?.[1] ?? 0);
  return bytes ? ` (${(bytes / 1e6).toFixed(1)} MB)` : "";
}

const works = (program) => run(program, ["--version"], "/", program).then(() => true, () => false);

/** Runs a program; its output, or a GuestUnavailable with the last line it said. */
function run(program, args, cwd, doing) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, LC_ALL: "C" } });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (err += text));
    child.on("error", (error) => reject(new GuestUnavailable(`${doing} failed: ${error.message}.`)));
    child.on("close", (code) => {
      const said = (err || out).trim().split("\n").filter((line) => /^(E:|dpkg)/.test(line)).pop() ?? `exit code ${code}`;
      if (code === 0) resolve(out);
      else reject(new GuestUnavailable(`${doing} failed: ${said}`));
    });
  });
}

/** One download of a guest at a time, whatever the number of processes that ask for it. */
async function locked(name, log, body) {
  mkdirSync(CACHE, { recursive: true });
  const lock = join(CACHE, `${name}.lock`);
  let said = false;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw new GuestUnavailable(`${CACHE} cannot be written: ${error.message}.`);
    }
    if (!said) log(`guests: another process is fetching ${name}, waiting (${lock})`);
    said = true;
    if (!isAlive(lock)) rmSync(lock, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, 500));
  }
  try {
    return await body();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isAlive(lock) {
  try {
    const pid = Number(readFileSync(lock, "utf8"));
    if (pid) process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

if (process.argv[1]?.endsWith(join("guests", "fetch.mjs"))) {
  const names = process.argv.slice(2).filter((word) => !word.startsWith("--"));
  const refresh = process.argv.includes("--refresh");
  if (names.length === 0)
    for (const [name, guest] of Object.entries(GUESTS))
      console.log(`${name.padEnd(14)}${readManifest(name) ? "here  " : "      "}${guest.about}`);
  try {
    for (const name of names) console.log(JSON.stringify(await obtain(name, { refresh }), null, 2));
  } catch (error) {
    if (!(error instanceof GuestUnavailable)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
