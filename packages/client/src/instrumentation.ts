/**
 * What a tracer may see of a client: three calls, each told of its end. Without an instrumentation nothing of this file runs: producers and handlers are wrapped when
 * they are made, or not at all. None of these may throw.
 */
import { GmqError } from "@gmq/protocol";
import type { Message } from "./message.js";
import type { Producer } from "./producer.js";
import type { ProducerRecord } from "./producer-record.js";
import type { Handler } from "./subscription.js";
import { topicOf } from "./topic.js";

/** Sends that begin: one record, or a whole `sendBatch`. */
export interface SendStart {
  readonly topic: string;
  readonly records: number;
  /** Of the first record. */
  readonly key: string | Uint8Array | undefined;
}

/** How sends ended. */
export interface SendEnd {
  /** Of the first stored record. */
  readonly partition: number | undefined;
  readonly offset: bigint | undefined;
  /** Of the first record that failed. */
  readonly error: GmqError | undefined;
}

/** Something under way. */
export interface SendTrace {
  /** Added to every record's own headers, for example `traceparent`. */
  readonly headers: Readonly<Record<string, string>>;
  ended(end: SendEnd): void;
}

/** One frame of verdicts for one partition. */
export interface SettleStart {
  readonly topic: string;
  readonly partition: number;
  readonly group: string;
  readonly ranges: readonly {
    readonly verb: "ack" | "retry" | "release" | "reject";
    readonly firstOffset: bigint;
    readonly lastOffset: bigint;
  }[];
}

/** Hooks of `connect({ instrumentation })`; `@gmq/otel` makes one for OpenTelemetry. */
export interface Instrumentation {
  /** A `send` or `sendBatch` begins, in the caller's context. */
  sending(start: SendStart): SendTrace;
  /** A handler is to run: call `run` once, in whatever context it should have, and return what it returns. */
  handling(message: Message<unknown>, group: string, run: () => Promise<void> | void): Promise<void> | void;
  /** Verdicts go out; the returned function hears of the answer. */
  settling(start: SettleStart): (error: GmqError | undefined) => void;
}

/** The producer, with its sends told to `instrumentation`. */
export function instrumentProducer(producer: Producer, instrumentation: Instrumentation): Producer {
  return {
    ...producer,
    async send(like, record, options) {
      const { name } = topicOf(like);
      const trace = instrumentation.sending({ topic: name, records: 1, key: record?.key });
      try {
        const stored = await producer.send(like, withHeaders(record, trace.headers), options);
        trace.ended({ partition: stored.partition, offset: stored.offset, error: undefined });
        return stored;
      } catch (cause) {
        const error = GmqError.from(cause);
        trace.ended({ partition: undefined, offset: undefined, error });
        throw error;
      }
    },
    async sendBatch(like, records, options) {
      const { name } = topicOf(like);
      // What is none is refused by the producer.
      if (!Array.isArray(records)) return producer.sendBatch(like, records, options);
      const trace = instrumentation.sending({ topic: name, records: records.length, key: records[0]?.key });
      try {
        const results = await producer.sendBatch(
          like,
          records.map((record) => withHeaders(record, trace.headers)),
          options,
        );
        const stored = results.find((result) => result.ok);
        const failed = results.find((result) => !result.ok);
        trace.ended({ partition: stored?.partition, offset: stored?.offset, error: failed?.error });
        return results;
      } catch (cause) {
        const error = GmqError.from(cause);
        trace.ended({ partition: undefined, offset: undefined, error });
        throw error;
      }
    },
  };
}

function withHeaders<In>(record: ProducerRecord<In>, headers: SendTrace["headers"]): ProducerRecord<In> {
  if (typeof record !== "object" || record === null) return record;
  return { ...record, headers: { ...record.headers, ...headers } };
}

/** The handler, with each run told to `instrumentation`. */
export function instrumentHandler<Out>(
  handler: Handler<Out>,
  group: string,
  instrumentation: Instrumentation,
): Handler<Out> {
  return (message, context) => instrumentation.handling(message, group, () => handler(message, context));
}
