/** Images on their way into a domain: read and unpacked for it alone, tens of MiB that are of no use once they are in its memory. A garbage
 *  collector would keep them for long, since afterwards little happens on this thread that would make it run; what is transferred to
 *  nobody goes at once. */
import type { ImageFrames } from "./image_frames";

export class Scratch {
  private readonly buffers = new Set<ArrayBuffer>();
  private readonly frames: ImageFrames[] = [];

  /** The whole buffer that `bytes` are of. */
  add(bytes: Uint8Array): void {
    if (bytes.buffer instanceof ArrayBuffer) this.buffers.add(bytes.buffer);
  }

  /** Frames of the machine that an image is in, as far as the domain has not got them. */
  hold(frames: ImageFrames): void {
    this.frames.push(frames);
  }

  release(): void {
    for (const frames of this.frames.splice(0)) frames.release();
    const { port1, port2 } = new MessageChannel();
    for (const buffer of this.buffers) {
      try {
        port1.postMessage(null, [buffer]);
      } catch {
        // small files may share a buffer that belongs to the host
      }
    }
    this.buffers.clear();
    port1.close();
    port2.close();
  }
}
