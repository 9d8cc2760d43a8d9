import { create } from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import { ErrorSchema, type SettleRefusal, SettleRefusalSchema, Verb } from "@gmq/protocol/messages";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { ClientFrame } from "./link.js";
import type { Assignment, Settlement } from "./message.js";
import { createSettlements } from "./settlements.js";

function assignmentOf(assignmentId: number): Assignment {
  return {
    assignmentId,
    topic: "t",
    partition: 0,
    epoch: 1n,
    lost: new AbortController(),
    unsettled: 0,
    revoking: new AbortController(),
    endOffset: 0n,
    place: undefined,
  };
}

interface Sent {
  readonly assignmentId: number;
  /** `first-last verb`, as in "0-9 ack". */
  readonly ranges: string[];
  answer(refusals?: SettleRefusal[]): void;
  fail(error: GmqError): void;
}

function start() {
  const sent: Sent[] = [];
  const failed: string[] = [];
  const settlements = createSettlements(
    (frame: ClientFrame) =>
      new Promise((resolve, reject) => {
        if (frame.case !== "settlement") throw new Error(`unexpected ${frame.case}`);
        const { assignmentId = 0, ranges = [] } = frame.value;
        sent.push({
          assignmentId,
          ranges: ranges.map(
            ({ firstOffset, lastOffset, verb }) => `${firstOffset}-${lastOffset} ${Verb[verb ?? 0]?.toLowerCase()}`,
          ),
          answer: (refusals = []) => resolve(refusals),
          fail: reject,
        });
      }),
    (_assignment, error) => failed.push(error.code),
  );
  /** Sends what has gathered, and lets answers be heard. */
  function turn(): Promise<void> {
    void settlements.flushed();
    return new Promise((resolve) => setImmediate(resolve));
  }
  return { settlements, sent, failed, turn };
}

const ack: Settlement = { verb: "ack" };
const retry: Settlement = { verb: "retry", delayMs: 5, inPlace: false };
const refusal = (offset: bigint, code: string): SettleRefusal =>
  create(SettleRefusalSchema, {
    firstOffset: offset,
    lastOffset: offset,
    error: create(ErrorSchema, { code, message: code }),
  });

describe("settlements", () => {
  it("of one turn go together, joined to ranges by verb, whatever order they came in", async () => {
    const { settlements, sent, turn } = start();
    const one = assignmentOf(1);
    for (const offset of [3n, 1n, 2n, 7n, 0n, 8n]) settlements.note(one, offset, ack);
    for (const offset of [4n, 5n]) settlements.note(one, offset, retry);
    settlements.note(one, 6n, { ...retry, delayMs: 9 });
    settlements.note(assignmentOf(2), 0n, ack);
    expect(sent).toEqual([]);
    await turn();
    expect(sent.map(({ assignmentId, ranges }) => [assignmentId, ranges])).toEqual([
      [1, ["0-3 ack", "4-5 retry", "6-6 retry", "7-8 ack"]],
      [2, ["0-0 ack"]],
    ]);
  });

  it("that nobody waits for go by themselves, together", async () => {
    const { settlements, sent } = start();
    const one = assignmentOf(1);
    settlements.note(one, 0n, ack);
    await new Promise((resolve) => setImmediate(resolve));
    settlements.note(one, 1n, ack);
    await expect.poll(() => sent.map(({ ranges }) => ranges)).toEqual([["0-1 ack"]]);
  });

  it("that nobody waits for gather for 5 ms where they are many by then, else until they are, at most for 25", () => {
    vi.useFakeTimers();
    try {
      const { settlements, sent } = start();
      const few = assignmentOf(1);
      settlements.note(few, 0n, ack);
      vi.advanceTimersByTime(5);
      for (let offset = 1n; offset < 49n; offset++) settlements.note(few, offset, ack);
      vi.advanceTimersByTime(19);
      expect(sent).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(sent.map(({ ranges }) => ranges)).toEqual([["0-48 ack"]]);
      const many = assignmentOf(2);
      for (let offset = 0n; offset < 50n; offset++) settlements.note(many, offset, ack);
      vi.advanceTimersByTime(4);
      expect(sent.length).toBe(1);
      vi.advanceTimersByTime(1);
      expect(sent[1]?.ranges).toEqual(["0-49 ack"]);
      const later = assignmentOf(3);
      settlements.note(later, 0n, ack);
      vi.advanceTimersByTime(6);
      for (let offset = 1n; offset < 10_000n; offset++) settlements.note(later, offset, ack);
      vi.advanceTimersByTime(1);
      expect(sent[2]?.ranges).toEqual(["0-9999 ack"]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("that somebody waits for take all others along, at the end of the turn", async () => {
    const { settlements, sent } = start();
    const one = assignmentOf(1);
    settlements.note(one, 0n, ack);
    void settlements.settle(one, 1n, ack);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent.map(({ ranges }) => ranges)).toEqual([["0-1 ack"]]);
  });

  it("say a verdict once, however often it was said, and each failed try", async () => {
    const { settlements, sent, turn } = start();
    const one = assignmentOf(1);
    for (const offset of [1n, 2n, 1n, 2n, 3n, 3n]) settlements.note(one, offset, ack);
    for (const offset of [4n, 4n, 5n]) settlements.note(one, offset, { ...retry, inPlace: true });
    await turn();
    expect(sent.map(({ ranges }) => ranges)).toEqual([["4-4 retry", "4-5 retry", "1-3 ack"]]);
  });

  it("say that a record failed in place before they say what became of it", async () => {
    const { settlements, sent, turn } = start();
    const one = assignmentOf(1);
    settlements.note(one, 1n, ack);
    settlements.note(one, 2n, { ...retry, inPlace: true });
    settlements.note(one, 3n, ack);
    settlements.note(one, 2n, ack);
    await turn();
    // An ack of 1 to 3 in front would settle the record, and the failed try would be refused, and taken for the ack's refusal.
    expect(sent.map(({ ranges }) => ranges)).toEqual([["2-2 retry", "1-3 ack"]]);
  });

  it("gather while a frame is unanswered: load makes larger frames, not more of them", async () => {
    const { settlements, sent, turn } = start();
    const one = assignmentOf(1);
    settlements.note(one, 0n, ack);
    await turn();
    for (let offset = 1n; offset < 100n; offset++) {
      settlements.note(one, offset, ack);
      if (offset % 10n === 0n) await turn();
    }
    expect(sent.length).toBe(1);
    sent[0]?.answer();
    await turn();
    expect(sent.map(({ ranges }) => ranges)).toEqual([["0-0 ack"], ["1-99 ack"]]);
  });

  it("tell each who waits what became of his record, and `failed` of what nobody waits for", async () => {
    const { settlements, sent, failed, turn } = start();
    const one = assignmentOf(1);
    const fine = settlements.settle(one, 1n, ack);
    const refused = settlements.settle(one, 2n, retry);
    await turn();
    sent[0]?.answer([refusal(2n, "already_settled")]);
    await fine;
    await expect(refused).rejects.toMatchObject({ code: "already_settled" });
    expect(failed).toEqual([]);
    settlements.note(one, 3n, ack);
    await turn();
    sent[1]?.answer([refusal(3n, "not_delivered")]);
    await turn();
    settlements.note(one, 4n, ack);
    await turn();
    sent[2]?.fail(new GmqError("unavailable", "the session was lost"));
    await turn();
    expect(failed).toEqual(["not_delivered", "unavailable"]);
  });

  it("flushed waits for what was added before, not for what comes after, and for failures too", async () => {
    const { settlements, sent, turn } = start();
    const one = assignmentOf(1);
    await settlements.flushed();
    settlements.note(one, 0n, ack);
    await turn();
    settlements.note(one, 1n, ack);
    let flushed = false;
    const waiting = settlements.flushed(one).then(() => {
      flushed = true;
    });
    sent[0]?.answer();
    await turn();
    expect(flushed).toBe(false);
    settlements.note(one, 2n, ack);
    sent[1]?.fail(new GmqError("fenced", "gone"));
    await waiting;
    // The third is on its way and nobody has answered it.
    expect(sent.map(({ ranges }) => ranges)).toEqual([["0-0 ack"], ["1-1 ack"], ["2-2 ack"]]);
  });

  it("of more ranges than a frame may hold follow each other", async () => {
    const { settlements, sent, turn } = start();
    const one = assignmentOf(1);
    const count = limits.settleRangesPerFrameMax + 10;
    for (let index = 0; index < count; index++) settlements.note(one, BigInt(index * 2), ack);
    await turn();
    expect(sent.map(({ ranges }) => ranges.length)).toEqual([limits.settleRangesPerFrameMax]);
    sent[0]?.answer();
    await turn();
    expect(sent.map(({ ranges }) => ranges.length)).toEqual([limits.settleRangesPerFrameMax, 10]);
  });

  it("name each offset once, under its verb, in as few ranges as can be", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          fc.record({ offset: fc.integer({ min: 0, max: 60 }), verb: fc.constantFrom("ack", "release", "retry") }),
          {
            selector: ({ offset }) => offset,
            minLength: 1,
          },
        ),
        async (verdicts) => {
          const { settlements, sent, turn } = start();
          const one = assignmentOf(1);
          for (const { offset, verb } of verdicts)
            settlements.note(one, BigInt(offset), verb === "retry" ? retry : { verb: verb as "ack" | "release" });
          await turn();
          const named = new Map<number, string>();
          let before: { last: number; verb: string } | undefined;
          for (const range of sent[0]?.ranges ?? []) {
            const [first = "", last = "", verb = ""] = range.split(/[- ]/);
            for (let offset = Number(first); offset <= Number(last); offset++) {
              expect(named.has(offset)).toBe(false);
              named.set(offset, verb);
            }
            if (before !== undefined) expect(before.last + 1 === Number(first) && before.verb === verb).toBe(false);
            before = { last: Number(last), verb };
          }
          expect(named).toEqual(
            new Map(
              verdicts.toSorted((left, right) => left.offset - right.offset).map(({ offset, verb }) => [offset, verb]),
            ),
          );
        },
      ),
      { numRuns: 200 },
    );
  });
});
