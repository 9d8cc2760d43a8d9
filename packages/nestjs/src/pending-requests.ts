import { randomUUID } from "node:crypto";
import { type Gmq, GmqError, type Message, type Producer, type Subscription } from "@gmq/client";
import type { WritePacket } from "@nestjs/microservices";
import type { GmqRecord } from "./gmq-record.js";
import { topicOfPattern } from "./json-values.js";
import { replyHeaders } from "./reply-headers.js";

/** Requests of one client that wait for their replies. */
export interface PendingRequests {
  /** Sends a request and hands its replies on, until the last one or for `leftMs`. Returns what gives it up. */
  send(
    pattern: unknown,
    record: GmqRecord<unknown>,
    leftMs: number,
    replied: (packet: WritePacket) => void,
  ): () => void;
  close(): Promise<void>;
}

/** Where replies come from, and how long for. */
export interface ReplySource {
  readonly replyTopic: string;
  /** For the reply topic to be there, and for the last reply to a request. */
  readonly timeoutMs: number;
  /** Gives up waiting for the reply topic. */
  readonly signal: AbortSignal;
  /** No reply comes any more: those who waited are told. */
  readonly ended: () => void;
}

/** Requests that one client may wait for at once. */
const pendingMax = 10_000;
/** A reply topic keeps what a client that lost its connection may still come back for. */
const replyRetentionMs = 3_600_000;

/** Makes the reply topic if need be, and listens on it. Every client gets every reply of the topic and takes those to its own requests. */
export async function openRequests(
  gmq: Gmq,
  producer: Producer,
  { replyTopic, timeoutMs, signal, ended }: ReplySource,
): Promise<PendingRequests> {
  const pending = new Map<string, (packet: WritePacket) => void>();
  const partitions = await makeReplyTopic(gmq, replyTopic, signal);
  const subscription = gmq.subscribe(
    topicOfPattern(replyTopic),
    { group: `replies-${randomUUID()}`, mode: "broadcast", start: "latest" },
    ({ headers, value }: Message<unknown>) => {
      const replied = pending.get(headers[replyHeaders.correlationId] ?? "");
      replied?.(packetOf(headers, value));
    },
  );
  subscription.closed.catch((error: unknown) => {
    ended();
    fail(GmqError.from(error));
  });
  // A reply is seen only when the subscription stands before the request is sent.
  await whenAssigned(subscription, partitions, timeoutMs, signal);

  function fail(error: GmqError): void {
    for (const replied of [...pending.values()]) replied({ err: error });
  }

  return {
    send(pattern, { value, options }, leftMs, replied) {
      if (pending.size >= pendingMax) {
        const message = `${pending.size} requests wait for replies`;
        replied({ err: new GmqError("resource_exhausted", message, { field: "requests", limit: `${pendingMax}` }) });
        return nothing;
      }
      const id = randomUUID();
      const timer = setTimeout(() => {
        const message = `no reply within ${timeoutMs} ms`;
        finish({ err: new GmqError("deadline_exceeded", message, { limit: `${timeoutMs} ms` }) });
      }, leftMs);
      const forget = (): void => {
        pending.delete(id);
        clearTimeout(timer);
      };
      const finish = (packet: WritePacket): void => {
        forget();
        replied(packet);
      };
      pending.set(id, (packet) => (packet.isDisposed === true || packet.err !== undefined ? finish : replied)(packet));
      const headers = { ...options.headers, [replyHeaders.replyTo]: replyTopic, [replyHeaders.correlationId]: id };
      // A request that nobody waits for any more is not handled.
      const record = { ttlMs: leftMs, ...options, headers, value };
      sendOrFail(pattern, record).catch((error: unknown) => finish({ err: GmqError.from(error) }));
      return forget;
    },
    async close() {
      fail(new GmqError("closed", "the client was closed before the reply came"));
      await subscription.close();
    },
  };

  async function sendOrFail(pattern: unknown, record: Parameters<Producer["send"]>[1]): Promise<void> {
    await producer.send(topicOfPattern(pattern), record);
  }
}

/** Returns how many partitions it has. */
async function makeReplyTopic(gmq: Gmq, replyTopic: string, signal: AbortSignal): Promise<number> {
  try {
    const made = await gmq.admin.createTopic(replyTopic, {
      partitions: 1,
      retention: { ms: replyRetentionMs },
      signal,
    });
    return made.partitions;
  } catch (error) {
    if (!GmqError.is(error, "topic_exists")) throw error;
    return (await gmq.admin.describeTopic(replyTopic, { signal })).partitions;
  }
}

async function whenAssigned(
  subscription: Subscription,
  partitions: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  let isLate = false;
  const giveUp = (): void => void subscription.close();
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  const timer = setTimeout(() => {
    isLate = true;
    giveUp();
  }, timeoutMs);
  try {
    let assigned = 0;
    for await (const { type } of subscription.status()) if (type === "assigned" && ++assigned >= partitions) return;
    await subscription.closed;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  }
  if (isLate)
    throw new GmqError("deadline_exceeded", "the reply topic was not there in time", { limit: `${timeoutMs} ms` });
  throw new GmqError("closed", "the client was closed");
}

function packetOf(headers: Readonly<Record<string, string>>, value: unknown): WritePacket {
  const isDisposed = headers[replyHeaders.isLast] !== undefined;
  if (headers[replyHeaders.isError] !== undefined) return { err: value ?? "error", isDisposed: true };
  return headers[replyHeaders.isEmpty] === undefined ? { response: value, isDisposed } : { isDisposed };
}

function nothing(): void {
  // there is nothing to give up
}
