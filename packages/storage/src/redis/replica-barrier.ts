/**
 * Waits until replicas have what a master has acknowledged: a small write behind it and WAIT, on a connection of its own, since WAIT blocks its connection. Whoever asks
 * while one is under way shares the next one. Source: redis.io, WAIT.
 */
import { GmqError } from "@gmq/protocol";
import { Cluster, Command } from "ioredis";
import type { TopicPartition } from "../engine.js";
import type { RedisConnection } from "./connection.js";
import type { Keys } from "./keys.js";
import { fromRedisError } from "./redis-errors.js";

export interface ReplicaBarrier {
  /** Grows with every connection that was lost, the barrier's own and that of the appends. */
  readonly generation: number;
  /**
   * Resolves when so many replicas as are asked for have everything that was acknowledged in the partition before. `since`: the generation in which it was sent, or
   * read: since then no connection may have been lost, or the server that is asked now may be a replica in the place of the one that acknowledged it.
   * @throws GmqError `unknown_outcome` when they do not within the time, or when a connection was lost: it was stored at the master, and a fail-over may lose it
   */
  reached(partition: TopicPartition, since: number): Promise<void>;
}

export interface ReplicaBarrierOptions {
  /** Replicas that must have it; 1 or more. */
  readonly replicas: number;
  readonly timeoutMs: number;
}

/** A round that has not begun, and one that is under way. */
interface Rounds {
  running: Promise<void> | undefined;
  next: Promise<void> | undefined;
}

/** Makes the barrier over a connection of its own, beside that on which is written what it waits for. */
export function createReplicaBarrier(
  connection: RedisConnection,
  written: RedisConnection,
  keys: Keys,
  { replicas, timeoutMs }: ReplicaBarrierOptions,
): ReplicaBarrier {
  /** By the key that is written: one for all where there is one master. */
  const rounds = new Map<string, Rounds>();

  async function round(key: string): Promise<void> {
    let reached: number;
    try {
      reached = await connection.run(async (redis) => {
        await redis.set(key, "1");
        const wait = new Command("WAIT", [String(replicas), String(timeoutMs)], { replyEncoding: "utf8" });
        // By the slot, to the server that took the write: WAIT itself names no key.
        if (redis instanceof Cluster)
          void redis.sendCommand(wait, undefined, { slot: new Command("GET", [key]).getSlot(), redis: undefined });
        else void redis.sendCommand(wait);
        return Number(await wait.promise);
      });
    } catch (error) {
      throw unknownOutcome(`whether replicas have it is not known: ${fromRedisError(error).message}`);
    }
    if (reached < replicas)
      throw unknownOutcome(`stored, but ${reached} of ${replicas} replicas have it after ${timeoutMs} ms`);
  }

  function after(previous: Promise<void> | undefined, key: string, own: Rounds): Promise<void> {
    const begun = (previous ?? Promise.resolve()).then(
      () => undefined,
      () => undefined, // told to those who waited for it
    );
    const result = begun.then(() => {
      own.running = result;
      own.next = undefined;
      return round(key);
    });
    result.then(end, end);
    function end(): void {
      if (own.next === undefined && own.running === result) rounds.delete(key);
    }
    return result;
  }

  const generationNow = (): number => connection.generation + written.generation;

  return {
    get generation() {
      return generationNow();
    },
    async reached(partition, since) {
      const key = connection.isCluster ? keys.barrier(partition) : keys.barrier(undefined);
      let own = rounds.get(key);
      if (own === undefined) {
        own = { running: undefined, next: undefined };
        rounds.set(key, own);
      }
      own.next ??= after(own.running, key, own);
      await own.next;
      if (generationNow() !== since)
        throw unknownOutcome(
          "stored, and then the connection was lost: whether the server that is there now has it is not known",
        );
    },
  };
}

function unknownOutcome(message: string): GmqError {
  return new GmqError("unknown_outcome", message, { field: "replicas" });
}
