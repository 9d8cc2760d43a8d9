/**
 * Fetches that stay open, for any engine. What is appended to a followed partition is fetched in the turn in which this process hears of it; what it appends
 * itself may ride with the append (`board`), where the store can do both in one step. Each is bounded by the bytes and records that it came with.
 */
import { GmqError, limits } from "@gmq/protocol";
import type {
  Fetched,
  FetchOutcome,
  FollowEvents,
  GroupStore,
  LogEntry,
  PartitionFetch,
  Signal,
  SignalHub,
  TopicPartition,
} from "../engine.js";
import type { EndOffsets } from "./end-offsets.js";

/** A follow whose owner has everything before an entry that is being appended. */
export interface Rider {
  /** Where and for whom the entry is registered when it is stored. */
  readonly fetch: PartitionFetch;
  /** It is stored and registered. */
  arrived(entry: LogEntry): void;
  /** It is not, or nobody knows: the follow fetches as usual. */
  missed(): void;
}

export interface Follows {
  readonly follow: NonNullable<GroupStore["follow"]>;
  /** The follows that an entry of these offsets, the second not in it, can be registered for with its append; each is told what became of it. */
  board(partition: TopicPartition, baseOffset: bigint, endOffset: bigint): readonly Rider[];
  /** Ends every follow. */
  close(): void;
}

interface Follow extends Rider {
  fetch: PartitionFetch;
  readonly place: string;
  readonly events: FollowEvents;
  isOver: boolean;
  /** A fetch or a ride is under way, and reaches to at least here. */
  reachesTo: bigint | undefined;
  /** Something moved meanwhile. */
  lookAgain: boolean;
  isStopping: boolean;
}

const followsMax = 100_000;
const nobody: readonly Rider[] = [];

/** Makes the follows of an engine, none at first. `ends` hears the same signals, before this does. */
export function createFollows(fetch: GroupStore["fetch"], signals: SignalHub, ends: Pick<EndOffsets, "get">): Follows {
  const byPlace = new Map<string, Set<Follow>>();
  let count = 0;

  const unsubscribe = signals.subscribe((signal: Signal) => {
    if (signal.kind === "resync") for (const there of byPlace.values()) for (const follow of there) look(follow);
    if (signal.kind !== "partition") return;
    const { endOffset } = signal;
    const there = byPlace.get(placeOf(signal));
    if (there === undefined) return;
    for (const follow of there) {
      if (follow.reachesTo === undefined) look(follow);
      else if (endOffset > follow.reachesTo) follow.lookAgain = true;
    }
  });

  function look(follow: Follow): void {
    if (follow.reachesTo !== undefined) {
      follow.lookAgain = true;
      return;
    }
    follow.reachesTo = follow.fetch.position;
    fetch([follow.fetch]).then(
      ([outcome]) => took(follow, outcome ?? unanswered()),
      (error: unknown) => took(follow, { ok: false, error: GmqError.from(error) }),
    );
  }

  function took(follow: Follow, outcome: FetchOutcome): void {
    follow.reachesTo = undefined;
    if (follow.isOver) return;
    if (!outcome.ok) return end(follow, outcome.error);
    follow.fetch = rest(follow.fetch, outcome);
    const { bytesMax, recordsMax, position } = follow.fetch;
    follow.events.fetched(outcome);
    if (follow.isOver) return;
    if (follow.isStopping || bytesMax <= 0 || recordsMax <= 0) end(follow, undefined);
    else if (follow.lookAgain || position < outcome.endOffset) {
      follow.lookAgain = false;
      look(follow);
    }
  }

  function end(follow: Follow, error: GmqError | undefined): void {
    if (follow.isOver) return;
    follow.isOver = true;
    count--;
    const there = byPlace.get(follow.place);
    there?.delete(follow);
    if (there?.size === 0) byPlace.delete(follow.place);
    follow.events.ended(error);
  }

  function stop(follow: Follow): void {
    if (follow.reachesTo === undefined) end(follow, undefined);
    else follow.isStopping = true;
  }

  function createFollow(wanted: PartitionFetch, events: FollowEvents): Follow {
    const follow: Follow = {
      fetch: wanted,
      place: placeOf(wanted.ownership),
      events,
      isOver: false,
      reachesTo: undefined,
      lookAgain: false,
      isStopping: false,
      arrived(entry) {
        const endOffset = entry.baseOffset + BigInt(entry.recordCount);
        took(follow, { ok: true, entries: [entry], position: endOffset, endOffset });
      },
      missed() {
        follow.reachesTo = undefined;
        if (follow.isStopping) end(follow, undefined);
        else if (!follow.isOver) look(follow);
      },
    };
    return follow;
  }

  return {
    follow(wanted, events) {
      if (count >= followsMax) return undefined;
      const fetchBounded = { ...wanted, bytesMax: Math.min(wanted.bytesMax, limits.fetchBytesMax) };
      const follow = createFollow(fetchBounded, events);
      const there = byPlace.get(follow.place) ?? new Set();
      there.add(follow);
      byPlace.set(follow.place, there);
      count++;
      // What came since its owner last asked; or may have come, when the end is not known.
      const end = ends.get(wanted.ownership);
      if (end === undefined || end > wanted.position) look(follow);
      return () => stop(follow);
    },
    board(partition, baseOffset, endOffset) {
      const there = byPlace.get(placeOf(partition));
      if (there === undefined) return nobody;
      const riders: Follow[] = [];
      for (const follow of there) {
        if (follow.reachesTo !== undefined || follow.fetch.position !== baseOffset) continue;
        follow.reachesTo = endOffset;
        riders.push(follow);
      }
      return riders;
    },
    close() {
      unsubscribe();
      const error = new GmqError("closed", "the engine is closed");
      for (const there of [...byPlace.values()]) for (const follow of [...there]) end(follow, error);
    },
  };
}

function rest({ ownership, bytesMax, recordsMax }: PartitionFetch, { entries, position }: Fetched): PartitionFetch {
  let bytes = bytesMax;
  let records = recordsMax;
  for (const { body, recordCount } of entries) {
    bytes -= body.length;
    records -= recordCount;
  }
  return { ownership, position, bytesMax: bytes, recordsMax: records };
}

function unanswered(): FetchOutcome {
  return { ok: false, error: new GmqError("internal", "the engine left a fetch unanswered") };
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
