/** v86 (npm package `v86`): its own multiboot loader without a BIOS, 32-bit programs, in this process. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Image } from "../build_programs";
import { COUNT_PORT, type Engine, type Loaded, RESULT_PORT, type Sample, stopwatch, within } from "./engine";

declare const XENOLITH_ROOT: string;

/** What is used of it and not in its declarations. */
interface Internals {
  v86: {
    cpu: {
      io: {
        register_read(port: number, device: object, r8?: () => number, r16?: () => number, r32?: () => number): void;
        register_write(port: number, device: object, w8?: (v: number) => void, w16?: (v: number) => void, w32?: (v: number) => void): void;
      };
    };
  };
  add_listener(event: string, listener: () => void): void;
  run(): void;
  stop(): Promise<void>;
  destroy(): Promise<void>;
}

const require = createRequire(join(XENOLITH_ROOT, "package.json"));

export const v86Engine: Engine = {
  name: "v86",
  runs: (_program, bits) => bits === 32,
  missing() {
    try {
      require.resolve("v86");
      return null;
    } catch {
      return "the package v86 is not installed";
    }
  },
  load: (image) => within(20_000, "v86", load(image)),
};

async function load(image: Image): Promise<Loaded> {
  const { V86 } = (await import("v86")) as unknown as { V86: new (options: object) => Internals };
  const file = readFileSync(image.kernel);
  const emulator = new V86({
    wasm_path: join(dirname(require.resolve("v86")), "v86.wasm"),
    memory_size: 64 << 20,
    vga_memory_size: 1 << 20,
    multiboot: { buffer: file.buffer.slice(file.byteOffset, file.byteOffset + file.length) },
    autostart: false,
    disable_speaker: true,
  });
  await new Promise<void>((resolve) => emulator.add_listener("emulator-ready", resolve));

  let count = 0;
  let watch = stopwatch();
  let answer: (sample: Sample) => void = () => {};
  const { io } = emulator.v86.cpu;
  const none = () => 0;
  io.register_read(COUNT_PORT, {}, none, none, () => {
    const given = count;
    count = 0;
    watch = stopwatch();
    return given;
  });
  const ignore = () => {};
  io.register_write(RESULT_PORT, {}, ignore, ignore, (value) => answer({ checksum: value >>> 0, ...watch.end() }));
  return {
    async run(rounds, deadlineMs) {
      const result = new Promise<Sample>((resolve) => {
        answer = resolve;
        count = rounds;
      });
      emulator.run();
      const sample = await within(deadlineMs, "v86", result);
      await emulator.stop();
      return sample;
    },
    close: () => emulator.destroy(),
  };
}
