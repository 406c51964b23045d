/** What the processor needs from outside: everything the host does on its behalf is one of these. */

@external("env", "unwind") declare function throwOut(): void;
/** Throws a preallocated object: control leaves run(), whose caller enters it again to deliver the pending fault. The compiler is told that
 *  nothing follows, so that the way on has nothing to save for it. */
@inline export function unwind(): void {
  throwOut();
  unreachable();
}
/** Port read of 1, 2 or 4 bytes. */
@external("env", "pioRead") export declare function pioRead(port: u32, size: u32): u32;
@external("env", "pioWrite") export declare function pioWrite(port: u32, size: u32, value: u32): void;
/** Device memory access of 1, 2 or 4 bytes at a guest-physical address (8-byte ones are made as two). */
@external("env", "mmioRead") export declare function mmioRead(gpaLo: u32, gpaHi: u32, size: u32): u32;
@external("env", "mmioWrite") export declare function mmioWrite(gpaLo: u32, gpaHi: u32, size: u32, value: u32): void;
/** Interrupt acknowledge cycle of the 8259s: the vector. Only while VcpuOff.intr asks for one. */
@external("env", "intAck") export declare function intAck(): u32;
/** Nanoseconds since the machine started, monotonic. */
@external("env", "nowNs") export declare function nowNs(): f64;
/** A notice for the hypervisor log, at most once per (code, a): see Notice. */
@external("env", "notice") export declare function notice(code: u32, a: u32, b: u32): void;
/** 32 random bits (RDRAND, RDSEED). */
@external("env", "random") export declare function random(): u32;
/** Compiles the module at `address` and puts its function "f" into slot `slot` of the core's table; 0 if that cannot be done. */
@external("env", "jitInstall") export declare function jitInstall(address: u32, length: u32, slot: u32): u32;
/** Empties `count` slots of the table from `slot` on: nobody will call what is there. */
@external("env", "jitDrop") export declare function jitDrop(slot: u32, count: u32): void;
