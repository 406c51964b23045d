/** INVPCID (SDM Vol.2A): which types and descriptors fault, and which translations are gone afterwards. CLWB beside it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff } from "../../../assembly/abi/layout";
import { Guest } from "./guest";
import { DATA, longMode, protectedMode, runCode } from "./worlds";

const guest = await Guest.create();
const invpcid = suite("INVPCID");
const PAGE = 0x200000; // mapped by a 4 KiB page of the table at 0xe000
const OTHER = 0x201000;
const TABLE = 0xe000;
const STRANGE = 1n << 48n;

function world(level: number, global: boolean): void {
  longMode(guest, level);
  guest.set64(0x6008, BigInt(TABLE) | 7n);
  for (const [i, frame] of [0x200000, 0x201000].entries()) guest.set64(TABLE + i * 8, BigInt(frame) | (global ? 0x107n : 7n));
  guest.setField(PcpuOff.cr4, 0xa0n);
  guest.core.flushTlbAll();
  guest.set32(PAGE, 1);
  guest.set32(OTHER, 2);
}

//  type, PCID, address                        vector
const FAULTS: readonly (readonly [bigint, bigint, bigint, number, number])[] = [
  [0n, 0n, BigInt(PAGE), 0, -1],
  [1n, 0n, STRANGE, 0, -1],
  [2n, 0n, STRANGE, 0, -1],
  [3n, 0n, 0n, 0, -1],
  [0n, 0n, STRANGE, 0, 13],
  [0n, 1n, 0n, 0, 13],
  [1n, 1n, 0n, 0, 13],
  [2n, 1n, 0n, 0, -1],
  [3n, 0xfffn, 0n, 0, -1],
  [2n, 0x1000n, 0n, 0, 13],
  [3n, 1n << 63n, 0n, 0, 13],
  [4n, 0n, 0n, 0, 13],
  [0x100000000n, 0n, 0n, 0, 13],
  [2n, 0n, 0n, 3, 13],
];
for (const [type, pcid, address, level, vector] of FAULTS)
  invpcid(`type ${type.toString(16)}, PCID ${pcid.toString(16)}, address ${address.toString(16)} at CPL ${level}: ${vector < 0 ? "done" : `vector ${vector}`}`, () => {
    world(level, false);
    guest.set64(DATA, pcid);
    guest.set64(DATA + 8, address);
    guest.setGpr("rax", type);
    guest.setGpr("rsi", BigInt(DATA));
    assert.is(runCode(guest, "66 0f 38 82 06 f4"), vector); // invpcid rax, [rsi]
    if (vector >= 0) assert.is(guest.u64(Number(guest.gpr("rsp"))), 0n, "error code");
  });

invpcid("under CR4.PCIDE any PCID may be named, by any type", () => {
  for (const [type, pcid, address, vector] of [[0n, 1n, 0n, -1], [0n, 0xfffn, STRANGE, 13], [0n, 0x1000n, 0n, 13], [1n, 0xfffn, STRANGE, -1], [1n, 0x1000n, 0n, 13]] as const) {
    world(0, false);
    guest.setField(PcpuOff.cr4, 0x200a0n);
    guest.set64(DATA, pcid);
    guest.set64(DATA + 8, address);
    guest.setGpr("rax", type);
    guest.setGpr("rsi", BigInt(DATA));
    assert.is(runCode(guest, "66 0f 38 82 06 f4"), vector, `type ${type}, PCID ${pcid}`);
  }
});

invpcid("in 32-bit code the type is 32 bits wide; a register operand is #UD; so are other prefixes", () => {
  for (const [code, vector] of [["66 0f 38 82 06", -1], ["66 0f 38 82 c6", 6], ["0f 38 82 06", 6], ["f3 0f 38 82 06", 6]] as const) {
    protectedMode(guest, 0);
    guest.setGpr("rax", 0x1_0000_0002n);
    guest.setGpr("rsi", BigInt(DATA));
    assert.is(runCode(guest, `${code} f4`), vector, code);
  }
});

/** mov ecx, [PAGE]; exchange the two frames; invpcid; mov edx, [PAGE] */
for (const [type, global, fresh] of [[0n, false, true], [0n, true, true], [1n, false, true], [2n, false, true], [2n, true, true], [3n, false, true]] as const)
  invpcid(`type ${type} forgets a ${global ? "global " : ""}translation`, () => {
    world(0, global);
    guest.setGpr("rax", type);
    guest.setGpr("rdi", BigInt(PAGE));
    guest.setGpr("rbx", BigInt(TABLE));
    guest.set64(DATA, 0n);
    guest.set64(DATA + 8, BigInt(PAGE));
    guest.setGpr("rsi", BigInt(DATA));
    // mov ecx,[rdi]; mov r8,[rbx+8]; mov [rbx],r8; invpcid rax,[rsi]; mov edx,[rdi]
    assert.is(runCode(guest, "8b 0f 4c 8b 43 08 4c 89 03 66 0f 38 82 06 8b 17 f4"), -1);
    assert.is(guest.gpr("rcx"), 1n);
    assert.is(guest.gpr("rdx"), fresh ? 2n : 1n);
  });

invpcid("CLWB is a load of one byte that does nothing", () => {
  for (const [address, vector] of [[BigInt(PAGE), -1], [0x500000n, 14], [STRANGE, 13]] as const) {
    world(0, false);
    guest.setGpr("rdi", address);
    assert.is(runCode(guest, "66 0f ae 37 f4"), vector); // clwb [rdi]
    if (vector === 14) assert.is(guest.u64(Number(guest.gpr("rsp"))), 0n, "a read");
  }
});

invpcid("INVLPG forgets a page that an operand reaches around 4 GiB", () => {
  const [DIRECTORY, LOW, HIGH, TOP] = [0x4000, 0x5000, 0x6000, 0x100000];
  for (const frame of [0x110000, 0x120000]) {
    protectedMode(guest, 0);
    guest.set32(DIRECTORY, LOW | 7);
    guest.set32(DIRECTORY + 0xffc, HIGH | 7);
    for (let i = 0; i < 1024; i++) guest.set32(LOW + i * 4, (i << 12) | 7);
    guest.set32(HIGH + 0xffc, TOP | 7);
    guest.setField(PcpuOff.cr3, BigInt(DIRECTORY));
    guest.setField(PcpuOff.cr4, 0x200n);
    guest.setField(PcpuOff.cr0, 0x80000011n);
    guest.core.flushTlbAll();
    guest.setGpr("rdi", 0xffff_fff0n);
    guest.setGpr("rax", BigInt(frame | 7));
    // fxsave [edi]; mov [LOW], eax; invlpg [0]; fxsave [edi]
    assert.is(runCode(guest, "0f ae 07 a3 00 50 00 00 0f 01 3d 00 00 00 00 0f ae 07 f4"), -1);
    assert.equal([guest.u32(8), guest.u32(frame + 8)], [0x1f80, 0x1f80], "MXCSR");
  }
});
invpcid.run();
