/** A session without a client: frames go out as a test writes them, and everything that comes back is kept. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  batchChecksum,
  codecNumbers,
  decodeEntryMeta,
  decodeRecords,
  decompressBatch,
  encodeRecords,
  type GmqError,
} from "@gmq/protocol";
import {
  type Batch,
  BatchSchema,
  BrokerService,
  type Codec,
  type Deliver,
  SessionRequestSchema,
  type SessionResponse,
  SubscriptionMode,
  Verb,
} from "@gmq/protocol/messages";
import { createFrameConnection } from "@gmq/transport";
import { waitUntil } from "./wait-until.js";

export type RequestFrame = NonNullable<MessageInitShape<typeof SessionRequestSchema>["frame"]>;
export type ResponseFrame = SessionResponse["frame"];
/** The value of a response frame of one kind. */
export type ResponseValue<Case extends NonNullable<ResponseFrame["case"]>> = Extract<
  ResponseFrame,
  { case: Case }
>["value"];

/** A record that was delivered. */
export interface DeliveredRecord {
  readonly assignmentId: number;
  readonly offset: bigint;
  readonly text: string;
  readonly attempts: number;
}

/** What to say of records; default ack. */
export interface Verdict {
  readonly verb?: "ack" | "retry" | "release";
  readonly delayMs?: number;
  readonly inPlace?: boolean;
}

const verbs = { ack: Verb.ACK, retry: Verb.RETRY, release: Verb.RELEASE } as const;

export interface RawSession {
  /** Everything that came, in order. */
  readonly frames: readonly SessionResponse[];
  /** Resolves with how the stream ended; undefined: in order. */
  readonly ended: Promise<GmqError | undefined>;
  /** Set as soon as it ended. */
  readonly end: { readonly error: GmqError | undefined } | undefined;
  hello(): Promise<ResponseValue<"welcome">>;
  /** Sends heartbeats until it ends. */
  beatEvery(intervalMs: number): void;
  /** Sends a frame under this number and returns at once. */
  send(correlationId: number, frame: RequestFrame | undefined): void;
  /** Sends under a fresh number and waits for the answer. */
  ask(frame: RequestFrame): Promise<ResponseFrame>;
  /** The same, for an answer of one kind. */
  askFor<Case extends NonNullable<ResponseFrame["case"]>>(
    frame: RequestFrame,
    kind: Case,
  ): Promise<ResponseValue<Case>>;
  /** Sends under a fresh number, makes sure that everything before is answered, and returns all answers under that number. */
  answersTo(frame: RequestFrame | undefined, correlationId?: number): Promise<ResponseFrame[]>;
  /** All frames of one kind so far. */
  all<Case extends NonNullable<ResponseFrame["case"]>>(kind: Case): ResponseValue<Case>[];
  /** All records of all deliveries so far. */
  records(): Promise<DeliveredRecord[]>;
  /** Subscribes without credit and waits for an assignment of every partition; returns assignment ids by partition. */
  subscribe(
    topic: string,
    group: string,
    partitions: number,
    subscriptionId?: number,
    mode?: SubscriptionMode,
  ): Promise<number[]>;
  grant(records: number, bytes?: number, subscriptionId?: number): void;
  /** Settles offsets `first` to `last`; returns the refusals' codes. */
  settle(assignmentId: number, first: number | bigint, last: number | bigint, how?: Verdict): Promise<string[]>;
  /** Texts of the records so far, in the order of their delivery. */
  texts(): Promise<string[]>;
  /** Publishes texts as one batch. */
  publish(topic: string, partition: number, texts: readonly string[]): Promise<bigint>;
  /** Stops reading, so that the broker's answers pile up. */
  pause(): void;
  resume(): void;
  /** Ends the session's side of the stream in order. */
  finish(): void;
  /** Breaks the connection. */
  close(): void;
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Fields of a batch that a test may set to what they should not be. */
export interface WrongBatch {
  readonly recordCount?: number;
  readonly codec?: number;
  readonly crc32?: number;
  readonly uncompressedBytes?: number;
  readonly producerId?: bigint;
  readonly firstSequence?: bigint;
  readonly dedupeId?: string;
  readonly records?: Uint8Array;
}

/** A sound batch of texts, but for what is wrong with it on purpose. */
export function batchOf(texts: readonly string[], wrong: WrongBatch = {}): Batch {
  const records = encodeRecords(texts.map((value) => ({ value: utf8.encode(value), timestampMs: 1 })));
  return create(BatchSchema, {
    recordCount: texts.length,
    crc32: batchChecksum(records),
    uncompressedBytes: records.length,
    records,
    ...wrong,
    codec: (wrong.codec ?? codecNumbers.none) as Codec,
  });
}

export function publishFrame(topic: string, partition: number, batch: Batch): RequestFrame {
  return { case: "publish", value: { topic, batches: [{ partition, batch }] } };
}

export function openRawSession(url: string, token?: string): RawSession {
  const connection = createFrameConnection({ url, ...(token === undefined ? {} : { token }) });
  const stream = connection.open(BrokerService.method.session);
  const frames: SessionResponse[] = [];
  let end: RawSession["end"];
  let beats: NodeJS.Timeout | undefined;
  let lastCorrelationId = 1_000;
  const ended = new Promise<GmqError | undefined>((resolve) => {
    stream.start({
      frame: (frame) => void frames.push(frame),
      drain: () => undefined,
      end(error) {
        clearInterval(beats);
        end = { error };
        resolve(error);
      },
    });
  });

  const answered = (correlationId: number): ResponseFrame[] =>
    frames.filter((frame) => frame.correlationId === correlationId).map(({ frame }) => frame);

  async function answer(correlationId: number): Promise<ResponseFrame> {
    await waitUntil("an answer", () => answered(correlationId).length > 0 || end !== undefined);
    const [first] = answered(correlationId);
    if (first === undefined) throw end?.error ?? new Error("the stream ended without an answer");
    return first;
  }

  const session: RawSession = {
    frames,
    ended,
    get end() {
      return end;
    },
    hello: () =>
      session.askFor(
        { case: "hello", value: { protocolVersion: 1, clientId: "test", clientVersion: "test 1" } },
        "welcome",
      ),
    beatEvery(intervalMs) {
      beats = setInterval(() => session.send(0, { case: "heartbeat", value: {} }), intervalMs);
    },
    send(correlationId, frame) {
      stream.send(create(SessionRequestSchema, { correlationId, ...(frame === undefined ? {} : { frame }) }));
    },
    ask(frame) {
      const correlationId = ++lastCorrelationId;
      session.send(correlationId, frame);
      return answer(correlationId);
    },
    async askFor(frame, kind) {
      const received = await session.ask(frame);
      if (received.case !== kind) throw new Error(`${kind} was expected, not ${JSON.stringify(received.value)}`);
      return received.value as ResponseValue<typeof kind>;
    },
    async answersTo(frame, correlationId = ++lastCorrelationId) {
      session.send(correlationId, frame);
      if (correlationId > 0) await answer(correlationId);
      // Twice: what the broker does in a later turn than the answer to the first has come before the second's.
      for (let round = 0; round < 2; round++)
        await session.askFor({ case: "resolveTopic", value: { topic: "sync" } }, "resolvedTopic");
      return answered(correlationId);
    },
    all: (kind) =>
      frames.flatMap(({ frame }) => (frame.case === kind ? [frame.value as ResponseValue<typeof kind>] : [])),
    async records() {
      return (await Promise.all(session.all("deliver").map(recordsOf))).flat();
    },
    async subscribe(topic, group, partitions, subscriptionId = 1, mode = SubscriptionMode.EXCLUSIVE) {
      await session.askFor(
        { case: "subscribe", value: { subscriptionId, group, topics: [topic], sessionTimeoutMs: 60_000, mode } },
        "subscribed",
      );
      const assigned = () =>
        session
          .all("assigned")
          .filter((own) => own.subscriptionId === subscriptionId)
          .flatMap(({ assignments }) => assignments);
      await waitUntil(`${partitions} assignments`, () => assigned().length === partitions);
      const ids: number[] = [];
      for (const { partition, assignmentId } of assigned()) ids[partition] = assignmentId;
      return ids;
    },
    grant(records, bytes = 1 << 20, subscriptionId = 1) {
      session.send(0, { case: "credit", value: { subscriptionId, records, bytes } });
    },
    async settle(assignmentId, first, last, { verb = "ack", ...how } = {}) {
      const range = { firstOffset: BigInt(first), lastOffset: BigInt(last), verb: verbs[verb], ...how };
      const { refusals } = await session.askFor(
        { case: "settlement", value: { assignmentId, ranges: [range] } },
        "settled",
      );
      return refusals.map(({ error }) => error?.code ?? "");
    },
    texts: async () => (await session.records()).map(({ text: own }) => own),
    async publish(topic, partition, texts) {
      const { results } = await session.askFor(publishFrame(topic, partition, batchOf(texts)), "published");
      const [result] = results;
      if (result === undefined || result.error !== undefined) throw new Error(`not stored: ${result?.error?.code}`);
      return result.firstOffset;
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    finish: () => stream.close(),
    close: () => connection.close(),
  };
  return session;
}

/** The records of one delivery. */
export async function recordsOf({ assignmentId, entries }: Deliver): Promise<DeliveredRecord[]> {
  const found: DeliveredRecord[] = [];
  for (const { entry, attempts } of entries) {
    if (entry === undefined) throw new Error("a delivery without an entry");
    let index = 0;
    let position = 0;
    for (const batch of decodeEntryMeta(entry.meta).batches) {
      const bytes = entry.body.subarray(position, position + batch.bodyBytes);
      position += batch.bodyBytes;
      if (batchChecksum(bytes) !== batch.crc32) throw new Error("a delivered batch does not match its checksum");
      for (const { value } of decodeRecords(await decompressBatch(batch.codec, bytes, batch.uncompressedBytes))) {
        found.push({
          assignmentId,
          offset: entry.baseOffset + BigInt(index),
          text: text.decode(value),
          attempts: attempts.find((item) => item.index === index)?.attempts ?? 0,
        });
        index++;
      }
    }
    if (index !== entry.recordCount) throw new Error(`${index} records, ${entry.recordCount} were stated`);
  }
  return found;
}
