/**
 * Deliver and settle, last stage on Redis: claim, fetch and settle, each checked against the partition's epoch inside its script. Payload is read by XRANGE
 * before the script registers it, so a fenced reader has moved nothing.
 */
import { GmqError } from "@gmq/protocol";
import type { BuriedEntry, OwedCopies, OwedRecord, Rejection } from "../dead-letters/owed-copies.js";
import type {
  ClaimPage,
  ClaimResult,
  DeskPeers,
  EntrySettle,
  FetchOutcome,
  Ownership,
  PartitionFetch,
  PartitionSettle,
  SettleOutcome,
  SettleRange,
  SettleRefusal,
} from "../engine.js";
import { checkRange } from "../log/check-range.js";
import type { EndOffsets } from "../log/end-offsets.js";
import { pageItemsMax } from "../pages-of.js";
import type { RedisConnection } from "./connection.js";
import { entryId, type Keys } from "./keys.js";
import { nextOf, pendingEntries } from "./pending-entries.js";
import type { Reply } from "./redis-command.js";
import { fromRedisError, isFenced, isReply, prefixOf } from "./redis-errors.js";
import type { RedisReads } from "./redis-reads.js";
import type { RedisTopics } from "./redis-topics.js";
import { itemsOf, type Scripts, textOf } from "./scripts.js";

export interface RedisOwnership extends OwedCopies {
  claim(ownership: Ownership, peers?: DeskPeers, page?: ClaimPage): Promise<ClaimResult>;
  fetch(fetches: readonly PartitionFetch[]): Promise<FetchOutcome[]>;
  settle(settles: readonly PartitionSettle[]): Promise<SettleOutcome[]>;
}

/** Entries in one fetch, and in one script call of a settle: Lua's stack holds their ids at once. */
const entriesPerCallMax = 1_000;

/** Makes the owner-checked operations. */
export function createRedisOwnership(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  topics: RedisTopics,
  reads: RedisReads,
  ends: EndOffsets,
): RedisOwnership {
  function keysOf(ownership: Ownership): string[] {
    return [keys.log(ownership), ...keys.groupSide(ownership, ownership.group)];
  }

  /** The GmqError of a script that was refused for this owner. */
  async function refusal(ownership: Ownership, error: unknown): Promise<GmqError> {
    const { topic, partition, epoch, group } = ownership;
    if (isFenced(error)) {
      const current = (error as Error).message.split(" ")[1];
      if (current !== "none")
        return new GmqError("fenced", `epoch ${epoch} of ${topic}/${partition} was replaced by ${current}`, {
          field: "epoch",
        });
    } else if (isReply(error) && prefixOf(error) === "REWOUND") {
      return new GmqError("fenced", `Redis has lost what it had handed out of ${topic}/${partition}; claim it again`, {
        field: "position",
      });
    } else if (!isReply(error) || prefixOf(error) !== "NOGROUP") {
      return fromRedisError(error);
    }
    // The partition's side of the group is gone: with its topic, or alone.
    try {
      await topics.check(ownership);
    } catch (missing) {
      return GmqError.from(missing);
    }
    return new GmqError("fenced", `the group ${group} does not consume ${topic}/${partition}`, { field: "epoch" });
  }

  async function fetchOne({ ownership, position, bytesMax, recordsMax }: PartitionFetch): Promise<FetchOutcome> {
    const bounds = { entriesMax: entriesPerCallMax, recordsMax, bytesMax };
    try {
      const { entries, atEnd } = await reads.entriesFrom(ownership, position, bounds, ownership.group);
      const last = entries.at(-1);
      const next = last === undefined ? position : last.baseOffset + BigInt(last.recordCount);
      const args = [ownership.group, ownership.memberId, String(ownership.epoch), next.toString(), position.toString()];
      for (const { baseOffset, recordCount } of entries) args.push(entryId(baseOffset), String(recordCount));
      const found = BigInt(textOf(await scripts.run(connection, "deliver", keysOf(ownership).slice(0, 3), args)));
      ends.note(ownership, next);
      const endOffset = atEnd ? next : await endBeyond(ownership, next);
      if (ownership.shared !== true || found <= position) return { ok: true, entries, position: next, endOffset };
      const own = entries.filter(({ baseOffset }) => baseOffset >= found);
      return { ok: true, entries: own, position: found > next ? found : next, endOffset: larger(endOffset, found) };
    } catch (error) {
      return { ok: false, error: await refusal(ownership, error) };
    }
  }

  /** The end of a log that was not read to its end: as heard of, else as it is. */
  async function endBeyond(ownership: Ownership, position: bigint): Promise<bigint> {
    const known = ends.get(ownership);
    if (known !== undefined && known > position) return known;
    return larger(await reads.end(ownership), position);
  }

  /** The claim's own answer, or a page when there is more than fits one. */
  async function claimed(
    ownership: Ownership,
    peers: DeskPeers | undefined,
    { from, itemsMax }: ClaimPage = {},
  ): Promise<readonly Reply[]> {
    const { group, memberId, epoch, shared } = ownership;
    const most = String(pageItemsMax(itemsMax));
    const names = keysOf(ownership);
    const args = [group, memberId, String(epoch)];
    if (from === undefined) {
      const desks = peers === undefined ? [""] : [String(peers.epoch), ...peers.memberIds];
      const run =
        shared === true
          ? scripts.run(connection, "claim-shared", names, [...args, most, ...desks])
          : scripts.run(connection, "claim", names, [...args, most]);
      const reply = itemsOf(await run);
      if (reply.length > 1) return reply;
    }
    const rest = [...args, (from ?? 0n).toString(), most, shared === true ? "1" : "0"];
    return itemsOf(await scripts.run(connection, "claim-page", names, rest));
  }

  async function settleOne({ ownership, entries }: PartitionSettle): Promise<SettleOutcome> {
    const refusals: SettleRefusal[] = [];
    try {
      // Once at least: who settles nothing is told too that it was replaced.
      for (let from = 0; from === 0 || from < entries.length; from += entriesPerCallMax) {
        const part = entries.slice(from, from + entriesPerCallMax);
        const args = [ownership.group, ownership.memberId, String(ownership.epoch)];
        for (const entry of part) pushSettle(args, entry);
        const reply = await runSettle(ownership, args);
        for (let at = 0; at + 2 < reply.length; at += 3) {
          const range = part[Number(reply[at])]?.ranges[Number(reply[at + 1])];
          if (range !== undefined) refusals.push(refuse(range, Number(reply[at + 2])));
        }
      }
      return { ok: true, refusals };
    } catch (error) {
      return { ok: false, error: await refusal(ownership, error) };
    }
  }

  async function runSettle(ownership: Ownership, args: readonly string[]): Promise<readonly Reply[]> {
    return itemsOf(await scripts.run(connection, "settle", keysOf(ownership), args));
  }

  async function rejections(ownership: Ownership, records: readonly OwedRecord[]): Promise<(Rejection | undefined)[]> {
    const fields = records.map(({ baseOffset, index }) => (baseOffset + BigInt(index)).toString());
    const found = await connection
      .run((redis) => redis.hmget(keys.rejections(ownership, ownership.group), ...fields))
      .catch((error: unknown) => {
        throw fromRedisError(error);
      });
    return found.map(rejectionOf);
  }

  async function bury(ownership: Ownership, entries: readonly BuriedEntry[]): Promise<void> {
    const args = [ownership.group, ownership.memberId, String(ownership.epoch)];
    for (const { baseOffset, indexes } of entries) {
      args.push(baseOffset.toString(), String(indexes.length));
      for (const index of indexes) args.push("d", String(index), String(index), "");
    }
    try {
      await runSettle(ownership, args);
    } catch (error) {
      throw await refusal(ownership, error);
    }
  }

  return {
    async claim(ownership, peers, page) {
      let reply: readonly Reply[];
      try {
        reply = await claimed(ownership, peers, page);
      } catch (error) {
        throw await refusal(ownership, error);
      }
      reads.claimed(ownership);
      const position = BigInt(textOf(reply[0]));
      const next = nextOf(reply);
      const endOffset = larger(await reads.end(ownership), position);
      const found = { position, endOffset, pending: pendingEntries(reply) };
      return next === undefined ? found : { ...found, next };
    },
    fetch: (fetches) => Promise.all(fetches.map(fetchOne)),
    settle: (settles) => Promise.all(settles.map(settleOne)),
    rejections,
    bury,
  };
}

function larger(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

const senselessLetter = "i";
const verbLetters = { ack: "a", retry: "r", release: "l", reject: "x" } as const;

function pushSettle(args: string[], { baseOffset, ranges }: EntrySettle): void {
  args.push(baseOffset.toString(), String(ranges.length));
  for (const range of ranges) {
    const { firstOffset, lastOffset, verb } = range;
    args.push(
      checkRange(range) === undefined ? verbLetters[verb] : senselessLetter,
      (firstOffset - baseOffset).toString(),
      (lastOffset - baseOffset).toString(),
      detailOf(range),
    );
  }
}

function detailOf({ verb, inPlace, delayMs, reason, errorText }: SettleRange): string {
  if (verb === "reject") return JSON.stringify([reason ?? "", errorText ?? ""]);
  return inPlace === true ? "-1" : String(delayMs ?? 0);
}

/** A rejection as settle.lua keeps it: attempts, time, then reason and error text as JSON. */
function rejectionOf(text: string | null): Rejection | undefined {
  if (text === null) return undefined;
  const [attempts = "", atMs = ""] = text.split(" ", 2);
  const [reason, errorText] = JSON.parse(text.slice(attempts.length + atMs.length + 2)) as [string, string];
  return { attempts: Number(attempts), atMs: Number(atMs), reason, errorText };
}

function refuse(range: SettleRange, code: number): SettleRefusal {
  const { firstOffset, lastOffset } = range;
  const senseless = checkRange(range);
  if (senseless !== undefined) return { firstOffset, lastOffset, error: senseless };
  const where = `offsets ${firstOffset} to ${lastOffset}`;
  const error =
    code > 1
      ? new GmqError("already_settled", `a settled record cannot be ${code === 2 ? "retried" : "rejected"}: ${where}`, {
          field: "settle.ranges",
        })
      : new GmqError("not_delivered", `${where} were not delivered to this owner`, { field: "settle.ranges" });
  return { firstOffset, lastOffset, error };
}
