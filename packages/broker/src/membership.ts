/**
 * The groups that this broker has members in. Joins them, renews all their sessions in one call per interval (never tied to a handler), follows each group's
 * view, and tells members what to claim and what to give back. One look at a group serves all its members here.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type {
  ClaimResult,
  GroupMemberSpec,
  GroupStore,
  GroupView,
  MemberLiveness,
  Signal,
  StartPosition,
  TopicPartition,
} from "@gmq/storage";
import {
  createLocalMember,
  type LocalMember,
  type LocalMemberContext,
  type MemberEvents,
  ownedByMember,
} from "./local-member.js";
import { createWheel, type WheelItem } from "./wheel.js";

/** A member that has joined. */
export interface Membership {
  /** Gives partitions back; the next owner gets them. */
  release(partitions: readonly TopicPartition[]): Promise<void>;
  /** Subscribes to these topics from now on; the group begins in new ones at their beginning. What cannot be done now is done with the next change. */
  setTopics(topics: readonly string[], sessionTimeoutMs?: number): Promise<void>;
  /** The store refused the owner of this epoch: looks whether the group still says so, and claims the partition again then. */
  refused(partition: TopicPartition, epoch: number): void;
  /** Ends the membership. `leave` hands everything over at once; without it the session runs out by itself (a static member may come back). */
  end(options: { readonly leave: boolean }): Promise<void>;
  /** Claims a partition once more under the same epoch. Absent where the store knows of no member. @throws GmqError what `GroupStore.claim` does */
  reclaim?(partition: TopicPartition): Promise<ClaimResult>;
}

/** A membership of a group in the store. */
export type StoreMembership = Required<Membership>;

export interface Memberships {
  /** Adds a member and claims what the group gives it. @throws GmqError what `GroupStore.join` does */
  join(spec: GroupMemberSpec, start: StartPosition, events: MemberEvents): Promise<StoreMembership>;
  signal(signal: Signal): void;
  readonly memberCount: number;
  close(): void;
}

/** What the members of a broker share. */
interface Home {
  readonly groups: GroupStore;
  readonly logger: Logger;
  apply(watch: Watch, view: GroupView): boolean;
  look(watch: Watch): Promise<void>;
  remove(entry: Entry): void;
  after(delayMs: number, run: () => unknown): void;
}

/** A member. In the wheel: until its session is renewed. A class, as its LocalMember is one. */
class Entry implements StoreMembership, LocalMemberContext, WheelItem {
  spec: GroupMemberSpec;
  readonly start: StartPosition;
  readonly events: MemberEvents;
  /** Of its group. */
  readonly watch: Watch;
  readonly member: LocalMember;
  readonly #home: Home;
  slot = -1;
  rejoining = false;
  hasLeft = false;
  /** Given back and not sent yet: each call changes the whole group, so what comes while one is under way goes together. */
  #gathered: Map<string, TopicPartition> | undefined;
  #sent: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(home: Home, watch: Watch, spec: GroupMemberSpec, start: StartPosition, events: MemberEvents) {
    this.#home = home;
    this.watch = watch;
    this.spec = spec;
    this.start = start;
    this.events = events;
    this.member = createLocalMember(this);
  }

  get groups(): GroupStore {
    return this.#home.groups;
  }

  giveBack(partitions: readonly TopicPartition[]): void {
    void this.release(partitions);
  }

  refresh(): void {
    void this.#home.look(this.watch);
  }

  release(partitions: readonly TopicPartition[]): Promise<void> {
    this.member.releasing(partitions);
    // Nobody waits for what a desk lets go: the others read it all the time.
    if (this.spec.kind === "desk") return Promise.resolve();
    this.#gathered ??= new Map();
    for (const place of partitions) this.#gathered.set(`${place.topic}/${place.partition}`, place);
    this.#next ??= this.#sendReleases();
    return this.#next;
  }

  async #sendReleases(): Promise<void> {
    await this.#sent;
    await nextTurn();
    const partitions = [...(this.#gathered?.values() ?? [])];
    this.#gathered = undefined;
    this.#next = undefined;
    this.#sent = this.#releaseNow(partitions);
    await this.#sent;
  }

  async #releaseNow(partitions: readonly TopicPartition[]): Promise<void> {
    const { groups, logger } = this.#home;
    try {
      const after = await groups.release(this.spec, partitions);
      if (this.watch.entries.has(this)) this.#home.apply(this.watch, after);
    } catch (error) {
      // The group still counts them as ours and asks again with the next look; a dead session gives them up.
      logger.warn("partitions could not be given back", {
        group: this.spec.group,
        partitions: partitions.length,
        error,
      });
    }
  }

  reclaim(partition: TopicPartition): Promise<ClaimResult> {
    return this.member.reclaim(partition);
  }

  async setTopics(topics: readonly string[], sessionTimeoutMs = this.spec.sessionTimeoutMs): Promise<void> {
    const { groups, logger } = this.#home;
    if (!this.watch.entries.has(this)) return;
    const asked = { ...this.spec, topics, sessionTimeoutMs };
    this.spec = asked;
    try {
      const after = await groups.join(asked, "earliest");
      if (this.watch.entries.has(this)) this.#home.apply(this.watch, after);
      else await groups.leave(this.spec);
    } catch (cause) {
      const error = GmqError.from(cause);
      logger.warn("a member's topics could not be changed", { group: asked.group, topics: topics.length, error });
      // Nobody says it again: the topics have changed, and who asks knows them.
      if (error.retryable) this.#home.after(joinRetryMs, () => this.spec === asked && this.setTopics(topics));
    }
  }

  refused(partition: TopicPartition, epoch: number): void {
    this.member.refused(partition, epoch);
  }

  async end({ leave }: { readonly leave: boolean }): Promise<void> {
    if (!this.watch.entries.has(this)) return;
    this.#home.remove(this);
    if (leave) await this.#home.groups.leave(this.spec);
  }
}

/** One group with members here. In the wheel of expiries: looks when a session of the group runs out unless it is renewed before. */
interface Watch extends WheelItem {
  readonly group: string;
  readonly entries: Set<Entry>;
  version: number;
  /** A look is under way; `again` when something happened meanwhile. */
  looking: boolean;
  again: boolean;
  /** Looks that failed one after the other, and the timer of the next one. */
  failures: number;
  next: NodeJS.Timeout | undefined;
}

/** A session is renewed this often within its timeout: a store that is away for two thirds of it costs nobody anything. */
const heartbeatsPerTimeout = 3;
const heartbeatRetryMs = 250;
/** After the time of a session is up, by the store's clock: the store has to see it so. */
const expiryGraceMs = 50;
const joinRetryMs = 250;
/** After a look that failed, doubled with each that fails after it; one that lost a race has only to let the others finish. */
const lookRetryMs = 250;
const lookAfterConflictMs = 20;
const lookRetryMsMax = 4_000;

/** Makes the memberships of one broker. */
export function createMemberships(groups: GroupStore, logger: Logger): Memberships {
  const watches = new Map<string, Watch>();
  const timers = new Set<NodeJS.Timeout>();
  const wheel = createWheel<Entry>((due) => void renew(due));
  const expiries = createWheel<Watch>((due) => {
    for (const watch of due) void look(watch);
  });
  const home: Home = { groups, logger, apply, look, remove, after };
  /** Due while a renewal is under way. */
  const late: Entry[] = [];
  let renewing = false;
  let closed = false;

  function watchOf(group: string): Watch {
    const known = watches.get(group);
    if (known !== undefined) return known;
    const watch: Watch = {
      group,
      entries: new Set(),
      version: 0,
      slot: -1,
      looking: false,
      again: false,
      failures: 0,
      next: undefined,
    };
    watches.set(group, watch);
    return watch;
  }

  function remove(entry: Entry): void {
    const { watch } = entry;
    entry.hasLeft = true;
    entry.member.stop();
    wheel.take(entry);
    watch.entries.delete(entry);
    if (watch.entries.size > 0) return;
    expiries.take(watch);
    clearTimeout(watch.next);
    watches.delete(watch.group);
  }

  /** False: it is an old answer. `asked`: the version that was known when the view was asked for; a lower one then is a store that lost its tail. */
  function apply(watch: Watch, view: GroupView, asked = 0): boolean {
    if (view.version < watch.version && view.version >= asked) return false;
    watch.version = view.version;
    const incarnations = new Map(view.members.map(({ memberId, incarnation }) => [memberId, incarnation]));
    const owned = ownedByMember(view);
    for (const entry of [...watch.entries]) {
      const { memberId, incarnation } = entry.spec;
      const living = incarnations.get(memberId);
      if (living === incarnation) entry.member.apply(owned.get(memberId) ?? []);
      else if (living === undefined) void rejoin(entry);
      else
        end(entry, new GmqError("fenced", `another session of member ${memberId} took over`, { field: "member_id" }));
    }
    return true;
  }

  function end(entry: Entry, error: GmqError): void {
    entry.member.dropAll(error);
    remove(entry);
    entry.events.ended(error);
  }

  /** The session ran out though the client is alive (the store was away, say): what was held is lost, the member joins anew. */
  async function rejoin(entry: Entry): Promise<void> {
    const { watch } = entry;
    if (entry.hasLeft || entry.rejoining || closed) return;
    entry.rejoining = true;
    entry.member.dropAll(new GmqError("fenced", "the session ran out", { field: "session_timeout_ms" }));
    logger.warn("a member's session ran out; it joins again", {
      group: entry.spec.group,
      memberId: entry.spec.memberId,
    });
    try {
      const view = await groups.join(entry.spec, entry.start);
      entry.rejoining = false;
      if (!entry.hasLeft) apply(watch, view);
    } catch (cause) {
      const error = GmqError.from(cause);
      if (!error.retryable) return end(entry, error);
      after(joinRetryMs, () => {
        entry.rejoining = false;
        void rejoin(entry);
      });
    }
  }

  function after(delayMs: number, run: () => unknown): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, delayMs);
    timers.add(timer);
  }

  async function look(watch: Watch): Promise<void> {
    if (watch.looking) {
      watch.again = true;
      return;
    }
    // It comes before the one that waits.
    clearTimeout(watch.next);
    watch.looking = true;
    watch.again = false;
    const asked = watch.version;
    let waitMs = 0;
    try {
      const view = await groups.get(watch.group);
      if (view !== undefined) apply(watch, view, asked);
      else
        for (const entry of [...watch.entries])
          end(entry, new GmqError("group_not_found", `the group ${watch.group} was deleted`, { field: "group" }));
    } catch (error) {
      logger.warn("a group could not be read", { group: watch.group, error });
      watch.again = true;
      const baseMs = GmqError.from(error).code === "conflict" ? lookAfterConflictMs : lookRetryMs;
      waitMs = Math.min(lookRetryMsMax, baseMs * 2 ** watch.failures++) * (0.5 + Math.random() / 2);
    }
    if (waitMs === 0) watch.failures = 0;
    watch.looking = false;
    if (watch.again && !closed && watches.get(watch.group) === watch)
      watch.next = setTimeout(() => void look(watch), waitMs);
  }

  function allEntries(): Entry[] {
    return [...watches.values()].flatMap(({ entries }) => [...entries]);
  }

  /** Due within half an interval may be renewed before: a call costs more than a session in it. */
  function renewIn(entry: Entry, delayMs: number): void {
    wheel.put(entry, performance.now() + delayMs, delayMs / 2);
  }

  async function renew(due: readonly Entry[]): Promise<void> {
    if (renewing) {
      for (const entry of due) late.push(entry);
      return;
    }
    renewing = true;
    // Who has left meanwhile is told that it is fenced, and nobody listens.
    const entries = due.filter(({ hasLeft }) => !hasLeft);
    for (const entry of entries) renewIn(entry, heartbeatIntervalMs(entry.spec));
    try {
      const liveness = await groups.heartbeat(entries.map(({ spec }) => spec));
      entries.forEach((entry, index) => check(entry, liveness[index]));
    } catch (error) {
      logger.warn("heartbeats were not answered", { members: entries.length, error });
      for (const entry of entries) if (!entry.hasLeft) renewIn(entry, heartbeatRetryMs);
    }
    renewing = false;
    if (late.length > 0 && !closed) void renew(late.splice(0));
  }

  function check(entry: Entry, liveness: MemberLiveness | undefined): void {
    const { watch } = entry;
    if (liveness === undefined || entry.hasLeft) return;
    if (liveness.fenced || liveness.groupVersion !== watch.version) void look(watch);
    watchExpiry(entry, liveness.nextExpiryInMs);
  }

  /** A member that fell silent passes its partitions on as soon as its time is up, not with the next heartbeat of somebody else. */
  function watchExpiry({ watch, spec }: Entry, nextExpiryInMs: number | undefined): void {
    // The only member here is told again before that: as a rule the next to run out is itself.
    const isToldBefore = watch.entries.size === 1 && (nextExpiryInMs ?? 0) > heartbeatIntervalMs(spec);
    if (nextExpiryInMs === undefined || isToldBefore) expiries.take(watch);
    else expiries.put(watch, performance.now() + nextExpiryInMs + expiryGraceMs);
  }

  return {
    async join(spec, start, events) {
      const view = await groups.join(spec, start);
      const watch = watchOf(spec.group);
      const entry = new Entry(home, watch, spec, start, events);
      watch.entries.add(entry);
      // The first renewal at any time within the interval: members that join together do not stay together.
      renewIn(entry, Math.random() * heartbeatIntervalMs(spec));
      // What is known already was applied before the member was here.
      if (!apply(watch, view)) void look(watch);
      return entry;
    },
    signal(signal) {
      if (signal.kind === "resync") for (const watch of watches.values()) void look(watch);
      else if (signal.kind === "group") {
        const watch = watches.get(signal.group);
        if (watch !== undefined) void look(watch);
      }
    },
    get memberCount() {
      return allEntries().length;
    },
    close() {
      closed = true;
      wheel.close();
      for (const timer of timers) clearTimeout(timer);
      for (const { next } of watches.values()) clearTimeout(next);
      expiries.close();
      for (const entry of allEntries()) entry.member.stop();
      watches.clear();
    },
  };
}

function heartbeatIntervalMs({ sessionTimeoutMs }: GroupMemberSpec): number {
  return sessionTimeoutMs / heartbeatsPerTimeout;
}
