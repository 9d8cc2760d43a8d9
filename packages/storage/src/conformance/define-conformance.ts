import { appendCases } from "./append.js";
import { appendRefusalCases } from "./append-refusals.js";
import { assignmentCases } from "./assignment.js";
import { claimCases } from "./claim.js";
import { claimPagesCases } from "./claim-pages.js";
import { closeCases } from "./close.js";
import { type ConformanceContext, createContext } from "./context.js";
import { deadLetterCases } from "./dead-letters.js";
import { delayedAppendCases } from "./delayed-append.js";
import { deletionCases } from "./deletion.js";
import { fetchCases } from "./fetch.js";
import { followCases } from "./follow.js";
import { idempotenceCases } from "./idempotence.js";
import { membershipCases } from "./membership.js";
import { offsetsCases } from "./offsets.js";
import { pendingPagesCases } from "./pending-pages.js";
import { placesCases } from "./places.js";
import { readCases } from "./read.js";
import { reopenCases } from "./reopen.js";
import { settleCases } from "./settle.js";
import { settleModelCases } from "./settle-model.js";
import { sharedCases } from "./shared.js";
import { signalsCases } from "./signals.js";
import { startCases } from "./start-positions.js";
import { statusCases } from "./status.js";
import type { ConformanceSubject } from "./subject.js";
import type { ConformanceTarget } from "./target.js";
import { topicsCases } from "./topics.js";

/** The functions of a test runner (vitest, node:test) that the suite needs. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  /** `timeoutMs`: what the slowest case may take on a busy machine. */
  it(name: string, body: () => Promise<void>, timeoutMs: number): unknown;
  beforeAll(body: () => Promise<void>): unknown;
  afterAll(body: () => Promise<void>): unknown;
}

const subjects: readonly ConformanceSubject[] = [
  topicsCases,
  appendCases,
  appendRefusalCases,
  idempotenceCases,
  delayedAppendCases,
  readCases,
  membershipCases,
  assignmentCases,
  startCases,
  claimCases,
  claimPagesCases,
  fetchCases,
  followCases,
  settleCases,
  settleModelCases,
  sharedCases,
  deadLetterCases,
  offsetsCases,
  placesCases,
  pendingPagesCases,
  deletionCases,
  signalsCases,
  statusCases,
  reopenCases,
  closeCases,
];

const caseTimeoutMs = 60_000;

/** Defines the whole suite for one engine. Cases share one store and are run one after another; each uses topics and groups of its own. */
export function defineConformance(target: ConformanceTarget, { describe, it, beforeAll, afterAll }: TestRunner): void {
  describe(`engine conformance: ${target.name}`, () => {
    let context: ConformanceContext | undefined;
    beforeAll(async () => {
      context = await createContext(target);
    });
    afterAll(async () => {
      await context?.dispose();
    });
    for (const { name, cases } of subjects) {
      describe(name, () => {
        for (const [title, run] of Object.entries(cases)) {
          it(
            title,
            async () => {
              if (context === undefined) throw new Error("the store could not be made");
              await run(context);
            },
            caseTimeoutMs,
          );
        }
      });
    }
  });
}
