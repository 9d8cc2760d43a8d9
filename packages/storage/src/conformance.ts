/**
 * @gmq/storage/conformance: what every method of `Engine` means, as tests that any engine can run under any test runner. Needs `fast-check` (an optional peer
 * dependency); assertions are node:assert's.
 */
export { defineConformance, type TestRunner } from "./conformance/define-conformance.js";
export type { ConformanceStore, ConformanceTarget } from "./conformance/target.js";
