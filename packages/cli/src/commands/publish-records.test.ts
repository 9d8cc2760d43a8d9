import { GmqError } from "@gmq/protocol";
import { describe, expect, it } from "vitest";
import type { InputRecord } from "../input/record-source.js";
import { publishRecords, type RecordOutcome } from "./publish-records.js";

async function* source(...values: string[]): AsyncGenerator<InputRecord[]> {
  for (const [index, value] of values.entries()) {
    yield value === "malformed"
      ? [{ line: index + 1, ok: false, error: new GmqError("invalid_argument", "not JSON") }]
      : [{ line: index + 1, ok: true, key: undefined, value }];
  }
}

async function publish(values: string[], onError: "stop" | "skip", inFlightMax?: number) {
  const sent: string[] = [];
  const outcomes: RecordOutcome[] = [];
  let inFlight = 0;
  let inFlightSeen = 0;
  const tally = await publishRecords({
    source: source(...values),
    onError,
    inFlightMax,
    async send({ value }) {
      sent.push(value as string);
      inFlight += 1;
      inFlightSeen = Math.max(inFlightSeen, inFlight);
      await new Promise((resolve) => setTimeout(resolve, 1));
      inFlight -= 1;
      if (value === "refused") throw new GmqError("store_full", "full");
      return { partition: 0, offset: BigInt(sent.length), duplicate: false };
    },
    report: (outcome) => void outcomes.push(outcome),
  });
  return { tally, sent, outcomes, inFlightSeen };
}

describe("publishRecords", () => {
  it("sends ahead of the answers, within its bound, in order", async () => {
    const values = Array.from({ length: 50 }, (_, index) => `v${index}`);
    const { tally, sent, inFlightSeen } = await publish(values, "stop", 8);
    expect(tally).toEqual({ stored: 50, failed: 0, stopped: false });
    expect(sent).toEqual(values);
    expect(inFlightSeen).toBe(8);
  });

  it("stops at the first bad line, counting what was sent before", async () => {
    const { tally, sent, outcomes } = await publish(["a", "malformed", "b"], "stop");
    expect(tally).toEqual({ stored: 1, failed: 1, stopped: true });
    expect(sent).toEqual(["a"]);
    expect(outcomes.find(({ ok }) => !ok)).toMatchObject({ line: 2, error: { code: "invalid_argument" } });
  });

  it("goes on over bad lines and refusals when told to", async () => {
    const { tally } = await publish(["a", "malformed", "refused", "b"], "skip");
    expect(tally).toEqual({ stored: 2, failed: 2, stopped: false });
  });

  it("waits for what is in flight and throws when its report fails", async () => {
    let answered = 0;
    const run = publishRecords({
      source: source("a", "b"),
      onError: "skip",
      send: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        answered += 1;
        return { partition: 0, offset: 0n, duplicate: false };
      },
      report: () => Promise.reject(new GmqError("closed", "the reader of the output has gone")),
    });
    await expect(run).rejects.toMatchObject({ code: "closed" });
    expect(answered).toBe(2);
  });
});
