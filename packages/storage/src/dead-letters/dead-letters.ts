/**
 * Dead letters in the storage process, the same for every engine. Settle marks rejected records (`x`) under the epoch check, then this copies them to the
 * group's dead-letter topic and settles them (`d`); a claim does first what an earlier owner left. So the death of any process between any two steps loses
 * and doubles nothing: the mark is stored, the copy has a dedupe id, and the next settle, claim or try in the background goes on from there.
 */
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { claimWhole } from "../claim-whole.js";
import type {
  GroupStore,
  LogStore,
  Ownership,
  PartitionSettle,
  SettleOutcome,
  SettleRange,
  SettleRefusal,
  TopicStore,
} from "../engine.js";
import { createCopyOwed, owedIn } from "./copy-owed.js";
import { createDeadLetterTopics } from "./dead-letter-topics.js";
import type { BuriedEntry, OwedCopies } from "./owed-copies.js";

/** `claim` and `settle` of an engine, with dead letters. */
export interface DeadLetters extends Pick<GroupStore, "claim" | "settle"> {
  /** Ends what is tried in the background; what is owed stays owed. */
  close(): void;
}

/** Partitions whose copies are tried again in the background; the copies of others wait for the next settle or claim. */
const retriedMax = 10_000;
const retryMsMin = 100;
const retryMsMax = 5_000;

/** Adds dead letters to an engine's own `claim` and `settle`. */
export function createDeadLetters(
  store: Pick<GroupStore, "claim" | "settle"> & OwedCopies,
  log: Pick<LogStore, "append" | "read">,
  topics: Pick<TopicStore, "get" | "create">,
  logger: Logger,
): DeadLetters {
  const copyOwed = createCopyOwed(store, log, createDeadLetterTopics(topics));
  const retries = new Map<string, { ownership: Ownership; readonly timer: NodeJS.Timeout }>();
  let closed = false;

  /** Tries again later: the store was full, or did not answer. */
  function retryLater(ownership: Ownership, failures = 0): void {
    const place = `${ownership.topic}/${ownership.partition}/${ownership.group}`;
    const known = retries.get(place);
    if (known !== undefined) known.ownership = ownership;
    if (closed || known !== undefined || retries.size >= retriedMax) return;
    const delayMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(failures, 8)) * (0.5 + Math.random() / 2);
    const timer = setTimeout(() => {
      const latest = retries.get(place)?.ownership ?? ownership;
      retries.delete(place);
      void retry(latest, failures + 1);
    }, delayMs);
    retries.set(place, { ownership, timer });
  }

  async function retry(ownership: Ownership, failures: number): Promise<void> {
    try {
      // The owner's claim once more: it changes nothing, is refused when there is a later owner, and says what is owed.
      const { pending } = await claimWhole(store, ownership);
      await copy(ownership, owedIn(pending), failures);
    } catch (cause) {
      const error = GmqError.from(cause);
      if (error.retryable) retryLater(ownership, failures);
      else if (error.code !== "fenced" && error.code !== "closed")
        logger.warn("dead letters could not be copied", { topic: ownership.topic, group: ownership.group, error });
    }
  }

  async function copy(
    ownership: Ownership,
    owed: readonly BuriedEntry[],
    failures = 0,
  ): Promise<ReadonlyMap<bigint, GmqError>> {
    const failed = await copyOwed(ownership, owed);
    const errors = [...failed.values()];
    if (errors.some(({ retryable }) => retryable)) retryLater(ownership, failures);
    const broken = errors.find(({ retryable }) => !retryable);
    if (broken !== undefined) {
      const { topic, partition, group } = ownership;
      logger.error("a rejected record cannot be copied to its dead-letter topic", {
        topic,
        partition,
        group,
        error: broken,
      });
    }
    return failed;
  }

  async function finish(settle: PartitionSettle, refusals: readonly SettleRefusal[]): Promise<SettleOutcome> {
    const refused = new Set(refusals.map(({ firstOffset }) => firstOffset));
    const owed = rejectedBy(settle, refused);
    if (owed.length === 0) return { ok: true, refusals };
    try {
      const failed = await copy(settle.ownership, owed);
      return { ok: true, refusals: [...refusals, ...stillOwed(settle, refused, failed)] };
    } catch (error) {
      return { ok: false, error: GmqError.from(error) };
    }
  }

  return {
    async claim(ownership, peers, page) {
      const claimed = await store.claim(ownership, peers, page);
      const owed = owedIn(claimed.pending);
      if (owed.length === 0) return claimed;
      await copy(ownership, owed);
      const settled = await store.claim(ownership, undefined, page);
      const { next } = claimed;
      if (next === undefined || (settled.next !== undefined && settled.next < next)) return settled;
      // What came up from behind the page has not been tried yet: it is the next page's.
      return { ...settled, pending: settled.pending.filter(({ baseOffset }) => baseOffset < next), next };
    },

    async settle(settles) {
      const outcomes = await store.settle(settles);
      if (!settles.some(rejectsAny)) return outcomes;
      return Promise.all(
        outcomes.map(async (outcome, at) => {
          const settle = settles[at];
          return outcome.ok && settle !== undefined && rejectsAny(settle) ? finish(settle, outcome.refusals) : outcome;
        }),
      );
    },

    close() {
      closed = true;
      for (const { timer } of retries.values()) clearTimeout(timer);
      retries.clear();
    },
  };
}

function rejectsAny({ entries }: PartitionSettle): boolean {
  return entries.some(({ ranges }) => ranges.some(({ verb }) => verb === "reject"));
}

/** The records that a settle rejects, but for refused ranges. */
function rejectedBy({ entries }: PartitionSettle, refused: ReadonlySet<bigint>): BuriedEntry[] {
  return entries.flatMap(({ baseOffset, ranges }) => {
    const indexes = ranges
      .filter((range) => isRejected(range, refused))
      .flatMap(({ firstOffset, lastOffset }) => {
        const first = Number(firstOffset - baseOffset);
        return Array.from({ length: Number(lastOffset - firstOffset) + 1 }, (_, at) => first + at);
      });
    return indexes.length === 0 ? [] : [{ baseOffset, indexes }];
  });
}

/** A refusal for each range with a record whose copy is owed still. */
function stillOwed(
  { entries }: PartitionSettle,
  refused: ReadonlySet<bigint>,
  failed: ReadonlyMap<bigint, GmqError>,
): SettleRefusal[] {
  if (failed.size === 0) return [];
  const refusals: SettleRefusal[] = [];
  for (const { ranges } of entries) {
    for (const range of ranges) {
      if (!isRejected(range, refused)) continue;
      for (let offset = range.firstOffset; offset <= range.lastOffset; offset++) {
        const error = failed.get(offset);
        if (error === undefined) continue;
        refusals.push({ firstOffset: range.firstOffset, lastOffset: range.lastOffset, error });
        break;
      }
    }
  }
  return refusals;
}

function isRejected({ verb, firstOffset }: SettleRange, refused: ReadonlySet<bigint>): boolean {
  return verb === "reject" && !refused.has(firstOffset);
}
