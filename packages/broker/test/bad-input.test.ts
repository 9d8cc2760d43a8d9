/** What a broker answers to frames that it cannot take: one typed error that names field and limit; the session and everything sound in it go on. What ends a session: session-ends.test.ts. */
import { create } from "@bufbuild/protobuf";
import { codecNumbers, limits } from "@gmq/protocol";
import { type StartPosition, StartPositionSchema } from "@gmq/protocol/messages";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { batchOf, publishFrame, type RawSession, type RequestFrame } from "./harness/raw-session.js";
import { type Refusal, resolve, settle, subscribe } from "./harness/request-frames.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;
let session: RawSession;

beforeAll(async () => {
  test = await startTestBroker();
  session = await test.session();
  await session.publish("there", 0, ["kept"]);
  await session.subscribe("there", "there-group", 2, 7);
});

afterAll(() => test.stop());

const nameLimit = "1 to 249 characters of A-Z a-z 0-9 . _ -";
const startAt = (position: StartPosition["position"]): StartPosition => create(StartPositionSchema, { position });
const range = { firstOffset: 0n, lastOffset: 0n, verb: 1 };
const topicRefusal = { code: "invalid_name", field: "topic", limit: nameLimit };

/** Requests that are answered with an error frame. */
const refused: readonly (readonly [string, RequestFrame, Refusal])[] = [
  ["empty topic", resolve(""), topicRefusal],
  ["topic with braces", resolve("a{b}"), topicRefusal],
  ["topic with a slash", resolve("a/b"), topicRefusal],
  ["topic with a glob", resolve("a*"), topicRefusal],
  ["topic with a space", resolve("a b"), topicRefusal],
  ["topic with a line break", resolve("a\n"), topicRefusal],
  ["topic that is two dots", resolve(".."), topicRefusal],
  ["topic beyond ASCII", resolve("größe"), topicRefusal],
  ["topic of 250 characters", resolve("x".repeat(250)), topicRefusal],
  ["empty group", subscribe({ group: "" }), { code: "invalid_name", field: "group", limit: nameLimit }],
  ["group with braces", subscribe({ group: "{g}" }), { code: "invalid_name", field: "group", limit: nameLimit }],
  [
    "member with braces",
    subscribe({ memberId: "{m}" }),
    { code: "invalid_name", field: "member_id", limit: nameLimit },
  ],
  ["member with a slash", subscribe({ memberId: "a/b" }), { code: "invalid_name", field: "member_id" }],
  ["subscription to an illegal topic", subscribe({ topics: ["there", "a{b}"] }), topicRefusal],
  [
    "subscription to no topic",
    subscribe({ topics: [] }),
    { code: "invalid_argument", field: "topics", limit: "1 to 1024 topics" },
  ],
  [
    "subscription to too many topics",
    subscribe({ topics: Array.from({ length: 1_025 }, (_, index) => `t${index}`) }),
    { code: "invalid_argument", field: "topics", limit: "1 to 1024 topics" },
  ],
  ["one topic twice", subscribe({ topics: ["there", "there"] }), { code: "already_subscribed", field: "topics" }],
  [
    "subscription 0",
    subscribe({ subscriptionId: 0 }),
    { code: "invalid_argument", field: "subscription_id", limit: "1 or more" },
  ],
  [
    "one subscription id twice",
    subscribe({ subscriptionId: 7 }),
    { code: "already_subscribed", field: "subscription_id" },
  ],
  ["unknown mode", subscribe({ mode: 9 }), { code: "invalid_argument", field: "mode" }],
  [
    "session timeout below the least",
    subscribe({ sessionTimeoutMs: 999 }),
    { code: "invalid_argument", field: "session_timeout_ms", limit: "1000 to 600000 ms" },
  ],
  [
    "session timeout above the most",
    subscribe({ sessionTimeoutMs: 600_001 }),
    { code: "invalid_argument", field: "session_timeout_ms", limit: "1000 to 600000 ms" },
  ],
  [
    "start at a negative offset",
    subscribe({ start: startAt({ case: "offset", value: -1n }) }),
    { code: "invalid_argument", field: "start.offset", limit: "0 or more" },
  ],
  [
    "start at a negative time",
    subscribe({ start: startAt({ case: "timestampMs", value: -1n }) }),
    { code: "invalid_argument", field: "start.timestamp_ms", limit: "0 or more" },
  ],
  [
    "unsubscribe of nothing",
    { case: "unsubscribe", value: { subscriptionId: 99 } },
    { code: "subscription_not_found", field: "subscription_id" },
  ],
  [
    "release of nothing",
    { case: "release", value: { subscriptionId: 99, assignmentIds: [1] } },
    { code: "subscription_not_found", field: "subscription_id" },
  ],
  ["settle of an unknown assignment", settle(4_711, [range]), { code: "assignment_not_found", field: "assignment_id" }],
  ["empty settlement", settle(1, []), { code: "invalid_argument", field: "ranges", limit: "1 to 32768 ranges" }],
  [
    "settlement of too many ranges",
    settle(1, new Array<typeof range>(limits.settleRangesPerFrameMax + 1).fill(range)),
    { code: "invalid_argument", field: "ranges", limit: "1 to 32768 ranges" },
  ],
  [
    "backward range",
    settle(1, [{ ...range, firstOffset: 5n, lastOffset: 4n }]),
    { code: "invalid_argument", field: "ranges.last_offset" },
  ],
  [
    "negative range",
    settle(1, [{ ...range, firstOffset: -1n }]),
    { code: "invalid_argument", field: "ranges.last_offset" },
  ],
  ["no verb", settle(1, [{ ...range, verb: 0 }]), { code: "invalid_argument", field: "ranges.verb" }],
  ["unknown verb", settle(1, [{ ...range, verb: 9 }]), { code: "invalid_argument", field: "ranges.verb" }],
  [
    "retry after more than 49 days",
    settle(1, [{ ...range, verb: 2, delayMs: limits.retryDelayMsMax + 1 }]),
    { code: "invalid_argument", field: "ranges.delay_ms", limit: "4233600000 ms" },
  ],
  [
    "publish of nothing",
    { case: "publish", value: { topic: "there", batches: [] } },
    { code: "invalid_argument", field: "publish.batches", limit: "1 batch or more" },
  ],
  [
    "publish without a batch",
    { case: "publish", value: { topic: "there", batches: [{ partition: 0 }] } },
    { code: "malformed_frame", field: "publish.batches.batch" },
  ],
  ["hello again", { case: "hello", value: { protocolVersion: 1 } }, { code: "protocol_violation", field: "frame" }],
];

const corrupt = (wrong: Parameters<typeof batchOf>[1]) => batchOf(["a", "b"], wrong);
const large = new Uint8Array(limits.batchBytesMax + 1);

/** Batches that are answered with an error in their own result, beside a sound one that is stored. */
const refusedBatches: readonly (readonly [string, number, ReturnType<typeof batchOf>, Refusal])[] = [
  ["unknown partition", 2, corrupt({}), { code: "partition_not_found", field: "partition", limit: "0 to 1" }],
  ["partition 2^32 - 1", 0xffff_ffff, corrupt({}), { code: "partition_not_found", field: "partition" }],
  [
    "unknown codec",
    0,
    corrupt({ codec: 9 }),
    { code: "unknown_codec", field: "batch.codec", limit: "1 none, 2 gzip, 3 zstd" },
  ],
  ["no codec", 0, corrupt({ codec: 0 }), { code: "unknown_codec", field: "batch.codec" }],
  [
    "more bytes than the limit",
    0,
    corrupt({ records: large }),
    { code: "batch_too_large", field: "batch.records", limit: "4194304 bytes" },
  ],
  [
    "more records than the limit",
    0,
    batchOf(new Array<string>(65_537).fill("")),
    { code: "batch_too_large", field: "batch.record_count", limit: "65536 records" },
  ],
  [
    "more records stated than there are",
    0,
    corrupt({ recordCount: 3 }),
    { code: "batch_corrupt", field: "batch.record_count" },
  ],
  [
    "fewer records stated than there are",
    0,
    corrupt({ recordCount: 1 }),
    { code: "batch_corrupt", field: "batch.record_count" },
  ],
  ["no records", 0, batchOf([]), { code: "batch_corrupt", field: "batch.record_count", limit: "1 record" }],
  ["wrong checksum", 0, corrupt({ crc32: 1 }), { code: "batch_corrupt", field: "batch.crc32" }],
  ["wrong size", 0, corrupt({ uncompressedBytes: 1 }), { code: "batch_corrupt", field: "batch.uncompressed_bytes" }],
  [
    "a promise of more than may be unpacked",
    0,
    corrupt({ codec: codecNumbers.zstd, uncompressedBytes: limits.batchUncompressedBytesMax + 1 }),
    { code: "batch_too_large", field: "batch.uncompressed_bytes", limit: "16777216 bytes" },
  ],
  [
    "dedupe id of two records",
    0,
    corrupt({ dedupeId: "d" }),
    { code: "invalid_argument", field: "batch.dedupe_id", limit: "1 to 256 bytes" },
  ],
  [
    "sequence beyond 2^53",
    0,
    corrupt({ producerId: 1n, firstSequence: 1n << 60n }),
    { code: "invalid_argument", field: "batch.first_sequence" },
  ],
];

/** The session still publishes, and is not ended. */
async function goesOn(): Promise<void> {
  await session.publish("there", 1, ["sound"]);
  expect(session.end).toBeUndefined();
}

describe("a request that is refused", () => {
  it.each(refused)("%s: one typed error", async (_name, frame, refusal) => {
    const answers = await session.answersTo(frame);
    expect(answers).toEqual([{ case: "error", value: expect.objectContaining({ ...refusal, retryable: false }) }]);
    await goesOn();
  });

  it.each(refusedBatches)(
    "batch with %s: an error of its own, its neighbour is stored",
    async (_name, partition, batch, refusal) => {
      const answers = await session.answersTo({
        case: "publish",
        value: {
          topic: "there",
          batches: [
            { partition, batch },
            { partition: 0, batch: batchOf(["neighbour"]) },
          ],
        },
      });
      expect(answers).toHaveLength(1);
      expect(answers[0]).toMatchObject({
        case: "published",
        value: { results: [{ error: { ...refusal, retryable: false } }, { duplicate: false }] },
      });
      await goesOn();
    },
  );

  it("a gap in a producer's sequence", async () => {
    const numbered = (firstSequence: bigint) =>
      publishFrame("there", 0, batchOf(["n"], { producerId: 5n, firstSequence }));
    const results = async (firstSequence: bigint) =>
      (await session.askFor(numbered(firstSequence), "published")).results[0];
    const first = await results(0n);
    expect(await results(2n)).toMatchObject({ error: { code: "out_of_order", retryable: false } });
    expect(await results(0n)).toMatchObject({ duplicate: true, firstOffset: first?.firstOffset });
    expect((await results(1n))?.error).toBeUndefined();
    await goesOn();
  });

  it("an illegal topic refuses every batch of the frame, one result each", async () => {
    const answers = await session.answersTo({
      case: "publish",
      value: { topic: "no{pe}", batches: [0, 1].map((partition) => ({ partition, batch: batchOf(["x"]) })) },
    });
    expect(answers).toMatchObject([
      { case: "published", value: { results: [{ error: topicRefusal }, { error: topicRefusal }] } },
    ]);
    await goesOn();
  });

  it("a frame without content, under a number", async () => {
    expect(await session.answersTo(undefined)).toMatchObject([
      { case: "error", value: { code: "malformed_frame", field: "frame" } },
    ]);
    await goesOn();
  });

  it.each<[string, RequestFrame]>([
    ["resolveTopic", resolve("there")],
    ["publish", publishFrame("there", 0, batchOf(["unnumbered"]))],
    ["subscribe", subscribe({ subscriptionId: 50 })],
    ["settlement", settle(1, [range])],
    ["release", { case: "release", value: { subscriptionId: 7, assignmentIds: [] } }],
    ["unsubscribe", { case: "unsubscribe", value: { subscriptionId: 7 } }],
  ])("%s without a correlation id does nothing", async (_name, frame) => {
    const before = (
      await test.engine.log.read({ topic: "there", partition: 0, from: "latest", entriesMax: 1, bytesMax: 1 })
    ).endOffset;
    const seen = session.frames.length;
    await session.answersTo(frame, 0);
    const answers = session.frames.slice(seen).filter(({ correlationId }) => correlationId === 0);
    expect(answers.map(({ frame: answer }) => answer)).toMatchObject([
      { case: "error", value: { code: "protocol_violation", field: "correlation_id", limit: "1 or more" } },
    ]);
    const after = (
      await test.engine.log.read({ topic: "there", partition: 0, from: "latest", entriesMax: 1, bytesMax: 1 })
    ).endOffset;
    expect(after).toBe(before);
    await goesOn();
  });
});

describe("credit", () => {
  it.each([
    ["zero", 7, 0, 0, { code: "invalid_argument", field: "credit.records", limit: "1 record or 1 byte" }],
    [
      "over the records",
      7,
      limits.creditRecordsMax + 1,
      1,
      { code: "invalid_argument", field: "credit.records", limit: "1000000 records" },
    ],
    [
      "over the bytes",
      7,
      1,
      limits.creditBytesMax + 1,
      { code: "invalid_argument", field: "credit.bytes", limit: "1073741824 bytes" },
    ],
    ["negative as it comes over the wire", 7, 0xffff_ffff, 1, { code: "invalid_argument", field: "credit.records" }],
    ["for no subscription", 98, 1, 1, { code: "subscription_not_found", field: "subscription_id" }],
  ] as const)("%s is refused and grants nothing", async (_name, subscriptionId, records, bytes, refusal) => {
    const errors = session.all("error").length;
    session.grant(records, bytes, subscriptionId);
    await session.answersTo(resolve("there"));
    expect(session.all("error").slice(errors)).toMatchObject([refusal]);
    expect(session.all("deliver")).toEqual([]);
    await goesOn();
  });

  it("that adds up past the limit is refused at the grant that passes it", async () => {
    const own = await test.session();
    await own.subscribe("quiet", "quiet-group", 2);
    own.grant(limits.creditRecordsMax, 1);
    own.grant(1, 1);
    await own.answersTo(resolve("there"));
    expect(own.all("error")).toMatchObject([
      { code: "invalid_argument", field: "credit.records", limit: "1000000 records" },
    ]);
    await own.publish("quiet", 0, ["comes"]);
    await expect.poll(async () => (await own.records()).map(({ text }) => text)).toEqual(["comes"]);
    own.close();
  });
});

describe("settling what the consumer does not have", () => {
  it("refuses the range, settles the others, and takes an ack twice", async () => {
    const own = await test.session();
    await own.publish("settled", 0, ["a", "b", "c"]);
    const [assignment] = await own.subscribe("settled", "settled-group", 2);
    own.grant(2);
    await expect.poll(async () => (await own.records()).length).toBe(2);
    const ask = (first: number, last: number, verb = 1) =>
      own.askFor(
        settle(assignment as number, [{ firstOffset: BigInt(first), lastOffset: BigInt(last), verb }]),
        "settled",
      );
    const refusal = (first: number, last: number, code: string) => ({
      refusals: [{ firstOffset: BigInt(first), lastOffset: BigInt(last), error: { code, field: "ranges" } }],
    });
    expect(await ask(2, 2)).toMatchObject(refusal(2, 2, "not_delivered"));
    expect(await ask(0, 2)).toMatchObject(refusal(0, 2, "not_delivered"));
    expect(await ask(1_000, 1_001)).toMatchObject(refusal(1_000, 1_001, "not_delivered"));
    const mixed = await own.askFor(
      settle(assignment as number, [
        { firstOffset: 0n, lastOffset: 0n, verb: 1 },
        { firstOffset: 2n, lastOffset: 9n, verb: 1 },
      ]),
      "settled",
    );
    expect(mixed).toMatchObject(refusal(2, 9, "not_delivered"));
    expect(await ask(0, 1)).toMatchObject({ refusals: [] });
    expect(await ask(0, 1)).toMatchObject({ refusals: [] });
    expect(await ask(0, 0, 2)).toMatchObject(refusal(0, 0, "already_settled"));
    const [offsets] = (await test.engine.groups.offsets("settled-group")).filter(({ partition }) => partition === 0);
    expect(offsets).toMatchObject({ lagRecords: 1 });
    own.close();
  });
});
