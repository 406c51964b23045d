/** Errors of the toolstack. Each message is one sentence that names what is at fault: the configuration key, the image
 *  file or the domain. Hypercalls never throw these; they return -XEN_E... (Xenstore has an error of its own, xenstore_error.ts.) */

/** Messages quote what they are about, which may be long or meant for the terminal that shows it. */
const LONGEST = 300;
const readable = (text: string) =>
  (text.length > LONGEST ? `${text.slice(0, LONGEST / 2)}...${text.slice(-LONGEST / 2)}` : text).replace(/\p{Cc}/gu, "?");

/** A configuration key with a value that cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(
    readonly key: string,
    message: string,
    /** Line of the configuration text, 1 for the first; undefined for values given otherwise. */
    readonly line?: number,
  ) {
    super(readable(`${line === undefined ? "" : `line ${line}: `}${key ? `${key}: ` : ""}${message}`));
  }
}

/** A kernel, ramdisk or other image that is malformed or of a kind that cannot be started. */
export class ImageError extends Error {
  override readonly name = "ImageError";
  constructor(
    readonly file: string,
    message: string,
  ) {
    super(readable(`${file}: ${message}`));
  }
}

/** A domain that cannot be built, or is not in the state an operation needs. */
export class DomainError extends Error {
  override readonly name = "DomainError";
  constructor(
    readonly domain: string,
    message: string,
  ) {
    super(readable(`domain ${domain}: ${message}`));
  }
}
