/** Case numbers of the block interpreter that are not instruction templates. */
export const enum Handler {
  abnormal = 0, // record 0: a fault, an exit or a request is pending
  resync = 1, // the record was invalidated: what follows the previous one is to be looked up
  head = 2, // start of a block: counts its instructions
  step = 3, // head of a one-instruction block under Mode.step
  straddle = 4, // head of an instruction that crosses a page
  any = 5, // template, flat memory, no handler of its own
  checked = 6, // template, segment-checked memory
  cold = 7, // instruction performed by its group's helper
  goto = 8, // end of a block without a branch
  ud = 9, // invalid opcode
  gp = 10, // longer than 15 bytes
  dead = 11, // head of an invalidated block
  look = 12, // for once in place of the record's own: interrupts and exits are to be looked at before it (lookAfter)
  region = 13, // head of a block that begins a translated region
  hot = 14, // first specialized template
}
