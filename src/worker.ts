/** Module of the pCPU threads. */
import { makePcpu } from "./domains/pcpu";
import { serve } from "./machine/vcpu_worker";

void serve(makePcpu);
