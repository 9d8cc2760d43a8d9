/** A browser's way to a broker: unary calls and one server stream per subscription, over fetch. Nothing is kept open but subscriptions. */
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { BrokerService } from "@gmq/protocol/messages";
import { GmqError, limits } from "@gmq/protocol/portable";
import type { CallOptions } from "../call-options.js";
import { checkObject } from "../checked-values.js";
import { pause } from "../pause.js";
import { type TopicLike, topicOf } from "../topic.js";
import type { TopicsLike } from "../topic-list.js";
import { fromWebError } from "./web-errors.js";
import {
  createWebSubscription,
  type WebHandler,
  type WebSubscribeOptions,
  type WebSubscription,
} from "./web-subscription.js";

/** Where the broker is. */
export interface WebConnectOptions {
  /** URL of one broker, or of a proxy that sends one page to one broker: settling needs the broker that delivers. Default `http://localhost:50051`. */
  readonly broker?: string;
  /** Asked before every call. */
  readonly auth?: { readonly token: () => string | Promise<string> };
}

/** A record to send. */
export interface WebRecord<Value> {
  readonly value: Value;
  /** Records of one key go to one partition and keep their order. */
  readonly key?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly partition?: number;
  /** A second record with this id in the same partition is not stored again. 1 to 256 bytes; default: a random one, so that a send may be tried again. */
  readonly dedupeId?: string;
  /** Not delivered before this time. */
  readonly deliverAt?: Date | number;
}

/** Where a record was stored; offset -1n: kept until its `deliverAt`. */
export interface WebStoredRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly duplicate: boolean;
}

/** GMQ from a browser. */
export interface WebGmq {
  /**
   * Resolves when the record is stored. While the broker does not answer a record with a key or a partition is sent again until `timeoutMs` (default 10,000):
   * it is stored once. A record without either is sent once, as a second try might go to another partition.
   * @throws GmqError `schema_invalid`, `topic_not_found`, …; `unavailable`, `deadline_exceeded`: not known to be stored
   */
  send<In = Uint8Array | string>(
    topic: TopicLike<In, unknown>,
    record: WebRecord<NoInfer<In>>,
    options?: CallOptions,
  ): Promise<WebStoredRecord>;
  /** Handles every message of topics: resolve is ack, throw is retry with backoff, `Reject` the dead-letter topic. @throws GmqError `invalid_argument`, `invalid_name` */
  subscribe<In = Uint8Array | string, Out = Uint8Array>(
    topics: TopicsLike<In, Out>,
    options: WebSubscribeOptions,
    handler: WebHandler<Out>,
  ): WebSubscription;
  /** Drains subscriptions. Idempotent. */
  close(): Promise<void>;
}

const sendTimeoutMsDefault = 10_000;
const againMsMin = 100;
const againMsMax = 2_000;

/** Makes the client; nothing is opened before its first use. @throws GmqError `invalid_argument` */
export function connect(options: WebConnectOptions = {}): WebGmq {
  const { broker = "http://localhost:50051", auth } = options;
  if (!URL.canParse(broker)) {
    throw new GmqError("invalid_argument", `${JSON.stringify(broker)} is no URL`, {
      field: "broker",
      limit: "http://host:port or https://host:port",
    });
  }
  const transport = createConnectTransport({
    baseUrl: broker,
    useBinaryFormat: true,
    interceptors: [
      (next) => async (request) => {
        if (auth !== undefined) request.header.set("authorization", `Bearer ${await auth.token()}`);
        return next(request);
      },
    ],
  });
  const client: Client<typeof BrokerService> = createClient(BrokerService, transport);
  const open = new Set<WebSubscription>();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new GmqError("closed", "the client is closed");
  }

  return {
    async send(like, record, { signal, timeoutMs = sendTimeoutMsDefault } = {}) {
      assertOpen();
      const { name, codec } = topicOf(like);
      checkObject("record", record);
      const { key, headers, partition, deliverAt, dedupeId = randomId() } = record;
      const request = {
        topic: name,
        value: await codec.encode(record.value),
        headers: { ...headers },
        dedupeId,
        ...(typeof key === "string" ? { key } : key === undefined ? {} : { keyBytes: key }),
        ...(partition === undefined ? {} : { partition }),
        ...(deliverAt === undefined ? {} : { deliverAtMs: BigInt(Math.trunc(Number(deliverAt))) }),
      };
      const untilMs = performance.now() + timeoutMs;
      for (let tries = 0; ; tries++) {
        try {
          const leftMs = Math.max(1, Math.round(untilMs - performance.now()));
          const stored = await client.publish(request, { timeoutMs: leftMs, ...(signal && { signal }) });
          return {
            partition: stored.partition,
            offset: stored.scheduled ? -1n : stored.offset,
            duplicate: stored.duplicate,
          };
        } catch (cause) {
          const error = fromWebError(cause, signal);
          const delayMs = Math.min(againMsMax, againMsMin * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2);
          const goesToOnePlace = key !== undefined || partition !== undefined;
          if (!error.retryable || !goesToOnePlace || performance.now() + delayMs >= untilMs) throw error;
          await pause(delayMs, signal === undefined ? [] : [signal]);
          if (signal?.aborted === true)
            throw new GmqError("cancelled", "the send was given up", { cause: signal.reason });
        }
      }
    },
    subscribe(topics, subscribeOptions, handler) {
      assertOpen();
      checkObject("options", subscribeOptions);
      if (typeof handler !== "function") {
        throw new GmqError("invalid_argument", `the handler is of type ${typeof handler}`, {
          field: "handler",
          limit: "a function",
        });
      }
      const subscription = createWebSubscription(client, topics, subscribeOptions, handler, () =>
        open.delete(subscription),
      );
      open.add(subscription);
      return subscription;
    },
    async close() {
      closed = true;
      await Promise.allSettled([...open].map((subscription) => subscription.drain()));
    },
  };
}

/** Also where a page is not on a secure origin, which has no `randomUUID`. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .slice(0, limits.dedupeIdBytesMax);
}
