import { GmqError } from "@gmq/protocol";
import type { GroupDocuments, SessionTouch } from "../coordinator/group-documents.js";
import type { StartPosition, TopicPartition } from "../engine.js";
import { skippedState, unsettledState } from "../log/entry-states.js";
import { pageItemsMax } from "../pages-of.js";
import type { RedisConnection } from "./connection.js";
import { createGroupDeletion, type NotedDeletion } from "./group-deletion.js";
import type { Keys } from "./keys.js";
import { heldEntries, nextOf, pendingEntries } from "./pending-entries.js";
import type { Reply } from "./redis-command.js";
import { fromRedisError, isFenced, rethrow } from "./redis-errors.js";
import type { RedisReads } from "./redis-reads.js";
import type { RedisSignals } from "./redis-signals.js";
import type { RedisTopics } from "./redis-topics.js";
import { itemsOf, type ScriptName, type Scripts, textOf } from "./scripts.js";

/** How often a topic may be made again while a group begins in it. */
const beginAttemptsMax = 20;

/** Group documents, sessions and start positions in a Redis store. */
export function createRedisDocuments(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  topics: RedisTopics,
  reads: RedisReads,
  signals: RedisSignals,
): GroupDocuments {
  function run(name: ScriptName, names: readonly string[], args: readonly string[]): Promise<Reply> {
    return scripts.run(connection, name, names, args).catch(rethrow);
  }

  const deletion = createGroupDeletion(connection, scripts, keys);
  const groupKeys = (group: string): string[] => [keys.group(group), keys.sessions(group)];

  return {
    async load(group) {
      let reply = itemsOf(await run("load-group", groupKeys(group), []));
      for (let noted = deletionIn(reply); noted !== undefined; noted = deletionIn(reply)) {
        await deletion.finish(group, noted);
        reply = itemsOf(await run("load-group", groupKeys(group), []));
      }
      const version = Number(textOf(reply[0]));
      return {
        version,
        document: version === 0 ? undefined : textOf(reply[1]),
        nowMs: Number(textOf(reply[2])),
        expired: itemsOf(reply[3]).map(textOf),
      };
    },

    async sessionsLeftMs(group) {
      const [now, ...pairs] = itemsOf(await run("session-deadlines", [keys.sessions(group)], [])).map(textOf);
      const left = new Map<string, number>();
      for (let at = 0; at < pairs.length; at += 2) left.set(pairs[at] ?? "", Number(pairs[at + 1]) - Number(now));
      return left;
    },

    async save(group, expectedVersion, document, { renew, remove, expired }) {
      // The list may name a group that is not there yet, never miss one that is.
      if (expectedVersion === 0) await connection.run((redis) => redis.sadd(keys.groups, group)).catch(rethrow);
      const args = [String(expectedVersion), document, renew.length, remove.length, expired.length].map(String);
      for (const { session, timeoutMs } of renew) args.push(session, String(timeoutMs));
      args.push(...remove, ...expired);
      const saved = (await run("save-group", groupKeys(group), args)) === 1;
      // A deletion of before may have taken it out in between.
      if (saved && expectedVersion === 0)
        await connection.run((redis) => redis.sadd(keys.groups, group)).catch(rethrow);
      if (saved) signals.send({ kind: "group", group });
      return saved;
    },

    async touch(renewals) {
      const byGroup = new Map<string, number[]>();
      renewals.forEach(({ group }, index) => {
        const indexes = byGroup.get(group);
        if (indexes === undefined) byGroup.set(group, [index]);
        else indexes.push(index);
      });
      const answers = renewals.map(
        (): SessionTouch => ({ alive: false, version: 0, anyExpired: false, nextExpiryInMs: undefined }),
      );
      await Promise.all(
        Array.from(byGroup, async ([group, indexes]) => {
          const args = indexes.flatMap((index) => {
            const { session, timeoutMs } = renewals[index] as { session: string; timeoutMs: number };
            return [session, String(timeoutMs)];
          });
          const reply = itemsOf(await run("touch-sessions", groupKeys(group), args));
          const version = Number(textOf(reply[0]));
          const nextExpiryInMs = Number(reply[2]) < 0 ? undefined : Number(reply[2]);
          indexes.forEach((index, at) => {
            answers[index] = { alive: reply[at + 3] === 1, version, anyExpired: reply[1] === 1, nextExpiryInMs };
          });
        }),
      );
      return answers;
    },

    async list() {
      return (await connection.run((redis) => redis.smembers(keys.groups)).catch(rethrow)).sort();
    },

    async delete(group, expectedVersion, partitions) {
      if (!(await deletion.delete(group, expectedVersion, partitions))) return false;
      signals.send({ kind: "group", group });
      return true;
    },

    async initialize(group, partitions, start, nowMs) {
      await Promise.all(
        partitions.map(async (partition) => {
          await topics.check(partition);
          await begin(group, partition, start, nowMs);
        }),
      );
    },

    async progress(group, partition, { from = 0n, itemsMax } = {}) {
      await topics.check(partition);
      const args = [group, "", "", from.toString(), String(pageItemsMax(itemsMax)), ""];
      const reply = itemsOf(await run("claim-page", keysOf(group, partition).slice(0, 4), args));
      const position = textOf(reply[0]);
      if (position === "") return undefined;
      return { position: BigInt(position), pending: heldEntries(reply), next: nextOf(reply) };
    },

    async offsetOf(partition, position) {
      await topics.check(partition);
      return (await placeAt(partition, position)).offset;
    },

    async reposition(group, partition, epoch, offset) {
      await topics.check(partition);
      const { args } = await placeAt(partition, { offset });
      try {
        const before = await scripts.run(connection, "reposition", keysOf(group, partition), [
          group,
          String(epoch),
          ...args,
        ]);
        const items = itemsOf(before);
        return { position: BigInt(textOf(items[0])), pending: pendingEntries(items) };
      } catch (error) {
        if (!isFenced(error)) throw fromRedisError(error);
        throw new GmqError("fenced", `the group ${group} moved on in ${partition.topic}/${partition.partition}`, {
          field: "epoch",
        });
      }
    },
  };

  function keysOf(group: string, partition: TopicPartition): string[] {
    return [keys.log(partition), ...keys.groupSide(partition, group)];
  }

  /**
   * A position as the scripts take it: last delivered id, position, and for an offset inside an entry that entry's base, states and unsettled records: it becomes
   * pending, with the records before the offset skipped.
   */
  async function placeAt(partition: TopicPartition, start: StartPosition) {
    const base = await reads.locate(partition, start);
    const wanted = typeof start === "object" && "offset" in start ? start.offset : base;
    const bounds = { entriesMax: 1, recordsMax: 1, bytesMax: 1 };
    const entry = wanted > base ? (await reads.entriesFrom(partition, base, bounds)).entries[0] : undefined;
    const skipped = entry === undefined ? 0 : Math.min(Number(wanted - base), entry.recordCount);
    const left = entry === undefined ? 0 : entry.recordCount - skipped;
    const position = skipped > 0 && entry !== undefined ? base + BigInt(entry.recordCount) : base;
    const isSplit = skipped > 0 && left > 0;
    const args = [
      `${position}-0`,
      position.toString(),
      isSplit ? base.toString() : "",
      isSplit ? skippedState.repeat(skipped) + unsettledState.repeat(left) : "",
      String(isSplit ? left : 0),
    ];
    return { args, offset: isSplit ? base + BigInt(skipped) : position };
  }

  /** Fixes the group's first position. */
  async function begin(group: string, partition: TopicPartition, start: StartPosition, nowMs: number): Promise<void> {
    const life = keys.life(partition);
    const names = [...keysOf(group, partition).slice(0, 3), keys.groupsOf(partition), life];
    if ((await run("begin", names, [group, "", "", "", "", "", String(nowMs), ""])) === 0) return;
    for (let attempt = 0; attempt < beginAttemptsMax; attempt++) {
      // Before the position: one of another life would pass over what is stored in this one.
      const read = (await connection.run((redis) => redis.get(life)).catch(rethrow)) ?? "";
      const args = [group, ...(await placeAt(partition, start)).args, String(nowMs), read];
      const begun = await run("begin", names, args);
      // Between the topic's making and this its stream can only be missing when the topic goes.
      if (begun !== -2 && (begun !== -1 || !(await topics.restoreStream(partition)))) return;
    }
    const { topic } = partition;
    throw new GmqError("conflict", `the topic ${topic} is made again and again`, { field: "topic" });
  }
}

/** In a reply of `load-group`. */
function deletionIn(reply: readonly Reply[]): NotedDeletion | undefined {
  const deletedMs = textOf(reply[4]);
  return deletedMs === "" ? undefined : { deletedMs, partitions: textOf(reply[5]) };
}
