import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { Redis, type RedisOptions } from "ioredis";
import { fromRedisError } from "./redis-errors.js";

/** One connection to Redis that comes back by itself, and never sends a command twice. */
export interface RedisConnection {
  /**
   * Runs commands. Waits a short while for a lost connection to come back. When the connection is lost in between, the outcome is unknown: the error
   * is not a reply (see `isReply`).
   * @throws the command's own error, or GmqError `store_unavailable`
   */
  run<Result>(work: (redis: Redis) => Promise<Result>): Promise<Result>;
  /** Resolves when the connection is usable. @throws GmqError `store_unavailable` after `timeoutMs` */
  whenReady(timeoutMs: number): Promise<void>;
  readonly ready: boolean;
  /** Grows with every connection that was lost: what was read before may be old. */
  readonly generation: number;
  /** Why there is no connection, undefined while there is. */
  readonly problem: GmqError | undefined;
  /** The client itself, for subscriptions. */
  readonly redis: Redis;
  close(): void;
}

/** Where Redis is; further ioredis options (TLS, ACL user, socket) are passed on. */
export interface RedisTarget {
  readonly url: string | undefined;
  readonly options: RedisOptions;
}

/** How long a call waits for a lost connection. */
const waitMs = 2_000;
/** A command without an answer for this long is given up. */
const commandTimeoutMs = 10_000;
/** A connection that is asked for a sign of life and gives none for this long is dead, though nobody closed it: another one is opened. */
const silenceMsMax = 6_000;
const pingIntervalMs = 5_000;
const retryMsMin = 50;
const retryMsMax = 2_000;

/**
 * Starts connecting. `verify` looks at the store before the connection counts as ready, after every connect; what it throws keeps the connection not ready.
 */
export function openConnection(
  target: RedisTarget,
  name: string,
  logger: Logger,
  verify?: (redis: Redis) => Promise<void>,
): RedisConnection {
  const options: RedisOptions = {
    ...target.options,
    connectionName: name,
    enableOfflineQueue: false,
    autoResubscribe: false,
    // A command that was in flight is never sent again: its outcome is unknown, and only its sender can find out.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    socketTimeout: silenceMsMax,
    retryStrategy: (attempt) =>
      Math.min(retryMsMax, retryMsMin * 2 ** Math.min(attempt, 8)) * (0.5 + Math.random() / 2),
  };
  const redis = target.url === undefined ? new Redis(options) : new Redis(target.url, options);
  const inFlight = new Set<(error: GmqError) => void>();
  let corked: Redis["stream"] | undefined;
  const waiters = new Set<() => void>();
  let generation = 0;
  let problem: GmqError | undefined = new GmqError("store_unavailable", "there is no connection to Redis yet");
  let closed = false;
  let ready = false;

  function becomeReady(): void {
    ready = true;
    if (problem !== undefined) logger.info("connected to Redis", { connection: name });
    problem = undefined;
    for (const wake of [...waiters]) wake();
  }

  /** Commands of one turn go out in one write: ioredis alone makes a system call of each. */
  function cork(): void {
    if (corked !== undefined) return;
    corked = redis.stream;
    corked.cork();
    process.nextTick(uncork);
  }

  function uncork(): void {
    corked?.uncork();
    corked = undefined;
  }

  redis.on("ready", () => {
    if (verify === undefined) return becomeReady();
    const connected = generation;
    verify(redis).then(
      () => connected === generation && becomeReady(),
      (error: unknown) => report(fromRedisError(error)),
    );
  });
  redis.on("error", (error: Error) => report(fromRedisError(error)));
  redis.on("close", () => {
    generation++;
    ready = false;
    problem ??= new GmqError("store_unavailable", "the connection to Redis was lost");
    const lost = new GmqError("store_unavailable", "the connection to Redis was lost before it answered");
    for (const reject of inFlight) reject(lost);
    inFlight.clear();
  });

  // Who only listens would not notice that nothing can come any more.
  const pinger = setInterval(() => {
    if (redis.status === "ready") redis.ping().catch(() => undefined); // its silence breaks the connection, and that is told
  }, pingIntervalMs);
  pinger.unref();

  function report(found: GmqError): void {
    // Once per problem: it is tried again many times a minute.
    if (found.message !== problem?.message) logger.warn("no connection to Redis", { connection: name, error: found });
    problem = found;
  }

  async function whenReady(timeoutMs: number): Promise<void> {
    if (closed) throw new GmqError("closed", "the engine is closed");
    if (ready) return;
    await new Promise<void>((resolve, reject) => {
      const wake = (): void => {
        clearTimeout(timer);
        waiters.delete(wake);
        if (closed) reject(new GmqError("closed", "the engine is closed"));
        else resolve();
      };
      const timer = setTimeout(() => {
        waiters.delete(wake);
        reject(
          new GmqError("store_unavailable", problem?.message ?? "there is no connection to Redis", { cause: problem }),
        );
      }, timeoutMs);
      waiters.add(wake);
    });
  }

  return {
    async run(work) {
      if (!ready || closed) await whenReady(waitMs);
      return new Promise((resolve, reject) => {
        inFlight.add(reject);
        cork();
        work(redis).then(
          (result) => {
            inFlight.delete(reject);
            resolve(result);
          },
          (error: unknown) => {
            inFlight.delete(reject);
            reject(error);
          },
        );
      });
    },
    whenReady,
    get ready() {
      return ready;
    },
    get generation() {
      return generation;
    },
    get problem() {
      return ready ? undefined : problem;
    },
    redis,
    close() {
      closed = true;
      ready = false;
      clearInterval(pinger);
      for (const wake of [...waiters]) wake();
      redis.disconnect();
    },
  };
}
