/** IN and OUT (SDM Vol.1 "Input/Output"). The host has the devices; a port that ends the slice sets PcpuOff.exit. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { pioRead, pioWrite } from "../../env";
import { PCPU } from "../pcpu";
import { setReg } from "../operand";
import { watchPort } from "./debug";
import { recheckAfter } from "./events";
import { checkIo } from "./tss";

export function portIn(u: usize, port: u32, size: i32): usize {
  checkIo(port, size);
  watchPort(port, size);
  const value = pioRead(port, size);
  if (size == 1) store<u8>(PCPU, <u8>value, Gpr.rax * 8);
  else setReg(Gpr.rax, size, value);
  return done(u);
}

export function portOut(u: usize, port: u32, size: i32): usize {
  checkIo(port, size);
  watchPort(port, size);
  const value = load<u32>(PCPU, Gpr.rax * 8);
  pioWrite(port, size, size == 4 ? value : size == 2 ? value & 0xffff : value & 0xff);
  return done(u);
}

/** The host may want to look before the next instruction, and a device may have raised its line. */
function done(u: usize): usize {
  recheckAfter(u);
  return u + RecOff.SIZE;
}
