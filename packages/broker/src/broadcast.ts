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
  readonly resolveTopic: (name: string) => Promise<TopicInfo>;
  readonly patterns: Pick<TopicPatterns, "watch">;
}

const entriesPerFetch = 256;

/** Makes the parts of a subscription that differ for a broadcast; `positions` (by `<topic>/<partition>`) go before the start. */
export function createBroadcast(
  { log, resolveTopic, patterns }: BroadcastContext,
  positions: ReadonlyMap<string, bigint>,
): Pick<SubscriptionContext, "memberships" | "fetch" | "follow" | "settle"> {
  async function join(
    spec: { readonly topics: readonly string[] } & Owner,
    start: StartPosition,
    events: MemberEvents,
  ) {
    const { group, memberId } = spec;
    const open = new Set<string>();
    let topics = spec.topics;
    let over = false;

    async function openPartition(partition: TopicPartition, from: StartPosition): Promise<void> {
      const place = `${partition.topic}/${partition.partition}`;
      if (open.has(place)) return;
      open.add(place);
      const known = positions.get(place);
      const claim = await claimAt(partition, known === undefined ? from : { offset: known });
      if (!over) events.assigned({ ...partition, group, memberId, epoch: 0 }, claim);
    }

    async function openTopics(from: StartPosition): Promise<void> {
      const infos = await Promise.all(topics.map(resolveTopic));
      const partitions = infos.flatMap(({ name, config }) =>
        Array.from({ length: config.partitions }, (_, partition) => ({ topic: name, partition })),
      );
      await Promise.all(partitions.map((partition) => openPartition(partition, from)));
    }

    const fail = (cause: unknown): void => {
      const error = GmqError.from(cause);
      // A topic that is gone is told by its readers; what could not be asked is asked with the next change.
      if (!error.retryable && error.code !== "topic_not_found" && !over) events.ended(error);
    };
    await openTopics(start);
    // Partitions that are added later were never there to be passed over.
    const unwatch = patterns.watch([], () => void openTopics("earliest").catch(fail), topics);
    return {
      release: async () => undefined,
      // Nobody owns what is broadcast, so nobody is refused.
      refused: () => undefined,
      async setTopics(next) {
        topics = next;
        await openTopics("earliest").catch(fail);
      },
      async end() {
        over = true;
        unwatch();
      },
    } satisfies Membership;
  }

  /** A place to begin at; an entry that is begun in its middle is pending, with what lies before skipped. */
  async function claimAt({ topic, partition }: TopicPartition, from: StartPosition): Promise<ClaimResult> {
    const { entries, endOffset, startOffset } = await log.read({ topic, partition, from, entriesMax: 1, bytesMax: 1 });
    const entry = entries[0];
    if (entry === undefined || from === "latest") return { position: endOffset, endOffset, pending: [] };
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

interface Owner {
  readonly group: string;
  readonly memberId: string;
}
