/**
 * One broker's link: append, fetch and settle with many in flight, each answered once, and the store's signals.
 * hello → open → closed; only a wrong first frame or version ends it from here, everything else is answered with a typed error.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { agreeOnVersion, checkName, GmqError, limits } from "@gmq/protocol";
import type {
  AppendBatches,
  FetchEntries,
  Follow,
  LinkHello,
  LinkRequest,
  LinkResponseSchema,
  SettleRecords,
} from "@gmq/protocol/messages";
import { errorToMessage, type FrameStream, type PeerContext } from "@gmq/transport";
import type { Engine, PartitionAppend, PartitionFetch, Signal } from "../engine.js";
import {
  appendOutcomeToMessage,
  fetchFromMessage,
  fetchOutcomeToMessage,
  type OutgoingPartition,
  settleFromMessage,
  settleOutcomeToMessage,
} from "../wire/record-messages.js";
import { createLinkFollows } from "./link-follows.js";
import { createSignalRelay } from "./signal-relay.js";

export interface LinkSession {
  /** Tells the broker to go elsewhere; its requests are answered until it does. */
  drain(deadlineMs: number): void;
  close(error?: GmqError): void;
}

/** A frame to the broker. */
export type OutgoingResponse = MessageInitShape<typeof LinkResponseSchema>;

type Frame = NonNullable<OutgoingResponse["frame"]>;

type State =
  | { readonly name: "hello"; readonly timer: NodeJS.Timeout }
  | { readonly name: "open"; readonly watch: NodeJS.Timeout; readonly unsubscribe: () => void }
  | { readonly name: "closed" };

/** A broker that says nothing for so many of its heartbeats is gone. */
const heartbeatsMissedMax = 3;
const heartbeatMsMin = 100;
const heartbeatMsMax = 60_000;

/** Serves a link that a broker opened; `closed` is called once, when it is over. */
export function startLinkSession(
  stream: FrameStream<LinkRequest, OutgoingResponse>,
  peer: PeerContext,
  context: {
    readonly engine: Engine;
    readonly storageId: string;
    readonly version: string;
    readonly logger: Logger;
  },
  closed: () => void,
): LinkSession {
  const { engine } = context;
  let logger = context.logger.child({ peer: peer.address });
  let state: State = { name: "hello", timer: setTimeout(helloMissing, limits.helloTimeoutMsDefault) };
  let lastHeardMs = performance.now();
  const signals = createSignalRelay((batch) => send(0, { case: "signals", value: { signals: batch } }));
  const follows = createLinkFollows(engine.groups.follow, (id, partitions, more) => {
    const hasRoom = partitions.length === 0 && more ? true : send(id, { case: "fetched", value: { partitions, more } });
    signals.join();
    return hasRoom;
  });

  function send(correlationId: number, frame: Frame): boolean {
    const hasRoom = stream.send({ correlationId, frame });
    if (!hasRoom) signals.hold();
    return hasRoom;
  }

  function setState(next: State): void {
    if (state.name === "hello") clearTimeout(state.timer);
    else if (state.name === "open") {
      clearInterval(state.watch);
      state.unsubscribe();
    }
    state = next;
  }

  function close(error?: GmqError): void {
    stream.close(error);
    finish();
  }

  function finish(): void {
    if (state.name === "closed") return;
    setState({ name: "closed" });
    follows.close();
    signals.close();
    closed();
  }

  function helloMissing(): void {
    const limit = `${limits.helloTimeoutMsDefault} ms`;
    close(new GmqError("deadline_exceeded", "the link did not say hello", { field: "hello", limit }));
  }

  function open(correlationId: number, hello: LinkHello): void {
    const protocolVersion = agreeOnVersion(hello);
    const { brokerId, heartbeatIntervalMs } = hello;
    checkName("broker_id", brokerId);
    if (heartbeatIntervalMs < heartbeatMsMin || heartbeatIntervalMs > heartbeatMsMax) {
      throw new GmqError("invalid_argument", `a heartbeat every ${heartbeatIntervalMs} ms`, {
        field: "hello.heartbeat_interval_ms",
        limit: `${heartbeatMsMin} to ${heartbeatMsMax} ms`,
      });
    }
    logger = logger.child({ brokerId });
    const silenceMsMax = heartbeatIntervalMs * heartbeatsMissedMax;
    const watch = setInterval(() => {
      if (performance.now() - lastHeardMs <= silenceMsMax) return;
      const limit = `${silenceMsMax} ms`;
      close(new GmqError("unavailable", "the broker was silent for too long", { field: "heartbeat", limit }));
    }, heartbeatIntervalMs);
    setState({ name: "open", watch, unsubscribe: engine.signals.subscribe(heard) });
    const { storageId, version } = context;
    send(correlationId, {
      case: "welcome",
      value: { protocolVersion, storageId, version, engine: engine.kind, follows: engine.groups.follow !== undefined },
    });
    logger.info("a broker is linked", { protocolVersion });
  }

  /** What a follow is about to answer needs no frame of its own. */
  function heard(signal: Signal): void {
    signals.add(signal, signal.kind === "partition" && follows.has(signal));
  }

  function frame({ correlationId, frame: request }: LinkRequest): void {
    lastHeardMs = performance.now();
    if (state.name === "closed") return;
    try {
      if (state.name === "hello") {
        if (request.case !== "hello") {
          throw new GmqError("protocol_violation", `the first frame is ${request.case ?? "empty"}, not hello`, {
            field: "frame",
          });
        }
        open(correlationId, request.value);
      } else take(correlationId, request);
    } catch (cause) {
      const error = GmqError.from(cause);
      if (state.name === "hello") close(error);
      else refuse(correlationId, error);
    }
  }

  function take(correlationId: number, request: LinkRequest["frame"]): void {
    switch (request.case) {
      case "append":
        return answer(correlationId, append(request.value));
      case "fetch":
        return answer(correlationId, fetch(correlationId, request.value));
      case "settle":
        return answer(correlationId, settle(request.value));
      case "follow":
        return follows.start(correlationId, followed(request.value));
      case "unfollow":
        return follows.stop(correlationId);
      case "heartbeat":
        return void send(correlationId, { case: "heartbeat", value: {} });
      case "hello":
        throw new GmqError("protocol_violation", "hello was said before", { field: "frame" });
      case undefined:
        throw new GmqError("malformed_frame", "the frame is empty or of a kind that this storage does not know", {
          field: "frame",
        });
    }
  }

  /** One request, one answer. */
  function answer(correlationId: number, work: Promise<Frame>): void {
    work.then(
      (result) => send(correlationId, result),
      (error: unknown) => refuse(correlationId, GmqError.from(error)),
    );
  }

  function refuse(correlationId: number, error: GmqError): void {
    if (error.code === "internal") logger.error("a request failed by a defect", { error });
    send(correlationId, { case: "error", value: errorToMessage(error) });
  }

  async function append({ appends }: AppendBatches): Promise<Frame> {
    // PartitionAppend and Batch of the wire have the engine's shape: nothing is turned over or copied.
    const outcomes = await engine.log.append(appends as readonly PartitionAppend[]);
    const partitions = outcomes.map((results) => ({ results: results.map(appendOutcomeToMessage) }));
    return { case: "appended", value: { partitions } };
  }

  async function fetch(correlationId: number, { fetches }: FetchEntries): Promise<Frame> {
    const outcomes = await engine.groups.fetch(fetches.map(fetchFromMessage));
    let partitions: OutgoingPartition[] = [];
    let bytes = 0;
    for (const outcome of outcomes) {
      const more = outcome.ok ? outcome.entries.reduce((sum, { body, meta }) => sum + body.length + meta.length, 0) : 0;
      if (bytes > 0 && bytes + more > answerBytesMax) {
        send(correlationId, { case: "fetched", value: { partitions, more: true } });
        partitions = [];
        bytes = 0;
      }
      partitions.push(fetchOutcomeToMessage(outcome));
      bytes += more;
    }
    return { case: "fetched", value: { partitions, more: false } };
  }

  async function settle({ settles }: SettleRecords): Promise<Frame> {
    const outcomes = await engine.groups.settle(settles.map(settleFromMessage));
    return { case: "settled", value: { partitions: outcomes.map(settleOutcomeToMessage) } };
  }

  function followed({ fetch: wanted }: Follow): PartitionFetch {
    if (wanted === undefined) throw new GmqError("malformed_frame", "a follow has no fetch", { field: "follow.fetch" });
    return fetchFromMessage(wanted);
  }

  stream.start({
    frame,
    drain: signals.flow,
    end(error) {
      if (error !== undefined && state.name === "open") logger.warn("the link to a broker was lost", { error });
      close();
    },
  });
  return {
    drain(deadlineMs) {
      if (state.name !== "open") return;
      send(0, { case: "drain", value: { deadlineMs } });
      follows.stopAll();
    },
    close,
  };
}

/** Payload of one fetch answer's frame, at most; a single partition may be over it by one batch. */
const answerBytesMax = 2 * 1024 * 1024;

/** About how many bytes an answer takes: its payloads. */
export function linkResponseBytes({ frame }: OutgoingResponse): number {
  if (frame?.case !== "fetched") return 64;
  let bytes = 64;
  for (const { entries } of frame.value.partitions ?? []) {
    for (const { body, meta } of entries ?? []) bytes += 32 + (body?.length ?? 0) + (meta?.length ?? 0);
  }
  return bytes;
}
