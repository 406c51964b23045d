/** Errors of the toolstack. Each message is one sentence that names what is at fault: the configuration key, the image
 *  file or the domain. Hypercalls never throw these; they return -XEN_E... (Xenstore has an error of its own, xenstore_error.ts.) */

/** A configuration key with a value that cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(
    readonly key: string,
    message: string,
    /** Line of the configuration text, 1 for the first; undefined for values given otherwise. */
    readonly line?: number,
  ) {
    super(`${line === undefined ? "" : `line ${line}: `}${key ? `${key}: ` : ""}${message}`);
  }
}

/** A kernel, ramdisk or other image that is malformed or of a kind that cannot be started. */
export class ImageError extends Error {
  override readonly name = "ImageError";
  constructor(
    readonly file: string,
    message: string,
  ) {
    super(`${file}: ${message}`);
  }
}

/** A domain that cannot be built, or is not in the state an operation needs. */
export class DomainError extends Error {
  override readonly name = "DomainError";
  constructor(
    readonly domain: string,
    message: string,
  ) {
    super(`domain ${domain}: ${message}`);
  }
}
