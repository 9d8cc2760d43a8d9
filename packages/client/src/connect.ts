import { GmqError } from "@gmq/protocol";
import type { TlsClientOptions } from "@gmq/transport/frames";
import { type Admin, createAdmin } from "./admin.js";
import { checkFunction, checkObject, inRange } from "./checked-values.js";
import { clientVersion } from "./client-version.js";
import type { ConsumerOptions } from "./consumer-options.js";
import { createEncodeTurns } from "./encode-turns.js";
import { type Instrumentation, instrumentHandler, instrumentProducer } from "./instrumentation.js";
import { createLink } from "./link.js";
import type { Message } from "./message.js";
import { type Consumer, createConsumer, readMessages } from "./message-reader.js";
import { createProducer, type Producer } from "./producer.js";
import type { ProducerOptions } from "./producer-options.js";
import { createSpareBuffers } from "./spare-buffers.js";
import type { SubscribeOptions } from "./subscribe-options.js";
import { createSubscription, type Handler, type Subscription } from "./subscription.js";
import { createTopicDirectory } from "./topic-directory.js";
import type { TopicsLike } from "./topic-list.js";

export interface ConnectOptions {
  /** Brokers, tried in turn; default `["http://localhost:50051"]`. */
  readonly brokers?: readonly string[];
  /** Asked on every (re)connect. */
  readonly auth?: { readonly token: () => string | Promise<string> };
  /** Of brokers at `https:`; refused when there are none. */
  readonly tls?: TlsClientOptions;
  /** Shown to operators, at most 256 bytes; default: the process' name and pid. */
  readonly clientId?: string;
  /** The first session has to be there within this time; default 10,000 ms. */
  readonly timeoutMs?: number;
  /** Gives up connecting. */
  readonly signal?: AbortSignal;
  /** Delays between attempts to connect again; default 100 ms up to 5,000 ms, jittered. A session of less than a second counts as an attempt. */
  readonly reconnect?: { readonly initialMs?: number; readonly maxMs?: number };
  /** Sees sends, handlers and settlements: `@gmq/otel` makes one. Default: none, at no cost. */
  readonly instrumentation?: Instrumentation;
}

/** A connection to GMQ: one session with one broker at a time, opened again by itself. */
export interface Gmq {
  /** @throws GmqError `invalid_argument` */
  producer(options?: ProducerOptions): Producer;
  /** Handles every message of a topic, of several, or of those that match a pattern (`orders.*`): topics made later join by themselves. @throws GmqError `invalid_argument`, `invalid_name` */
  subscribe<In = Uint8Array | string, Out = Uint8Array>(
    topics: TopicsLike<In, Out>,
    options: SubscribeOptions,
    handler: Handler<Out>,
  ): Subscription;
  /** Messages to settle by hand; ending the loop leaves the group. @throws GmqError `invalid_argument`, `invalid_name` */
  messages<In = Uint8Array | string, Out = Uint8Array>(
    topics: TopicsLike<In, Out>,
    options: ConsumerOptions & { readonly signal?: AbortSignal },
  ): AsyncIterableIterator<Message<Out>>;
  /** Batches to settle by hand. @throws GmqError `invalid_argument`, `invalid_name` */
  consumer<In = Uint8Array | string, Out = Uint8Array>(
    topics: TopicsLike<In, Out>,
    options: ConsumerOptions,
  ): Consumer<Out>;
  readonly admin: Admin;
  /**
   * Drains subscriptions and consumers (up to 10,000 ms), then producers, so that what handlers send still goes out (in what is left of that time, 1,000 ms at least), then ends
   * the session. Idempotent.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Of batch buffers, kept for the next batches of all producers. */
const spareBytesMax = 16 * 1024 * 1024;
/** Half of a batch: who comes behind a batch waits until it has left. */
const encodeTurnBytes = 128 * 1024;
/** Until a client is drained, and what of it producers have at least. */
const drainMsMax = 10_000;
const producerDrainMsMin = 1_000;

/**
 * Connects to the first broker that answers; afterwards a lost session is opened again by itself, with this broker or another.
 * @throws GmqError `unavailable` (no broker in time), `unsupported_version`, `unauthenticated`, `invalid_argument`, `cancelled`
 */
export async function connect(options: ConnectOptions = {}): Promise<Gmq> {
  checkObject("options", options);
  const {
    brokers = ["http://localhost:50051"],
    auth,
    tls,
    clientId = `${process.title}-${process.pid}`,
    timeoutMs = 10_000,
    signal,
    instrumentation,
  } = options;
  const { initialMs = 100, maxMs = 5_000 } = options.reconnect ?? {};
  if (!Array.isArray(brokers) || brokers.length === 0)
    throw new GmqError("invalid_argument", "no broker to connect to", {
      field: "brokers",
      limit: "a list of 1 broker or more",
    });
  if (typeof clientId !== "string")
    throw new GmqError("invalid_argument", `clientId is of type ${typeof clientId}`, {
      field: "clientId",
      limit: "a text",
    });
  if (tls !== undefined && brokers.every((url) => /^http:/.test(url)))
    throw new GmqError("invalid_argument", "tls is for brokers at https:, and there is none", {
      field: "tls",
      limit: "a broker at https:",
    });
  if (auth !== undefined) checkFunction("auth.token", auth?.token);
  inRange("timeoutMs", timeoutMs, 1, 2_147_483_647);
  inRange("reconnect.initialMs", initialMs, 1, 60_000);
  inRange("reconnect.maxMs", maxMs, initialMs, 600_000);
  const link = createLink({
    brokers,
    clientId,
    clientVersion,
    token: auth === undefined ? undefined : async () => auth.token(),
    tls,
    reconnect: { initialMs, maxMs },
    connectTimeoutMs: Math.min(timeoutMs, 5_000),
    instrumentation,
  });
  try {
    await link.whenOpen({ timeoutMs, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    await link.close();
    throw error;
  }
  const topics = createTopicDirectory(link);
  const spares = createSpareBuffers(spareBytesMax);
  const turns = createEncodeTurns(encodeTurnBytes);
  /** Drained before the session ends, and before producers: handlers send. */
  const readers = new Set<() => Promise<void>>();
  const producers = new Set<Producer>();
  let closing: Promise<void> | undefined;

  function assertOpen(): void {
    if (closing !== undefined) throw new GmqError("closed", "the connection is closed");
  }

  async function close(): Promise<void> {
    const endMs = performance.now() + drainMsMax;
    await Promise.allSettled(Array.from(readers, (drain) => drain()));
    const timeoutMs = Math.max(producerDrainMsMin, endMs - performance.now());
    await Promise.allSettled(Array.from(producers, (producer) => producer.close({ timeoutMs })));
    await link.close();
  }

  const gmq: Gmq = {
    producer(producerOptions = {}) {
      assertOpen();
      const producer = createProducer(link, topics, spares, turns, producerOptions, () => producers.delete(producer));
      producers.add(producer);
      return instrumentation === undefined ? producer : instrumentProducer(producer, instrumentation);
    },
    subscribe(topic, subscribeOptions, handler) {
      assertOpen();
      checkObject("options", subscribeOptions);
      checkFunction("handler", handler);
      const drain = (): Promise<void> => subscription.drain();
      const traced =
        instrumentation === undefined
          ? handler
          : instrumentHandler(handler, subscribeOptions.group ?? "", instrumentation);
      const subscription = createSubscription(link, topic, subscribeOptions, traced, () => readers.delete(drain));
      readers.add(drain);
      return subscription;
    },
    messages(topic, options) {
      checkObject("options", options);
      const { signal: stop, ...consumerOptions } = options;
      return readMessages(gmq.consumer(topic, consumerOptions), stop);
    },
    consumer(topic, consumerOptions) {
      assertOpen();
      checkObject("options", consumerOptions);
      const drain = (): Promise<void> => consumer.close();
      const consumer = createConsumer(link, topic, consumerOptions, () => readers.delete(drain));
      readers.add(drain);
      return consumer;
    },
    admin: createAdmin(link, topics.forget),
    close() {
      closing ??= close();
      return closing;
    },
    [Symbol.asyncDispose]: () => gmq.close(),
  };
  return gmq;
}
