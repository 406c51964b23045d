/** HYPERVISOR_xen_version (public/version.h, features.h): we are Xen 4.17. */
import { Errno } from "../../assembly/abi/errno";
import { Xen } from "../../assembly/abi/xen";
import { PAGE_SIZE } from "../machine/memory";
import { cStruct } from "./c_struct";
import type { Caller, Result } from "./caller";
import { HvDomain } from "./state";

export const COMPILE_INFO = cStruct({
  compiler: "u8[64]",
  compile_by: "u8[16]",
  compile_domain: "u8[32]",
  compile_date: "u8[32]",
});
export const FEATURE_INFO = cStruct({ submap_idx: "u32", submap: "u32" });

export const XEN_MAJOR = 4;
export const XEN_MINOR = 17;
const EXTRAVERSION = ".0-xenolith";
const CAPABILITIES = "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ";
const VIRT_START = 0xffff_8000_0000_0000n; // HYPERVISOR_VIRT_START
const COMPAT_VIRT_START = 0xf580_0000n;

/** What Xen 4.17 offers an unprivileged translated guest without pirqs. */
const FEATURES =
  (1 << Xen.XENFEAT_writable_page_tables) |
  (1 << Xen.XENFEAT_auto_translated_physmap) |
  (1 << Xen.XENFEAT_hvm_callback_vector) |
  (1 << Xen.XENFEAT_hvm_safe_pvclock) |
  (1 << Xen.XENFEAT_memory_op_vnode_supported) |
  (1 << Xen.XENFEAT_not_direct_mapped);

/** (cmd, arg) */
export function xenVersion(call: Caller): Result {
  const arg = call.args[1];
  switch (call.u32(0)) {
    case Xen.XENVER_version:
      return (XEN_MAJOR << 16) | XEN_MINOR;
    case Xen.XENVER_pagesize:
      return PAGE_SIZE;
    case Xen.XENVER_extraversion:
      return putText(call, arg, [[EXTRAVERSION, 16]]);
    case Xen.XENVER_compile_info:
      return putText(call, arg, [
        ["AssemblyScript, TypeScript", 64],
        ["xenolith", 16],
        ["", 32],
        ["", 32],
      ]);
    case Xen.XENVER_capabilities:
      return putText(call, arg, [[CAPABILITIES, 1024]]);
    case Xen.XENVER_changeset:
      return putText(call, arg, [["", 64]]);
    case Xen.XENVER_commandline:
      return putText(call, arg, [["<denied>", 1024]]); // privileged guests' reading
    case Xen.XENVER_platform_parameters:
      return call.putLong(arg, call.compat ? COMPAT_VIRT_START : VIRT_START) ? 0 : -Errno.EFAULT;
    case Xen.XENVER_get_features:
      return features(call, arg);
    case Xen.XENVER_guest_handle:
      return call.putFrom(arg, call.domain + HvDomain.handle, 16) ? 0 : -Errno.EFAULT;
    case Xen.XENVER_build_id:
      return -Errno.EPERM;
    default:
      return -Errno.ENOSYS;
  }
}

/** Zero-padded character arrays, one after the other. */
function putText(call: Caller, lin: bigint, fields: readonly (readonly [string, number])[]): Result {
  let at = 0;
  for (const [text, size] of fields) {
    call.clear(at, size);
    for (let n = 0; n < text.length; n++) call.setU8(at + n, text.charCodeAt(n));
    at += size;
  }
  return call.put(lin, at) ? 0 : -Errno.EFAULT;
}

function features(call: Caller, lin: bigint): Result {
  const o = call.layout(FEATURE_INFO);
  if (!call.fetch(lin, o.sizeof)) return -Errno.EFAULT;
  if (call.getU32(o.submap_idx) >= Xen.XENFEAT_NR_SUBMAPS) return -Errno.EINVAL;
  call.setU32(o.submap, FEATURES);
  return call.put(lin, o.sizeof) ? 0 : -Errno.EFAULT;
}
