/** xenolith: Xen domains in Node and the browser. */
export {
  Domain,
  type DomainConsole,
  type DomainStop,
  type ShutdownRequest,
  type StopReason,
} from "./domains/domain";
export { ConfigError, DomainError, ImageError } from "./domains/errors";
export type { MmioHandler, PortHandler } from "./domains/hvm_image";
export type { ImagePart, KeptKernel, KernelStore } from "./domains/kernel_store";
export { type DomainConfig, type ImageSource, Machine, type MachineOptions } from "./domains/toolstack";
export { XenstoreError } from "./domains/xenstore_error";
export { MachineError } from "./machine/machine";
export type { Asset } from "./machine/platform";

/** Version of the package. */
export const version: string = XENOLITH_VERSION;

declare global {
  /** For programs without the "dom" library: @types/node lacks these names, which the declarations behind ours use. */
  namespace WebAssembly {
    interface Memory {}
    interface Module {}
  }
}
