/** Consume and Settle for clients without a session, over gRPC on a real socket. */

import { BrokerService, type ConsumedRecord, Verb } from "@gmq/protocol/messages";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RawSession } from "./harness/raw-session.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;
let session: RawSession;

beforeEach(async () => {
  test = await startTestBroker({ revokeTimeoutMs: 500 });
  session = await test.session();
});

afterEach(() => test.stop());

/** Consumes into a list until it is aborted. */
function consume(request: { maxInFlight?: number; autoAck?: boolean } = {}, at = test) {
  const client = at.client(BrokerService);
  const abort = new AbortController();
  const records: ConsumedRecord[] = [];
  const state = { sessionId: "" };
  const ended = (async () => {
    for await (const { event } of client.consume({ group: "g", topics: ["t"], ...request }, { signal: abort.signal })) {
      if (event.case === "started") state.sessionId = event.value.sessionId;
      else if (event.case === "record") records.push(event.value);
    }
  })();
  ended.catch(() => undefined);
  return {
    records,
    state,
    ended,
    stop: () => abort.abort(),
    texts: () => records.map(({ value }) => new TextDecoder().decode(value)),
    async settle(record: ConsumedRecord | undefined, verb = Verb.ACK) {
      if (record === undefined) throw new Error("no record");
      const { assignmentId, offset } = record;
      const ranges = [{ firstOffset: offset, lastOffset: offset, verb }];
      return (await client.settle({ sessionId: state.sessionId, assignmentId, ranges })).refusals;
    },
  };
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `r${from + index}`);

describe("max_in_flight", () => {
  it("bounds what is not settled, however often the same is settled", async () => {
    await session.publish("t", 0, numbered(0, 30));
    const thin = consume({ maxInFlight: 3 });
    await expect.poll(() => thin.texts()).toEqual(["r0", "r1", "r2"]);
    for (let round = 0; round < 5; round++) expect(await thin.settle(thin.records[0])).toEqual([]);
    await expect.poll(() => thin.texts()).toEqual(["r0", "r1", "r2", "r3"]);
    await session.answersTo({ case: "resolveTopic", value: { topic: "sync" } });
    expect(thin.texts().length).toBe(4);
    // A failed record is given back and comes again; its place is free meanwhile.
    expect(await thin.settle(thin.records[1], Verb.RETRY)).toEqual([]);
    await expect.poll(() => thin.texts().slice(4)).toEqual(["r1"]);
    expect(thin.records[4]?.attempts).toBe(1);
    thin.stop();
  });

  it("is free again when a partition goes to another consumer", async () => {
    await session.publish("t", 0, numbered(0, 5));
    await session.publish("t", 1, numbered(0, 5));
    const thin = consume({ maxInFlight: 4 });
    await expect.poll(() => thin.records.length).toBe(4);
    const held = new Set(thin.records.map(({ partition }) => partition));
    const other = await test.session();
    await other.subscribe("t", "g", 1);
    const lost = other.all("assigned").flatMap(({ assignments }) => assignments.map(({ partition }) => partition))[0];
    expect(held.size).toBe(1);
    const kept = lost === 0 ? 1 : 0;
    // Whatever it held of the lost partition is not counted any more: the rest of the kept one flows.
    for (let settled = 0; settled < 5; ) {
      await expect
        .poll(() => thin.records.filter(({ partition }) => partition === kept).length)
        .toBeGreaterThan(settled);
      await thin.settle(thin.records.filter(({ partition }) => partition === kept)[settled++]);
    }
    thin.stop();
  });

  it("a partition that is asked back goes as soon as its last record is settled", async () => {
    const patient = await startTestBroker({ revokeTimeoutMs: 60_000 });
    try {
      const own = await patient.session();
      await own.publish("t", 0, ["a"]);
      await own.publish("t", 1, ["b"]);
      const thin = consume({}, patient);
      await expect.poll(() => thin.records.length).toBe(2);
      const other = await patient.session();
      const assigned = other.subscribe("t", "g", 1);
      await expect
        .poll(
          async () =>
            (await patient.engine.groups.get("g"))?.partitions.filter(({ nextMemberId }) => nextMemberId !== undefined)
              .length,
        )
        .toBe(1);
      for (const record of thin.records) await thin.settle(record);
      await assigned;
      other.grant(10);
      await own.publish("t", 0, ["c"]);
      await own.publish("t", 1, ["d"]);
      await expect
        .poll(async () => [...(await other.texts()), ...thin.texts()].toSorted())
        .toEqual(["a", "b", "c", "d"]);
      thin.stop();
    } finally {
      await patient.stop();
    }
  });

  it("over the limit is refused by name", async () => {
    await expect(consume({ maxInFlight: 10_001 }).ended).rejects.toMatchObject({
      code: "invalid_argument",
      field: "max_in_flight",
      limit: "1 to 10000 records",
    });
  });
});

describe("auto ack", () => {
  it("acks what it sends, and survives that a partition goes to another consumer", async () => {
    await session.publish("t", 0, numbered(0, 200));
    const thin = consume({ autoAck: true, maxInFlight: 10 });
    await expect.poll(() => thin.texts()).toEqual(numbered(0, 200));
    const lag = async () => (await test.engine.groups.offsets("g")).map(({ lagRecords }) => lagRecords);
    await expect.poll(lag).toEqual([0, 0]);
    const other = await test.session();
    await other.subscribe("t", "g", 1);
    await session.publish("t", 0, ["x"]);
    await session.publish("t", 1, ["y"]);
    other.grant(10);
    await expect
      .poll(async () => [...(await other.texts()), ...thin.texts().slice(200)].toSorted())
      .toEqual(["x", "y"]);
    thin.stop();
  });
});

describe("settle", () => {
  it("of a stream that is not there, of nothing, of what was not sent: typed, and the stream goes on", async () => {
    await session.publish("t", 0, numbered(0, 2));
    const thin = consume({ maxInFlight: 1 });
    await expect.poll(() => thin.records.length).toBe(1);
    const client = test.client(BrokerService);
    const { assignmentId } = thin.records[0] as ConsumedRecord;
    const { sessionId } = thin.state;
    const range = { firstOffset: 0n, lastOffset: 0n, verb: Verb.ACK };
    await expect(client.settle({ sessionId: "gone", assignmentId, ranges: [range] })).rejects.toMatchObject({
      code: "subscription_not_found",
      field: "session_id",
    });
    await expect(client.settle({ sessionId, assignmentId: 99, ranges: [range] })).rejects.toMatchObject({
      code: "assignment_not_found",
    });
    await expect(client.settle({ sessionId, assignmentId, ranges: [] })).rejects.toMatchObject({
      code: "invalid_argument",
      field: "ranges",
    });
    const { refusals } = await client.settle({
      sessionId,
      assignmentId,
      ranges: [{ ...range, firstOffset: 1n, lastOffset: 1n }],
    });
    expect(refusals).toMatchObject([{ firstOffset: 1n, error: { code: "not_delivered" } }]);
    expect(await thin.settle(thin.records[0])).toEqual([]);
    await expect.poll(() => thin.texts()).toEqual(["r0", "r1"]);
    thin.stop();
    await expect.poll(async () => (await test.engine.groups.get("g"))?.members).toEqual([]);
  });
});

describe("ttl_ms", () => {
  it("an expired record is acked and not sent, and holds no place of max_in_flight", async () => {
    const client = test.client(BrokerService);
    const value = (text: string): Uint8Array => new TextEncoder().encode(text);
    for (let n = 0; n < 5; n++) await client.publish({ topic: "t", partition: 0, value: value(`x${n}`), ttlMs: 1n });
    await client.publish({ topic: "t", partition: 0, value: value("lives"), ttlMs: 3_600_000n });
    await client.publish({ topic: "t", partition: 0, value: value("too") });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const thin = consume({ maxInFlight: 2 });
    await expect.poll(() => thin.texts()).toEqual(["lives", "too"]);
    for (const record of thin.records) expect(await thin.settle(record)).toEqual([]);
    await expect.poll(async () => (await test.engine.groups.offsets("g"))[0]?.lagRecords).toBe(0);
    thin.stop();
  });

  it("out of its bounds is refused", async () => {
    const client = test.client(BrokerService);
    for (const ttlMs of [0n, -1n, 366n * 86_400_000n + 1n]) {
      await expect(client.publish({ topic: "t", value: new Uint8Array(1), ttlMs })).rejects.toMatchObject({
        message: expect.stringContaining("ttl_ms"),
      });
    }
  });
});
