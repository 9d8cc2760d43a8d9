/** What a consumer gets and when: credit, cut entries, redelivery, hand-over. Raw frames, a real socket, an engine in memory. */
import { setTimeout as sleep } from "node:timers/promises";
import { batchChecksum, codecNumbers, compressBatch, encodeRecords, limits } from "@gmq/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batchOf, publishFrame, type RawSession } from "./harness/raw-session.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;
let session: RawSession;

beforeEach(async () => {
  test = await startTestBroker({ revokeTimeoutMs: 3_000 });
  session = await test.session();
});

afterEach(() => test.stop());

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `r${from + index}`);

/** Bytes of everything that was delivered. */
function deliveredBytes(from: RawSession): number {
  return from
    .all("deliver")
    .flatMap(({ entries }) => entries)
    .reduce((sum, { entry }) => sum + (entry?.body.length ?? 0), 0);
}

/** Long enough for everything that is allowed to come: two round trips behind it, and the store's own turn. */
async function settled(of: RawSession): Promise<void> {
  await of.answersTo({ case: "resolveTopic", value: { topic: "sync" } });
  await sleep(50);
}

describe("credit", () => {
  it("in records is never exceeded, and entries are cut to it in order", async () => {
    for (let from = 0; from < 100; from += 10) await session.publish("t", 0, numbered(from, from + 10));
    await session.subscribe("t", "g", 2);
    await settled(session);
    expect(await session.texts()).toEqual([]);
    let granted = 0;
    for (const records of [3, 1, 17, 10, 30]) {
      session.grant(records);
      granted += records;
      await expect.poll(async () => (await session.texts()).length).toBe(granted);
      await settled(session);
      expect(await session.texts()).toEqual(numbered(0, granted));
    }
    session.grant(1_000);
    await expect.poll(() => session.texts()).toEqual(numbered(0, 100));
  });

  it("is shared by all partitions of a subscription", async () => {
    await test.engine.topics.create("wide", { partitions: 8 });
    for (let partition = 0; partition < 8; partition++) await session.publish("wide", partition, numbered(0, 20));
    await session.subscribe("wide", "g", 8);
    session.grant(11);
    await expect.poll(async () => (await session.texts()).length).toBe(11);
    await settled(session);
    expect((await session.texts()).length).toBe(11);
    session.grant(149);
    await expect.poll(async () => (await session.texts()).length).toBe(160);
  });

  it("in bytes is overdrawn by one record at most, and the next grant pays that back first", async () => {
    const texts = Array.from({ length: 40 }, (_, index) => String(index).padStart(1_000, "x"));
    for (const text of texts) await session.publish("t", 0, [text]);
    const recordBytes = batchOf([texts[0] as string]).records.length;
    await session.subscribe("t", "g", 2);
    session.grant(1_000, 10 * recordBytes + 1);
    await expect.poll(() => deliveredBytes(session)).toBe(11 * recordBytes);
    // The debt is all but one byte of a record: this only pays it back.
    session.grant(1, recordBytes - 1);
    await settled(session);
    expect(deliveredBytes(session)).toBe(11 * recordBytes);
    session.grant(1, 1);
    await expect.poll(() => deliveredBytes(session)).toBe(12 * recordBytes);
    session.grant(1, 1 << 20);
    await expect.poll(() => session.texts()).toEqual(texts);
  });

  it("in bytes cuts a large entry down to single records", async () => {
    const texts = Array.from({ length: 9 }, (_, index) => String(index).repeat(500));
    const recordBytes = batchOf(texts.slice(0, 1)).records.length;
    await session.publish("t", 0, texts);
    await session.subscribe("t", "g", 2);
    for (let count = 1; count <= 9; count++) {
      session.grant(1, count === 1 ? 1 : recordBytes);
      await expect.poll(async () => (await session.texts()).length).toBe(count);
    }
    await settled(session);
    expect(await session.texts()).toEqual(texts);
  });

  it.each(["gzip", "zstd"] as const)("cuts a batch compressed with %s into records that are sound", async (codec) => {
    const texts = numbered(0, 500);
    const plain = encodeRecords(texts.map((value) => ({ value: new TextEncoder().encode(value), timestampMs: 1 })));
    const records = await compressBatch(codec, plain);
    const batch = batchOf(texts, {
      records,
      codec: codecNumbers[codec],
      crc32: batchChecksum(records),
      uncompressedBytes: plain.length,
    });
    await session.askFor(publishFrame("t", 0, batch), "published");
    await session.subscribe("t", "g", 2);
    for (const records of [1, 99, 400]) session.grant(records);
    await expect.poll(() => session.texts()).toEqual(texts);
  });
});

describe("redelivery", () => {
  it("brings released records back at once, in their place before what is new, without an attempt", async () => {
    await session.publish("t", 0, numbered(0, 6));
    const [assignment] = await session.subscribe("t", "g", 2);
    session.grant(3);
    await expect.poll(() => session.texts()).toEqual(["r0", "r1", "r2"]);
    expect(await session.settle(assignment as number, 1, 2, { verb: "release" })).toEqual([]);
    session.grant(100);
    await expect.poll(() => session.texts()).toEqual(["r0", "r1", "r2", "r1", "r2", "r3", "r4", "r5"]);
    expect((await session.records()).map(({ attempts }) => attempts)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    // What is with the broker again is not the consumer's to settle until it comes again; acked records never do.
    expect(await session.settle(assignment as number, 0, 5)).toEqual([]);
    expect(await session.settle(assignment as number, 0, 5, { verb: "release" })).toEqual(["already_settled"]);
    await settled(session);
    expect((await session.texts()).length).toBe(8);
  });

  it("leaves acked records out of a range that is released", async () => {
    await session.publish("t", 0, numbered(0, 5));
    const [assignment] = await session.subscribe("t", "g", 2);
    session.grant(100);
    await expect.poll(async () => (await session.texts()).length).toBe(5);
    await session.settle(assignment as number, 1, 1);
    await session.settle(assignment as number, 3, 3);
    expect(await session.settle(assignment as number, 0, 4, { verb: "release" })).toEqual([]);
    await expect.poll(async () => (await session.texts()).slice(5)).toEqual(["r0", "r2", "r4"]);
  });

  it("brings a failed record back after its delay, with its attempts, while others go on", async () => {
    await session.publish("t", 0, numbered(0, 3));
    const [assignment] = await session.subscribe("t", "g", 2);
    session.grant(100);
    await expect.poll(async () => (await session.texts()).length).toBe(3);
    const failedMs = performance.now();
    await session.settle(assignment as number, 1, 1, { verb: "retry", delayMs: 400 });
    await session.publish("t", 0, ["r3"]);
    await expect.poll(() => session.texts()).toEqual(["r0", "r1", "r2", "r3"]);
    await expect.poll(() => session.texts()).toEqual(["r0", "r1", "r2", "r3", "r1"]);
    expect(performance.now() - failedMs).toBeGreaterThanOrEqual(399);
    await session.settle(assignment as number, 1, 1, { verb: "retry" });
    await expect
      .poll(async () => (await session.records()).map(({ attempts }) => attempts))
      .toEqual([0, 0, 0, 0, 1, 2]);
  });

  it("does not bring back what the consumer retries in place, and counts its attempts for the next owner", async () => {
    await session.publish("t", 0, numbered(0, 2));
    const [assignment] = await session.subscribe("t", "g", 2);
    session.grant(100);
    await expect.poll(async () => (await session.texts()).length).toBe(2);
    await session.settle(assignment as number, 1, 1, { verb: "retry", inPlace: true });
    await session.settle(assignment as number, 0, 0);
    await settled(session);
    expect(await session.texts()).toEqual(["r0", "r1"]);
    session.finish();
    const next = await test.session();
    await next.subscribe("t", "g", 2);
    next.grant(100);
    await expect.poll(() => next.records()).toMatchObject([{ text: "r1", attempts: 1 }]);
  });
});

describe("hand-over", () => {
  it.each([
    ["ends in order", (own: RawSession) => own.finish()],
    ["breaks", (own: RawSession) => own.close()],
  ])("when the stream %s: the next owner begins with the oldest unsettled record", async (_name, end) => {
    await session.publish("t", 0, numbered(0, 10));
    const [assignment] = await session.subscribe("t", "g", 2);
    session.grant(6);
    await expect.poll(async () => (await session.texts()).length).toBe(6);
    await session.settle(assignment as number, 0, 1);
    await session.settle(assignment as number, 4, 4);
    const next = await test.session();
    next.send(1, { case: "subscribe", value: { subscriptionId: 1, group: "g", topics: ["t"] } });
    end(session);
    await expect.poll(() => next.all("assigned").flatMap(({ assignments }) => assignments).length).toBe(2);
    next.grant(100);
    await expect.poll(() => next.texts()).toEqual(["r2", "r3", "r5", "r6", "r7", "r8", "r9"]);
    const epochs = [session, next].map((own) =>
      own
        .all("assigned")
        .flatMap(({ assignments }) => assignments.flatMap(({ partition, epoch }) => (partition === 0 ? [epoch] : []))),
    );
    expect(Number(epochs[1]?.[0])).toBeGreaterThan(Number(epochs[0]?.[0]));
  });

  it("keeps a static member's partitions for it when its stream breaks", async () => {
    const subscribe = (own: RawSession) =>
      own.askFor(
        {
          case: "subscribe",
          value: { subscriptionId: 1, group: "g", topics: ["t"], memberId: "m1", staticMember: true },
        },
        "subscribed",
      );
    await session.publish("t", 0, numbered(0, 3));
    await subscribe(session);
    session.grant(100);
    await expect.poll(async () => (await session.texts()).length).toBe(3);
    session.close();
    await expect.poll(() => test.broker.sessionCount).toBe(0);
    expect((await test.engine.groups.get("g"))?.partitions.map(({ memberId }) => memberId)).toEqual(["m1", "m1"]);
    const back = await test.session();
    await subscribe(back);
    back.grant(100);
    await expect.poll(() => back.texts()).toEqual(numbered(0, 3));
  });

  it("fences the older session of a member that is seen twice", async () => {
    const frame = { subscriptionId: 1, group: "g", topics: ["t"], memberId: "m1" };
    await session.askFor({ case: "subscribe", value: frame }, "subscribed");
    await expect.poll(() => session.all("assigned").length).toBe(2);
    const twin = await test.session();
    await twin.askFor({ case: "subscribe", value: frame }, "subscribed");
    await expect
      .poll(() => session.all("subscriptionEnded"))
      .toMatchObject([{ subscriptionId: 1, error: { code: "fenced", field: "member_id" } }]);
    await expect.poll(() => twin.all("assigned").flatMap(({ assignments }) => assignments).length).toBe(2);
    // The number is free again.
    const other = { subscriptionId: 1, group: "other", topics: ["t"] };
    await session.askFor({ case: "subscribe", value: other }, "subscribed");
  });

  it("of a subscription that is ended while it joins leaves no member behind", async () => {
    session.send(1, { case: "subscribe", value: { subscriptionId: 1, group: "g", topics: ["t"] } });
    session.send(2, { case: "unsubscribe", value: { subscriptionId: 1 } });
    await settled(session);
    const answers = (correlationId: number) =>
      session.frames.filter((frame) => frame.correlationId === correlationId).map(({ frame }) => frame);
    expect(answers(1)).toMatchObject([{ case: "error", value: { code: "cancelled" } }]);
    expect(answers(2)).toMatchObject([{ case: "unsubscribed", value: { subscriptionId: 1 } }]);
    expect((await test.engine.groups.get("g"))?.members).toEqual([]);
    await session.subscribe("t", "g", 2, 2);
  });

  it("asks for a partition back, and passes it on when it was released", async () => {
    await session.publish("t", 0, numbered(0, 2));
    await session.publish("t", 1, numbered(0, 2));
    const assignments = await session.subscribe("t", "g", 2);
    session.grant(100);
    await expect.poll(async () => (await session.texts()).length).toBe(4);
    const next = await test.session();
    const waiting = next.subscribe("t", "g", 1);
    await expect.poll(() => session.all("revoked").length).toBe(1);
    const [revoked] = session.all("revoked");
    expect(revoked).toMatchObject({ subscriptionId: 1, deadlineMs: 3_000 });
    const [asked] = revoked?.assignmentIds ?? [];
    expect(assignments).toContain(asked);
    expect(await session.settle(asked as number, 0, 0)).toEqual([]);
    await session.askFor(
      { case: "release", value: { subscriptionId: 1, assignmentIds: [asked as number] } },
      "released",
    );
    await waiting;
    next.grant(100);
    await expect.poll(() => next.texts()).toEqual(["r1"]);
    await expect(session.settle(asked as number, 1, 1)).rejects.toThrow("assignment_not_found");
  });

  it("takes a partition that is not given back within its deadline", async () => {
    await session.publish("t", 0, ["a"]);
    await session.publish("t", 1, ["b"]);
    await session.subscribe("t", "g", 2);
    session.grant(100);
    await expect.poll(async () => (await session.texts()).length).toBe(2);
    const next = await test.session();
    await next.subscribe("t", "g", 1);
    expect(session.all("revoked").map(({ deadlineMs }) => deadlineMs)).toEqual([3_000, 0]);
    next.grant(100);
    await expect.poll(async () => (await next.texts()).length).toBe(1);
  });

  it("passes a partition on at once when the consumer holds nothing of it", async () => {
    await session.publish("t", 0, numbered(0, 9));
    await session.subscribe("t", "g", 2);
    const next = await test.session();
    await next.subscribe("t", "g", 1);
    expect(session.all("revoked").map(({ deadlineMs }) => deadlineMs)).toEqual([0]);
  });
});

describe("a client that does not read", () => {
  const large = "x".repeat(250_000);

  it("is given no more than buffers hold, loses nothing, and holds nobody up", async () => {
    for (let index = 0; index < 200; index++) await session.publish("bulk", 0, [`${index} ${large}`]);
    const slow = await test.session();
    await slow.subscribe("bulk", "slow", 2);
    slow.pause();
    slow.grant(1_000, 1 << 29);
    const position = async () =>
      Number((await test.engine.groups.offsets("slow")).find(({ partition }) => partition === 0)?.position ?? 0n);
    let before = -1;
    await expect
      .poll(
        async () => {
          const now = await position();
          const same = now === before && now > 0;
          before = now;
          return same;
        },
        { interval: 200, timeout: 10_000 },
      )
      .toBe(true);
    // 50 MB are there; HTTP/2's windows, the send buffer and the sockets hold a part of that.
    expect(before).toBeLessThan(120);
    const quick = await test.session();
    await quick.subscribe("bulk", "quick", 2);
    quick.grant(1_000, 1 << 29);
    await expect.poll(async () => (await quick.texts()).length, { timeout: 20_000 }).toBe(200);
    slow.resume();
    await expect.poll(async () => (await slow.texts()).length, { timeout: 20_000 }).toBe(200);
    expect((await slow.texts()).map((text) => Number(text.split(" ")[0]))).toEqual(
      numbered(0, 200).map((_, index) => index),
    );
  });

  it("and asks on is cut off at the bound of what waits for it", async () => {
    const unread = await test.session();
    const [own] = await unread.subscribe("t", "other", 2);
    unread.pause();
    const range = { firstOffset: 1n << 60n, lastOffset: 1n << 60n, verb: 1 };
    const ranges = new Array<typeof range>(limits.settleRangesPerFrameMax).fill(range);
    const settlement = (assignmentId: number) => ({ case: "settlement", value: { assignmentId, ranges } }) as const;
    // Each answer refuses every range and takes about 3 MB.
    for (let id = 1; id <= 30; id++) unread.send(id, settlement(own as number));
    await expect.poll(() => test.broker.sessionCount, { timeout: 100_000 }).toBe(1);
    unread.resume();
    expect(await unread.ended).toMatchObject({ code: "resource_exhausted", field: "send buffer" });
    // A whole answer of refusals is one frame that a client can take.
    const reader = await test.session();
    const [assignment] = await reader.subscribe("t", "g", 2);
    const { refusals } = await reader.askFor(settlement(assignment as number), "settled");
    expect(refusals.length).toBe(limits.settleRangesPerFrameMax);
  }, 120_000);
});
