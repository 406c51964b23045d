/** HYPERVISOR_console_io (public/xen.h): text for the hypervisor log, line by line. A line is kept in the domain block
 *  until it ends or is full, since guests write it in pieces and from several vCPUs. There is no input. */
import { Errno } from "../../assembly/abi/errno";
import { Xen } from "../../assembly/abi/xen";
import { type Caller, CONTINUE, type Result } from "./caller";
import { CONSOLE_LINE, HvDomain } from "./state";

const PIECE = 1024;

/** (cmd, count, buffer) */
export function consoleIo(call: Caller): Result {
  switch (call.u32(0)) {
    case Xen.CONSOLEIO_write:
      return write(call);
    case Xen.CONSOLEIO_read:
      return 0;
    default:
      return -Errno.ENOSYS;
  }
}

function write(call: Caller): Result {
  const count = call.u32(1);
  if (count > 0x7fff_ffff) return -Errno.EINVAL;
  const piece = Math.min(count, PIECE);
  if (!call.fetch(call.args[2], piece)) return -Errno.EFAULT;
  for (const line of collect(call, piece)) call.host.log(call.domid, line);
  if (piece === count) return 0;
  call.args[1] = BigInt(count - piece);
  call.args[2] += BigInt(piece);
  return CONTINUE;
}

/** Adds scratch bytes to the line; the lines that are complete now. What cannot be printed is dropped, as Xen does it. */
function collect(call: Caller, length: number): string[] {
  const { mem, domain } = call;
  const lines: string[] = [];
  mem.locked(domain + HvDomain.consoleLock, () => {
    let filled = mem.get32(domain + HvDomain.consoleLength);
    const end = () => {
      lines.push(String.fromCharCode(...mem.u8.slice(domain + HvDomain.consoleLine, domain + HvDomain.consoleLine + filled)));
      filled = 0;
    };
    for (let n = 0; n < length; n++) {
      const byte = call.getU8(n);
      if (byte === 0x0a) end();
      else if ((byte >= 0x20 && byte < 0x7f) || byte === 0x09) {
        mem.set8(domain + HvDomain.consoleLine + filled++, byte);
        if (filled === CONSOLE_LINE) end();
      }
    }
    mem.set32(domain + HvDomain.consoleLength, filled);
  });
  return lines;
}
