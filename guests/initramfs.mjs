// Makes the initial root filesystem for Linux guests: static busybox, the Xen drivers that distribution kernels have as modules, and an
// init that gives a shell on the console. Uncompressed: the guest would spend longer unpacking than the host saves.
//
//   node guests/initramfs.mjs debian [FILE]      writes guests/cache/debian/initramfs.cpio or FILE
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { cpio } from "./cpio.mjs";
import { CACHE, obtain } from "./fetch.mjs";

/** What a Xen guest may need and distribution kernels do not have built in. Loaded only if a device or mount asks. */
const XEN_MODULES = [
  "drivers/block/xen-blkfront",
  "drivers/net/xen-netfront",
  "drivers/xen/xen-evtchn",
  "drivers/xen/xen-gntalloc",
  "drivers/xen/xen-gntdev",
  "drivers/xen/xen-privcmd",
  "drivers/xen/xenfs/xenfs",
  "net/9p/9pnet",
  "net/9p/9pnet_xen",
  "fs/9p/9p",
];

// `rc="command"` on the kernel's command line arrives here as a variable, as Linux passes what it does not know to init.
const INIT = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
hostname -F /etc/hostname
for alias in /sys/bus/xen/devices/*/modalias; do
  [ -e "$alias" ] || break
  read -r name <"$alias" && modprobe -q "$name"
done
if [ -e /sys/class/net/eth0 ]; then
  ip link set lo up
  ip link set eth0 up && udhcpc -b -q -t 3 -i eth0 >/dev/null 2>&1 &
fi
exec busybox init
`;

// busybox's init takes it from there: it obeys poweroff, reboot and halt, which the kernel runs too when the toolstack asks.
const INITTAB = "::once:/etc/session\n";
const SESSION = `#!/bin/sh
[ -e /etc/rc ] && sh /etc/rc
[ -n "$rc" ] && sh -c "$rc"
cd /root
setsid cttyhack sh -l
poweroff -f
`;

const UDHCPC = `#!/bin/sh
case "$1" in
bound|renew)
  ip addr flush dev "$interface"
  ip addr add "$ip/\${mask:-24}" dev "$interface"
  [ -n "$router" ] && ip route replace default via "\${router%% *}"
  : >/etc/resolv.conf
  for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done ;;
esac
`;

/** @param {object} options
 *  @param {string} options.busybox path of a static busybox
 *  @param {string} [options.modules] path of lib/modules/RELEASE; without it no module is included
 *  @param {string} [options.release] name of the kernel's release, the last part of `modules` by default
 *  @param {string[]} [options.extraModules] further modules by name ("ext4"), with what they depend on
 *  @param {string} [options.rc] shell commands to run before the shell
 *  @param {string} [options.hostname]
 *  @param {import("./cpio.mjs").Entry[]} [options.files]
 *  @returns {Uint8Array} */
export function initramfs({ busybox, modules, release = modules && basename(modules), extraModules = [], rc, hostname = "guest", files = [] }) {
  const entries = [
    ...["dev", "proc", "sys", "run", "tmp", "root", "mnt", "var", "usr/bin", "usr/sbin", "sbin"].map((path) => ({ path, directory: true })),
    { path: "dev/console", device: [5, 1] },
    { path: "dev/null", device: [1, 3], mode: 0o666 },
    { path: "init", data: INIT, mode: 0o755 },
    { path: "etc/inittab", data: INITTAB },
    { path: "etc/session", data: SESSION, mode: 0o755 },
    { path: "bin/busybox", data: readFileSync(busybox), mode: 0o755 },
    ...applets(busybox)
      .filter((path) => path !== "bin/busybox")
      .map((path) => ({ path, symlink: "/bin/busybox" })),
    { path: "etc/hostname", data: `${hostname}\n` },
    { path: "etc/passwd", data: "root::0:0:root:/root:/bin/sh\n" },
    { path: "etc/group", data: "root:x:0:\ntty:x:5:\n" },
    { path: "etc/profile", data: "export PS1='\\h:\\w\\$ '\n" },
    { path: "etc/udhcpc/default.script", data: UDHCPC, mode: 0o755 },
  ];
  if (rc) entries.push({ path: "etc/rc", data: `${rc}\n` });
  if (modules) entries.push(...moduleEntries(modules, release, extraModules));
  return cpio([...entries, ...files]);
}

/** Paths of busybox's applets as it tells them itself; on hosts that cannot run it, those this init needs and usual ones. */
function applets(busybox) {
  const said = spawnSync(busybox, ["--list-full"], { encoding: "utf8" });
  if (said.status === 0) return said.stdout.trim().split("\n");
  const named = "ash awk cat chmod cp cttyhack cut date dd df dmesg du echo env expr false find free grep gunzip gzip head hostname id ip kill ln ls \
md5sum mkdir mknod modprobe more mount mv nc ping poweroff ps pwd reboot rm rmdir sed seq setsid sh sha256sum sleep sort stat stty \
sync tail tar tee test time top touch tr true tty udhcpc umount uname uniq uptime vi wc wget which xargs yes zcat";
  return named.split(" ").map((name) => `bin/${name}`).concat("sbin/modprobe");
}

/** The chosen modules and what they depend on, with the tables modprobe reads. Debian's packages lack these tables: depmod makes
 *  them when a kernel is installed. */
function moduleEntries(root, release, extra) {
  const known = new Map(); // name -> file, for every module of the kernel
  for (const file of readdirSync(join(root, "kernel"), { recursive: true }))
    if (file.endsWith(".ko")) known.set(moduleName(file), join(root, "kernel", file));
  const chosen = new Map();
  const choose = (name, wantedBy) => {
    if (chosen.has(name)) return;
    const file = known.get(name);
    if (!file) {
      if (wantedBy) return; // built in
      throw new Error(`${release} has no module ${name}.`);
    }
    const bytes = readFileSync(file);
    const info = moduleInfo(bytes);
    chosen.set(name, { file, bytes, ...info });
    for (const needed of info.depends) choose(needed, name);
  };
  for (const path of XEN_MODULES) if (existsSync(join(root, "kernel", `${path}.ko`))) choose(moduleName(path), null);
  for (const name of extra) choose(moduleName(name), known.has(moduleName(name)) ? null : "the caller; it may be built in");

  const place = (file) => `kernel/${relative(join(root, "kernel"), file)}`;
  // modules.dep wants what must be loaded first last: each after all that need it.
  const firstToLast = (name, order = []) => {
    for (const needed of chosen.get(name).depends)
      if (chosen.has(needed) && !order.includes(needed)) firstToLast(needed, order).push(needed);
    return order;
  };
  const allNeeded = (name) => firstToLast(name).reverse();
  const dep = [...chosen].map(([name, { file }]) => `${place(file)}:${allNeeded(name).map((each) => ` ${place(chosen.get(each).file)}`).join("")}\n`);
  const alias = [...chosen].flatMap(([name, module]) => module.aliases.map((each) => `alias ${each} ${name}\n`));
  const home = `lib/modules/${release}`;
  return [
    ...[...chosen.values()].map(({ file, bytes }) => ({ path: `${home}/${place(file)}`, data: bytes })),
    { path: `${home}/modules.dep`, data: dep.join("") },
    { path: `${home}/modules.alias`, data: alias.join("") },
    { path: `${home}/modules.symbols`, data: "" },
  ];
}

const moduleName = (file) => basename(file, ".ko").replaceAll("-", "_");

/** `depends=` and `alias=` of the module's .modinfo section, zero-terminated strings. */
function moduleInfo(bytes) {
  const values = (key) => {
    const found = [];
    const needle = `\0${key}=`;
    for (let at = bytes.indexOf(needle, 0, "latin1"); at >= 0; at = bytes.indexOf(needle, at + 1, "latin1"))
      found.push(bytes.toString("latin1", at + needle.length, bytes.indexOf(0, at + 1)));
    return found;
  };
  return {
    depends: values("depends").join(",").split(",").filter(Boolean).map(moduleName),
    aliases: values("alias").filter((text) => /^[\w:*?.[\]-]+$/.test(text)),
  };
}

/** A Linux guest ready to start: paths of its kernel and of an initramfs made for it.
 *  @param {string} name a guest of fetch.mjs with kernel and modules
 *  @param {object} [options] those of initramfs() and of obtain() */
export async function obtainLinux(name, options = {}) {
  const guest = await obtain(name, options);
  const { busybox } = await obtain(name.endsWith("-i386") ? "busybox-i386" : "busybox", options);
  const archive = initramfs({ busybox, modules: guest.modules, release: guest.release, ...options });
  const ramdisk = options.file ?? join(CACHE, name, "initramfs.cpio");
  if (!existsSync(ramdisk) || !readFileSync(ramdisk).equals(archive)) {
    mkdirSync(join(CACHE, name), { recursive: true });
    writeFileSync(ramdisk, archive);
  }
  return { ...guest, ramdisk };
}

if (process.argv[1]?.endsWith(join("guests", "initramfs.mjs"))) {
  const [name = "debian", file] = process.argv.slice(2);
  const { ramdisk } = await obtainLinux(name, { file });
  console.log(ramdisk);
}
