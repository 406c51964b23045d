/** A decoded instruction: 32 bytes. The decoder writes them, the block interpreter runs them, the JIT reads them.
 *  Register-file offsets are byte offsets into the pCPU block (PcpuOff.gpr, zero, ripBase, segBase). */
export const enum RecOff {
  handler = 0, // u16, case number of the block interpreter
  desc = 2, // u16: hot templates: {template op width form}; cold: operand size 0..3, address size 4..7, group 8..15
  reg = 4, // u8, ModRM.reg with REX.R (hot templates: register-file offset of the first operand)
  rm = 5, // u8, ModRM.rm with REX.B when it is a register (hot: register-file offset of the second operand)
  len = 6, // u8, instruction length in bytes
  flags = 7, // u8, RecFlag
  off = 8, // u16, offset of the instruction's first byte in its page
  base = 10, // u8, register-file offset of the base
  index = 11, // u8, register-file offset of the index
  disp = 12, // i32
  imm = 16, // i32; u64 for 64-bit immediates and moffs (never together with mask)
  mask = 20, // u64, address mask: ~0 or 0xffffffff or 0xffff
  scale = 28, // u8, shift of the index
  seg = 29, // u8, Seg of the memory operand
  op = 30, // u16 Op (cold records)
  immediate = 30, // u8, templates with an immediate that may be read again (cpu/patched): its bytes, the last of the instruction
  taken = 24, // u32, branches: record of the taken target once linked
  fall = 28, // u32, branches: record of the fall-through once linked
  SIZE = 32,
}

export const enum RecFlag {
  mem = 1, // the rm operand is in memory
  seg = 2, // the address needs segment checks (or is 16-bit): base/index/mask alone do not give it
  lock = 4,
  rep = 8, // F3
  repne = 16, // F2
  rex = 32, // a REX prefix was present: byte registers 4..7 are SPL..DIL
  toRm = 64, // the rm operand is the destination (rows whose first operand is E, W, M or Q)
  opsize = 128, // 66h was present
}

/** Head record of a block. The handler is Handler.head, step or straddle; `off` is where RecOff.off is. */
export const enum BlockOff {
  handler = 0, // u16
  mode = 2, // u16
  count = 4, // u16 instructions
  records = 7, // u8 records after the head, without the GOTO; +6 stays 0: the length of a head
  off = 8, // u16, page offset of the first byte
  end = 10, // u16, page offset past the last byte (beyond 4096 if it straddles)
  maddr = 12, // u32
  hashNext = 16, // u32
  frameNext = 20, // u32
  second = 24, // u32, straddle: maddr of the second page
  secondNext = 28, // u32, straddle: chain of the second frame
  samples = 28, // u32, others: slices that ended here; its entry once it begins a region (cpu/jit/regions)
  IN_REGION = 0x80, // in `records`: some region contains the block
}

/** What is known of kinds of instructions (cpu/known), from PcpuOff.codeBase: behind what is known of windows (cpu/jit/window_runtime). */
export const enum KindOff {
  TABLE = 0xf4000,
  BITS = 11, // entries, 16 bytes each
  SIZE = 0x8000,
}
