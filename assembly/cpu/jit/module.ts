/** The finished function as a module of its own: "x.m", memory, and "x.t", a table with the functions of enum Import, go in; "f" comes out. A function
 *  imported by itself would cost several times what the module does: for every type the host makes a wrapper, whether or not JavaScript is ever
 *  called (docs/adr/0008). */
import { JitMemory, JitOff } from "../../abi/jit";
import { J, WasmType, byte, jget, jset, unsigned } from "./buffer";
import { Import } from "./imports";
import { Slot } from "./slots";

const enum Section { custom = 0, types = 1, imports = 2, functions = 3, exports = 7, code = 10 }

/** "metadata.code.branch_hint" */
const HINTS: usize = memory.data<u8>([109, 101, 116, 97, 100, 97, 116, 97, 46, 99, 111, 100, 101, 46, 98, 114, 97, 110, 99, 104, 95, 104, 105, 110, 116]);

/** Opens something whose size goes before it; close() fills that in, in five bytes. */
function open(): usize {
  const at = <usize>jget(JitOff.at);
  jset(JitOff.at, <u32>at + 5);
  return at;
}

function close(at: usize): void {
  let size = jget(JitOff.at) - <u32>at - 5;
  for (let i: usize = 0; i < 4; i++) {
    store<u8>(at + i, <u8>(size | 128));
    size >>= 7;
  }
  store<u8>(at + 4, <u8>size);
}

function functionType(i32s: i32, i64s: i32, i64First: bool, result: i32): void {
  byte(WasmType.func);
  byte(i32s + i64s);
  if (i64First) for (let i = 0; i < i64s; i++) byte(WasmType.i64);
  for (let i = 0; i < i32s; i++) byte(WasmType.i32);
  if (!i64First) for (let i = 0; i < i64s; i++) byte(WasmType.i64);
  byte(result ? 1 : 0);
  if (result) byte(result);
}

/** Length of `x` as a LEB128 number. */
function lengthOf(x: u32): u32 {
  let n: u32 = 1;
  while (x > 127) {
    x >>= 7;
    n++;
  }
  return n;
}

/** Offsets count from the declarations of the locals. */
function branchHints(): void {
  const count = jget(JitOff.hintCount), temps = jget(JitOff.tempCount);
  if (!count) return;
  const locals = lengthOf(temps + 2) + 4 + temps * 2;
  byte(Section.custom);
  const s = open();
  byte(25);
  memory.copy(jget(JitOff.at), HINTS, 25);
  jset(JitOff.at, jget(JitOff.at) + 25);
  byte(1);
  byte(0); // function 0
  unsigned(count);
  for (let i: u32 = 0; i < count; i++) {
    const h = load<u32>(J + (<usize>i << 2), JitOff.hints);
    unsigned((h >> 1) + locals);
    byte(1);
    byte(h & 1);
  }
  close(s);
}

/** Puts the module around the code at JitOff.body that ends at `end`; returns its length, 0 if it does not fit. */
export function assemble(end: usize): u32 {
  const body = J + JitOff.body, size = end - body;
  if (size + 4096 + (<usize>jget(JitOff.hintCount) << 3) > <usize>(JitOff.x87 - JitOff.module)) return 0;
  jset(JitOff.at, <u32>(J + JitOff.module));
  unsigned32(0x6d736100);
  unsigned32(1);
  byte(Section.types);
  let s = open();
  byte(10);
  functionType(0, 0, false, WasmType.i32);
  functionType(1, 1, true, WasmType.i32);
  functionType(1, 0, false, WasmType.i32);
  functionType(2, 4, false, WasmType.i32);
  functionType(1, 4, false, WasmType.i64);
  functionType(1, 4, false, 0);
  functionType(2, 1, true, WasmType.i32);
  functionType(3, 0, false, WasmType.i32);
  functionType(3, 0, false, 0);
  functionType(1, 0, false, WasmType.i64);
  close(s);

  byte(Section.imports);
  s = open();
  byte(2);
  name(0x78);
  name(0x6d);
  byte(2);
  byte(jget(JitOff.memory) == JitMemory.shared ? 3 : 1);
  // a memory that cannot grow: V8 need not ask for its address again behind every call
  unsigned(memory.size());
  unsigned(memory.size());
  name(0x78);
  name(0x74);
  byte(1);
  byte(WasmType.funcref);
  byte(0);
  byte(Import.COUNT);
  close(s);

  byte(Section.functions);
  s = open();
  byte(1);
  byte(0);
  close(s);

  byte(Section.exports);
  s = open();
  byte(1);
  name(0x66);
  byte(0);
  byte(0);
  close(s);

  branchHints();
  byte(Section.code);
  s = open();
  byte(1);
  const f = open();
  const temps = jget(JitOff.tempCount);
  unsigned(temps + 2);
  unsigned(Slot.flagsKind);
  byte(WasmType.i64);
  unsigned(8); // flagsKind and those of enum Local
  byte(WasmType.i32);
  for (let i: u32 = 0; i < temps; i++) {
    byte(1);
    byte(load<u8>(J + <usize>i, JitOff.types));
  }
  memory.copy(jget(JitOff.at), body, size);
  jset(JitOff.at, jget(JitOff.at) + <u32>size);
  close(f);
  close(s);
  return jget(JitOff.at) - <u32>(J + JitOff.module);
}

function name(letter: i32): void { byte(1); byte(letter); }

function unsigned32(x: u32): void {
  const at = <usize>jget(JitOff.at);
  store<u32>(at, x);
  jset(JitOff.at, <u32>at + 4);
}
