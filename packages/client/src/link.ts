/**
 * The client's one connection: a session with one broker at a time. Says hello, keeps heartbeats, matches answers to requests, and after a loss connects
 * again, to the next broker, with jittered backoff. Producers and subscriptions attach to it and are told when it opens and when it is lost.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { checkAgreedVersion, createInFlight, GmqError, ownVersions } from "@gmq/protocol";
import type { SessionRequestSchema, SessionResponse, Welcome } from "@gmq/protocol/messages";
import { errorFromMessage, type TlsClientOptions } from "@gmq/transport/frames";
import type { CallConnection } from "@gmq/transport/unary";
import { type BrokerConnection, connectTo, type SessionStream } from "./broker-connection.js";
import { bounded, type CallOptions } from "./call-options.js";
import type { Instrumentation } from "./instrumentation.js";
import { type LinkHeartbeats, startHeartbeats } from "./link-heartbeats.js";

/** A frame to the broker, without its correlation id. */
export type ClientFrame = NonNullable<MessageInitShape<typeof SessionRequestSchema>["frame"]>;
/** A frame from the broker. */
export type BrokerFrame = SessionResponse["frame"];

/** Who listens to a link; called in order, must not throw. */
export interface LinkListener {
  /** A session is open; nothing of an earlier one is known to the broker. */
  opened(welcome: Welcome): void;
  /** The session is gone, requests in flight were rejected. Another is opened unless the link was closed. */
  lost(error: GmqError): void;
  /** A frame that answers no request. */
  frame(frame: BrokerFrame): void;
  /** There is room to send again. */
  drained(): void;
  /** The broker asks to go: resolves when the listener has nothing in flight on this session. */
  leaving(): Promise<void>;
}

export interface Link {
  attach(listener: LinkListener): () => void;
  /** Sends a request on the open session. @throws GmqError the broker's answer, or `unavailable` when there is no session or it is lost meanwhile */
  request(frame: ClientFrame): Promise<BrokerFrame>;
  /** Looks after the heartbeats at least this often until the returned function is called: whether the broker is silent, and where it does not ask, by saying one. */
  heartbeatEvery(intervalMs: number): () => void;
  /** Sends a frame that has no answer; dropped without a session: the next one begins anew. */
  send(frame: ClientFrame): void;
  /** False while the connection is full: hold back until `drained`. */
  readonly writable: boolean;
  readonly instrumentation: Instrumentation | undefined;
  /** The open session's welcome. */
  readonly welcome: Welcome | undefined;
  /** Waits for an open session. */
  whenOpen(options: CallOptions): Promise<Welcome>;
  /** Calls to the broker of the current or last session. @throws GmqError `closed`, `unavailable` */
  calls(): CallConnection;
  close(): Promise<void>;
  readonly closed: boolean;
}

export interface LinkOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly clientVersion: string;
  readonly token: (() => Promise<string>) | undefined;
  readonly tls: TlsClientOptions | undefined;
  readonly reconnect: { readonly initialMs: number; readonly maxMs: number };
  /** A connection attempt, up to the welcome, may take this long. */
  readonly connectTimeoutMs: number;
  /** For those who use the link. */
  readonly instrumentation: Instrumentation | undefined;
}

type State =
  | {
      readonly name: "connecting";
      readonly node: BrokerConnection | undefined;
      readonly stream: SessionStream | undefined;
      readonly timer: NodeJS.Timeout;
    }
  | {
      readonly name: "open";
      readonly node: BrokerConnection;
      readonly stream: SessionStream;
      readonly welcome: Welcome;
      readonly heartbeats: LinkHeartbeats;
    }
  | { readonly name: "backoff"; readonly timer: NodeJS.Timeout }
  | { readonly name: "closed" };

interface Request {
  resolve(frame: BrokerFrame): void;
  reject(error: GmqError): void;
}

interface OpenWaiter {
  opened(welcome: Welcome): void;
  reject(error: GmqError): void;
}

const requestsMax = 100_000;
/** A session that ends sooner is no better than an attempt that failed: who is welcomed and dropped again and again comes ever more seldom. */
const lastedMsMin = 1_000;
/** The first frame of a stream: nothing else is under way. */
const helloCorrelationId = 1;

/** Starts connecting at once. */
export function createLink(options: LinkOptions): Link {
  const listeners = new Set<LinkListener>();
  const requests = createInFlight<Request>();
  const openWaiters = new Set<OpenWaiter>();
  /** Intervals asked for; a number for each consumer. */
  let heartbeatIntervals: number[] = [];
  let state: State = { name: "backoff", timer: setTimeout(connect, 0) };
  let lastNode: BrokerConnection | undefined;
  let brokerIndex = 0;
  /** Attempts, and sessions that did not last, since the last one that did. */
  let failures = 0;
  let openedMs = 0;
  let writable = true;
  let lastError: GmqError | undefined;

  function setState(next: State): void {
    if (state.name === "connecting" || state.name === "backoff") clearTimeout(state.timer);
    else if (state.name === "open") state.heartbeats.stop();
    state = next;
  }

  function connect(): void {
    if (state.name === "closed") return;
    const url = options.brokers[brokerIndex++ % options.brokers.length] as string;
    const timer = setTimeout(
      () => lose(new GmqError("unavailable", `${url} did not welcome us`, { limit: `${options.connectTimeoutMs} ms` })),
      options.connectTimeoutMs,
    );
    const attempt: State = { name: "connecting", node: undefined, stream: undefined, timer };
    setState(attempt);
    openSession(url).then(
      ({ node, stream }) => {
        if (state !== attempt) {
          node.close();
          return;
        }
        // The same attempt, now with something to close; its timer stays.
        state = { name: "connecting", node, stream, timer };
        startStream(url, stream);
      },
      (error: unknown) => {
        if (state === attempt) lose(GmqError.from(error));
      },
    );
  }

  async function openSession(url: string): Promise<{ node: BrokerConnection; stream: SessionStream }> {
    const token = await options.token?.();
    const target = {
      url,
      connectTimeoutMs: options.connectTimeoutMs,
      ...(token === undefined ? {} : { token }),
      ...(options.tls === undefined ? {} : { tls: options.tls }),
    };
    return connectTo(target);
  }

  function startStream(url: string, stream: SessionStream): void {
    const current = (): boolean => (state.name === "connecting" || state.name === "open") && state.stream === stream;
    stream.start({
      frame: (frame) => current() && receive(frame),
      drain() {
        if (!current()) return;
        writable = true;
        for (const listener of listeners) listener.drained();
      },
      end(error) {
        if (current()) lose(error ?? new GmqError("unavailable", `${url} ended the session`));
      },
    });
    const { clientId, clientVersion } = options;
    stream.send({
      correlationId: helloCorrelationId,
      frame: { case: "hello", value: { ...ownVersions(), clientId, clientVersion, answersHeartbeats: true } },
    });
  }

  function receive({ correlationId, frame }: SessionResponse): void {
    if (frame.case === "welcome") return open(frame.value);
    if (state.name !== "open") return;
    state.heartbeats.heard();
    if (frame.case === "heartbeat") return state.heartbeats.came(frame.value);
    if (frame.case === "drain") return void leave(frame.value.deadlineMs);
    const request = requests.remove(correlationId);
    if (request === undefined) {
      for (const listener of listeners) listener.frame(frame);
      return;
    }
    if (frame.case === "error") request.reject(errorFromMessage(frame.value));
    else request.resolve(frame);
  }

  function open(welcome: Welcome): void {
    if (state.name !== "connecting" || state.stream === undefined || state.node === undefined) return;
    const { node, stream } = state;
    try {
      checkAgreedVersion(welcome.protocolVersion);
    } catch (error) {
      return lose(GmqError.from(error));
    }
    setState({
      name: "open",
      node,
      stream,
      welcome,
      heartbeats: startHeartbeats(welcome, shortestInterval(welcome), heartbeatPeer),
    });
    lastNode = node;
    openedMs = performance.now();
    writable = true;
    for (const listener of listeners) listener.opened(welcome);
    for (const waiter of openWaiters) waiter.opened(welcome);
    openWaiters.clear();
  }

  const heartbeatPeer = {
    beat: (answer: boolean): void => send({ case: "heartbeat", value: { answer } }),
    isAwaited: (): boolean => requests.size > 0,
    silent: (silenceMsMax: number): void =>
      lose(new GmqError("unavailable", "the broker was silent for too long", { limit: `${silenceMsMax} ms` })),
  };

  function shortestInterval({ heartbeatIntervalMs }: Welcome): number {
    return Math.min(heartbeatIntervalMs, ...heartbeatIntervals);
  }

  /** The broker goes away: what is in flight is finished, then the next broker is asked. */
  async function leave(deadlineMs: number): Promise<void> {
    if (state.name !== "open") return;
    const { stream } = state;
    await bounded(
      Promise.all(Array.from(listeners, (listener) => listener.leaving())),
      { timeoutMs: deadlineMs },
      "leaving a broker",
    ).catch((error: unknown) => {
      lastError = GmqError.from(error);
    });
    if (state.name !== "open" || state.stream !== stream) return;
    stream.close();
    lose(new GmqError("unavailable", "the broker went away"), true);
  }

  function lose(error: GmqError, planned = false): void {
    if (state.name === "closed" || state.name === "backoff") return;
    const wasOpen = state.name === "open";
    const { node, stream } = state;
    lastError = error;
    if (wasOpen && performance.now() - openedMs >= Math.min(lastedMsMin, options.reconnect.maxMs)) failures = 0;
    const delayMs = planned ? 0 : backoffMs(failures++, options.reconnect);
    setState({ name: "backoff", timer: setTimeout(connect, delayMs) });
    stream?.close(planned ? undefined : new GmqError("unavailable", "the session is over"));
    // A planned end goes out in order: the connection is closed behind it.
    if (planned) setTimeout(() => node?.close(), 1_000).unref();
    else node?.close();
    rejectRequests(error);
    // Trying again will not help: whoever waits for the first session is told now. A broker of another version is not the last word: others may speak ours.
    const othersMay = error.code === "unsupported_version" && failures < options.brokers.length;
    if (!error.retryable && !othersMay) {
      for (const waiter of openWaiters) waiter.reject(error);
      openWaiters.clear();
    }
    if (wasOpen) for (const listener of listeners) listener.lost(error);
  }

  function rejectRequests(error: GmqError): void {
    const lost = requests.drain();
    const reason = new GmqError("unavailable", `the session was lost: ${error.message}`, { cause: error });
    for (const request of lost) request.reject(reason);
  }

  function send(frame: ClientFrame): void {
    if (state.name !== "open") return;
    if (!state.stream.send({ correlationId: 0, frame })) writable = false;
  }

  return {
    instrumentation: options.instrumentation,
    attach(listener) {
      listeners.add(listener);
      if (state.name === "open") listener.opened(state.welcome);
      return () => void listeners.delete(listener);
    },
    request(frame) {
      if (state.name !== "open")
        return Promise.reject(new GmqError("unavailable", "there is no session with a broker", { cause: lastError }));
      if (requests.size >= requestsMax) {
        return Promise.reject(
          new GmqError("resource_exhausted", "too many requests wait for an answer", {
            limit: `${requestsMax} requests`,
          }),
        );
      }
      const { stream } = state;
      return new Promise((resolve, reject) => {
        const correlationId = requests.add({ resolve, reject });
        if (!stream.send({ correlationId, frame })) writable = false;
      });
    },
    heartbeatEvery(intervalMs) {
      const isShorter = heartbeatIntervals.every((other) => intervalMs < other);
      heartbeatIntervals.push(intervalMs);
      if (isShorter && state.name === "open") state.heartbeats.every(shortestInterval(state.welcome));
      return () => {
        heartbeatIntervals = heartbeatIntervals.toSpliced(heartbeatIntervals.indexOf(intervalMs), 1);
      };
    },
    send,
    get writable() {
      return writable && state.name === "open";
    },
    get welcome() {
      return state.name === "open" ? state.welcome : undefined;
    },
    async whenOpen(callOptions) {
      if (state.name === "open") return state.welcome;
      if (state.name === "closed") throw new GmqError("closed", "the connection is closed");
      let waiter: OpenWaiter | undefined;
      const opened = new Promise<Welcome>((resolve, reject) => {
        waiter = { opened: resolve, reject };
        openWaiters.add(waiter);
      });
      try {
        return await bounded(opened, callOptions, "connecting");
      } catch (error) {
        if (!GmqError.is(error, "deadline_exceeded") || lastError === undefined) throw error;
        throw new GmqError(
          lastError.retryable ? "unavailable" : lastError.code,
          `no broker of ${options.brokers.join(", ")}: ${lastError.message}`,
          { field: "brokers", cause: lastError },
        );
      } finally {
        if (waiter !== undefined) openWaiters.delete(waiter);
      }
    },
    calls() {
      if (state.name === "closed") throw new GmqError("closed", "the connection is closed");
      const node = state.name === "open" ? state.node : lastNode;
      if (node === undefined)
        throw new GmqError("unavailable", "there is no session with a broker", { cause: lastError });
      return node.calls();
    },
    async close() {
      if (state.name === "closed") return;
      const before = state;
      setState({ name: "closed" });
      const error = new GmqError("closed", "the connection was closed");
      for (const waiter of openWaiters) waiter.reject(error);
      rejectRequests(error);
      if (before.name !== "open" && before.name !== "connecting") return;
      before.stream?.close();
      // The end of the stream has to leave before the connection does.
      await new Promise((resolve) => setTimeout(resolve, before.name === "open" ? 20 : 0));
      before.node?.close();
    },
    get closed() {
      return state.name === "closed";
    },
  };
}

/** Full jitter between half and all of an exponential delay. */
function backoffMs(
  failures: number,
  { initialMs, maxMs }: { readonly initialMs: number; readonly maxMs: number },
): number {
  return Math.min(maxMs, initialMs * 2 ** Math.min(failures, 16)) * (0.5 + Math.random() / 2);
}
