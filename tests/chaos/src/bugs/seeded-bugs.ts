import type { SeededBug } from "@gmq/protocol";
import type { Promised } from "../check/violation.ts";
import type { Scenario } from "./scenarios.ts";
import {
  comingAndGoing,
  comingAndGoingShared,
  deafToSignals,
  diesInHandler,
  forLater,
  lostAnswersAndKill,
  lostAnswersToClients,
  outOfMemory,
  partlySettled,
  poison,
  purged,
  rejectedAndKilled,
  scriptFlush,
  shortLives,
  steady,
  zombie,
} from "./scenarios.ts";

/** A bug made on purpose, where it shows, and the promise that it breaks. */
export interface Seeded {
  readonly bug: SeededBug;
  readonly scenario: Scenario;
  readonly breaks: Promised;
}

/** All of them. Each `breaks` one promise at least; a bug may break more. */
export const seededBugs: readonly Seeded[] = [
  { bug: "ack-before-append", scenario: outOfMemory, breaks: "acked-is-kept" },
  { bug: "swallow-oom", scenario: outOfMemory, breaks: "acked-is-kept" },
  { bug: "dedupe-in-second-call", scenario: lostAnswersAndKill, breaks: "stored-once" },
  { bug: "retry-with-new-sequence", scenario: lostAnswersToClients, breaks: "stored-once" },
  { bug: "offset-from-clock", scenario: steady, breaks: "ordered" },
  { bug: "retry-frees-key", scenario: poison, breaks: "ordered" },
  { bug: "settle-without-epoch", scenario: zombie, breaks: "one-owner" },
  { bug: "settle-backwards", scenario: partlySettled, breaks: "delivered" },
  { bug: "claim-without-idle", scenario: comingAndGoing, breaks: "delivered" },
  { bug: "ack-before-handler", scenario: diesInHandler, breaks: "delivered" },
  { bug: "noscript-is-dropped", scenario: scriptFlush, breaks: "delivered" },
  { bug: "no-safety-look", scenario: deafToSignals, breaks: "delivered" },
  { bug: "dead-letter-not-copied", scenario: rejectedAndKilled, breaks: "dead-lettered-once" },
  { bug: "dead-letter-copied-anew", scenario: rejectedAndKilled, breaks: "dead-lettered-once" },
  { bug: "desk-takes-from-the-living", scenario: comingAndGoingShared, breaks: "delivered" },
  { bug: "delay-cut-short", scenario: forLater, breaks: "delayed" },
  { bug: "expiry-ignored", scenario: shortLives, breaks: "expired" },
  { bug: "trim-counts-nothing", scenario: purged, breaks: "retained" },
];
