/**
 * Broadcast: a consumer that gets everything. The same subscription, dispatcher and ledger as for groups, over a membership that the store knows nothing of: every
 * partition is the consumer's, reading has no effect, and what is settled is forgotten: a record that is rejected too, as there is no group whose dead letter it could be.
 */
import { GmqError, limits } from "@gmq/protocol";
import type {
  ClaimResult,
  FetchOutcome,
  LogStore,
  PartitionFetch,
  SettleOutcome,
  StartPosition,
  TopicInfo,
  TopicPartition,
} from "@gmq/storage";
import type { MemberEvents } from "./local-member.js";
import type { Membership } from "./membership.js";
import type { SubscriptionContext } from "./subscription.js";
import type { TopicPatterns } from "./topic-patterns.js";

/** What broadcast needs of its broker. */
export interface BroadcastContext {
  readonly log: Pick<LogStore, "read">;
  readonly findTopic: (name: string) => Promise<TopicInfo | undefined>;
  readonly patterns: Pick<TopicPatterns, "watch">;
}

/** Where a session before this one ended in a partition, and in which life of its topic; 0: its client does not tell. */
export interface ResumePoint {
  readonly offset: bigint;
  readonly life: number;
}

const entriesPerFetch = 256;

/** Makes the parts of a subscription that differ for a broadcast; `positions` (by `<topic>/<partition>`) go before the start. */
export function createBroadcast(
  { log, findTopic, patterns }: BroadcastContext,
  positions: ReadonlyMap<string, ResumePoint>,
): Pick<SubscriptionContext, "memberships" | "fetch" | "follow" | "settle"> {
  async function join(
    spec: { readonly topics: readonly string[] } & Owner,
    start: StartPosition,
    events: MemberEvents,
  ) {
    const { group, memberId } = spec;
    /** What is read, by place; `life` tells a topic from one of its name that was made later. */
    const open = new Map<string, { readonly partition: TopicPartition; readonly life: number }>();
    const known = new Map(positions);
    let topics = spec.topics;
    let over = false;
    let changed = false;
    let following: Promise<void> | undefined;

    async function openPartition(partition: TopicPartition, life: number, from: StartPosition): Promise<void> {
      const place = placeOf(partition);
      if (open.has(place)) return;
      const reading = { partition, life };
      open.set(place, reading);
      const point = known.get(place);
      try {
        const claim = await claimAt(partition, point === undefined ? from : startOf(point, life));
        // Of a later life of the topic nothing was read.
        known.delete(place);
        if (over || open.get(place) !== reading) return;
        events.assigned({ ...partition, group, memberId, epoch: 0 }, claim, life);
      } catch (error) {
        // Not read: the next change tries again.
        if (open.get(place) === reading) open.delete(place);
        throw error;
      }
    }

    /** Brings what is read in line with the topics that are there. */
    async function openTopics(from: StartPosition): Promise<void> {
      const infos = (await Promise.all(topics.map(findTopic))).filter((info) => info !== undefined);
      if (over) return;
      const lives = new Map(infos.map(({ name, createdAtMs }) => [name, createdAtMs]));
      for (const [place, { partition, life }] of [...open]) {
        if (lives.get(partition.topic) === life) continue;
        open.delete(place);
        known.delete(place);
        events.lost(partition, new GmqError("topic_not_found", `there is no topic ${partition.topic} any more`));
      }
      const partitions = infos.flatMap(({ name, createdAtMs, config }) =>
        Array.from({ length: config.partitions }, (_, partition) => ({ topic: name, partition, life: createdAtMs })),
      );
      await Promise.all(partitions.map(({ life, ...partition }) => openPartition(partition, life, from)));
    }

    const fail = (cause: unknown): void => {
      const error = GmqError.from(cause);
      // A topic that went meanwhile, and what could not be asked, is looked at with the next change.
      if (!error.retryable && error.code !== "topic_not_found" && !over) events.ended(error);
    };

    /** One look at a time, and one more for all that changed during it. Partitions that are added later were never there to be passed over. */
    async function follow(): Promise<void> {
      while (changed && !over) {
        changed = false;
        await openTopics("earliest").catch(fail);
      }
      following = undefined;
    }

    function followChanges(): Promise<void> {
      changed = true;
      following ??= follow();
      return following;
    }

    await openTopics(start);
    const unwatch = patterns.watch([], () => void followChanges(), topics);
    // What changed before it was watched.
    void followChanges();
    return {
      release: async () => undefined,
      // Nobody owns what is broadcast, so nobody is refused.
      refused: () => undefined,
      async setTopics(next) {
        topics = next;
        await followChanges();
      },
      async end() {
        over = true;
        unwatch();
      },
    } satisfies Membership;
  }

  /** A place to begin at; an entry that is begun in its middle is pending, with what lies before skipped. */
  async function claimAt({ topic, partition }: TopicPartition, from: StartPosition): Promise<ClaimResult> {
    const request = { topic, partition, from, entriesMax: 1, bytesMax: 1 };
    const first = await log.read(request);
    // An end is read after the entries: what was stored in between is below it and was not seen. Only an end from before a reading is one to begin at.
    const found = first.entries.length > 0 || from === "latest" ? first : await log.read(request);
    const { endOffset, startOffset } = found;
    const entry = found.entries[0];
    if (entry === undefined || from === "latest") return { position: first.endOffset, endOffset, pending: [] };
    const { baseOffset, recordCount } = entry;
    const skipped = typeof from === "object" && "offset" in from ? Number(from.offset - baseOffset) : 0;
    if (skipped <= 0) return { position: baseOffset > startOffset ? baseOffset : startOffset, endOffset, pending: [] };
    const position = baseOffset + BigInt(recordCount);
    if (skipped >= recordCount) return { position, endOffset, pending: [] };
    const handBacks = { takeOvers: 0, releases: [] };
    const states = "s".repeat(skipped) + ".".repeat(recordCount - skipped);
    return { position, endOffset, pending: [{ baseOffset, recordCount, states, attempts: [], due: [], handBacks }] };
  }

  return {
    memberships: { join },
    follow: undefined,
    async fetch({ ownership, position, bytesMax }: PartitionFetch): Promise<FetchOutcome> {
      const { topic, partition } = ownership;
      try {
        const bytes = Math.min(bytesMax, limits.fetchBytesDefault);
        const request = { topic, partition, from: { offset: position }, entriesMax: entriesPerFetch, bytesMax: bytes };
        const { entries, endOffset } = await log.read(request);
        const next = entries.filter(({ baseOffset }) => baseOffset >= position);
        const last = next.at(-1);
        const after = last === undefined ? position : last.baseOffset + BigInt(last.recordCount);
        return { ok: true, entries: next, position: after, endOffset: endOffset > after ? endOffset : after };
      } catch (error) {
        return { ok: false, error: GmqError.from(error) };
      }
    },
    settle: async (): Promise<SettleOutcome> => ({ ok: true, refusals: [] }),
  };
}

/** A topic that was made again while its reader was away is new to it. */
function startOf({ offset, life }: ResumePoint, current: number): StartPosition {
  return life === 0 || life === current ? { offset } : "earliest";
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

interface Owner {
  readonly group: string;
  readonly memberId: string;
}
