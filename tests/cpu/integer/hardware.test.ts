/** Every general-purpose and string instruction does what a processor did: registers, flags the manual defines, memory, and
 *  faults with error code and CR2, in 64-bit, 32-bit and 16-bit code with flat and odd segments (tests/hardware/native.c). */
import { replay } from "../../hardware/replay";
import { casesOf, exists } from "./cases";
import { ROWS } from "./rows";

replay("integer instructions", "tests/hardware/integer.vectors.gz", ROWS, casesOf, exists);
