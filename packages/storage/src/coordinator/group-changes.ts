/**
 * Changes group documents by compare-and-set. Changes of one group that come together in this process are made in one save, in the order in which they came
 * (group commit, as for appends): a thousand consumers that join at once cost a few saves, and only other processes can be in between.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { GmqError, limits } from "@gmq/protocol";
import type { GroupView, StartPosition, TopicPartition, TopicStore } from "../engine.js";
import { nextFences } from "./fences.js";
import { decodeGroup, emptyGroup, encodeGroup, type GroupDocument, sessionOf, viewOf } from "./group-document.js";
import type { GroupDocuments, SessionRenewal, StoredGroup } from "./group-documents.js";
import { type CurrentTopics, type GroupEvent, newPartitions, reconcile } from "./reconcile.js";

/** One change of a group. */
export interface GroupChange {
  /** Topics that it needs to know of, beside those of the group. */
  readonly topics: readonly string[];
  /** Where the group begins in those topics, when it does not know them yet. */
  readonly start: StartPosition;
  /**
   * What happens to the group as it is when its turn comes; undefined when nothing does.
   * @throws GmqError to refuse this change alone
   */
  decide(document: GroupDocument, topics: CurrentTopics, now: DecisionTime): DecidedChange | undefined;
}

/** When a change is decided. */
export interface DecisionTime {
  /** The store's clock. */
  readonly nowMs: number;
  /** Version of the group as the change finds it. */
  readonly version: number;
}

/** An event and what it does to sessions. */
export interface DecidedChange {
  readonly event: GroupEvent;
  readonly renew?: Omit<SessionRenewal, "group">;
  /** Sessions that end whatever their deadline. */
  readonly remove?: readonly string[];
}

/** Changes groups one after another. */
export interface GroupChanges {
  /**
   * Makes the change and lets members go whose sessions ran out; the view is the one that the store holds then.
   * @throws GmqError what `decide` throws, `conflict` (others were always faster; a retry is safe), `resource_exhausted` (too many wait; a retry is safe)
   */
  change(group: string, change: GroupChange): Promise<GroupView>;
}

interface Waiting {
  readonly change: GroupChange;
  resolve(view: GroupView): void;
  reject(error: unknown): void;
}

/** A turn's changes applied to what was loaded. */
interface Turn {
  readonly document: GroupDocument;
  readonly renew: Map<string, number>;
  readonly remove: Set<string>;
  /** Where the group begins in partitions that are new to it, in order. */
  readonly begin: readonly { readonly partitions: TopicPartition[]; readonly start: StartPosition }[];
  readonly refused: ReadonlyMap<Waiting, unknown>;
}

/** Attempts to save a document that other processes change too, before `conflict`. */
const attemptsMax = 24;
const pauseStepMs = 5;
const pauseMsMax = 50;

/** Makes the changer over an engine's documents. */
export function createGroupChanges(documents: GroupDocuments, topics: Pick<TopicStore, "get">): GroupChanges {
  const queues = new Map<string, Waiting[]>();

  async function run(group: string, queue: Waiting[]): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0);
      try {
        await commit(group, batch);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    queues.delete(group);
  }

  async function commit(group: string, batch: readonly Waiting[]): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (attempt > 0) await sleep(Math.random() * Math.min(pauseStepMs * attempt, pauseMsMax));
      const stored = await documents.load(group);
      const before = stored.document === undefined ? emptyGroup(stored.nowMs) : decodeGroup(stored.document);
      const turn = apply(before, stored, await topicsNow(before, batch), batch);
      const version = await store(group, stored, before, turn);
      if (version === undefined) continue;
      for (const waiting of batch) {
        if (turn.refused.has(waiting)) waiting.reject(turn.refused.get(waiting));
        else waiting.resolve(viewOf(group, version, turn.document));
      }
      return;
    }
    throw new GmqError("conflict", `the group ${group} is changed by too many at once`, { field: "group" });
  }

  async function topicsNow(document: GroupDocument, batch: readonly Waiting[]): Promise<CurrentTopics> {
    const names = new Set(batch.flatMap(({ change }) => change.topics));
    for (const { topic } of document.topics) names.add(topic);
    for (const member of document.members) for (const topic of member.topics) names.add(topic);
    const infos = await Promise.all(Array.from(names, (name) => topics.get(name)));
    return new Map(infos.flatMap((info) => (info === undefined ? [] : [[info.name, info]])));
  }

  /** The version that the document has then; undefined when somebody was faster. */
  async function store(group: string, stored: StoredGroup, before: GroupDocument, turn: Turn) {
    const text = encodeGroup(turn.document);
    const isSame = text === (stored.document ?? encodeGroup(before));
    if (isSame && turn.renew.size === 0 && turn.remove.size === 0 && stored.expired.length === 0) return stored.version;
    try {
      for (const { partitions, start } of turn.begin)
        await documents.initialize(group, partitions, start, stored.nowMs);
    } catch (error) {
      // Deleted since it was looked up: the next look does not find it.
      if (GmqError.is(error, "topic_not_found") || GmqError.is(error, "partition_not_found")) return undefined;
      throw error;
    }
    const saved = await documents.save(group, stored.version, text, {
      renew: Array.from(turn.renew, ([session, timeoutMs]) => ({ session, timeoutMs })),
      remove: [...turn.remove],
      expired: stored.expired.filter((session) => !turn.remove.has(session) && !turn.renew.has(session)),
    });
    return saved ? stored.version + 1 : undefined;
  }

  return {
    change(group, change) {
      return new Promise((resolve, reject) => {
        const queue = queues.get(group) ?? [];
        if (queue.length >= limits.groupChangesWaitingMax) {
          const limit = `${limits.groupChangesWaitingMax} changes`;
          reject(
            new GmqError("resource_exhausted", `too many changes of the group ${group} wait`, {
              field: "group",
              limit,
            }),
          );
          return;
        }
        queue.push({ change, resolve, reject });
        if (queues.has(group)) return;
        queues.set(group, queue);
        void run(group, queue);
      });
    },
  };
}

/** Applies changes one after another, then lets those members go whose sessions ran out and were not renewed meanwhile. */
function apply(before: GroupDocument, stored: StoredGroup, current: CurrentTopics, batch: readonly Waiting[]): Turn {
  const renew = new Map<string, number>();
  const remove = new Set<string>();
  const begin: { partitions: TopicPartition[]; start: StartPosition }[] = [];
  const refused = new Map<Waiting, unknown>();
  let document = before;

  function step(event: GroupEvent, isFirst: (topic: string) => boolean, start: StartPosition): void {
    const changed = reconcile(document, event, current);
    const next = { ...changed, fences: nextFences(document, changed, event, stored.nowMs) };
    const added = newPartitions(document, next);
    const first = added.filter(({ topic }) => isFirst(topic));
    const later = added.filter(({ topic }) => !isFirst(topic));
    if (first.length > 0) begin.push({ partitions: first, start });
    // What is added to a topic later was never there to be passed over: nothing of it may be missed.
    if (later.length > 0) begin.push({ partitions: later, start: "earliest" });
    document = next;
  }

  for (const waiting of batch) {
    const { change } = waiting;
    try {
      const version = document === before ? stored.version : stored.version + 1;
      const decided = change.decide(document, current, { nowMs: stored.nowMs, version });
      if (decided === undefined) continue;
      const known = new Set(document.topics.map(({ topic }) => topic));
      step(decided.event, (topic) => !known.has(topic) && change.topics.includes(topic), change.start);
      for (const session of decided.remove ?? []) {
        remove.add(session);
        renew.delete(session);
      }
      if (decided.renew !== undefined) renew.set(decided.renew.session, decided.renew.timeoutMs);
    } catch (error) {
      refused.set(waiting, error);
    }
  }
  const living = new Set([...document.members.map(sessionOf), ...document.holds.map(({ name }) => name)]);
  const expired = stored.expired.filter((session) => living.has(session) && !renew.has(session));
  if (expired.length > 0) step({ expired }, () => false, "earliest");
  return { document, renew, remove, begin, refused };
}
