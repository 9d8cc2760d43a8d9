/** What a partition's appender asks of Redis: its tail, and one entry at a time. */
import { randomFillSync } from "node:crypto";
import { decodeEntryMeta, type EntryMeta, GmqError, hasSeededBug } from "@gmq/protocol";
import type { TopicPartition } from "../engine.js";
import { bodyBytesOf } from "../log/entry-bytes.js";
import type { Rider } from "../log/follows.js";
import { createProducerTable, type ProducerTable } from "../log/producer-table.js";
import type { RedisConnection } from "./connection.js";
import { baseOffsetOfId, entryId, type Keys } from "./keys.js";
import type { RedisClient } from "./redis-client.js";
import { asBuffer, RedisCommand } from "./redis-command.js";
import { isReply, isStaleId } from "./redis-errors.js";
import { itemsOf, type Scripts, textOf } from "./scripts.js";

/** The end of a log as it was read. */
export interface LogTail {
  /** The topic's life that the partition belonged to when its reading began, as it is written down; "" when it is not. */
  readonly life: string;
  /** False: there is no such stream. */
  readonly exists: boolean;
  readonly table: ProducerTable;
  /** Offset after the last entry. */
  readonly endOffset: bigint;
  readonly lastAppendMs: number;
  /** Bytes of all bodies ever appended. */
  readonly logBytes: number;
  readonly entriesSinceSnapshot: number;
  /** Append ids of the entries read: tell whether an append with a lost answer was stored. */
  readonly appendIds: ReadonlySet<bigint>;
}

/** A stored entry. */
export interface Added {
  /** Redis passes the signal on to this process too. */
  readonly echoes: boolean;
  /** Who came along, and why the entry is not registered for it: "" when it is. */
  readonly riders: readonly { readonly rider: Rider; readonly problem: string }[];
}

/** What became of an append. `lost`: its answer did not come; the log has to be read to know. */
export type AddOutcome = Added | "stale" | "no stream" | { readonly refused: unknown } | { readonly lost: unknown };

export interface PartitionLog {
  /** Reads the producer snapshot and every entry meta after it. @throws Redis' error */
  readTail(): Promise<LogTail>;
  /** Appends one entry, its bodies joined, and tells readers behind it in the same write; a small one is registered for the riders in the same step. Never throws. */
  add(
    baseOffset: bigint,
    meta: Uint8Array,
    recordCount: number,
    bodies: readonly Uint8Array[],
    riders: readonly Rider[],
  ): Promise<AddOutcome>;
  /** Keeps a tail's producer table as it is at an offset, unless a newer one is kept or the topic was made again. @throws Redis' error */
  keepSnapshot(upTo: bigint, tail: Pick<LogTail, "table" | "life">): Promise<unknown>;
}

/** Entry metas read by one script call: their bodies pass through Redis' memory, so few at a time. */
const tailPage = 16;
/** Each begins at a newer snapshot than the one before. */
const readingsMax = 16;
/** Bodies up to here pass through Lua: what that costs is less than a round trip. */
const smallBytesMax = 16 * 1024;
const savesProducersLater = hasSeededBug("dedupe-in-second-call");

/** Makes the access to one partition. `ownChannel`: who appends hears of it by the answer, and listens on this channel while it listens to signals. */
export function createPartitionLog(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  partition: TopicPartition,
  ownChannel = "",
): PartitionLog {
  const log = keys.log(partition);
  const producers = keys.producers(partition);
  const channel = keys.partitionSignal(partition);

  function tell(redis: RedisClient, endOffset: bigint): void {
    new RedisCommand("publish", [channel, endOffset.toString()]).send(redis).catch(() => undefined); // a hint; the safety timer of every reader covers its loss
  }

  /** The last entry when the snapshot reaches to the end of the log. */
  async function lastMeta(): Promise<EntryMeta | undefined> {
    const [, meta] = itemsOf(await scripts.run(connection, "meta-at", [log], ["+", "before"]));
    return textOf(meta) === "" ? undefined : decodeEntryMeta(meta as Buffer);
  }

  async function addSmall(
    baseOffset: bigint,
    meta: Uint8Array,
    recordCount: number,
    bodies: readonly Uint8Array[],
    riders: readonly Rider[],
  ): Promise<AddOutcome> {
    const body = bodies.length === 1 ? asBuffer(bodies[0] as Uint8Array) : Buffer.concat(bodies);
    const endOffset = (baseOffset + BigInt(recordCount)).toString();
    const base = baseOffset.toString();
    const called = [log];
    const args: (string | Buffer)[] = [entryId(baseOffset), asBuffer(meta), String(recordCount), body];
    args.push(channel, endOffset, keys.listeners, ownChannel);
    for (const { fetch } of riders) {
      const { group, memberId, epoch } = fetch.ownership;
      called.push(keys.progress(partition, group), keys.pending(partition, group));
      args.push(group, memberId, String(epoch), base);
    }
    const reply = await scripts.run(connection, "append", called, args);
    if (reply === null) return "no stream";
    const problems = itemsOf(reply);
    return {
      echoes: false,
      riders: riders.map((rider, at) => ({ rider, problem: textOf(problems[at]) })),
    };
  }

  /** Undefined: it was trimmed meanwhile behind what was read of it. */
  async function readOnce(): Promise<LogTail | undefined> {
    // First: what follows may be of a later life, never of an earlier one.
    const life = (await connection.run((redis) => redis.get(keys.life(partition)))) ?? "";
    const [upTo, snapshot] = await connection.run((redis) => redis.hmgetBuffer(producers, "upTo", "table"));
    const table = createProducerTable(snapshot ?? undefined);
    let endOffset = upTo == null ? 0n : BigInt(upTo.toString());
    let last: EntryMeta | undefined;
    let unsaved: (() => void) | undefined;
    let entriesSinceSnapshot = 0;
    const appendIds = new Set<bigint>();
    for (;;) {
      const args = [endOffset.toString(), String(tailPage)];
      const reply = itemsOf(await scripts.run(connection, "tail", [log, producers], args));
      if (reply[0] === 2) return undefined;
      const exists = reply[0] === 1;
      const ids = itemsOf(reply[1]);
      const metas = itemsOf(reply[2]);
      const counts = itemsOf(reply[3]);
      ids.forEach((id, index) => {
        const base = baseOffsetOfId(id as Buffer);
        last = decodeEntryMeta(metas[index] as Buffer);
        const { appendTimeMs, batches } = last;
        const save = (): void => table.noteEntry(base, appendTimeMs, batches);
        if (savesProducersLater) {
          unsaved?.();
          unsaved = save;
        } else save();
        appendIds.add(last.appendId);
        endOffset = base + BigInt(textOf(counts[index]));
      });
      entriesSinceSnapshot += ids.length;
      if (ids.length < tailPage) {
        last ??= exists ? await lastMeta() : undefined;
        const lastAppendMs = last?.appendTimeMs ?? 0;
        const logBytes = last === undefined ? 0 : last.logBytes + bodyBytesOf(last);
        return { life, exists, table, endOffset, lastAppendMs, logBytes, entriesSinceSnapshot, appendIds };
      }
    }
  }

  return {
    async readTail() {
      for (let reading = 0; reading < readingsMax; reading++) {
        const tail = await readOnce();
        if (tail !== undefined) return tail;
      }
      throw new GmqError(
        "store_unavailable",
        `${partition.topic}/${partition.partition} is trimmed faster than it is read`,
      );
    },

    async add(baseOffset, meta, recordCount, bodies, riders) {
      const endOffset = baseOffset + BigInt(recordCount);
      try {
        // In a cluster a script cannot tell listeners at other servers.
        if (!connection.isCluster && bytesOf(bodies) <= smallBytesMax)
          return await addSmall(baseOffset, meta, recordCount, bodies, riders);
        const id = await connection.run((redis) => {
          const fields = ["m", asBuffer(meta), "n", String(recordCount), "b"];
          const added = new RedisCommand("xadd", [log, "NOMKSTREAM", entryId(baseOffset), ...fields], bodies).send(
            redis,
          );
          // In a cluster the signal goes by another server, and could be there before the entry.
          if (!connection.isCluster) tell(redis, endOffset);
          return added;
        });
        if (connection.isCluster && id !== null) tell(connection.redis, endOffset);
        const problem = "not asked for";
        return id === null ? "no stream" : { echoes: true, riders: riders.map((rider) => ({ rider, problem })) };
      } catch (error) {
        if (isStaleId(error)) return "stale";
        return isReply(error) ? { refused: error } : { lost: error };
      }
    },

    keepSnapshot(upTo, { table, life }) {
      const args = [upTo.toString(), asBuffer(table.snapshot()), life];
      return scripts.run(connection, "keep-producers", [producers, keys.life(partition)], args);
    },
  };
}

function bytesOf(bodies: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const { length } of bodies) bytes += length;
  return bytes;
}

/** Random bytes for append ids: asked for one by one they are a system call each. */
const randomPool = Buffer.alloc(4_096);
let randomUsed = randomPool.length;

/** Names one attempt to append an entry, so that it is found again after a lost answer. */
export function newAppendId(): bigint {
  if (randomUsed === randomPool.length) {
    randomFillSync(randomPool);
    randomUsed = 0;
  }
  const id = randomPool.readBigUInt64LE(randomUsed);
  randomUsed += 8;
  return id;
}
