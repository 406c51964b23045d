import { gzipSync } from "node:zlib";

/** A bzImage whose gzip payload ends with the size, as all do. */
export function bzImage(elf: Uint8Array): Uint8Array {
  const payload = gzipSync(elf);
  const image = new Uint8Array(1024 + payload.length);
  const view = new DataView(image.buffer);
  image[0x1f1] = 1;
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x20f, true);
  view.setUint32(0x24c, payload.length, true);
  image.set(payload, 1024);
  return image;
}
