/** Xenstore wire protocol: numbers and layouts of public/io/xs_wire.h, and its message header. */

export const enum XsType {
  XS_CONTROL = 0,
  XS_DIRECTORY = 1,
  XS_READ = 2,
  XS_GET_PERMS = 3,
  XS_WATCH = 4,
  XS_UNWATCH = 5,
  XS_TRANSACTION_START = 6,
  XS_TRANSACTION_END = 7,
  XS_INTRODUCE = 8,
  XS_RELEASE = 9,
  XS_GET_DOMAIN_PATH = 10,
  XS_WRITE = 11,
  XS_MKDIR = 12,
  XS_RM = 13,
  XS_SET_PERMS = 14,
  XS_WATCH_EVENT = 15,
  XS_ERROR = 16,
  XS_IS_DOMAIN_INTRODUCED = 17,
  XS_RESUME = 18,
  XS_SET_TARGET = 19,
  // 20 was XS_RESTRICT
  XS_RESET_WATCHES = 21,
  XS_DIRECTORY_PART = 22,
}

/** Error names as they travel in XS_ERROR replies (xsd_errors[]), in the header's order. */
export const XSD_ERRORS = [
  "EINVAL",
  "EACCES",
  "EEXIST",
  "EISDIR",
  "ENOENT",
  "ENOMEM",
  "ENOSPC",
  "EIO",
  "ENOTEMPTY",
  "ENOSYS",
  "EROFS",
  "EBUSY",
  "EAGAIN",
  "EISCONN",
  "E2BIG",
  "EPERM",
] as const;

export type XsdError = (typeof XSD_ERRORS)[number];

export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;
export const XENSTORE_RING_SIZE = 1024;

/** Offsets in struct xenstore_domain_interface. */
export const enum XenstoreOff {
  req = 0, // char[1024], requests to the store
  rsp = 1024, // char[1024], replies and watch events
  req_cons = 2048, // u32
  req_prod = 2052, // u32
  rsp_cons = 2056, // u32
  rsp_prod = 2060, // u32
  server_features = 2064, // u32
  connection = 2068, // u32
  error = 2072, // u32
}

export const enum ServerFeature {
  RECONNECTION = 1,
  ERROR = 2,
}

export const enum ConnectionState {
  CONNECTED = 0,
  RECONNECT = 1,
}

export const enum ConnectionError {
  NONE = 0,
  COMM = 1,
  RINGIDX = 2,
  PROTO = 3,
}

/** struct xsd_sockmsg. */
export interface XsHeader {
  readonly type: number;
  readonly reqId: number;
  readonly txId: number;
  readonly length: number;
}

export const XS_HEADER_SIZE = 16;

export function decodeHeader(bytes: Uint8Array): XsHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, XS_HEADER_SIZE);
  return {
    type: view.getUint32(0, true),
    reqId: view.getUint32(4, true),
    txId: view.getUint32(8, true),
    length: view.getUint32(12, true),
  };
}

export function encodeMessage(type: number, reqId: number, txId: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(XS_HEADER_SIZE + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, reqId, true);
  view.setUint32(8, txId, true);
  view.setUint32(12, payload.length, true);
  bytes.set(payload, XS_HEADER_SIZE);
  return bytes;
}

/** Paths, tokens and names are bytes to the protocol. Latin-1 maps each to one code unit and back. */
export function fromBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < text.length; n++) bytes[n] = text.charCodeAt(n);
  return bytes;
}
