/** Two domains share a frame by a grant: one decodes code from it, the other stores to it. Records and TLBs belong to a pCPU, and each domain runs on one of
 *  its own, so whoever stores has to tell (SDM Vol.3A "Handling Self- and Cross-Modifying Code": the new code is what runs once the other
 *  processor has executed a serializing instruction; here each run begins like that). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../assembly/abi/exit";
import { FrameOff, P2m, PcpuOff, Region } from "../../assembly/abi/layout";
import { getPage, ownerOf, putPage } from "../../src/machine/frames";
import { pcpuBase } from "../../src/machine/kick";
import { p2mGet, p2mMfn, p2mSet } from "../../src/machine/p2m";
import { EAGER, TestPc } from "../support/test_pc";

const shared = suite("code in memory that two domains share");

/** Where both have the shared frames, and how many. */
const SHARED = 0x500000;
const FRAMES = 300;
const le = (x: number) => [x & 255, (x >> 8) & 255, (x >> 16) & 255, (x >>> 24) & 255];
/** mov eax, x; ret */
const answer = (x: number) => Uint8Array.from([0xb8, ...le(x), 0xc3]);
/** One program for both, so that no record goes because there is another: calls what is at rdi, rcx times, r8 bytes farther each time, and adds up
 *  what that answers in rbx; or, with rsi 1, makes edx the answer there. */
const PROGRAM = Uint8Array.from([
  ...[0x31, 0xdb], // xor ebx, ebx
  ...[0x85, 0xf6], // test esi, esi
  ...[0x75, 0x0c], // jnz stores
  ...[0xff, 0xd7], // calls: call rdi
  ...[0x01, 0xc3], // add ebx, eax
  ...[0x4c, 0x01, 0xc7], // add rdi, r8
  ...[0xff, 0xc9], // dec ecx
  ...[0x75, 0xf5], // jnz calls
  0xf4,
  ...[0x89, 0x57, 0x01], // stores: mov [rdi + 1], edx
  ...[0x4c, 0x01, 0xc7], // add rdi, r8
  ...[0xff, 0xc9], // dec ecx
  ...[0x75, 0xf6], // jnz stores
  ...[0xe6, 0x80], // out 0x80, al
  0xf4,
]);

const mfnOf = (pc: TestPc, gpa: number) => p2mMfn(p2mGet(pc.mem, pc.guest.domain, gpa >>> 12));
const word = (pc: TestPc, off: number) => pc.mem.get32(pcpuBase(pc.core.pcpu) + off);

class Pair {
  private constructor(
    /** Has the frames, and runs what is in them. */
    readonly runs: TestPc,
    readonly stores: TestPc,
  ) {}

  static async create(jit: boolean, pcpus = 2): Promise<Pair> {
    const options = { jit: jit && EAGER };
    let pair: Pair | undefined;
    const runs = await TestPc.create({ ...options, pcpus, ports: () => pair?.onPortOf() ?? 0 });
    const stores = await TestPc.create({ ...options, beside: runs, ports: () => pair?.onPort() ?? 0 });
    pair = new Pair(runs, stores);
    for (let n = 0; n < FRAMES; n++) {
      pair.map(SHARED + (n << 12));
      runs.guest.write(SHARED + (n << 12), answer(1));
    }
    return pair;
  }

  /** Grants the frame at `gpa`. */
  map(gpa: number): void {
    const { mem } = this.runs;
    const mfn = mfnOf(this.runs, gpa);
    const error = p2mSet(mem, this.stores.guest.domain, gpa >>> 12, mfn, P2m.grant_rw);
    if (error || !getPage(mem, mfn, ownerOf(mem, mfn))) throw new Error(`no grant of ${mfn}: ${error}`);
  }
  unmap(gpa: number): void {
    p2mSet(this.runs.mem, this.stores.guest.domain, gpa >>> 12, 0, P2m.none);
    this.stores.core.exports.switchTo(0); // as settle() waits for
    putPage(this.runs.mem, mfnOf(this.runs, gpa));
  }

  /** Called behind the stores of a run, in the middle of its slice. */
  onPort: () => number = () => 0;
  /** The same where the other one writes to a port. */
  onPortOf: () => number = () => 0;
  private started = new Set<TestPc>();

  private run(pc: TestPc, numbers: Record<string, number>): number {
    if (!this.started.has(pc)) pc.run(PROGRAM, 64, { regs: { rdi: BigInt(SHARED - 4096), rcx: 1n, rsi: 1n } });
    this.started.add(pc);
    const regs = Object.fromEntries(Object.entries({ rsi: 0, ...numbers }).map(([name, value]) => [name, BigInt(value)]));
    const out = pc.again(regs);
    assert.is(out.exit, Exit.hlt);
    return Number(out.regs.rbx);
  }
  /** The sum of the answers. */
  call(pc: TestPc, at = SHARED, times = 1, step = 0): number { return this.run(pc, { rdi: at, rcx: times, r8: step }); }
  store(pc: TestPc, x: number, at = SHARED, times = 1, step = 0): void { this.run(pc, { rsi: 1, rdx: x, rdi: at, rcx: times, r8: step }); }
}

for (const jit of [false, true]) {
  const test = (name: string, body: (pair: Pair) => void) => shared(`${name}${jit ? ", translated" : ""}`, async () => body(await Pair.create(jit)));

  test("a store to what another pCPU has decoded", (pair) => {
    const { runs, stores } = pair;
    assert.is(pair.call(runs, SHARED, 50), 50);
    for (let x = 2; x < 9; x++) {
      pair.store(stores, x);
      assert.is(pair.call(runs, SHARED, 50), x * 50);
    }
  });

  test("stores in line from before there was code", (pair) => {
    const { runs, stores } = pair;
    for (let x = 3; x < 6; x++) {
      pair.store(stores, x, SHARED, 50); // has a writable translation from the first time on
      assert.is(pair.call(runs), x);
    }
  });

  test("a store in line behind the first code, before the message is read", (pair) => {
    const { runs, stores } = pair;
    pair.store(stores, 3);
    assert.is(pair.call(runs), 3);
    const count = pcpuBase(1) + PcpuOff.evictCount, sent = runs.mem.get32(count);
    assert.is(sent, 1);
    runs.mem.set32(count, 0); // has not arrived yet
    pair.store(stores, 4);
    runs.mem.set32(count, sent);
    pair.store(stores, 5, SHARED + 4096);
    assert.is(pair.call(runs), 4);
  });

  test("both have stored to it in line before there was code", (pair) => {
    const { runs, stores } = pair;
    pair.store(runs, 2);
    pair.store(stores, 3);
    runs.core.exports.switchTo(0); // empties its TLB: the next store is noted again
    pair.store(runs, 4);
    assert.is(pair.call(runs), 4);
    pair.store(stores, 5);
    assert.is(pair.call(runs), 5);
  });

  test("the other way about: who is granted the frame runs it, its owner stores", (pair) => {
    const { runs, stores } = pair;
    for (let x = 3; x < 6; x++) {
      pair.store(runs, x, SHARED, 200); // by a run, if translated
      assert.is(pair.call(stores, SHARED, 50), 50 * x);
    }
  });

  test("more frames than the messages have room for", (pair) => {
    const { runs, stores } = pair;
    for (let x = 2; x < 6; x++) {
      pair.store(stores, x, SHARED, FRAMES, 4096);
      assert.is(pair.call(runs, SHARED, FRAMES, 4096), x * FRAMES, `stored ${x}`);
    }
  });

  test("the same, before any of the messages is read", (pair) => {
    const { runs, stores } = pair;
    pair.store(stores, 3, SHARED, FRAMES, 4096);
    pair.call(runs, SHARED, FRAMES, 4096);
    const count = pcpuBase(1) + PcpuOff.evictCount, sent = runs.mem.get32(count);
    assert.is(sent, PcpuOff.EVICT_MAX + 1);
    runs.mem.set32(count, 0);
    pair.store(stores, 4, SHARED, FRAMES, 4096);
    runs.mem.set32(count, sent);
    pair.store(stores, 5, SHARED - 4096);
    assert.is(pair.call(runs, SHARED, FRAMES, 4096), 4 * FRAMES);
  });

  test("both run it, and both store to it", (pair) => {
    const { runs, stores } = pair;
    for (let x = 2; x < 6; x++) {
      pair.store(stores, x);
      assert.is(pair.call(runs, SHARED, 50), 50 * x);
      assert.is(pair.call(stores, SHARED, 50), 50 * x);
      pair.store(runs, x + 100);
      assert.is(pair.call(stores, SHARED, 50), 50 * (x + 100));
      assert.is(pair.call(runs, SHARED, 50), 50 * (x + 100));
    }
  });

  test("an immediate that is rewritten again and again by who runs it, too", (pair) => {
    const { runs, stores } = pair;
    for (let x = 2; x < 6; x++) {
      assert.is(pair.call(stores), x === 2 ? 1 : x + 98);
      for (let n = 0; n < 50; n++) {
        pair.store(runs, n);
        assert.is(pair.call(runs), n);
      }
      assert.is(pair.call(stores), 49);
      pair.store(runs, x + 99);
      assert.is(pair.call(stores), x + 99);
    }
  });

  test("what is stored to is told before the store, and behind it", (pair) => {
    const { runs, stores } = pair;
    pair.call(runs);
    const at = pcpuBase(0) + PcpuOff.dropCount;
    pair.store(stores, 2);
    assert.is(runs.mem.get32(at), 1);
    runs.mem.set32(at, 0);
    // what the other pCPU would do in the middle of the slice
    pair.onPort = () => {
      assert.is(runs.mem.get32(at), 1);
      runs.mem.set32(at, 0);
      return 0;
    };
    pair.store(stores, 3);
    assert.is(runs.mem.get32(at), 1);
    assert.is(pair.call(runs), 3);
  });

  test("a store while the other has the frame no more, who gets it again", (pair) => {
    const { runs, stores } = pair;
    for (let x = 2; x < 5; x++) {
      assert.is(pair.call(stores, SHARED, 50), 50 * (x === 2 ? 1 : x - 1));
      pair.unmap(SHARED);
      pair.store(runs, x);
      pair.map(SHARED);
      assert.is(pair.call(stores, SHARED, 50), 50 * x);
    }
  });

  test("a store beside code that is code by the end of the slice", (pair) => {
    const { runs, stores } = pair;
    pair.call(runs);
    pair.store(stores, 1, SHARED - 4096);
    pair.onPort = () => {
      // decoded from what was there before the store: as if the other had been faster to read it than to say so
      runs.guest.write(SHARED + 1024, answer(1));
      assert.is(pair.call(runs, SHARED + 1024), 1);
      stores.mem.view.setUint32(mfnOf(runs, SHARED) * 4096 + 1025, 9, true);
      return 0;
    };
    pair.store(stores, 9, SHARED + 1024);
    pair.onPort = () => 0;
    assert.is(pair.call(runs, SHARED + 1024), 9);
  });

  test("a serializing instruction lets new code be seen within a slice", (pair) => {
    const { runs, stores } = pair;
    pair.call(runs);
    pair.store(stores, 1, SHARED - 4096);
    pair.onPortOf = () => {
      pair.store(stores, 7);
      return 0;
    };
    // mov ebx, 0x500000; call rbx; out 0x80, al; xor eax, eax; cpuid; mov ebx, 0x500000; call rbx; mov ebx, eax; hlt
    const program = [0xbb, ...le(SHARED), 0xff, 0xd3, 0xe6, 0x80, 0x31, 0xc0, 0x0f, 0xa2, 0xbb, ...le(SHARED), 0xff, 0xd3, 0x89, 0xc3, 0xf4];
    assert.is(runs.run(Uint8Array.from(program), 64).regs.rbx, 7n);
  });

  test("messages end: nobody tells of what the other knows", (pair) => {
    const { runs, stores } = pair;
    pair.store(stores, 3);
    for (let n = 0; n < 4; n++) {
      assert.is(pair.call(runs), 3);
      pair.store(stores, 0, SHARED + 64); // beside it: the same 128 bytes
    }
    pair.call(runs);
    for (const pc of [runs, stores]) for (const off of [PcpuOff.evictCount, PcpuOff.dropCount, PcpuOff.owedCount]) assert.is(word(pc, off), 0);
    assert.is(runs.mem.get32(Region.FRAME_TABLE + mfnOf(runs, SHARED) * FrameOff.SIZE + FrameOff.decoders), 1);
  });
}

shared("of more stores in a slice than there is room for the last ones are told again behind it", async () => {
  const pair = await Pair.create(false);
  const { runs, stores } = pair;
  const at = pcpuBase(0) + PcpuOff.dropCount;
  const count = PcpuOff.OWED_MAX + 6;
  pair.store(stores, 1, SHARED - 4096);
  pair.call(runs, SHARED, count, 4096);
  pair.onPort = () => {
    assert.is(runs.mem.get32(at), count);
    runs.mem.set32(at, 0);
    return 0;
  };
  pair.store(stores, 2, SHARED, count, 4096);
  assert.is(runs.mem.get32(at), PcpuOff.OWED_MAX);
});

shared("frames of one's own are nobody else's business", async () => {
  const pair = await Pair.create(false);
  const { runs, stores } = pair;
  const own = 0x300000;
  runs.guest.write(own, answer(1));
  for (let x = 2; x < 5; x++) {
    pair.store(runs, x, own);
    assert.is(pair.call(runs, own), x);
  }
  for (const pc of [runs, stores]) for (const off of [PcpuOff.evictCount, PcpuOff.dropCount, PcpuOff.owedCount, PcpuOff.inDoubt]) assert.is(word(pc, off), 0);
});

shared.run();
