import { GmqError } from "@gmq/protocol";
import type { PartitionSettle, SettleOutcome, SettleRange } from "@gmq/storage";
import { describe, expect, it } from "vitest";
import { resend } from "./resend.js";

const range = (offset: number, verb: SettleRange["verb"]): SettleRange => ({
  firstOffset: BigInt(offset),
  lastOffset: BigInt(offset),
  verb,
});

const settlement: PartitionSettle = {
  ownership: { group: "g", topic: "t", partition: 0, memberId: "m", epoch: 1 },
  entries: [
    { baseOffset: 0n, recordCount: 3, ranges: [range(0, "ack"), range(1, "retry"), range(2, "reject")] },
    { baseOffset: 3n, recordCount: 1, ranges: [range(3, "release")] },
  ],
};

const down = new GmqError("store_unavailable", "the link was lost");
const failed: SettleOutcome = { ok: false, error: down };
const done: SettleOutcome = { ok: true, refusals: [] };

/** Answers in turn, the last one for ever; keeps what was sent. */
function store(...answers: readonly SettleOutcome[]) {
  const sent: PartitionSettle[] = [];
  const send = async (request: PartitionSettle): Promise<SettleOutcome> => {
    sent.push(request);
    return answers[Math.min(sent.length, answers.length) - 1] as SettleOutcome;
  };
  return { sent, send };
}

describe("resend", () => {
  it("sends once when the store answers", async () => {
    const { sent, send } = store(done);
    expect(await resend(settlement, send, () => false)).toEqual(done);
    expect(sent).toEqual([settlement]);
  });

  it("sends again until it is answered, retries as releases", async () => {
    const { sent, send } = store(failed, failed, done);
    expect(await resend(settlement, send, () => false)).toEqual(done);
    expect(sent.map(({ entries }) => entries.flatMap(({ ranges }) => ranges.map(({ verb }) => verb)))).toEqual([
      ["ack", "retry", "reject", "release"],
      ["ack", "release", "reject", "release"],
      ["ack", "release", "reject", "release"],
    ]);
  });

  it("takes a call that rejects for one that failed", async () => {
    let calls = 0;
    const outcome = await resend(
      settlement,
      async () => {
        if (++calls === 1) throw new GmqError("unavailable", "cut");
        return done;
      },
      () => false,
    );
    expect(outcome.ok).toBe(true);
    expect(calls).toBe(2);
  });

  it("does not send again what is refused for good, or for an owner that is gone", async () => {
    const fenced: SettleOutcome = { ok: false, error: new GmqError("fenced", "replaced") };
    const refusing = store(fenced);
    expect(await resend(settlement, refusing.send, () => false)).toEqual(fenced);
    expect(refusing.sent).toHaveLength(1);
    const orphaned = store(failed, done);
    expect(await resend(settlement, orphaned.send, () => true)).toEqual(failed);
    expect(orphaned.sent).toHaveLength(1);
  });

  it("ends with the store's error when its time is over", async () => {
    const { sent, send } = store(failed);
    expect(await resend(settlement, send, () => false, 200)).toEqual(failed);
    expect(sent.length).toBeGreaterThan(1);
  });
});
