/**
 * One client's conversation. Owns the stream: one `switch` over frame types, one answer for each request, heartbeats, backpressure, drain.
 * hello → open → (draining) → closed; only a wrong first frame or version ends it from here, everything else is answered with a typed error.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@gmq/log";
import { agreeOnVersion, GmqError, limits } from "@gmq/protocol";
import type { Hello, PublishBatches, SessionRequest } from "@gmq/protocol/messages";
import { type Caller, errorToMessage, type FrameHandlers, type FrameStream, type PeerContext } from "@gmq/transport";
import { denied, maySeeTopic, requireTopic } from "./access/require.js";
import type { BrokerLimits } from "./broker-limits.js";
import type { CallRate } from "./call-rate.js";
import type { HeartbeatPeer, Heartbeats, Pulse } from "./heartbeats.js";
import { checkClientText, publishResult, wholeBatches } from "./messages.js";
import { countError, type Meter } from "./meter.js";
import type { Publish } from "./publish.js";
import { type ConsumersContext, createSessionConsumers, type SessionConsumers } from "./session-consumers.js";
import { createSessionIntake, type SessionIntake } from "./session-intake.js";
import type { OutgoingResponse, ServerFrame } from "./session-response.js";
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
  sendAway(deadlineMs: number): Promise<void>;
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

const closedState: State = { name: "closed" };

type Stream = FrameStream<SessionRequest, OutgoingResponse>;

/** Starts a session on a stream that a client opened; `closed` is called once, when everything of it is gone. */
export function startSession(
  sessionId: string,
  stream: Stream,
  peer: PeerContext,
  context: SessionContext,
  closed: (session: Session) => void,
): Session {
  const session = new ClientSession(sessionId, stream, peer, context, closed);
  stream.start(session);
  return session;
}

/** A class: thousands may be idle, and closures cost each of them more than its state. */
class ClientSession implements Session, FrameHandlers<SessionRequest>, HeartbeatPeer, ConsumersContext {
  readonly sessionId: string;
  readonly caller: Caller;
  clientId = "";
  clientVersion = "";
  readonly #stream: Stream;
  readonly #context: SessionContext;
  readonly #whenGone: (session: Session) => void;
  readonly #logger: Logger;
  readonly #intake: SessionIntake;
  /** Who is counted: a name, or where nobody has to say one, an address. */
  readonly #counted: string;
  #rightsVersion: number;
  #state: State;
  #streamFull = false;
  #requestsOpen = 0;
  #whenIdle: (() => void) | undefined;
  /** Everything of the session is gone, its members left included; somebody may wait for it. */
  #isGone = false;
  #tellGone: (() => void) | undefined;

  constructor(
    sessionId: string,
    stream: Stream,
    { caller, address }: PeerContext,
    context: SessionContext,
    whenGone: (session: Session) => void,
  ) {
    this.sessionId = sessionId;
    this.caller = caller;
    this.#stream = stream;
    this.#context = context;
    this.#whenGone = whenGone;
    const named = caller.name === "" ? {} : { caller: caller.name };
    this.#logger = context.logger.child({ sessionId, peer: address, ...named });
    this.#intake = createSessionIntake(stream, context.limits);
    this.#counted = caller.name === "" ? address : caller.name;
    this.#rightsVersion = caller.version;
    this.#state = { name: "hello", timer: setTimeout(() => this.#helloMissing(), context.helloTimeoutMs) };
  }

  get subscriptions(): SubscriptionContext {
    return this.#context.subscriptions;
  }

  get brokerId(): string {
    return this.#context.brokerId;
  }

  frame(request: SessionRequest): void {
    const state = this.#state;
    if (state.name === "closed") return;
    const nowMs = performance.now();
    this.#intake.frame(nowMs);
    const { correlationId } = request;
    try {
      if (state.name !== "hello") {
        state.pulse.heard(nowMs);
        this.#take(correlationId, request.frame, state);
      } else if (request.frame.case === "hello") this.#open(correlationId, request.frame.value);
      else
        throw new GmqError("protocol_violation", `the first frame is ${request.frame.case ?? "empty"}, not hello`, {
          field: "frame",
        });
    } catch (cause) {
      const error = GmqError.from(cause);
      // A session that never opened has nothing to keep.
      if (this.#state.name === "hello") this.#end(error);
      else this.#refuse(correlationId, error);
    }
  }

  drain(): void {
    this.#streamFull = false;
    if (this.#state.name === "open") this.#state.consumers.pump();
  }

  end(error: GmqError | undefined): void {
    // The client said all it had to say: what it asked for is still answered.
    if (error !== undefined) this.#finish(false);
    else if (this.#requestsOpen === 0) this.#end();
    else this.#whenIdle = () => this.#end();
  }

  push(frame: ServerFrame): void {
    this.#send(0, frame);
  }

  writable(): boolean {
    return !this.#streamFull;
  }

  beat(frame: OutgoingResponse): void {
    if (!this.#stream.send(frame)) this.#streamFull = true;
  }

  sessionTimeoutMsMin(): number {
    const state = this.#state;
    return "consumers" in state ? state.consumers.sessionTimeoutMsMin() : Number.POSITIVE_INFINITY;
  }

  /** Everybody's partitions pass on at once, also those of static members: their time is up. */
  silent(silenceMsMax: number): void {
    const limit = `${silenceMsMax} ms`;
    const error = new GmqError("unavailable", "the client was silent for too long", { field: "heartbeat", limit });
    // First, as the stream tells its end at once, and that would be taken for one that broke.
    this.#finish(true);
    this.#stream.close(error);
  }

  checkCaller(): void {
    const problem = this.caller.problem();
    if (problem !== undefined) this.#end(problem);
    else if (this.caller.version !== this.#rightsVersion && "consumers" in this.#state) {
      this.#rightsVersion = this.caller.version;
      this.#state.consumers.recheck();
    }
  }

  async sendAway(deadlineMs: number): Promise<void> {
    const untilMs = performance.now() + deadlineMs;
    if (this.#state.name === "open") {
      const { consumers, pulse } = this.#state;
      this.#setState({ name: "draining", consumers, pulse });
      consumers.pause();
      this.push({ case: "drain", value: { deadlineMs } });
      await this.#quiet(consumers, untilMs);
    }
    this.#end(new GmqError("unavailable", "the broker is going away: connect elsewhere"));
    if (this.#isGone) return;
    const gone = new Promise<void>((tell) => {
      this.#tellGone = tell;
    });
    // Leaving the groups hands the partitions over at once; a store that does not answer does not hold the process.
    await Promise.race([gone, sleep(Math.max(leaveMsMin, untilMs - performance.now()), undefined, { ref: false })]);
  }

  #setState(next: State): void {
    const before = this.#state;
    if (before.name === "hello") clearTimeout(before.timer);
    else if (before.name !== "closed" && next.name === "closed") before.pulse.stop();
    if (next.name === "closed") this.#intake.close();
    this.#state = next;
  }

  #send(correlationId: number, frame: ServerFrame): void {
    this.beat({ correlationId, frame });
  }

  #helloMissing(): void {
    const limit = `${this.#context.helloTimeoutMs} ms`;
    this.#end(new GmqError("deadline_exceeded", "the session did not say hello", { field: "hello", limit }));
  }

  #end(error?: GmqError): void {
    this.#stream.close(error);
    this.#finish(error === undefined);
  }

  #finish(clean: boolean): void {
    if (this.#state.name === "closed") return;
    const consumers = "consumers" in this.#state ? this.#state.consumers : undefined;
    this.#setState(closedState);
    this.#logger.debug("session closed", { clean });
    (consumers?.close({ clean }) ?? Promise.resolve())
      .finally(() => {
        this.#isGone = true;
        this.#whenGone(this);
        this.#tellGone?.();
      })
      .catch((error: unknown) => this.#logger.error("a session did not close", { error }));
  }

  #open(correlationId: number, hello: Hello): void {
    const protocolVersion = agreeOnVersion(hello);
    const { clientId, clientVersion } = hello;
    checkClientText("hello.client_id", clientId);
    checkClientText("hello.client_version", clientVersion);
    this.clientId = clientId;
    this.clientVersion = clientVersion;
    const { heartbeats, brokerId, brokerVersion, limits: bounds } = this.#context;
    this.#logger.debug("session opened", { clientId, clientVersion, protocolVersion });
    const consumers = createSessionConsumers(this);
    this.#setState({ name: "open", consumers, pulse: heartbeats.start(this, hello.answersHeartbeats) });
    this.#send(correlationId, {
      case: "welcome",
      value: {
        protocolVersion,
        sessionId: this.sessionId,
        brokerId,
        brokerVersion,
        heartbeatIntervalMs: heartbeats.intervalMs,
        sessionSilenceMsMax: heartbeats.silenceMsMax,
        recordBytesMax: bounds.recordBytesMax,
        batchBytesMax: bounds.batchBytesMax,
        batchRecordsMax: limits.batchRecordsMax,
      },
    });
  }

  #take(correlationId: number, request: SessionRequest["frame"], { consumers, pulse }: Living): void {
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
        return this.#answer(correlationId, () => this.#resolveTopic(request.value.topic));
      case "publish":
        return this.#publish(correlationId, request.value);
      case "subscribe":
        return this.#answer(correlationId, () => {
          if (this.#state.name === "draining")
            throw new GmqError("unavailable", "the broker is going away: connect elsewhere");
          this.#context.metadataRate.count(this.#counted);
          const joined = consumers.subscribe(request.value);
          // Its session timeout may be shorter than the others'.
          pulse.changed();
          return joined.finally(() => pulse.changed());
        });
      case "unsubscribe":
        return this.#answer(correlationId, () =>
          consumers.unsubscribe(request.value.subscriptionId).finally(() => pulse.changed()),
        );
      case "settlement":
        return this.#answer(correlationId, () => consumers.settle(request.value));
      case "release":
        return this.#answer(correlationId, () => consumers.release(request.value));
    }
  }

  /** One request, one answer. */
  #answer(correlationId: number, work: () => Promise<ServerFrame>): void {
    if (correlationId === 0) {
      throw new GmqError("protocol_violation", "a request has no correlation id", {
        field: "correlation_id",
        limit: "1 or more",
      });
    }
    const { meter } = this.#context;
    this.#requestsOpen++;
    meter.requestsInFlight++;
    // Started inside a promise: what it throws at once is answered like what it rejects with.
    Promise.resolve()
      .then(work)
      .then(
        (result) => this.#send(correlationId, result),
        (error: unknown) => this.#refuse(correlationId, GmqError.from(error)),
      )
      .finally(() => {
        meter.requestsInFlight--;
        if (--this.#requestsOpen === 0) this.#whenIdle?.();
      })
      .catch((error: unknown) =>
        this.#logger.error("an answer could not be sent", { requestId: correlationId, error }),
      );
  }

  #refuse(correlationId: number, error: GmqError): void {
    const { code, field } = error;
    countError(this.#context.meter, code);
    this.#logger.debug("a request was refused", { requestId: correlationId, code, field });
    const gone = code === "permission_denied" ? this.caller.problem() : undefined;
    if (gone !== undefined) {
      // Not its rights but its token is over: it may come back with another one, and then what it asks for is no refusal.
      this.#end(gone);
      return;
    }
    if (code === "internal") this.#logger.error("a request failed by a defect", { requestId: correlationId, error });
    this.#send(correlationId, { case: "error", value: errorToMessage(error) });
  }

  async #resolveTopic(topic: string): Promise<ServerFrame> {
    this.#context.metadataRate.count(this.#counted);
    if (!maySeeTopic(this.caller, topic)) throw denied(this.caller, "see", "topic", topic);
    const { name, config } = await this.#context.topics.resolve(topic);
    return { case: "resolvedTopic", value: { topic: name, partitions: config.partitions } };
  }

  /** Publish bytes in flight are bounded: past the limit the stream is not read, and the client is slowed down by flow control. */
  #publish(correlationId: number, { topic, batches }: PublishBatches): void {
    // One look for a frame, not for its records.
    requireTopic(this.caller, "publish", topic);
    const { publish, meter } = this.#context;
    const own = wholeBatches(batches);
    const bytes = own.reduce((sum, { batch }) => sum + batch.records.length, 0);
    this.#answer(correlationId, async () => {
      const outcomes = await publish(topic, own).finally(() => {
        this.#intake.stored(bytes);
        meter.publishBytesInFlight -= bytes;
      });
      for (const outcome of outcomes) if (!outcome.ok) countError(meter, outcome.error.code);
      return { case: "published", value: { results: outcomes.map(publishResult) } };
    });
    this.#intake.took(bytes);
    meter.publishBytesInFlight += bytes;
  }

  /** Waits until the client went, or has had nothing in flight for a while, or the deadline. */
  async #quiet(consumers: SessionConsumers, untilMs: number): Promise<void> {
    let quietMs = 0;
    while (this.#state.name === "draining" && performance.now() < untilMs && quietMs < quietMsMin) {
      await sleep(drainLookMs);
      quietMs = this.#requestsOpen === 0 && consumers.heldRecords() === 0 ? quietMs + drainLookMs : 0;
    }
  }
}
