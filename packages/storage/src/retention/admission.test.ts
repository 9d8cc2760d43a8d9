/** What is told of a store that is full though nobody knows its bound: a disk, or a Redis that does not tell. */
import { GmqError } from "@gmq/protocol";
import { expect, it } from "vitest";
import { batchOf } from "../conformance/batches.js";
import type { AppendOutcome } from "../engine.js";
import { type Budgets, withBudgets } from "./admission.js";

const request = { topic: "t", partition: 0, batches: [batchOf(["v"])] };
const stored: AppendOutcome = { ok: true, firstOffset: 0n, duplicate: false, appendTimeMs: 1 };
const refusedAs = (code: "store_full" | "store_unavailable"): AppendOutcome => ({
  ok: false,
  error: new GmqError(code, "no"),
});

/** An append without any budget, and what it told. */
function unbounded(outcomes: AppendOutcome[]) {
  const told: string[] = [];
  let awaitsRoom = false;
  const budgets: Budgets = {
    any: false,
    store: undefined,
    ofTopic: () => undefined,
    noted: () => undefined,
    storeRefused() {
      told.push("refused");
      awaitsRoom = true;
    },
    get awaitsRoom() {
      return awaitsRoom;
    },
    storeTook() {
      told.push("took");
      awaitsRoom = false;
    },
  };
  return { told, append: withBudgets(async () => [[outcomes.shift() as AppendOutcome]], budgets) };
}

it("is told of a refusal, and of the first append that is stored after it", async () => {
  const { told, append } = unbounded([stored, refusedAs("store_unavailable"), refusedAs("store_full"), stored, stored]);
  const answers = [];
  for (let count = 0; count < 5; count++) answers.push((await append([request]))[0]?.[0]?.ok);
  expect(answers).toEqual([true, false, false, true, true]);
  expect(told).toEqual(["refused", "took"]);
});
