/**
 * A broker's desk in one shared group: the member that reads the group's partitions for the broker's consumers, beside the desks of other brokers. It is there
 * while it has consumers; the topics that it reads are all of theirs.
 */
import { randomUUID } from "node:crypto";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type { GroupMemberSpec, Ownership, TopicPartition } from "@gmq/storage";
import type { ReaderContext } from "../assignment.js";
import type { Dispatcher } from "../dispatcher-handle.js";
import type { Dispatchers } from "../dispatchers.js";
import type { MemberEvents } from "../local-member.js";
import type { Memberships, StoreMembership } from "../membership.js";
import { createSharedPartition, type SharedPartition } from "./shared-partition.js";

export interface DeskContext {
  readonly memberships: Pick<Memberships, "join">;
  readonly dispatchers: Pick<Dispatchers, "add">;
  readonly logger: Logger;
  /** What a dispatcher needs beside its ownership. */
  readonly reading: Pick<ReaderContext, "fetch" | "settle" | "log">;
  /** The desk has no consumers any more and has left, or was ended. */
  closed(): void;
}

/** A consumer at the desk. */
export interface DeskConsumer {
  topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly events: MemberEvents;
}

export interface Desk {
  /** Gives the consumer every partition of its topics that is open, and those that open later. False: the desk has closed meanwhile. */
  add(consumer: DeskConsumer): boolean;
  /** The consumer's topics changed. */
  changed(consumer: DeskConsumer): void;
  /** The consumer has no part in the partition any more; when nobody has, the desk lets it go. */
  released(partitions: readonly TopicPartition[]): void;
  remove(consumer: DeskConsumer): Promise<void>;
  /** A place for a consumer at a partition that was assigned to it. @throws GmqError `fenced` when the desk has lost it meanwhile */
  place(ownership: Ownership, reader: ReaderContext): Dispatcher;
  /** The store refused the desk's ownership. */
  refused(partition: TopicPartition, epoch: number): void;
}

interface Reading {
  readonly ownership: Ownership;
  readonly shared: SharedPartition;
  readonly forget: () => void;
  /** Asked back (the group is paused): nobody gets anything any more. */
  revoking: boolean;
}

/** Opens a desk for its first consumer's topics. @throws GmqError what `Memberships.join` does */
export async function openDesk(context: DeskContext, spec: GroupMemberSpec): Promise<Desk> {
  const readings = new Map<string, Reading>();
  /** With the places that each was given. */
  const consumers = new Map<DeskConsumer, Set<string>>();
  let topics = spec.topics;
  let sessionTimeoutMs = spec.sessionTimeoutMs;
  let over = false;

  const events: MemberEvents = {
    assigned(ownership, claim) {
      const place = placeOf(ownership);
      // Opened again before everybody had let go of it.
      close(place, replaced(ownership));
      const { topic, partition, epoch } = ownership;
      const shared = createSharedPartition(
        {
          ...context.reading,
          logger: context.logger,
          ownership,
          reclaim: () => membership.reclaim({ topic, partition }),
          lost(error) {
            close(place, error);
            if (error.code === "fenced" || error.retryable) membership.refused({ topic, partition }, epoch);
            else if (error.code !== "topic_not_found") end(error);
          },
        },
        claim,
      );
      const forget = context.dispatchers.add({ topic, partition }, shared.dispatcher);
      readings.set(place, { ownership, shared, forget, revoking: false });
      for (const consumer of [...consumers.keys()]) offer(consumer);
      shared.dispatcher.pump();
    },
    inherit: (partition) => readings.get(placeOf(partition))?.shared.dispatcher.inherit(),
    revoke(partition) {
      const place = placeOf(partition);
      const reading = readings.get(place);
      if (reading === undefined) return;
      reading.revoking = true;
      reading.shared.dispatcher.pause();
      for (const [consumer, places] of [...consumers]) if (places.has(place)) consumer.events.revoke(partition);
      letGo(partition);
    },
    lost: (partition, error) => close(placeOf(partition), error),
    ended: end,
  };
  const deskSpec: GroupMemberSpec = {
    ...spec,
    memberId: `gmq.desk.${randomUUID()}`,
    incarnation: randomUUID(),
    clientId: "desk",
    clientVersion: "",
    staticMember: false,
    kind: "desk",
  };
  const membership: StoreMembership = await context.memberships.join(deskSpec, "earliest", events);

  function close(place: string, error: GmqError): void {
    const reading = readings.get(place);
    if (reading === undefined) return;
    readings.delete(place);
    reading.forget();
    reading.shared.stop();
    const { topic, partition } = reading.ownership;
    for (const [consumer, places] of [...consumers])
      if (places.delete(place)) consumer.events.lost({ topic, partition }, error);
  }

  /** A partition that is asked back goes when nobody has a place at it any more. */
  function letGo(partition: TopicPartition): void {
    const place = placeOf(partition);
    const reading = readings.get(place);
    if (reading === undefined || !reading.revoking || reading.shared.placeCount > 0) return;
    close(place, replaced(partition));
    void membership.release([partition]);
  }

  function end(error: GmqError): void {
    if (over) return;
    over = true;
    context.closed();
    for (const place of [...readings.keys()]) close(place, error);
    const all = [...consumers.keys()];
    consumers.clear();
    for (const consumer of all) consumer.events.ended(error);
  }

  /** The desk subscribes to what its consumers do; its session is as short as the shortest of theirs. */
  function follow(): void {
    const all = [...new Set([...consumers.keys()].flatMap((consumer) => consumer.topics))].sort();
    const shortestMs = Math.min(...[...consumers.keys()].map((consumer) => consumer.sessionTimeoutMs));
    if (consumers.size === 0 || (all.join() === topics.join() && shortestMs === sessionTimeoutMs)) return;
    topics = all;
    sessionTimeoutMs = shortestMs;
    void membership.setTopics(topics, sessionTimeoutMs);
  }

  /** Gives the consumer what is open of its topics, and takes away what is not of them. */
  function offer(consumer: DeskConsumer): void {
    const places = consumers.get(consumer);
    for (const [place, { ownership, shared, revoking }] of readings) {
      const wanted = consumer.topics.includes(ownership.topic);
      if (!wanted && places?.delete(place) === true) consumer.events.lost(ownership, replaced(ownership));
      if (!wanted || revoking || places === undefined || places.has(place)) continue;
      places.add(place);
      // What is pending is handed out by the partition, to whoever has credit.
      const { position, endOffset } = shared.dispatcher;
      consumer.events.assigned(ownership, { position, endOffset, pending: [] });
    }
  }

  return {
    add(consumer) {
      if (over) return false;
      consumers.set(consumer, new Set());
      offer(consumer);
      follow();
      return true;
    },
    changed(consumer) {
      offer(consumer);
      follow();
    },
    released(partitions) {
      for (const partition of partitions) letGo(partition);
    },
    async remove(consumer) {
      if (!consumers.delete(consumer)) return;
      if (consumers.size > 0) {
        follow();
        for (const { ownership } of [...readings.values()]) letGo(ownership);
        return;
      }
      over = true;
      context.closed();
      for (const place of [...readings.keys()]) close(place, replaced((readings.get(place) as Reading).ownership));
      await membership.end({ leave: true });
    },
    place(ownership, reader) {
      const reading = readings.get(placeOf(ownership));
      if (reading === undefined || reading.ownership.epoch !== ownership.epoch) throw replaced(ownership);
      return reading.shared.join(reader.consumer);
    },
    refused: (partition, epoch) => membership.refused(partition, epoch),
  };
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function replaced({ topic, partition }: TopicPartition): GmqError {
  return new GmqError("fenced", `the desk does not read ${topic}/${partition} any more`, { field: "epoch" });
}
