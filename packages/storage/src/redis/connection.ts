import type { Logger } from "@gmq/log";
import { createInFlight, GmqError } from "@gmq/protocol";
import { openClient, type RedisClient, type RedisTarget } from "./redis-client.js";
import { fromRedisError } from "./redis-errors.js";

/** The way to Redis (one server, or the masters of a cluster): it comes back by itself, and never sends a command twice. */
export interface RedisConnection {
  /**
   * Runs commands. Waits a short while for a lost connection to come back. When the connection is lost in between, the outcome is unknown: the error
   * is not a reply (see `isReply`).
   * @throws the command's own error, or GmqError `store_unavailable`
   */
  run<Result>(work: (redis: RedisClient) => Promise<Result>): Promise<Result>;
  /** The same on every master, one answer for each. */
  each<Result>(work: (redis: RedisClient) => Promise<Result>): Promise<Result[]>;
  /** Resolves when the connection is usable. @throws GmqError `store_unavailable` after `timeoutMs` */
  whenReady(timeoutMs: number): Promise<void>;
  readonly ready: boolean;
  /** Grows with every connection that was lost: what was read before may be old. */
  readonly generation: number;
  /** Why there is no connection, undefined while there is. */
  readonly problem: GmqError | undefined;
  /** The client itself, for subscriptions. */
  readonly redis: RedisClient;
  /** Several servers: commands of one turn may be done in any order, unless they name keys of one slot. */
  readonly isCluster: boolean;
  /** Calls back whenever a connection was lost, to one of the masters too. */
  whenLost(listener: () => void): void;
  close(): void;
}

/** How long a call waits for a lost connection. */
const waitMs = 2_000;

/**
 * Starts connecting. `verify` looks at the store before the connection counts as ready, after every connect; what it throws keeps the connection not ready.
 */
export function openConnection(
  target: RedisTarget,
  name: string,
  logger: Logger,
  verify?: (redis: RedisClient) => Promise<void>,
): RedisConnection {
  const client = openClient(target, name, { ready: connected, lost, failed: (error) => report(fromRedisError(error)) });
  const { redis } = client;
  const inFlight = createInFlight<(error: GmqError) => void>();
  const lostListeners = new Set<() => void>();
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

  function connected(): void {
    if (verify === undefined) return becomeReady();
    const seen = generation;
    verify(redis).then(
      () => {
        if (seen === generation) becomeReady();
        // A master of a cluster was lost meanwhile: nobody tells that the others are there.
        else if (redis.status === "ready") connected();
      },
      (error: unknown) => report(fromRedisError(error)),
    );
  }

  /** `all`: nothing is connected any more. A master of a cluster alone leaves the others as they are; what was in flight to it is rejected by the client. */
  function lost(all: boolean): void {
    generation++;
    if (all) {
      ready = false;
      problem ??= new GmqError("store_unavailable", "the connection to Redis was lost");
      const error = new GmqError("store_unavailable", "the connection to Redis was lost before it answered");
      for (const reject of inFlight.drain()) reject(error);
    }
    for (const listener of lostListeners) listener();
  }

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

  function start<Result>(on: RedisClient, work: (redis: RedisClient) => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const number = inFlight.add(reject);
      client.cork();
      work(on).then(
        (result) => {
          inFlight.remove(number);
          resolve(result);
        },
        (error: unknown) => {
          inFlight.remove(number);
          reject(error);
        },
      );
    });
  }

  return {
    async run(work) {
      if (!ready || closed) await whenReady(waitMs);
      return start(redis, work);
    },
    async each(work) {
      if (!ready || closed) await whenReady(waitMs);
      return Promise.all(client.masters().map((master) => start(master, work)));
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
    isCluster: target.cluster !== undefined,
    whenLost: (listener) => void lostListeners.add(listener),
    close() {
      closed = true;
      ready = false;
      lostListeners.clear();
      for (const wake of [...waiters]) wake();
      client.close();
    },
  };
}
