import { type ConnectOptions, connect, type Gmq, GmqError, type Producer, type ProducerOptions } from "@gmq/client";
import { Logger } from "@nestjs/common";
import { ClientProxy, type ReadPacket, type WritePacket } from "@nestjs/microservices";
import { GmqRecord } from "./gmq-record.js";
import { isConnection } from "./gmq-server.js";
import { topicOfPattern } from "./json-values.js";
import { openRequests, type PendingRequests } from "./pending-requests.js";

export interface GmqClientOptions {
  /** How to connect (default: to localhost), or a connection that there is already; that one stays open when the client closes. */
  readonly connection?: ConnectOptions | Gmq;
  readonly producer?: ProducerOptions;
  /** Topic for the replies to `send`; it is made with one partition and an hour's retention when it is missing. Without it `send` is refused. */
  readonly replyTopic?: string;
  /** How long `send` waits for each request's last reply; the request itself expires then. 1 to 2,147,483,647 ms, default 30,000. */
  readonly requestTimeoutMs?: number;
}

/**
 * Publishes. `emit(topic, value)` and `emit(topic, new GmqRecord(value, { key }))` send at once, as Nest's clients do, and give where the record was stored:
 * `await lastValueFrom(client.emit("orders", order))` resolves when it is. `send` asks for a reply, over `replyTopic`.
 */
export class GmqClient extends ClientProxy {
  readonly #logger = new Logger(GmqClient.name);
  readonly #options: GmqClientOptions;
  readonly #requestTimeoutMs: number;
  /** Fires when it closes: a reply topic that is not there yet is not waited for. What was emitted still goes out. */
  readonly #stopping = new AbortController();
  #connecting: Promise<Gmq> | undefined;
  #gmq: Gmq | undefined;
  #producer: Producer | undefined;
  #requests: Promise<PendingRequests> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws GmqError `invalid_argument` */
  constructor(options: GmqClientOptions = {}) {
    super();
    const { requestTimeoutMs = 30_000 } = options;
    if (!Number.isInteger(requestTimeoutMs) || requestTimeoutMs < 1 || requestTimeoutMs > 2_147_483_647) {
      throw new GmqError("invalid_argument", `requestTimeoutMs is ${requestTimeoutMs}`, {
        field: "requestTimeoutMs",
        limit: "1 to 2147483647",
      });
    }
    this.#options = options;
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  /** Connects, once; `emit` and `send` do it by themselves. @throws GmqError `unavailable`, `unauthenticated`, `closed`, … */
  async connect(): Promise<Gmq> {
    if (this.#closing !== undefined) throw new GmqError("closed", "the client is closed");
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  async #connect(): Promise<Gmq> {
    const { connection = {}, producer } = this.#options;
    try {
      const gmq = isConnection(connection) ? connection : await connect(connection);
      this.#producer = gmq.producer(producer);
      this.#gmq = gmq;
      this._status$.next("connected");
      return gmq;
    } catch (error) {
      // The next call tries again.
      this.#connecting = undefined;
      throw error;
    }
  }

  /** Flushes what was sent, fails requests that wait, ends its connection. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { connection = {} } = this.#options;
    this.#stopping.abort();
    await this.#connecting?.catch(nothing);
    const requests = await this.#requests?.catch(nothing);
    await requests?.close();
    await this.#producer?.close();
    if (!isConnection(connection)) await this.#gmq?.close();
    this._status$.next("closed");
  }

  /** The connection, a `Gmq`. @throws GmqError `unavailable` before `connect` */
  unwrap<Connection = Gmq>(): Connection {
    if (this.#gmq === undefined) throw new GmqError("unavailable", "the client has not connected yet");
    return this.#gmq as Connection;
  }

  protected async dispatchEvent<Stored>({ pattern, data }: ReadPacket): Promise<Stored> {
    try {
      const { value, options } = recordOf(data);
      const stored = await this.#sender().send(topicOfPattern(pattern), { ...options, value });
      return stored as Stored;
    } catch (error) {
      // `emit` may be called without anybody who subscribes: then this line is all that is said.
      const { code, message } = GmqError.from(error);
      this.#logger.error(`nothing was stored in ${String(pattern?.name ?? pattern)}: ${code}: ${message}`);
      throw error;
    }
  }

  protected publish({ pattern, data }: ReadPacket, replied: (packet: WritePacket) => void): () => void {
    const { replyTopic } = this.#options;
    if (replyTopic === undefined) {
      const message = "send() waits for a reply, and a log has none of its own: name a replyTopic, or emit()";
      replied({ err: new GmqError("unimplemented", message, { field: "replyTopic", limit: "the name of a topic" }) });
      return nothing;
    }
    const untilMs = performance.now() + this.#requestTimeoutMs;
    let giveUp: (() => void) | undefined;
    let isGivenUp = false;
    this.#openRequests(replyTopic)
      .then((requests) => {
        const leftMs = Math.max(1, Math.ceil(untilMs - performance.now()));
        if (!isGivenUp) giveUp = requests.send(pattern, recordOf(data), leftMs, replied);
      })
      .catch((error: unknown) => replied({ err: this.#whyNot(error) }));
    return () => {
      isGivenUp = true;
      giveUp?.();
    };
  }

  async #openRequests(replyTopic: string): Promise<PendingRequests> {
    const gmq = await this.connect();
    if (this.#requests === undefined) {
      // The next request tries again.
      const ended = (): void => {
        if (this.#requests === opening) this.#requests = undefined;
      };
      const { signal } = this.#stopping;
      const opening = openRequests(gmq, this.#sender(), {
        replyTopic,
        timeoutMs: this.#requestTimeoutMs,
        signal,
        ended,
      });
      this.#requests = opening;
      opening.catch(ended);
    }
    return this.#requests;
  }

  #whyNot(error: unknown): GmqError {
    if (!this.#stopping.signal.aborted) return GmqError.from(error);
    return new GmqError("closed", "the client was closed before the reply came", { cause: error });
  }

  #sender(): Producer {
    if (this.#producer === undefined) throw new GmqError("unavailable", "the client has not connected yet");
    return this.#producer;
  }
}

function recordOf(data: unknown): GmqRecord<unknown> {
  return data instanceof GmqRecord ? data : new GmqRecord(data);
}

function nothing(): void {
  // told to whoever asked for the connection
}
