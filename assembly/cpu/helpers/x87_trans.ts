import { zero } from "./x87_soft80";
export function exp2m1(se: u32, sig: u64): u64 { return zero(0); }
export function sine(se: u32, sig: u64): u64 { return zero(0); }
export function cosine(se: u32, sig: u64): u64 { return zero(0); }
export function tangent(se: u32, sig: u64): u64 { return zero(0); }
export function sineAndCosine(se: u32, sig: u64): u64 { return zero(0); }
export function logarithm(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 { return zero(0); }
export function logarithm1p(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 { return zero(0); }
export function arctangent(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 { return zero(0); }
