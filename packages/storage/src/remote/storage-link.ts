/**
 * A broker's link to one storage service: says hello, keeps heartbeats, matches answers to requests, and connects again after a loss with jittered backoff.
 * What was in flight when it was lost is rejected, never sent again: only its caller knows whether that is safe.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { checkAgreedVersion, createInFlight, GmqError, limits, ownVersions } from "@gmq/protocol";
import {
  type FetchedPartition,
  type LinkRequestSchema,
  type LinkResponse,
  type LinkWelcome,
  type PartitionFetchSchema,
  type Signal as SignalMessage,
  StorageService,
} from "@gmq/protocol/messages";
import {
  createFrameConnection,
  errorFromMessage,
  type FrameStream,
  type NodeTransportOptions,
  viewDecoderOf,
} from "@gmq/transport";
import { type CallClient, createCallConnection } from "@gmq/transport/unary";

type OutgoingRequest = MessageInitShape<typeof LinkRequestSchema>;
export type LinkFrame = NonNullable<OutgoingRequest["frame"]>;
export type LinkAnswer = LinkResponse["frame"];

/** A storage service as its welcome names it. */
export interface LinkedService {
  readonly storageId: string;
  readonly version: string;
  readonly engine: string;
}

/** What a link tells its owner; called in order, must not throw. */
export interface LinkEvents {
  /** It can be used, or it cannot any more. */
  changed(): void;
  signals(signals: readonly SignalMessage[]): void;
}

export interface StorageLink {
  readonly url: string;
  /** Who answered there last; empty texts before the first link. */
  readonly service: LinkedService;
  /** Linked, and not asked to go elsewhere. */
  readonly ready: boolean;
  /** Why it is not ready. */
  readonly problem: GmqError | undefined;
  /** Unary calls, on a connection of their own: a large answer holds no frame up. */
  readonly client: CallClient<typeof StorageService>;
  /**
   * Sends a request. `payloadBytes` count against `limits.linkBytesMax`: past it requests wait here, in order.
   * A fetch answered in several frames is joined.
   * @throws GmqError the service's answer, or `unavailable` when the link is lost: the outcome is unknown then
   */
  request(frame: LinkFrame, payloadBytes: number): Promise<LinkAnswer>;
  /** Begins a follow; returns how to end it. Undefined: there is no link, or its service does not know follows. */
  follow(fetch: MessageInitShape<typeof PartitionFetchSchema>, events: LinkFollow): (() => void) | undefined;
  /** Waits for the answers of what is in flight, 5 s at most, then ends the link; what is unanswered is rejected as `closed`. */
  close(): Promise<void>;
}

/** What a follow is told; nothing comes after `ended`. */
export interface LinkFollow {
  fetched(partition: FetchedPartition): void;
  ended(error: GmqError | undefined): void;
}

type Stream = FrameStream<LinkResponse, OutgoingRequest>;

type State =
  | { readonly name: "connecting"; readonly stream: Stream; readonly timer: NodeJS.Timeout }
  | {
      readonly name: "open" | "leaving";
      readonly stream: Stream;
      readonly heartbeat: NodeJS.Timeout;
      readonly follows: boolean;
    }
  | { readonly name: "backoff"; readonly timer: NodeJS.Timeout }
  | { readonly name: "closed" };

interface Request {
  readonly bytes: number;
  readonly fetched: FetchedPartition[];
  resolve(answer: LinkAnswer): void;
  reject(error: GmqError): void;
}

interface Waiting extends Request {
  readonly frame: LinkFrame;
}

const heartbeatIntervalMs = 1_000;
const heartbeatsMissedMax = 3;
const connectTimeoutMs = 5_000;
const closeTimeoutMs = 5_000;
const backoffMsMin = 50;
const backoffMsMax = 2_000;

/** Starts connecting at once. */
export function openStorageLink(
  target: NodeTransportOptions,
  brokerId: string,
  logger: Logger,
  events: LinkEvents,
): StorageLink {
  const { url } = target;
  const calls = createCallConnection({ ...target, connectTimeoutMs });
  const frames = createFrameConnection(target, viewDecoderOf);
  /** By the correlation id of what answers them. */
  const inFlight = createInFlight<Request | LinkFollow>();
  /** Those of them that are open follows; as many as there are partitions read here. */
  let followsOpen = 0;
  let waiting: Waiting[] = [];
  let inFlightBytes = 0;
  let failures = 0;
  let lastHeardMs = 0;
  let whenIdle: (() => void) | undefined;
  let service: LinkedService = { storageId: "", version: "", engine: "" };
  let problem: GmqError | undefined = new GmqError("unavailable", `there is no link to ${url} yet`);
  let state: State = { name: "backoff", timer: setTimeout(connect, 0) };

  function setState(next: State): void {
    if (state.name === "connecting" || state.name === "backoff") clearTimeout(state.timer);
    else if (state.name !== "closed" && next.name !== "leaving") clearInterval(state.heartbeat);
    state = next;
  }

  function connect(): void {
    const stream = frames.open(StorageService.method.link);
    const timer = setTimeout(
      () => lose(new GmqError("unavailable", `${url} did not welcome us`, { limit: `${connectTimeoutMs} ms` })),
      connectTimeoutMs,
    );
    setState({ name: "connecting", stream, timer });
    const isCurrent = (): boolean => state.name !== "backoff" && state.name !== "closed" && state.stream === stream;
    stream.start({
      frame: (frame) => isCurrent() && receive(frame),
      drain: () => undefined,
      end: (error) => isCurrent() && lose(error ?? new GmqError("unavailable", `${url} ended the link`)),
    });
    const hello = { ...ownVersions(), brokerId, heartbeatIntervalMs };
    stream.send({ correlationId: 0, frame: { case: "hello", value: hello } });
  }

  function receive({ correlationId, frame }: LinkResponse): void {
    lastHeardMs = performance.now();
    switch (frame.case) {
      case "welcome":
        return open(frame.value);
      case "heartbeat":
        return;
      case "signals":
        return events.signals(frame.value.signals);
      case "drain":
        return leave();
      default:
        return settleRequest(correlationId, frame);
    }
  }

  function settleRequest(correlationId: number, frame: LinkAnswer): void {
    const request = inFlight.get(correlationId);
    if (request === undefined) return;
    if (!("resolve" in request)) return tellFollower(correlationId, request, frame);
    if (frame.case === "fetched") {
      request.fetched.push(...frame.value.partitions);
      if (frame.value.more) return;
      frame.value.partitions = request.fetched;
    }
    inFlight.remove(correlationId);
    inFlightBytes -= request.bytes;
    if (frame.case === "error") request.reject(errorFromMessage(frame.value));
    else request.resolve(frame);
    sendWaiting();
    if (requestsOpen() > 0) return;
    whenIdle?.();
    if (state.name === "leaving") lose(new GmqError("unavailable", `${url} is going away`));
  }

  function tellFollower(correlationId: number, follower: LinkFollow, frame: LinkAnswer): void {
    if (frame.case === "fetched" && frame.value.more) {
      for (const partition of frame.value.partitions) follower.fetched(partition);
      return;
    }
    inFlight.remove(correlationId);
    followsOpen--;
    if (frame.case === "error") return follower.ended(errorFromMessage(frame.value));
    const partitions = frame.case === "fetched" ? frame.value.partitions : [];
    const error = partitions.find((partition) => partition.error !== undefined)?.error;
    if (error === undefined) for (const partition of partitions) follower.fetched(partition);
    follower.ended(error === undefined ? undefined : errorFromMessage(error));
  }

  function open({ protocolVersion, follows, storageId, version, engine }: LinkWelcome): void {
    if (state.name !== "connecting") return;
    try {
      checkAgreedVersion(protocolVersion);
    } catch (error) {
      return lose(GmqError.from(error));
    }
    const { stream } = state;
    setState({ name: "open", stream, heartbeat: setInterval(beat, heartbeatIntervalMs), follows });
    logger.info("linked to storage", { url, protocolVersion });
    service = { storageId, version, engine };
    failures = 0;
    problem = undefined;
    events.changed();
  }

  function beat(): void {
    if (state.name !== "open" && state.name !== "leaving") return;
    const silenceMsMax = heartbeatIntervalMs * heartbeatsMissedMax;
    if (performance.now() - lastHeardMs > silenceMsMax) {
      lose(new GmqError("unavailable", `${url} was silent for too long`, { limit: `${silenceMsMax} ms` }));
    } else {
      state.stream.send({ correlationId: 0, frame: { case: "heartbeat", value: {} } });
    }
  }

  /** The service goes away: what is in flight is answered, then another is asked until this one is back. */
  function leave(): void {
    if (state.name !== "open") return;
    problem = new GmqError("unavailable", `${url} is going away`);
    setState({ ...state, name: "leaving" });
    events.changed();
    if (requestsOpen() === 0) lose(problem);
  }

  function lose(error: GmqError): void {
    if (state.name === "closed" || state.name === "backoff") return;
    if (problem === undefined || problem.message !== error.message) logger.warn("no link to storage", { url, error });
    problem = error;
    const { stream, name } = state;
    const delayMs = Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(failures++, 8)) * (0.5 + Math.random() / 2);
    setState({ name: "backoff", timer: setTimeout(connect, delayMs) });
    stream.close();
    // A connection that went silent would carry the next link into the same silence.
    if (name !== "leaving") {
      frames.drop();
      calls.drop();
    }
    rejectAll(new GmqError("unavailable", `the link to ${url} was lost: ${error.message}`, { cause: error }));
    events.changed();
  }

  function rejectAll(error: GmqError): void {
    const lost = [...inFlight.drain(), ...waiting];
    waiting = [];
    inFlightBytes = 0;
    followsOpen = 0;
    for (const request of lost) if ("reject" in request) request.reject(error);
    for (const follow of lost) if ("ended" in follow) follow.ended(error);
    whenIdle?.();
  }

  function sendWaiting(): void {
    let sent = 0;
    for (const request of waiting) {
      if (inFlightBytes > 0 && inFlightBytes + request.bytes > limits.linkBytesMax) break;
      transmit(request.frame, request);
      sent++;
    }
    if (sent > 0) waiting = waiting.slice(sent);
  }

  function transmit(frame: LinkFrame, request: Request): void {
    if (state.name !== "open" && state.name !== "leaving") return request.reject(noLink());
    const correlationId = inFlight.add(request);
    inFlightBytes += request.bytes;
    state.stream.send({ correlationId, frame });
  }

  function requestsOpen(): number {
    return inFlight.size - followsOpen;
  }

  function noLink(): GmqError {
    return new GmqError("unavailable", `there is no link to ${url}`, { cause: problem });
  }

  return {
    url,
    get service() {
      return service;
    },
    get ready() {
      return state.name === "open";
    },
    get problem() {
      return state.name === "open" ? undefined : problem;
    },
    client: calls.client(StorageService),
    request(frame, bytes) {
      return new Promise((resolve, reject) => {
        const request = { bytes, fetched: [], resolve, reject };
        if (waiting.length > 0 || (inFlightBytes > 0 && inFlightBytes + bytes > limits.linkBytesMax)) {
          waiting.push({ ...request, frame });
        } else transmit(frame, request);
      });
    },
    follow(fetch, events) {
      if (state.name !== "open" || !state.follows) return undefined;
      const { stream } = state;
      const correlationId = inFlight.add(events);
      followsOpen++;
      stream.send({ correlationId, frame: { case: "follow", value: { fetch } } });
      return () => {
        if (inFlight.get(correlationId) !== events) return;
        stream.send({ correlationId, frame: { case: "unfollow", value: {} } });
      };
    },
    async close() {
      if (requestsOpen() > 0) {
        const signal = AbortSignal.timeout(closeTimeoutMs);
        await new Promise<void>((resolve) => {
          whenIdle = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      if (state.name === "closed") return;
      const before = state;
      setState({ name: "closed" });
      if (before.name !== "backoff") before.stream.close();
      rejectAll(new GmqError("closed", "the engine is closed"));
      frames.close();
      calls.close();
    },
  };
}
