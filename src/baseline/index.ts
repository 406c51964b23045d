export { BaselineMachine, type BaselineOptions, type BaselineReason, type BaselineRun, type PortSize } from "./machine";
export type { Registers as BaselineRegisters, SegmentName, SegmentValue } from "./registers";
