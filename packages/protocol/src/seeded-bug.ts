/** A bug made on purpose, by which tests/chaos proves that its checker sees such bugs. */
export type SeededBug =
  | "ack-before-append"
  | "dedupe-in-second-call"
  | "settle-without-epoch"
  | "settle-backwards"
  | "claim-without-idle"
  | "ack-before-handler"
  | "swallow-oom"
  | "noscript-is-dropped"
  | "no-safety-look"
  | "retry-with-new-sequence"
  | "offset-from-clock"
  | "retry-frees-key"
  | "dead-letter-not-copied"
  | "dead-letter-copied-anew"
  | "desk-takes-from-the-living"
  | "delay-cut-short"
  | "expiry-ignored"
  | "trim-counts-nothing";

const environment: Readonly<Record<string, string | undefined>> = globalThis.process?.env ?? {};
// Two switches that no deployment sets together; services refuse to start with the second one alone.
const seeded = environment["NODE_ENV"] === "test" ? environment["GMQ_SEEDED_BUG"] : undefined;

/** True when the process was started with this bug (`NODE_ENV=test GMQ_SEEDED_BUG=<name>`). Ask once, when a module is loaded. */
export function hasSeededBug(name: SeededBug): boolean {
  return seeded === name;
}
