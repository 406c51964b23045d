/** Programs compute in a guest what they compute on the host: tests/guests/userland.sh by one busybox in both places. */
import { suite } from "uvu";
import { userland } from "../support/userland";

const test = suite("userland");
const amd64 = await userland("debian", { megabytes: 16, processes: 500, seconds: 240 });
(amd64 ? test : test.skip)("64-bit programs print what they print on the host", amd64 ?? (() => {}));
test.run();
