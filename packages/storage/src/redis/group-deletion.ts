import type { TopicPartition } from "../engine.js";
import type { RedisConnection } from "./connection.js";
import type { Keys } from "./keys.js";
import { rethrow } from "./redis-errors.js";
import { type Scripts, textOf } from "./scripts.js";

/**
 * The deletion of a group lies in several slots: its document, its sides of partitions, and its name in the list. It is noted in place of the document until all is gone,
 * so that who joins meanwhile ends it first, and a deleter that comes late, or died on the way, takes nothing of the group that came into being since.
 */
export interface GroupDeletion {
  /** False: the group is at another version. */
  delete(group: string, expectedVersion: number, partitions: readonly TopicPartition[]): Promise<boolean>;
  /** Ends a deletion that was found noted. */
  finish(group: string, noted: NotedDeletion): Promise<void>;
}

/** A deletion as it is noted. */
export interface NotedDeletion {
  /** By the store's clock. */
  readonly deletedMs: string;
  /** As JSON. */
  readonly partitions: string;
}

/** Makes it. */
export function createGroupDeletion(connection: RedisConnection, scripts: Scripts, keys: Keys): GroupDeletion {
  function forget(group: string, { topic, partition }: TopicPartition, deletedMs: string): Promise<unknown> {
    const place = { topic, partition };
    const names = [keys.log(place), ...keys.groupSide(place, group), keys.groupsOf(place)];
    return scripts.run(connection, "forget-group", names, [group, deletedMs]);
  }

  /** Takes the name out of the list unless a group of that name is there again: whoever makes one writes the name before and after. */
  async function unlist(group: string): Promise<void> {
    await connection.run(async (redis) => {
      await redis.srem(keys.groups, group);
      if ((await redis.exists(keys.group(group))) === 1) await redis.sadd(keys.groups, group);
    });
  }

  async function finish(group: string, { deletedMs, partitions }: NotedDeletion): Promise<void> {
    const places = JSON.parse(partitions) as readonly TopicPartition[];
    await Promise.all(places.map((place) => forget(group, place, deletedMs))).catch(rethrow);
    await scripts.run(connection, "end-deletion", [keys.group(group)], [deletedMs]).catch(rethrow);
    await unlist(group).catch(rethrow);
  }

  return {
    async delete(group, expectedVersion, partitions) {
      const noted = JSON.stringify(partitions.map(({ topic, partition }) => ({ topic, partition })));
      const names = [keys.group(group), keys.sessions(group)];
      const args = [String(expectedVersion), noted];
      const deletedMs = textOf(await scripts.run(connection, "delete-group", names, args).catch(rethrow));
      if (deletedMs === "") return false;
      await finish(group, { deletedMs, partitions: noted });
      return true;
    },
    finish,
  };
}
