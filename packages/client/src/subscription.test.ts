/** How a subscription ends: what it sends to its broker, in what order, and how long it waits. Against a link that only writes down. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { batchChecksum, codecNumbers, encodeEntryMeta, encodeRecords, limits } from "@gmq/protocol";
import { SessionResponseSchema, Verb } from "@gmq/protocol/messages";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createFakeLink, type FakeRequest } from "../test/harness/fake-link.js";
import type { BrokerFrame, Link } from "./link.js";
import { createConsumer } from "./message-reader.js";
import type { SubscribeOptions } from "./subscribe-options.js";
import { createSubscription, type Handler } from "./subscription.js";
import { topic } from "./topic.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type ResponseInit = NonNullable<MessageInitShape<typeof SessionResponseSchema>["frame"]>;
const frameOf = (frame: ResponseInit): BrokerFrame => create(SessionResponseSchema, { frame }).frame;

/** A link and its broker, who answers settlements when it is told to, and all else at once. */
function startLink() {
  const fake = createFakeLink();
  const { link, frames, requests } = fake;
  const unanswered: (FakeRequest | undefined)[] = [];
  const answer = (request: FakeRequest | undefined): void => request?.answer(frameOf({ case: "settled", value: {} }));
  const broker = {
    answersAll: true,
    /** What came, as in `subscribe` and `settlement 1: 0-9 ack`; credit apart. */
    get came() {
      return frames.flatMap((frame) => {
        if (frame.case === "credit") return [];
        if (frame.case !== "settlement") return [frame.case];
        const { assignmentId, ranges = [] } = frame.value;
        const said = ranges.map(
          ({ firstOffset, lastOffset, verb }) => `${firstOffset}-${lastOffset} ${Verb[verb ?? 0]?.toLowerCase()}`,
        );
        return [`settlement ${assignmentId}: ${said.join(", ")}`];
      });
    },
    get credits() {
      return frames.filter((frame) => frame.case === "credit").length;
    },
    /** Where the last subscribe wants to go on, as in `0 at 3`, or `0 at 3 of life 7`; and where in partitions that it does not name, as in `else latest`. */
    get positions() {
      const subscribe = frames.findLast((frame) => frame.case === "subscribe");
      if (subscribe?.case !== "subscribe") return [];
      const { positions = [], start } = subscribe.value;
      const named = positions.map(
        ({ partition, offset, life }) => `${partition} at ${offset}${life ? ` of life ${life}` : ""}`,
      );
      return [...named.sort(), `else ${start?.position?.case}`];
    },
    answer: () => unanswered.splice(0).forEach(answer),
    sends: (frame: ResponseInit) => fake.comes(frameOf(frame)),
    assigns(assignmentId: number, partition: number, { life = 0n, position = 0n } = {}) {
      const subscribe = frames.findLast((frame) => frame.case === "subscribe");
      const subscriptionId = subscribe?.case === "subscribe" ? (subscribe.value.subscriptionId ?? 0) : 0;
      const assignments = [{ assignmentId, topic: "t", partition, epoch: 1n, position, life, endOffset: 100n }];
      broker.sends({ case: "assigned", value: { subscriptionId, assignments } });
    },
    revokes(assignmentId: number) {
      const subscribe = frames.findLast((frame) => frame.case === "subscribe");
      const subscriptionId = subscribe?.case === "subscribe" ? (subscribe.value.subscriptionId ?? 0) : 0;
      broker.sends({ case: "revoked", value: { subscriptionId, assignmentIds: [assignmentId], deadlineMs: 0 } });
    },
    delivers(assignmentId: number, baseOffset: bigint, values: readonly string[], crc32?: number) {
      const body = encodeRecords(values.map((value) => ({ value: Buffer.from(value), timestampMs: 5 })));
      const batch = { codec: codecNumbers.none, crc32: crc32 ?? batchChecksum(body), producerId: 7n, producerEpoch: 0 };
      const size = { recordCount: values.length, uncompressedBytes: body.length, bodyBytes: body.length };
      const batches = [{ ...batch, ...size, firstSequence: 0, dedupeId: undefined, timestampMs: 0 }];
      const meta = encodeEntryMeta({ appendTimeMs: 5, appendId: 6n, logBytes: 0, batches });
      const entry = { baseOffset, recordCount: values.length, meta, body };
      broker.sends({ case: "deliver", value: { assignmentId, entries: [{ entry }], endOffset: 100n } });
    },
    reconnects: fake.reconnects,
  };
  const asking: Link = {
    ...link,
    get welcome() {
      return link.welcome;
    },
    request(frame) {
      const answered = link.request(frame);
      const request = requests.at(-1);
      if (broker.answersAll || frame.case === "subscribe") answer(request);
      else unanswered.push(request);
      return answered;
    },
  };
  return { link: asking, broker };
}

const texts = topic("t", {
  value: {
    encode: (value: string) => Buffer.from(value),
    decode(bytes) {
      const value = Buffer.from(bytes).toString();
      if (value === "bad") throw new Error("it is bad");
      return value;
    },
  },
});

/** `life`: given, the broker assigns partition 0 before it answers, as brokers do. */
async function start(options: Partial<SubscribeOptions>, handler: Handler<string>, life?: bigint) {
  const { link, broker } = startLink();
  const subscription = createSubscription(
    link,
    texts,
    { group: "g", stallMs: false, ...options },
    handler,
    () => undefined,
  );
  if (life !== undefined) broker.assigns(1, 0, { life });
  await passMs(0);
  if (life === undefined) broker.assigns(1, 0);
  return { subscription, broker };
}

/** It has handled `a`, hangs in `b`, and its broker answers nothing any more. */
async function startHanging() {
  let signal: AbortSignal | undefined;
  const { subscription, broker } = await start({ concurrency: 2 }, (message, context) => {
    if (message.value === "a") return;
    ({ signal } = context);
    return new Promise(() => undefined);
  });
  broker.answersAll = false;
  broker.delivers(1, 0n, ["a", "b"]);
  return { subscription, broker, signalOfB: () => signal };
}

const passMs = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** Names of those that have resolved, in order. */
function orderOf(promises: Readonly<Record<string, Promise<unknown>>>): string[] {
  const order: string[] = [];
  for (const [name, promise] of Object.entries(promises)) void promise.then(() => order.push(name));
  return order;
}

describe("a subscription that drains", () => {
  it("grants no credit any more, begins nothing, subscribes to no new session, and acks what ran", async () => {
    const gate = Promise.withResolvers<void>();
    const begun: string[] = [];
    const { subscription, broker } = await start({ maxInFlight: { records: 4 } }, (message) => {
      begun.push(message.value);
      return gate.promise;
    });
    broker.delivers(1, 0n, ["a", "b", "c", "d"]);
    const drained = subscription.drain();
    broker.delivers(1, 4n, ["e", "f", "g", "h"]);
    await passMs(1_000);
    expect(broker.credits).toBe(1);
    gate.resolve();
    await passMs(50);
    await drained;
    expect(broker.came).toEqual(["subscribe", "settlement 1: 0-0 ack", "unsubscribe"]);
    expect([begun, broker.credits]).toEqual([["a"], 1]);
  });

  it("does not subscribe to another session", async () => {
    const { subscription, broker } = await start({}, () => new Promise(() => undefined));
    broker.delivers(1, 0n, ["a"]);
    const drained = subscription.drain();
    broker.reconnects();
    await passMs(11_000);
    await drained;
    expect(broker.came).toEqual(["subscribe"]);
  });

  it("fires the signals when its time is over, and waits no longer than half a second for a broker that does not answer", async () => {
    const { subscription, broker, signalOfB } = await startHanging();
    const order = orderOf({ drain: subscription.drain({ timeoutMs: 200 }) });
    await passMs(199);
    expect(signalOfB()?.aborted).toBe(false);
    await passMs(1);
    expect([signalOfB()?.aborted, order]).toEqual([true, []]);
    // And a timer's turn for the answer to `unsubscribe`.
    await passMs(500 + 1);
    expect(order).toEqual(["drain"]);
    expect(broker.came).toEqual(["subscribe", "settlement 1: 0-0 ack", "unsubscribe"]);
  });
});

describe("a subscription that closes", () => {
  it("fires the signals at once, and waits for a silent broker as long as for a revocation", async () => {
    const { subscription, broker, signalOfB } = await startHanging();
    const order = orderOf({ close: subscription.close() });
    await passMs(0);
    expect(signalOfB()?.aborted).toBe(true);
    await passMs(limits.revokeTimeoutMsDefault - 1);
    expect(order).toEqual([]);
    await passMs(1 + 1);
    expect(order).toEqual(["close"]);
    expect(broker.came).toEqual(["subscribe", "settlement 1: 0-0 ack", "unsubscribe"]);
  });

  it("settles nothing behind its last settlements", async () => {
    const gate = Promise.withResolvers<void>();
    const { subscription, broker } = await start({ concurrency: 2 }, (message) =>
      message.value === "a" ? undefined : gate.promise,
    );
    broker.assigns(2, 1);
    broker.answersAll = false;
    broker.delivers(1, 0n, ["a"]);
    broker.delivers(2, 0n, ["b"]);
    const closed = subscription.close();
    await passMs(1);
    gate.resolve();
    await passMs(100);
    expect(broker.came).toEqual(["subscribe", "settlement 1: 0-0 ack"]);
    broker.answersAll = true;
    broker.answer();
    await closed;
    await passMs(100);
    expect(broker.came).toEqual(["subscribe", "settlement 1: 0-0 ack", "unsubscribe"]);
  });

  it.each(["close", "drain"] as const)("is closed when it is, whoever asks again: %s first", async (first) => {
    const { subscription, broker } = await start({}, () => undefined);
    broker.answersAll = false;
    broker.delivers(1, 0n, ["a"]);
    const order = orderOf({
      first: subscription[first](),
      "a second close": subscription.close(),
      drain: subscription.drain(),
    });
    await passMs(1_000);
    expect(order).toEqual([]);
    broker.answersAll = true;
    broker.answer();
    await passMs(1);
    expect(order.toSorted()).toEqual(["a second close", "drain", "first"]);
    expect(broker.came).toEqual(["subscribe", "settlement 1: 0-0 ack", "unsubscribe"]);
  });

  it("and a consumer by hand too", async () => {
    const { link, broker } = startLink();
    const consumer = createConsumer(link, texts, { group: "g", stallMs: false }, () => undefined);
    await passMs(0);
    broker.answersAll = false;
    const order = orderOf({ first: consumer.close(), second: consumer.close() });
    await passMs(1_000);
    expect([order, broker.came]).toEqual([[], ["subscribe", "unsubscribe"]]);
    broker.answer();
    await passMs(1);
    expect(order).toEqual(["first", "second"]);
  });
});

describe("a subscription that fails", () => {
  const good = Array.from({ length: 10 }, (_, index) => `${index}`);

  it("for a value that cannot be read acks what was handled before it leaves", async () => {
    const { subscription, broker } = await start({ onInvalid: "fail" }, () => undefined);
    const failed = expect(subscription.closed).rejects.toMatchObject({ code: "schema_invalid" });
    broker.delivers(1, 0n, [...good, "bad", "11"]);
    await passMs(50);
    await failed;
    expect(broker.came).toEqual(["subscribe", "settlement 1: 0-9 ack", "unsubscribe"]);
  });

  it("for a corrupt batch acks what was handled before it leaves", async () => {
    const { subscription, broker } = await start({}, () => undefined);
    const failed = expect(subscription.closed).rejects.toMatchObject({ code: "batch_corrupt" });
    broker.delivers(1, 0n, good);
    broker.delivers(1, 10n, good, 1);
    await passMs(50);
    await failed;
    expect(broker.came).toEqual(["subscribe", "settlement 1: 0-9 ack", "unsubscribe"]);
  });
});

it("a broadcast goes on after a lost session in the topic that was made again, not where it stood in the deleted one", async () => {
  const { broker } = await start({ mode: "broadcast" }, () => undefined);
  broker.delivers(1, 0n, ["a", "b", "c"]);
  broker.assigns(2, 1);
  broker.delivers(2, 5n, ["d"]);
  await passMs(100);
  broker.revokes(1);
  broker.assigns(3, 0);
  broker.delivers(3, 0n, ["e"]);
  await passMs(100);
  broker.reconnects();
  await passMs(0);
  expect(broker.positions).toEqual(["0 at 1", "1 at 6", "else earliest"]);
});

describe("a broadcast that began at the latest", () => {
  const options = { mode: "broadcast", start: "latest" } as const;
  const held = Promise.withResolvers<void>();

  it("goes on in the life of the topic that it read, and from the beginning of all that was made since", async () => {
    const { broker } = await start(options, ({ value }) => (value === "b" ? held.promise : undefined), 7n);
    broker.delivers(1, 5n, ["a", "b", "c"]);
    await passMs(100);
    broker.reconnects();
    expect(broker.positions).toEqual(["0 at 6 of life 7", "else earliest"]);
    broker.assigns(1, 0, { life: 9n, position: 0n });
    broker.delivers(1, 0n, ["d", "e"]);
    // What was handled in the life before says nothing of this one.
    held.resolve();
    await passMs(100);
    broker.reconnects();
    await passMs(0);
    expect(broker.positions).toEqual(["0 at 2 of life 9", "else earliest"]);
  });

  it("does not take the ack of a record for that of another, which has its offset in a later life", async () => {
    const first = Promise.withResolvers<void>();
    const { broker } = await start(
      options,
      ({ value }) => (value === "a" ? first.promise : new Promise(() => undefined)),
      7n,
    );
    broker.delivers(1, 5n, ["a"]);
    await passMs(100);
    broker.reconnects();
    broker.assigns(1, 0, { life: 9n, position: 0n });
    broker.delivers(1, 5n, ["b"]);
    await passMs(100);
    first.resolve();
    await passMs(100);
    broker.reconnects();
    await passMs(0);
    expect(broker.positions).toEqual(["0 at 5 of life 9", "else earliest"]);
  });

  it("goes on in the partitions that it has read when its broker tells no life", async () => {
    const { broker } = await start(options, () => undefined, 0n);
    broker.assigns(2, 1);
    broker.delivers(2, 3n, ["a"]);
    await passMs(100);
    broker.reconnects();
    expect(broker.positions).toEqual(["1 at 4", "else latest"]);
    // Assigned once more it has not forgotten, though nothing was delivered meanwhile.
    broker.assigns(1, 1);
    await passMs(100);
    broker.reconnects();
    expect(broker.positions).toEqual(["1 at 4", "else latest"]);
  });
});

it("what ends late in a topic that was deleted is not done in the one that was made again", async () => {
  const ends = new Map<string, () => void>();
  const { broker } = await start(
    { mode: "broadcast" },
    (message) => new Promise<void>((resolve) => ends.set(String(message.value), resolve)),
  );
  broker.delivers(1, 0n, ["a"]);
  await passMs(100);
  broker.revokes(1);
  broker.assigns(3, 0);
  broker.delivers(3, 0n, ["e"]);
  await passMs(100);
  ends.get("a")?.();
  await passMs(100);
  expect([...ends.keys()]).toEqual(["a", "e"]);
  broker.reconnects();
  await passMs(0);
  expect(broker.positions).toEqual(["0 at 0", "else earliest"]);
});

it("acks of a lost session do not go out in the next, where their assignment's number is another's", async () => {
  const { broker } = await start({}, () => undefined);
  broker.delivers(1, 0n, ["a", "b"]);
  broker.reconnects();
  await passMs(0);
  broker.assigns(1, 1);
  await passMs(100);
  expect(broker.came).toEqual(["subscribe", "subscribe"]);
  broker.delivers(1, 0n, ["c"]);
  await passMs(100);
  expect(broker.came).toEqual(["subscribe", "subscribe", "settlement 1: 0-0 ack"]);
});
