/** A PVH kernel of a few hundred bytes that needs nothing but Xen: it greets on port 0xE9 and on the console, then does what
 *  the first letter of its command line says. 32-bit code without paging, as PVH guests start (docs/misc/pvh.pandoc).
 *
 *  | letter | what it does |
 *  |---|---|
 *  | p r s c | SCHEDOP_shutdown with poweroff, reboot, suspend, crash |
 *  | e | echoes what is typed until "q", which powers off; sleeps in SCHEDOP_poll between |
 *  | h | HLT with interrupts off, which Xen takes for a power-off |
 *  | l | runs in a loop for ever |
 *  | t | triple fault |
 *  | f | floods the console for ever |
 *  | k | for each character typed says what time it is (`readClockSample`), until "q" |
 *
 *  Numbers from public/{xen,sched,event_channel,memory}.h, public/hvm/{hvm_op,params}.h, public/io/console.h. */
const BASE = 0x100000;
const STACK = 0x1f0000;
const SHARED_GFN = 0x180;
/** In a 32-bit struct shared_info: vcpu_info[0].time and wc_version, wc_sec, wc_nsec, wc_sec_hi. */
const VCPU_TIME = 32;
const WALLCLOCK = 2304;
/** Bytes of a sample of the clock: TSC, time words, wallclock. */
const SAMPLE = 8 + 32 + 16;
const PHYS32_ENTRY = 18; // XEN_ELFNOTE_PHYS32_ENTRY

type Register = "eax" | "ecx" | "edx" | "ebx" | "esp" | "ebp" | "esi" | "edi";
const NUMBER: Record<Register, number> = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 };
/** A memory operand: register + displacement, or a label. */
type Place = readonly [Register, number] | string;
type Value = number | string;

/** As much of an assembler as small kernels need; operands in Intel's order. */
export class Assembler {
  readonly bytes: number[] = [];
  private readonly labels = new Map<string, number>();
  private readonly fixups: { at: number; label: string; relative: boolean }[] = [];

  label(name: string): this {
    this.labels.set(name, this.bytes.length);
    return this;
  }
  raw(...bytes: number[]): this {
    this.bytes.push(...bytes);
    return this;
  }
  text(text: string): this {
    return this.raw(...Buffer.from(`${text}\0`, "latin1"));
  }
  long(value: Value, relative = false): this {
    if (typeof value === "string") {
      this.fixups.push({ at: this.bytes.length, label: value, relative });
      value = 0;
    }
    return this.raw(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff);
  }
  private modrm(reg: number, place: Place): this {
    if (typeof place === "string") return this.raw((reg << 3) | 5).long(place);
    return this.raw(0x80 | (reg << 3) | NUMBER[place[0]]).long(place[1]);
  }
  set(register: Register, value: Value): this {
    return this.raw(0xb8 | NUMBER[register]).long(value);
  }
  load(register: Register, place: Place): this {
    return this.raw(0x8b).modrm(NUMBER[register], place);
  }
  store(place: Place, register: Register): this {
    return this.raw(0x89).modrm(NUMBER[register], place);
  }
  storeImmediate(place: Place, value: Value): this {
    return this.raw(0xc7).modrm(0, place).long(value);
  }
  jump(label: string): this {
    return this.raw(0xe9).long(label, true);
  }
  call(label: string): this {
    return this.raw(0xe8).long(label, true);
  }
  /** Jcc: cc as in the opcode (2 b, 3 ae, 4 e, 5 ne). */
  jumpIf(cc: number, label: string): this {
    return this.raw(0x0f, 0x80 | cc).long(label, true);
  }
  /** VMCALL with number, command and argument block. */
  hypercall(number: number, command: number, block: Value): this {
    return this.set("eax", number).set("ebx", command).set("ecx", block).raw(0x0f, 0x01, 0xc1);
  }
  assemble(): Uint8Array {
    const out = Uint8Array.from(this.bytes);
    const view = new DataView(out.buffer);
    for (const { at, label, relative } of this.fixups) {
      const target = this.labels.get(label);
      if (target === undefined) throw new Error(`no label ${label}`);
      view.setInt32(at, relative ? target - at - 4 : BASE + target, true);
    }
    return out;
  }
}

function program(): Uint8Array {
  const a = new Assembler();
  a.set("esp", STACK).load("ebp", ["ebx", 24]); // hvm_start_info.cmdline_paddr

  // shared_info to SHARED_GFN: XENMEM_add_to_physmap, XENMAPSPACE_shared_info
  a.hypercall(12, 7, "physmap");
  // HVMOP_get_param: HVM_PARAM_CONSOLE_PFN, then HVM_PARAM_CONSOLE_EVTCHN
  a.hypercall(34, 1, "param").load("eax", "value").raw(0xc1, 0xe0, 12).store("page", "eax"); // shl eax, 12
  a.storeImmediate("index", 18).hypercall(34, 1, "param").load("eax", "value").store("port", "eax");

  a.set("esi", "hello_e9").label("e9").raw(0xac, 0x84, 0xc0).jumpIf(4, "e9_done"); // lodsb; test al, al; jz
  a.raw(0xe6, 0xe9).jump("e9").label("e9_done"); // out 0xe9, al
  a.set("esi", "hello").call("print");

  const choose = (letter: string, label: string) => a.raw(0x80, 0x7d, 0, letter.charCodeAt(0)).jumpIf(4, label); // cmp byte [ebp], letter
  const reasons = { p: 0, r: 1, s: 2, c: 3 };
  for (const [letter, reason] of Object.entries(reasons)) {
    a.storeImmediate("reason", reason);
    choose(letter, "shutdown");
  }
  choose("e", "echo");
  choose("h", "halt");
  choose("l", "loop");
  choose("t", "triple");
  choose("f", "flood");
  a.set("edx", "clock").store("answer", "edx");
  choose("k", "echo");
  a.jump("power_off");

  a.label("power_off").storeImmediate("reason", 0);
  a.label("shutdown").hypercall(29, 2, "reason").label("halt").raw(0xfa, 0xf4).jump("halt"); // SCHEDOP_shutdown; cli; hlt
  a.label("loop").raw(0x40).jump("loop"); // inc eax
  a.label("triple").raw(0x0f, 0x01, 0x1d).long("no_idt").raw(0x0f, 0x0b); // lidt [no_idt]; ud2
  a.label("flood").set("esi", "hello").call("print").jump("flood");

  // Echo: take a character if there is one, else clear the port's pending bit, look again, and poll.
  a.label("echo").load("edi", "page").call("take").jumpIf(5, "typed");
  a.load("eax", "port").raw(0x0f, 0xb3, 0x05).long(SHARED_GFN * 4096 + 2048); // btr [shared_info.evtchn_pending], eax
  a.call("take").jumpIf(5, "typed");
  a.hypercall(29, 3, "poll").jump("echo");
  a.label("typed").raw(0x3c, "q".charCodeAt(0)).jumpIf(4, "power_off"); // cmp al, 'q'
  a.raw(0xa2).long("char").raw(0xff, 0x25).long("answer"); // mov [char], al; jmp [answer]
  a.label("repeat").set("esi", "char").call("print").jump("echo");

  // clock: TSC, vcpu_info[0].time and the wallclock, of one version of the time words; each half-byte is a letter from "A" on.
  a.label("clock").set("esi", SHARED_GFN * 4096 + VCPU_TIME).load("ebx", ["esi", 0]);
  a.raw(0x0f, 0x31).store("sample", "eax").store("sample_high", "edx"); // rdtsc
  a.set("edi", "sample_time").set("ecx", 32).raw(0xf3, 0xa4); // rep movsb
  a.set("esi", SHARED_GFN * 4096 + WALLCLOCK).set("ecx", 16).raw(0xf3, 0xa4);
  a.raw(0x3b, 0x1d).long(SHARED_GFN * 4096 + VCPU_TIME).jumpIf(5, "clock"); // cmp ebx, [version]
  a.raw(0xf6, 0xc3, 1).jumpIf(5, "clock"); // test bl, 1
  a.set("esi", "sample").set("edi", "letters").set("ecx", SAMPLE);
  a.label("digit").raw(0xac, 0x88, 0xc4, 0xc0, 0xe8, 4, 0x04, 0x41, 0xaa); // lodsb; mov ah, al; shr al, 4; add al, 'A'; stosb
  a.raw(0x88, 0xe0, 0x24, 15, 0x04, 0x41, 0xaa, 0x49).jumpIf(5, "digit"); // mov al, ah; and al, 15; add al, 'A'; stosb; dec ecx
  a.set("esi", "letters").call("print").jump("echo");

  // take: AL = next input character, ZF set if there is none. EDI = page.
  a.label("take").load("edx", ["edi", 3072]).raw(0x3b, 0x97).long(3076).jumpIf(4, "none"); // cmp edx, [in_prod]
  a.raw(0x89, 0xd1, 0x81, 0xe1).long(1023).raw(0x8a, 0x04, 0x0f); // mov ecx, edx; and ecx, 1023; mov al, [edi+ecx]
  a.raw(0x42).store(["edi", 3072], "edx"); // inc edx
  a.call("notify").raw(0x85, 0xff).label("none").raw(0xc3); // test edi, edi: not zero

  // print: the string at ESI to the console.
  a.label("print").load("edi", "page").label("next").raw(0xac, 0x84, 0xc0).jumpIf(4, "notify");
  a.label("wait").load("edx", ["edi", 3084]).raw(0x89, 0xd1, 0x2b, 0x8f).long(3080).raw(0x81, 0xf9).long(2048); // out_prod - out_cons
  a.jumpIf(2, "room").raw(0x50).call("notify").hypercall(29, 0, 0).raw(0x58).jump("wait"); // push eax; SCHEDOP_yield; pop eax
  a.label("room").raw(0x89, 0xd1, 0x81, 0xe1).long(2047).raw(0x88, 0x84, 0x0f).long(1024); // mov [edi+ecx+1024], al
  a.raw(0x42).store(["edi", 3084], "edx").jump("next");

  // notify: EVTCHNOP_send, all registers kept.
  a.label("notify").raw(0x60).hypercall(32, 4, "port").raw(0x61, 0xc3); // pusha; popa; ret

  a.label("hello_e9").text("hello from port e9\n");
  a.label("hello").text("hello from the console\r\n");
  a.label("char").raw(0, 0);
  while (a.bytes.length % 8) a.raw(0);
  a.label("physmap").raw(0xf0, 0x7f, 0, 0).long(0).long(0).long(SHARED_GFN); // DOMID_SELF, size, space, idx, gpfn
  a.label("param").raw(0xf0, 0x7f, 0, 0).label("index").long(17).label("value").long(0).long(0);
  a.label("answer").long("repeat");
  a.label("sample").long(0).label("sample_high").long(0).label("sample_time").raw(...new Array(48).fill(0));
  a.label("letters").raw(...new Array(2 * SAMPLE).fill(0)).text("\n");
  a.label("page").long(0).label("port").long(0).label("reason").long(0);
  a.label("poll").long("port").long(1).long(0).long(0); // ports, nr_ports, timeout
  a.label("no_idt").raw(0, 0, 0, 0, 0, 0);
  return a.assemble();
}

export interface ClockSample {
  /** Ticks. */
  readonly tsc: bigint;
  /** Nanoseconds: the system time that tsc and the vCPU's time words amount to (public/xen.h, struct vcpu_time_info). */
  readonly system: number;
  /** Nanoseconds since 1970: the wallclock at system time 0. */
  readonly boot: bigint;
}

/** A line of the kernel's with cmdline=k. */
export function readClockSample(line: string): ClockSample {
  const bytes = Uint8Array.from({ length: SAMPLE }, (_, n) => ((line.charCodeAt(2 * n) - 65) << 4) | (line.charCodeAt(2 * n + 1) - 65));
  const view = new DataView(bytes.buffer);
  const tsc = view.getBigUint64(0, true);
  const shift = view.getInt8(8 + 28);
  const ticks = tsc - view.getBigUint64(8 + 8, true);
  const scaled = ((shift < 0 ? ticks >> BigInt(-shift) : ticks << BigInt(shift)) * BigInt(view.getUint32(8 + 24, true))) >> 32n;
  const seconds = (BigInt(view.getUint32(40 + 12, true)) << 32n) | BigInt(view.getUint32(40 + 4, true));
  return {
    tsc,
    system: Number(view.getBigUint64(8 + 16, true) + scaled),
    boot: seconds * 1_000_000_000n + BigInt(view.getUint32(40 + 8, true)),
  };
}

/** The kernel as an ELF32 executable with a PVH note. */
export function tinyKernel(): Uint8Array<ArrayBuffer> {
  return elfKernel(program());
}

/** Any code for address 1 MiB, where it is entered, as such an executable. */
export function elfKernel(code: Uint8Array): Uint8Array<ArrayBuffer> {
  const headers = 52 + 2 * 32;
  const note = [4, 0, 0, 0, 4, 0, 0, 0, PHYS32_ENTRY, 0, 0, 0, 0x58, 0x65, 0x6e, 0, 0, 0, BASE >> 16, 0]; // "Xen", BASE
  const codeAt = 0x1000;
  const file = new Uint8Array(codeAt + code.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 3, true); // EM_386
  view.setUint32(20, 1, true);
  view.setUint32(24, BASE, true);
  view.setUint32(28, 52, true); // program headers
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 2, true);
  const segment = (at: number, ...words: number[]) => words.forEach((word, n) => view.setUint32(at + 4 * n, word, true));
  segment(52, 1, codeAt, BASE, BASE, code.length, code.length, 7, 4096); // PT_LOAD
  segment(84, 4, headers, 0, 0, note.length, note.length, 4, 4); // PT_NOTE
  file.set(note, headers);
  file.set(code, codeAt);
  return file;
}
