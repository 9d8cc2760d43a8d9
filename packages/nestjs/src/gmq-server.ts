/**
 * GMQ as a transport of Nest's microservices: each `@GmqEventPattern` (or `@EventPattern`) is a subscription. A handler's success is an ack, its failure a retry with
 * backoff, `Reject` and the last attempt the dead-letter topic; `@MessagePattern` handlers reply to the request's reply topic.
 */
import {
  type ConnectOptions,
  connect,
  type Gmq,
  GmqError,
  type Message,
  type Producer,
  type Subscription,
} from "@gmq/client";
import { Logger } from "@nestjs/common";
import { type CustomTransportStrategy, type MessageHandler, Server } from "@nestjs/microservices";
import { from, isObservable, lastValueFrom, mergeMap, type Observable, of } from "rxjs";
import { answerRequest, replyAddressOf } from "./answer-request.js";
import { GmqContext } from "./gmq-context.js";
import { type GmqExtras, gmqTransport } from "./gmq-event-pattern.js";
import { failureOf, isHidden } from "./handler-failure.js";
import { checkApart, checkSame, type GmqHandlerOptions, type PlannedSubscription } from "./handler-options.js";
import { topicOfPattern } from "./json-values.js";

export interface GmqServerOptions {
  /** Group of every handler that names none: instances of one service share it, and with it the records. */
  readonly group: string;
  /** How to connect (default: to localhost), or a connection that there is already; that one stays open when the server closes. */
  readonly connection?: ConnectOptions | Gmq;
  /** What handlers' subscriptions take unless they say otherwise: concurrency, retry, `processingTimeoutMs`, … */
  readonly subscribe?: GmqHandlerOptions;
  /** How long `close` waits for handlers that run; past it their signals fire and what they hold comes again. Default 10,000 ms. */
  readonly drainTimeoutMs?: number;
}

/** `failed`: a subscription ended by an error, its handler gets nothing more. */
export type GmqServerStatus = "connected" | "disconnected" | "failed" | "closed";

/** What `app.on(…)` takes. */
export interface GmqServerEvents extends Record<string, (error: GmqError) => void> {
  failed: (error: GmqError) => void;
}

/** The transport, for `createMicroservice(AppModule, { strategy: new GmqServer({ group }) })`. */
export class GmqServer extends Server<GmqServerEvents, GmqServerStatus> implements CustomTransportStrategy {
  override transportId: symbol = gmqTransport;
  /** A failed handler is told to GMQ, which tries again. */
  override readonly propagatesEventHandlerErrors: boolean = true;
  protected override readonly logger: Logger = new Logger(GmqServer.name);
  readonly #options: GmqServerOptions;
  readonly #planned = new Map<string, PlannedSubscription>();
  readonly #subscriptions: Subscription[] = [];
  readonly #failureListeners: ((error: GmqError) => void)[] = [];
  readonly #hiddenErrors = new Set<string>();
  readonly #stopping = new AbortController();
  #gmq: Gmq | undefined;
  #replies: Producer | undefined;
  #closing: Promise<void> | undefined;

  /** @throws GmqError `invalid_argument` */
  constructor(options: GmqServerOptions) {
    super();
    if (typeof options?.group !== "string" || options.group === "") {
      throw new GmqError("invalid_argument", "a GmqServer needs the name of its group", {
        field: "group",
        limit: "1 character or more",
      });
    }
    const { drainTimeoutMs = 10_000 } = options;
    if (!Number.isInteger(drainTimeoutMs) || drainTimeoutMs < 0 || drainTimeoutMs > 2_147_483_647) {
      throw new GmqError("invalid_argument", `drainTimeoutMs is ${drainTimeoutMs}`, {
        field: "drainTimeoutMs",
        limit: "0 to 2147483647",
      });
    }
    this.#options = { ...options, drainTimeoutMs };
  }

  /** Nest tells every handler that it found. @throws GmqError `invalid_argument` */
  override addHandler(
    pattern: unknown,
    callback: MessageHandler,
    isEventHandler = false,
    extras: GmqExtras = {},
  ): void {
    const topic = topicOfPattern(extras.gmqPattern ?? pattern);
    const options = { ...this.#options.subscribe, ...extras.gmq };
    const group = options.group ?? this.#options.group;
    // Handlers of one topic in different groups each get everything.
    const handlerKey = `${topic.name}@${group}`;
    const known = this.#planned.get(handlerKey);
    if (known === undefined) this.#planned.set(handlerKey, { topic, group, options, handlerKey });
    else {
      checkSame(known, options);
      if (!isEventHandler || this.messageHandlers.get(handlerKey)?.isEventHandler !== true) {
        throw new GmqError("invalid_argument", `two handlers answer requests of ${topic.name}`, {
          field: "pattern",
          limit: "one handler for requests, and then none for events",
        });
      }
    }
    super.addHandler(handlerKey, callback, isEventHandler, extras);
  }

  /** Connects and subscribes; the callback gets a GmqError when that fails. */
  async listen(callback: (error?: GmqError) => void): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.close();
      callback(GmqError.from(error));
      return;
    }
    callback();
  }

  async #start(): Promise<void> {
    const planned = [...this.#planned.values()];
    checkApart(planned);
    const { connection = {} } = this.#options;
    this.#gmq = isConnection(connection) ? connection : await this.#connect(connection);
    for (const { topic, group, options, handlerKey } of planned) {
      const subscription = this.#gmq.subscribe(topic, { ...options, group }, (message, context) =>
        this.#handle(handlerKey, message, context.signal),
      );
      this.#subscriptions.push(subscription);
      void this.#watch(subscription, topic.name);
    }
    this._status$.next("connected");
  }

  /** Closing gives up connecting. @throws GmqError `closed`, and what `connect` does */
  async #connect(connection: ConnectOptions): Promise<Gmq> {
    const { signal } = this.#stopping;
    const gmq = await connect(stoppable(connection, signal));
    if (!signal.aborted) return gmq;
    await gmq.close();
    throw new GmqError("closed", "the server was closed while it connected");
  }

  /** One attempt. @throws what made the handler fail */
  #handle(handlerKey: string, message: Message<unknown>, signal: AbortSignal): Promise<void> {
    const handler = this.messageHandlers.get(handlerKey) as MessageHandler;
    const context = new GmqContext([message, signal]);
    return new Promise((resolve, reject) => {
      const attempt = async (): Promise<void> => {
        try {
          await this.#run(handler, message, context);
          resolve();
        } catch (error) {
          if (isHidden(error, context)) this.#tellHidden(handlerKey);
          reject(failureOf(error, context));
        } finally {
          this.onProcessingEndHook?.(this.transportId, context);
        }
      };
      // Whoever traces may put its own context around an attempt; what a hook returns says nothing of the attempt.
      this.onProcessingStartHook(this.transportId, context, attempt);
    });
  }

  async #run(handler: MessageHandler, message: Message<unknown>, context: GmqContext): Promise<void> {
    const address = handler.isEventHandler === true ? undefined : replyAddressOf(message);
    if (address === undefined) {
      const result: unknown = await handler(message.value, context);
      if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
      return;
    }
    this.#replies ??= this.#connection().producer();
    await answerRequest(this.#replies, address, valuesOf(handler(message.value, context)));
  }

  async #watch(subscription: Subscription, topic: string): Promise<void> {
    subscription.closed.catch((error: unknown) => {
      const failure = GmqError.from(error);
      this.logger.error(`the subscription to ${topic} ended: ${failure.code}: ${failure.message}`);
      this._status$.next("failed");
      for (const listener of this.#failureListeners) listener(failure);
    });
    for await (const event of subscription.status()) {
      if (event.type === "subscribed") this._status$.next("connected");
      else if (event.type === "reconnecting") this._status$.next("disconnected");
      else if (event.type === "rejected")
        this.logger.warn(`${event.topic}/${event.partition} at ${event.offset} was rejected: ${event.reason}`);
      else if (event.type === "stalled")
        this.logger.warn(`${topic}: nothing was done for ${event.forMs} ms, ${event.heldRecords} records are held`);
      else if (event.type === "settleFailed")
        this.logger.warn(`${event.topic}/${event.partition}: verdicts could not be stored: ${event.error.message}`);
    }
  }

  #tellHidden(handlerKey: string): void {
    if (this.#hiddenErrors.has(handlerKey)) return;
    this.#hiddenErrors.add(handlerKey);
    this.logger.warn(
      `${handlerKey}: Nest has hidden why the handler failed; @GmqEventPattern keeps it, and lets Reject through`,
    );
  }

  /** Waits for handlers that run, settles, leaves the groups. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { connection = {}, drainTimeoutMs = 10_000 } = this.#options;
    this.#stopping.abort();
    const drained = await Promise.allSettled(this.#subscriptions.map((it) => it.drain({ timeoutMs: drainTimeoutMs })));
    for (const { reason } of drained.filter((it) => it.status === "rejected")) this.logger.error(reason);
    await this.#replies?.close();
    if (!isConnection(connection)) await this.#gmq?.close();
    this._status$.next("closed");
  }

  /** `failed`: a subscription ended by an error. The process may want to end then. */
  on<Event extends keyof GmqServerEvents>(event: Event, listener: GmqServerEvents[Event]): void {
    if (event !== "failed") {
      throw new GmqError("invalid_argument", `there is no event ${String(event)}`, { field: "event", limit: "failed" });
    }
    this.#failureListeners.push(listener);
  }

  /** The connection, a `Gmq`. @throws GmqError `unavailable` before `listen` */
  unwrap<Connection = Gmq>(): Connection {
    return this.#connection() as Connection;
  }

  #connection(): Gmq {
    if (this.#gmq !== undefined) return this.#gmq;
    throw new GmqError("unavailable", "the server has not connected yet: call listen first");
  }
}

/** How to connect, until the signal fires. */
function stoppable(connection: ConnectOptions, signal: AbortSignal): ConnectOptions {
  return {
    ...connection,
    signal: connection.signal === undefined ? signal : AbortSignal.any([connection.signal, signal]),
  };
}

/** Tells a connection from how to make one. */
export function isConnection(connection: ConnectOptions | Gmq): connection is Gmq {
  return "subscribe" in connection;
}

/** What a handler returns, as a stream of replies. */
function valuesOf(result: Promise<unknown>): Observable<unknown> {
  return from(result).pipe(mergeMap((value) => (isObservable(value) ? value : of(value))));
}
