/** tests/guests/userland.test.ts with more work, and by 32-bit programs. */
import { suite } from "uvu";
import { userland } from "../support/userland";

const test = suite("userland, at length");
const load = { megabytes: 64, processes: 2000, seconds: 1200 };
const amd64 = await userland("debian", load);
(amd64 ? test : test.skip)("64-bit programs print what they print on the host", amd64 ?? (() => {}));
const i386 = await userland("debian-i386", load);
(i386 ? test : test.skip)("32-bit programs print what they print on the host", i386 ?? (() => {}));
test.run();
