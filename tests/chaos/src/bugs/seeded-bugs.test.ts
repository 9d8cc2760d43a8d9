/**
 * The checker is proven by bugs made on purpose: each has to be seen as the broken promise that it is, and the same scenario without it has to pass.
 * Four in every run of the tests; all eighteen with GMQ_TEST_BUGS=1 (`make chaos BUGS=1`).
 */
import { describe, expect, test } from "vitest";
import { play } from "./play.ts";
import { type Seeded, seededBugs } from "./seeded-bugs.ts";

const timeoutMs = 300_000;
const always: ReadonlySet<string> = new Set([
  "retry-frees-key",
  "settle-without-epoch",
  "offset-from-clock",
  "retry-with-new-sequence",
]);
const isWhole = process.env["GMQ_TEST_BUGS"] === "1";
const chosen = seededBugs.filter(({ bug }) => isWhole || always.has(bug));

test("there are eighteen, each with a scenario", () => {
  expect(new Set(seededBugs.map(({ bug }) => bug)).size).toBe(18);
  expect(chosen.length).toBe(isWhole ? 18 : 4);
});

describe("a seeded bug is seen", () => {
  test.each(chosen.map((seeded): [string, Seeded] => [seeded.bug, seeded]))(
    "%s",
    async (bug, { scenario, breaks }) => {
      const { violations } = await play(scenario, bug);
      expect(violations.map(({ promise }) => promise)).toContain(breaks);
    },
    timeoutMs,
  );
});

// Without a bug: the scenarios that the chaos runs do not play anyway.
const scenarios = isWhole ? [...new Set(chosen.map(({ scenario }) => scenario))] : [];
describe.runIf(isWhole)("the same without a bug keeps every promise", () => {
  test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))(
    "%s",
    async (_name, scenario) => {
      expect((await play(scenario)).violations).toEqual([]);
    },
    timeoutMs,
  );
});
