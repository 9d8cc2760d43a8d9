/**
 * One client's conversation. Owns the stream: one `switch` over frame types, one answer for each request, heartbeats, backpressure, drain.
 * hello → open → (draining) → closed; only a wrong first frame or version ends it from here, everything else is answered with a typed error.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@gmq/log";
import { agreeOnVersion, GmqError, limits } from "@gmq/protocol";
import type { Hello, PublishBatches, SessionRequest, SessionResponse } from "@gmq/protocol/messages";
import { errorToMessage, type FrameStream, type PeerContext } from "@gmq/transport";
import { denied, maySeeTopic, requireTopic } from "./access/require.js";
import type { BrokerLimits } from "./broker-limits.js";
import type { CallRate } from "./call-rate.js";
import type { Heartbeats, Pulse } from "./heartbeats.js";
import { publishResult } from "./messages.js";
import { countError, type Meter } from "./meter.js";
import type { Publish } from "./publish.js";
import { createSessionConsumers, type SessionConsumers } from "./session-consumers.js";
import { createSessionIntake } from "./session-intake.js";
import { responseOf, type ServerFrame } from "./session-response.js";
import type { SubscriptionContext } from "./subscription.js";
import type { TopicCache } from "./topic-cache.js";

/** What all sessions of a broker share. */
export interface SessionContext {
  readonly brokerId: string;
  readonly brokerVersion: string;
  readonly publish: Publish;
  readonly topics: TopicCache;
  readonly subscriptions: SubscriptionContext;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly limits: BrokerLimits;
  readonly metadataRate: CallRate;
  readonly helloTimeoutMs: number;
  readonly heartbeats: Heartbeats;
}

export interface Session {
  readonly sessionId: string;
  /** Who was let in may be asked to go: its token ran out or was taken back, or its rights are fewer now. */
  checkCaller(): void;
  /** Tells the client to go, stops delivery, lets settles finish until the deadline, hands everything over. */
  drain(deadlineMs: number): Promise<void>;
}

/** How often a drain looks whether the client went. */
const drainLookMs = 20;
/** A client that has nothing in flight goes by itself when it is told to; one that does not is ended after this time. */
const quietMsMin = 500;
/** Time to leave the groups when the deadline has passed. */
const leaveMsMin = 1_000;

interface Living {
  readonly name: "open" | "draining";
  readonly consumers: SessionConsumers;
  readonly pulse: Pulse;
}

type State = { readonly name: "hello"; readonly timer: NodeJS.Timeout } | Living | { readonly name: "closed" };

/** Starts a session on a stream that a client opened; `closed` is called once, when everything of it is gone. */
export function startSession(
  sessionId: string,
  stream: FrameStream<SessionRequest, SessionResponse>,
  peer: PeerContext,
  context: SessionContext,
  closed: () => void,
): Session {
  const { meter } = context;
  const { caller } = peer;
  const logger = context.logger.child({
    sessionId,
    peer: peer.address,
    ...(caller.name === "" ? {} : { caller: caller.name }),
  });
  let rightsVersion = caller.version;
  let state: State = { name: "hello", timer: setTimeout(helloMissing, context.helloTimeoutMs) };
  const intake = createSessionIntake(stream, context.limits);
  /** Who is counted: a name, or where nobody has to say one, an address. */
  const counted = caller.name === "" ? peer.address : caller.name;
  let streamFull = false;
  let requestsOpen = 0;
  let whenIdle: (() => void) | undefined;
  /** Resolves when everything of the session is gone, its members left included. */
  const gone = Promise.withResolvers<void>();

  function setState(next: State): void {
    if (state.name === "hello") clearTimeout(state.timer);
    else if (state.name !== "closed" && next.name === "closed") state.pulse.stop();
    if (next.name === "closed") intake.close();
    state = next;
  }

  function push(frame: ServerFrame): void {
    send(0, frame);
  }

  function send(correlationId: number, frame: ServerFrame): void {
    sendFrame(responseOf(correlationId, frame));
  }

  function sendFrame(frame: SessionResponse): void {
    if (!stream.send(frame)) streamFull = true;
  }

  function helloMissing(): void {
    end(
      new GmqError("deadline_exceeded", "the session did not say hello", {
        field: "hello",
        limit: `${context.helloTimeoutMs} ms`,
      }),
    );
  }

  function end(error?: GmqError): void {
    stream.close(error);
    finish(error === undefined);
  }

  /** Everybody's partitions pass on at once, also those of static members: their time is up. */
  function silent(silenceMsMax: number): void {
    const limit = `${silenceMsMax} ms`;
    stream.close(new GmqError("unavailable", "the client was silent for too long", { field: "heartbeat", limit }));
    finish(true);
  }

  function finish(clean: boolean): void {
    if (state.name === "closed") return;
    const consumers = state.name === "hello" ? undefined : state.consumers;
    setState({ name: "closed" });
    logger.debug("session closed", { clean });
    whenIdle?.();
    (consumers?.close({ clean }) ?? Promise.resolve())
      .finally(() => {
        closed();
        gone.resolve();
      })
      .catch((error: unknown) => logger.error("a session did not close", { error }));
  }

  function open(correlationId: number, hello: Hello): void {
    const protocolVersion = agreeOnVersion(hello);
    const { clientId, clientVersion } = hello;
    for (const [field, text] of [
      ["hello.client_id", clientId],
      ["hello.client_version", clientVersion],
    ] as const) {
      if (text.length > limits.clientTextBytesMax) {
        throw new GmqError("invalid_argument", `${field} is too long`, {
          field,
          limit: `${limits.clientTextBytesMax} characters`,
        });
      }
    }
    const { brokerId } = context;
    const consumers = createSessionConsumers({
      caller,
      subscriptions: context.subscriptions,
      sessionId,
      brokerId,
      clientId,
      clientVersion,
      push,
      writable: () => !streamFull,
    });
    logger.debug("session opened", { clientId, clientVersion, protocolVersion });
    const { sessionTimeoutMsMin } = consumers;
    const peer = { sessionTimeoutMsMin, beat: sendFrame, silent };
    setState({ name: "open", consumers, pulse: context.heartbeats.start(peer, hello.answersHeartbeats) });
    send(correlationId, {
      case: "welcome",
      value: {
        protocolVersion,
        sessionId,
        brokerId,
        brokerVersion: context.brokerVersion,
        heartbeatIntervalMs: context.heartbeats.intervalMs,
        sessionSilenceMsMax: context.heartbeats.silenceMsMax,
        recordBytesMax: context.limits.recordBytesMax,
        batchBytesMax: context.limits.batchBytesMax,
        batchRecordsMax: limits.batchRecordsMax,
      },
    });
  }

  function checkCaller(): void {
    const problem = caller.problem();
    if (problem !== undefined) end(problem);
    else if (caller.version !== rightsVersion && (state.name === "open" || state.name === "draining")) {
      rightsVersion = caller.version;
      state.consumers.recheck();
    }
  }

  function frame(request: SessionRequest): void {
    if (state.name === "closed") return;
    const nowMs = performance.now();
    intake.frame(nowMs);
    const { correlationId } = request;
    try {
      if (state.name !== "hello") {
        state.pulse.heard(nowMs);
        take(correlationId, request.frame, state);
      } else if (request.frame.case === "hello") open(correlationId, request.frame.value);
      else
        throw new GmqError("protocol_violation", `the first frame is ${request.frame.case ?? "empty"}, not hello`, {
          field: "frame",
        });
    } catch (cause) {
      const error = GmqError.from(cause);
      // A session that never opened has nothing to keep.
      if (state.name === "hello") end(error);
      else refuse(correlationId, error);
    }
  }

  function take(correlationId: number, request: SessionRequest["frame"], { consumers, pulse }: Living): void {
    switch (request.case) {
      case "heartbeat":
        if (request.value.answer) pulse.answer();
        return;
      case "credit":
        return consumers.grant(request.value);
      case "hello":
        throw new GmqError("protocol_violation", "hello was said before", { field: "frame" });
      case undefined:
        throw new GmqError("malformed_frame", "the frame is empty or of a kind that this broker does not know", {
          field: "frame",
        });
      case "resolveTopic":
        return answer(correlationId, () => resolveTopic(request.value.topic));
      case "publish":
        return publishBatches(correlationId, request.value);
      case "subscribe":
        return answer(correlationId, () => {
          refuseWhileDraining();
          context.metadataRate.count(counted);
          const joined = consumers.subscribe(request.value);
          // Its session timeout may be shorter than the others'.
          pulse.changed();
          return joined.finally(pulse.changed);
        });
      case "unsubscribe":
        return answer(correlationId, () => consumers.unsubscribe(request.value.subscriptionId).finally(pulse.changed));
      case "settlement":
        return answer(correlationId, () => consumers.settle(request.value));
      case "release":
        return answer(correlationId, () => consumers.release(request.value));
    }
  }

  function refuseWhileDraining(): void {
    if (state.name === "draining") throw new GmqError("unavailable", "the broker is going away: connect elsewhere");
  }

  /** One request, one answer. */
  function answer(correlationId: number, work: () => Promise<ServerFrame>): void {
    if (correlationId === 0) {
      throw new GmqError("protocol_violation", "a request has no correlation id", {
        field: "correlation_id",
        limit: "1 or more",
      });
    }
    requestsOpen++;
    meter.requestsInFlight++;
    // Started inside a promise: what it throws at once is answered like what it rejects with.
    Promise.resolve()
      .then(work)
      .then(
        (result) => send(correlationId, result),
        (error: unknown) => refuse(correlationId, GmqError.from(error)),
      )
      .finally(() => {
        meter.requestsInFlight--;
        if (--requestsOpen === 0) whenIdle?.();
      })
      .catch((error: unknown) => logger.error("an answer could not be sent", { requestId: correlationId, error }));
  }

  function refuse(correlationId: number, error: GmqError): void {
    countError(meter, error.code);
    logger.debug("a request was refused", { requestId: correlationId, code: error.code, field: error.field });
    const gone = error.code === "permission_denied" ? caller.problem() : undefined;
    if (gone !== undefined) {
      // Not its rights but its token is over: it may come back with another one, and then what it asks for is no refusal.
      end(gone);
      return;
    }
    if (error.code === "internal") logger.error("a request failed by a defect", { requestId: correlationId, error });
    send(correlationId, { case: "error", value: errorToMessage(error) });
  }

  async function resolveTopic(topic: string): Promise<ServerFrame> {
    context.metadataRate.count(counted);
    if (!maySeeTopic(caller, topic)) throw denied(caller, "see", "topic", topic);
    const { name, config } = await context.topics.resolve(topic);
    return { case: "resolvedTopic", value: { topic: name, partitions: config.partitions } };
  }

  /** Publish bytes in flight are bounded: past the limit the stream is not read, and the client is slowed down by flow control. */
  function publishBatches(correlationId: number, { topic, batches }: PublishBatches): void {
    // One look for a frame, not for its records.
    requireTopic(caller, "publish", topic);
    let bytes = 0;
    const own = batches.map(({ partition, batch }) => {
      if (batch === undefined)
        throw new GmqError("malformed_frame", "a batch is missing", { field: "publish.batches.batch" });
      bytes += batch.records.length;
      return { partition, batch };
    });
    if (own.length === 0)
      throw new GmqError("invalid_argument", "nothing to publish", {
        field: "publish.batches",
        limit: "1 batch or more",
      });
    answer(correlationId, async () => {
      const outcomes = await context.publish(topic, own).finally(() => {
        intake.stored(bytes);
        meter.publishBytesInFlight -= bytes;
      });
      for (const outcome of outcomes) if (!outcome.ok) countError(meter, outcome.error.code);
      return { case: "published", value: { results: outcomes.map(publishResult) } };
    });
    intake.took(bytes);
    meter.publishBytesInFlight += bytes;
  }

  /** Waits until the client went, or has had nothing in flight for a while, or the deadline. */
  async function quiet(consumers: SessionConsumers, untilMs: number): Promise<void> {
    let quietMs = 0;
    while (state.name === "draining" && performance.now() < untilMs && quietMs < quietMsMin) {
      await sleep(drainLookMs);
      quietMs = requestsOpen === 0 && consumers.heldRecords() === 0 ? quietMs + drainLookMs : 0;
    }
  }

  stream.start({
    frame,
    drain() {
      streamFull = false;
      if (state.name === "open") state.consumers.pump();
    },
    end(error) {
      if (error !== undefined) {
        finish(false);
        return;
      }
      // The client said all it had to say: what it asked for is still answered.
      if (requestsOpen === 0) end();
      else whenIdle = () => end();
    },
  });

  return {
    sessionId,
    checkCaller,
    async drain(deadlineMs) {
      const untilMs = performance.now() + deadlineMs;
      if (state.name === "open") {
        const { consumers, pulse } = state;
        setState({ name: "draining", consumers, pulse });
        consumers.pause();
        push({ case: "drain", value: { deadlineMs } });
        await quiet(consumers, untilMs);
      }
      end(new GmqError("unavailable", "the broker is going away: connect elsewhere"));
      // Leaving the groups hands the partitions over at once; a store that does not answer does not hold the process.
      await Promise.race([
        gone.promise,
        sleep(Math.max(leaveMsMin, untilMs - performance.now()), undefined, { ref: false }),
      ]);
    },
  };
}
