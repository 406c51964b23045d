/** All recorded integer instructions of flat segments, in translated code. */
import { replayTranslated } from "../../hardware/replay";
import { casesOf } from "./cases";
import { ROWS } from "./rows";

replayTranslated("integer instructions", "tests/hardware/integer.vectors.gz", ROWS, casesOf, 1);
