/** What the processor ignores, reads as zero or refuses by choice and no opcode shows: the second half of docs/isa.md. */

type Rows = readonly (readonly [what: string, behaviour: string, reason: string])[];

/** Prefixes and hints without effect. */
export const IGNORED: Rows = [
  ["0F 18 to 0F 1F, any ModRM", "NOP of any length; the memory operand is not touched and cannot fault", "hints (PREFETCHh, PREFETCHIT, CLDEMOTE, ENDBR32, ENDBR64, RDSSP, BNDxxx) and reserved NOPs: nothing is cached, and CET and MPX are not there"],
  ["0F 0D with memory", "NOP", "PREFETCH, PREFETCHW, PREFETCHWT1: nothing is cached"],
  ["CLFLUSH, CLFLUSHOPT, CLWB", "checks its operand as a load of one byte, then does nothing", "there is one copy of memory"],
  ["INVD, WBINVD, WBNOINVD", "privilege is checked, then nothing", "there is one copy of memory; INVD loses no data"],
  ["LFENCE, MFENCE, SFENCE", "nothing", "instructions are performed in order, one after the other"],
  ["PAUSE", "NOP", "the scheduler's turn ends by itself"],
  ["F2, F3 before instructions that can lock (XACQUIRE, XRELEASE)", "ignored", "HLE is not reported"],
  ["2E, 3E before Jcc (branch hints), 3E before indirect branches (NOTRACK)", "ignored", "nothing is predicted, IBT is not there"],
  ["F2 before CALL, RET, JMP, Jcc (BND)", "ignored", "MPX is not there"],
  ["F2, F3 before instructions that do not use them", "ignored, as on hardware", "the manual reserves them; in the maps 0F 38 and 0F 3A and before RDRAND and RDSEED they select another, absent instruction: #UD"],
  ["66 before near branches in 64-bit mode", "ignored", "as on Intel's processors; AMD's truncate the target to 16 bits, which no compiler uses"],
  ["26, 2E, 36, 3E in 64-bit mode", "ignored", "the manual"],
  ["CR0.CD, CR0.NW, PAT, MTRRs, PWT, PCD", "stored and checked, no effect", "there is one copy of memory"],
  ["CR4.MCE, MCG_STATUS", "stored, no effect", "no machine checks are raised: MCG_CAP reports no banks"],
  ["CR3 bit 63 under CR4.PCIDE", "translations of all PCIDs are forgotten nevertheless", "TLB entries carry no address-space number: it would be one more load in every access to memory, while a change of CR3 forgets no more than was filled since the last"],
  ["CR4.PGE, G in page tables", "global entries are flushed with the others", "keeping them would gain nothing: a flush is a change of stamp"],
];

/** CPUID features without instructions of their own. */
export const UNREPORTED: Rows = [
  ["PSN (1.EDX 18)", "leaf 3 is zero", "a number that names the machine"],
  ["DS, DTES64, DS-CPL (1.EDX 21, 1.ECX 2, 4)", "the debug store does not exist", "nothing is sampled"],
  ["ACPI thermal control, TM, TM2, EIST (1.EDX 22, 29; 1.ECX 8, 7)", "no thermal or frequency MSRs", "the host regulates its processor"],
  ["SS (1.EDX 27)", "not reported", "there is one copy of memory"],
  ["PDCM, performance counters (1.ECX 15, leaf 0Ah)", "RDPMC and AMD's eight counter MSRs read 0", "a count of an interpreter's instructions would mislead; Xen hides them too"],
  ["LA57, PKU, PKS, CET (7.0)", "the bits of CR4 are reserved", "not implemented"],
  ["Nested paging, SVM (80000001.ECX 2)", "VM_CR says that SVM is disabled", "no nested virtualization yet"],
  ["Alternative MOV to CR8 (80000001.ECX 4)", "LOCK MOV CR0 is #UD", "64-bit code has CR8"],
  ["IBRS, IBPB, STIBP, SSBD (80000008.EBX 12, 14, 15, 24)", "SPEC_CTRL and PRED_CMD are #GP", "nothing here speculates: AutoIBRS, SSB_NO and the like say so"],
  ["OSVW, IBS, TOPOEXT, data breakpoint extension (80000001.ECX 9, 10, 22, 26)", "the MSRs are #GP", "nothing to report"],
  ["FFXSR (80000001.EDX 25; EFER.FFXSR is reserved)", "FXSAVE always saves XMM registers", "the saving would be small"],
];

/** MSRs: everything that is neither here nor among the ordinary ones is #GP(0), and a notice in the log. */
export const MSRS: Rows = [
  ["10, 1B, 3B, 174 to 176, 1A0, 1D9, 200 to 20F, 250, 258, 259, 268 to 26F, 277, 2FF, 6E0, 800 to 83F (x2APIC), C0000080 to C0000084, C0000100 to C0000103", "as architecture defines them", ""],
  ["17, 179", "read 0; writing is #GP", "no platform id, no machine-check banks"],
  ["FE", "reads 508h; writing is #GP", "eight variable MTRRs, fixed ones, write combining"],
  ["79, C0010020", "writing does nothing; reading is #GP", "microcode updates: there is nothing to patch"],
  ["8B", "reads the level of a current microcode; writing does nothing", "kernels ask for it"],
  ["17A, C0010015, C0011020, C0011029", "stored, no effect", "machine-check status, HWCR, LS_CFG, DE_CFG: kernels set bits and read them back"],
  ["1DB to 1DE", "read 0, writing does nothing", "branch records: debuggers read them, nothing is recorded"],
  ["C0010000 to C0010007", "read 0, writing does nothing", "performance counters: as under Xen"],
  ["C0010010, C0010016 to C001001D, C001001F, C0010044 to C001004A, C0010055, C0010061 to C001006B, C0010111, C0010113, C0011021 to C0011023, C001102A", "read 0, writing does nothing", "AMD's configuration registers kernels touch unasked"],
  ["C0010114", "reads 10h; writing is #GP", "VM_CR: SVM is disabled"],
  ["40000000", "Xen's hypercall page", "public/arch-x86/cpuid.h"],
];
