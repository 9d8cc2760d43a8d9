/** A browser's way to a broker: unary calls and one server stream per subscription, over fetch. Nothing is kept open but subscriptions. */
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { BrokerService } from "@gmq/protocol/messages";
import { GmqError } from "@gmq/protocol/portable";
import { bounded, type CallOptions } from "../call-options.js";
import { checkFunction, checkObject, checkPartition, checkTimeout } from "../checked-values.js";
import { pause } from "../pause.js";
import { bytesOf, checkDedupeId, checkedDeliverAt } from "../record-fields.js";
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
  /** Asked before every call, within its time. A call for which none can be had is `unavailable`, and tried again like one. */
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
  /** Drains subscriptions, up to 10,000 ms; their handlers may send meanwhile. Idempotent. */
  close(): Promise<void>;
}

const sendTimeoutMsDefault = 10_000;
const againMsMin = 100;
const againMsMax = 2_000;

/** Makes the client; nothing is opened before its first use. @throws GmqError `invalid_argument` */
export function connect(options: WebConnectOptions = {}): WebGmq {
  checkObject("options", options);
  const { broker = "http://localhost:50051", auth } = options;
  if (!URL.canParse(broker) || !/^https?:$/.test(new URL(broker).protocol)) {
    throw new GmqError("invalid_argument", `${JSON.stringify(broker)} is no URL of a broker`, {
      field: "broker",
      limit: "http://host:port or https://host:port",
    });
  }
  if (auth !== undefined) checkFunction("auth.token", auth?.token);
  const transport = createConnectTransport({
    baseUrl: broker,
    useBinaryFormat: true,
    interceptors: [
      (next) => async (request) => {
        if (auth !== undefined) request.header.set("authorization", `Bearer ${await tokenOf(auth, request.signal)}`);
        return next(request);
      },
    ],
  });
  const client: Client<typeof BrokerService> = createClient(BrokerService, transport);
  const open = new Set<WebSubscription>();
  let closing: Promise<void> | undefined;
  /** Only when the subscriptions are drained: their handlers send. */
  let closed = false;

  function assertOpen(isOver: boolean): void {
    if (isOver) throw new GmqError("closed", "the client is closed");
  }

  async function close(): Promise<void> {
    await Promise.allSettled([...open].map((subscription) => subscription.drain()));
    closed = true;
  }

  return {
    async send(like, record, { signal, timeoutMs = sendTimeoutMsDefault } = {}) {
      assertOpen(closed);
      checkTimeout(timeoutMs);
      const { name, codec } = topicOf(like);
      checkObject("record", record);
      const { key, headers, partition, deliverAt, dedupeId = randomId() } = record;
      checkDedupeId(dedupeId);
      if (partition !== undefined) checkPartition("partition", partition);
      for (const [header, text] of Object.entries(headers ?? {})) checkText(`headers.${header.slice(0, 64)}`, text);
      const fields = {
        ...(typeof key === "string" ? { key } : key === undefined ? {} : { keyBytes: bytesOf("key", key) }),
        ...(partition === undefined ? {} : { partition }),
        ...(deliverAt === undefined ? {} : { deliverAtMs: BigInt(checkedDeliverAt(deliverAt, Date.now())) }),
      };
      const request = {
        ...fields,
        topic: name,
        value: await codec.encode(record.value),
        headers: { ...headers },
        dedupeId,
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
      assertOpen(closing !== undefined);
      checkObject("options", subscribeOptions);
      checkFunction("handler", handler);
      const subscription = createWebSubscription(client, topics, subscribeOptions, handler);
      const forget = (): void => void open.delete(subscription);
      open.add(subscription);
      subscription.closed.then(forget, forget);
      return subscription;
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** @throws GmqError `invalid_argument` */
function checkText(field: string, value: unknown): void {
  if (typeof value === "string") return;
  throw new GmqError("invalid_argument", `${field} is of type ${typeof value}`, { field, limit: "a text" });
}

/** @throws GmqError `unavailable` when there is none now: it is asked for again with the next call */
async function tokenOf({ token }: NonNullable<WebConnectOptions["auth"]>, signal: AbortSignal): Promise<string> {
  try {
    return await bounded((async () => token())(), { signal }, "asking for a token");
  } catch (cause) {
    if (GmqError.is(cause)) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new GmqError("unavailable", `no token could be had: ${message}`, { cause });
  }
}

/** Also where a page is not on a secure origin, which has no `randomUUID`. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
