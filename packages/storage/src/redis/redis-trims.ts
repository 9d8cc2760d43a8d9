import { GmqError } from "@gmq/protocol";
import type { TopicPartition } from "../engine.js";
import type { TrimMode, TrimResult, TrimStore } from "../retention/trim-store.js";
import type { RedisConnection } from "./connection.js";
import { baseOffsetOfId, type Keys } from "./keys.js";
import { createPartitionLog } from "./partition-log.js";
import { fromRedisError, isNoStream, rethrow } from "./redis-errors.js";
import type { RedisReads } from "./redis-reads.js";
import { readEnds } from "./redis-topics.js";
import { itemsOf, type Scripts, textOf } from "./scripts.js";

/** Attempts of a trim while groups come and go, or appends outrun the producers' snapshot. */
const attemptsMax = 8;

/** Trims of a Redis store: one script over the log and every group's side of the partition. */
export function createRedisTrims(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  reads: RedisReads,
): TrimStore {
  const modes = { any: "any", settled: "settled", "dry run": "dry" } as const;

  /** Native groups of the stream, by name, with how much they have pending. */
  async function groupsOf(partition: TopicPartition): Promise<{ readonly name: string; readonly pending: number }[]> {
    const reply = await connection
      .run((redis) => redis.xinfo("GROUPS", keys.log(partition)))
      .catch((error: unknown) => {
        // A stream that is gone took its groups with it.
        if (isNoStream(error)) return [];
        throw fromRedisError(error);
      });
    return (reply as readonly (readonly unknown[])[]).map((info) => {
      const field = (name: string): unknown => info[info.indexOf(name) + 1];
      return { name: String(field("name")), pending: Number(field("pending")) };
    });
  }

  /** The first offset that a group has not settled; undefined when it has not begun. */
  async function unsettledFrom(
    partition: TopicPartition,
    group: { readonly name: string; readonly pending: number },
  ): Promise<bigint | undefined> {
    const [position, summary] = await connection
      .run((redis) =>
        Promise.all([
          redis.hget(keys.progress(partition, group.name), "position"),
          group.pending === 0 ? undefined : redis.xpending(keys.log(partition), group.name),
        ]),
      )
      .catch(rethrow);
    const oldest = (summary as readonly unknown[] | undefined)?.[1];
    if (typeof oldest === "string") return baseOffsetOfId(oldest);
    return position === null ? undefined : BigInt(position);
  }

  /** So that what is trimmed is still known as stored. */
  async function keepProducers(partition: TopicPartition): Promise<void> {
    const log = createPartitionLog(connection, scripts, keys, partition);
    try {
      const tail = await log.readTail();
      await log.keepSnapshot(tail.endOffset, tail);
    } catch (error) {
      throw fromRedisError(error);
    }
  }

  async function trim(partition: TopicPartition, to: bigint, mode: TrimMode): Promise<TrimResult> {
    const { startOffset } = await readEnds(connection, scripts, keys, partition);
    const untouched = { startBefore: startOffset, startAfter: startOffset, losses: [] };
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const groups = (await groupsOf(partition)).map(({ name }) => name);
      const sides = groups.flatMap((group) => keys.groupSide(partition, group));
      const names = [keys.log(partition), keys.producers(partition), ...sides];
      const args = [to.toString(), modes[mode], ...groups];
      const [outcome, ...lost] = itemsOf(await scripts.run(connection, "trim", names, args).catch(rethrow));
      switch (textOf(outcome)) {
        case "trimmed": {
          const losses = groups
            .map((group, index) => ({ group, records: Number(textOf(lost[index])) }))
            .filter(({ records }) => records > 0);
          return { startBefore: startOffset, startAfter: to > startOffset ? to : startOffset, losses };
        }
        case "producers":
          await keepProducers(partition);
          break;
        case "groups":
          break;
        default:
          // Somebody else trimmed further, or a group was set back meanwhile: the next look decides anew.
          return untouched;
      }
    }
    throw new GmqError("conflict", `the groups of ${partition.topic}/${partition.partition} change too fast to trim`, {
      field: "partition",
    });
  }

  return {
    ends: (partition) => readEnds(connection, scripts, keys, partition),
    async firstEntry(partition, test) {
      return (await reads.firstEntry(partition, test))?.baseOffset;
    },
    async entryAt(partition, offset) {
      const head = await reads.entryBefore(partition, offset);
      return head?.baseOffset ?? (await readEnds(connection, scripts, keys, partition)).startOffset;
    },
    async settledUpTo(partition) {
      const groups = await groupsOf(partition);
      const offsets = await Promise.all(groups.map((group) => unsettledFrom(partition, group)));
      const known = offsets.filter((offset) => offset !== undefined);
      if (known.length === 0) return undefined;
      return known.reduce((least, offset) => (offset < least ? offset : least));
    },
    trim,
  };
}
