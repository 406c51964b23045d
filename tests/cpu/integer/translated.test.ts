/** A part of what hardware.test.ts replays, in translated code; all of it: translated.long.ts. */
import { replayTranslated } from "../../hardware/replay";
import { casesOf } from "./cases";
import { ROWS } from "./rows";

replayTranslated("integer instructions", "tests/hardware/integer.vectors.gz", ROWS, casesOf, 16);
