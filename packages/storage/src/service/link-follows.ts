/** One link's follows, by the correlation id of their answers. They end with the link. */
import { GmqError } from "@gmq/protocol";
import type { GroupStore, PartitionFetch, TopicPartition } from "../engine.js";
import { fetchOutcomeToMessage, type OutgoingPartition } from "../wire/record-messages.js";

export interface LinkFollows {
  /** @throws GmqError `protocol_violation`, `resource_exhausted` */
  start(id: number, fetch: PartitionFetch): void;
  /** Its last answer is given as soon as nothing of it is under way. Unknown ones are passed over: they have ended. */
  stop(id: number): void;
  /** Whether there is a follow of a partition. */
  has(partition: TopicPartition): boolean;
  /** Gives every follow its last answer. */
  stopAll(): void;
  /** The link is gone. */
  close(): void;
}

interface Follow {
  readonly place: string;
  readonly stop: () => void;
}

/** Makes the follows of a link, none at first. `answer` sends, `more`: not the last one; false when the link is full. */
export function createLinkFollows(
  follow: GroupStore["follow"],
  answer: (id: number, partitions: OutgoingPartition[], more: boolean) => boolean,
): LinkFollows {
  const byId = new Map<number, Follow>();
  const countByPlace = new Map<string, number>();
  let isClosed = false;

  function forget(id: number): void {
    const place = byId.get(id)?.place;
    byId.delete(id);
    if (place === undefined) return;
    const count = (countByPlace.get(place) ?? 0) - 1;
    if (count > 0) countByPlace.set(place, count);
    else countByPlace.delete(place);
  }

  function stopAll(): void {
    for (const item of [...byId.values()]) item.stop();
  }

  return {
    start(id, fetch) {
      if (byId.has(id)) throw new GmqError("protocol_violation", "there is a follow with this correlation id");
      const stop = follow?.(fetch, {
        fetched(outcome) {
          // A broker that does not read has to ask again.
          const partitions = outcome.entries.length === 0 ? [] : [fetchOutcomeToMessage(outcome)];
          if (!isClosed && !answer(id, partitions, true)) byId.get(id)?.stop();
        },
        ended(error) {
          forget(id);
          if (!isClosed) answer(id, error === undefined ? [] : [fetchOutcomeToMessage({ ok: false, error })], false);
        },
      });
      if (stop === undefined) throw new GmqError("resource_exhausted", "too many follows", { field: "follow" });
      const place = placeOf(fetch.ownership);
      byId.set(id, { place, stop });
      countByPlace.set(place, (countByPlace.get(place) ?? 0) + 1);
    },
    stop: (id) => byId.get(id)?.stop(),
    has: (partition) => countByPlace.has(placeOf(partition)),
    stopAll,
    close() {
      isClosed = true;
      stopAll();
    },
  };
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
