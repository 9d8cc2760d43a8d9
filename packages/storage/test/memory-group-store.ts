import { GmqError } from "@gmq/protocol";
import { createGroupCoordinator, type GroupCoordinator } from "../src/coordinator/group-coordinator.js";
import type { GroupDocuments } from "../src/coordinator/group-documents.js";
import type { Signal, TopicInfo } from "../src/engine.js";
import { createSignalHub } from "../src/signal-hub.js";

/** A store in memory whose clock the test moves. Every answer comes in a later turn, so that changes can interleave. */
export interface MemoryGroupStore {
  readonly documents: GroupDocuments;
  readonly topics: Map<string, TopicInfo>;
  /** Makes or changes a topic; one with another time of making was made again. */
  setTopic(name: string, partitions: number, createdAtMs?: number): void;
  /** Group, place and start of every partition that was begun. */
  readonly begun: string[];
  saves: number;
  nowMs: number;
  /** Where every group stands in every partition. */
  readonly position: bigint;
  /** Every reposition. */
  readonly moved: string[];
  failMoves: boolean;
  /** After so many moves no save succeeds, as if their process had died. */
  cutOffAfterMoves: number;
  /** Saves that are refused as if another process had been faster. */
  refuseSaves: number;
  signal(signal: Signal): void;
  coordinator(): GroupCoordinator;
}

/** Makes an empty one. */
export function createMemoryGroupStore(): MemoryGroupStore {
  const groups = new Map<string, { version: number; document: string }>();
  const sessions = new Map<string, Map<string, number>>();
  const hub = createSignalHub();
  const sessionsOf = (group: string): Map<string, number> => {
    const known = sessions.get(group) ?? new Map<string, number>();
    sessions.set(group, known);
    return known;
  };
  const expiredOf = (group: string): string[] =>
    [...sessionsOf(group)].filter(([, deadlineMs]) => deadlineMs <= store.nowMs).map(([session]) => session);
  const later = () => new Promise((resolve) => setImmediate(resolve));
  const documents: GroupDocuments = {
    async load(group) {
      await later();
      const stored = groups.get(group);
      return {
        version: stored?.version ?? 0,
        document: stored?.document,
        expired: expiredOf(group),
        nowMs: store.nowMs,
      };
    },
    async sessionsLeftMs(group) {
      await later();
      return new Map(
        Array.from(sessionsOf(group), ([session, deadlineMs]) => [session, deadlineMs - store.nowMs] as const),
      );
    },
    async save(group, expectedVersion, document, { renew, remove, expired }) {
      await later();
      if ((groups.get(group)?.version ?? 0) !== expectedVersion) return false;
      if (store.refuseSaves > 0) {
        store.refuseSaves--;
        return false;
      }
      const own = sessionsOf(group);
      if (expired.some((session) => (own.get(session) ?? 0) > store.nowMs)) return false;
      for (const session of [...remove, ...expired]) own.delete(session);
      for (const { session, timeoutMs } of renew) own.set(session, store.nowMs + timeoutMs);
      groups.set(group, { version: expectedVersion + 1, document });
      store.saves++;
      return true;
    },
    async touch(renewals) {
      await later();
      return renewals.map(({ group, session, timeoutMs }) => {
        const own = sessionsOf(group);
        const alive = (own.get(session) ?? 0) > store.nowMs;
        if (alive) own.set(session, store.nowMs + timeoutMs);
        const next = Math.min(...own.values()) - store.nowMs;
        return {
          alive,
          version: groups.get(group)?.version ?? 0,
          anyExpired: expiredOf(group).length > 0,
          nextExpiryInMs: Number.isFinite(next) ? Math.max(0, next) : undefined,
        };
      });
    },
    list: async () => [...groups.keys()],
    async delete(group, expectedVersion) {
      await later();
      if ((groups.get(group)?.version ?? 0) !== expectedVersion) return false;
      sessions.delete(group);
      return groups.delete(group);
    },
    async initialize(group, partitions, start) {
      await later();
      const from =
        typeof start === "string"
          ? start
          : JSON.stringify(start, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
      for (const { topic, partition } of partitions) {
        if (!store.topics.has(topic)) throw new GmqError("topic_not_found", topic);
        store.begun.push(`${group} ${topic}/${partition} ${from}`);
      }
    },
    progress: async () => ({ position: store.position, pending: [] }),
    async offsetOf(_partition, position) {
      if (typeof position === "object" && "offset" in position) return position.offset < 100n ? position.offset : 100n;
      return position === "latest" ? 100n : 0n;
    },
    async reposition(group, { topic, partition }, epoch, offset) {
      await later();
      store.moved.push(`${group} ${topic}/${partition} @${epoch} -> ${offset}`);
      if (store.moved.length === store.cutOffAfterMoves) store.refuseSaves = 1_000;
      if (store.failMoves) throw new GmqError("store_unavailable", "down");
      return { position: store.position, pending: [] };
    },
  };
  const store: MemoryGroupStore = {
    documents,
    topics: new Map(),
    setTopic(name, partitions, createdAtMs = 1) {
      store.topics.set(name, { name, config: { partitions }, createdAtMs, version: 1 });
    },
    begun: [],
    saves: 0,
    nowMs: 1_000_000,
    position: 40n,
    moved: [],
    failMoves: false,
    cutOffAfterMoves: Number.NaN,
    refuseSaves: 0,
    signal: hub.tell,
    coordinator() {
      const get = async (name: string): Promise<TopicInfo | undefined> => store.topics.get(name);
      return createGroupCoordinator(documents, { get }, hub);
    },
  };
  return store;
}
