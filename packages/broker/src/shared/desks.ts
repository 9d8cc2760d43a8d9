/**
 * Shared mode: any number of consumers of a group take records of the same partitions. The same subscription as for owners, over a membership that gives it places
 * at the broker's desk of the group. The consumer is a member of the group too, for its session and for operators to see; it owns nothing.
 */
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type { GroupMemberSpec, StartPosition } from "@gmq/storage";
import type { ReaderContext } from "../assignment.js";
import type { Dispatchers } from "../dispatchers.js";
import type { MemberEvents } from "../local-member.js";
import type { Membership, Memberships } from "../membership.js";
import type { SubscriptionParts } from "../subscription.js";
import { type Desk, type DeskConsumer, openDesk } from "./desk.js";

/** What desks need of their broker. */
export interface DesksContext extends Pick<ReaderContext, "fetch" | "settle" | "log"> {
  readonly memberships: Pick<Memberships, "join">;
  readonly dispatchers: Pick<Dispatchers, "add">;
  readonly logger: Logger;
}

/** Makes the parts of a subscription that differ in shared mode. */
export function createDesks(context: DesksContext): SubscriptionParts {
  const { memberships, dispatchers, logger, fetch, settle, log } = context;
  const desks = new Map<string, Promise<Desk>>();
  /** The desk of each group that is open now; places are made while a consumer is told of a partition. */
  const open = new Map<string, Desk>();

  function deskOf(spec: GroupMemberSpec): Promise<Desk> {
    const { group } = spec;
    const known = desks.get(group);
    if (known !== undefined) return known;
    const forget = (): void => {
      if (desks.get(group) !== opening) return;
      desks.delete(group);
      open.delete(group);
    };
    const opening = openDesk(
      { memberships, dispatchers, logger, reading: { fetch, settle, log }, closed: forget },
      spec,
    ).then(
      (desk) => {
        if (desks.get(group) === opening) open.set(group, desk);
        return desk;
      },
      (error: unknown) => {
        forget();
        throw error;
      },
    );
    desks.set(group, opening);
    return opening;
  }

  async function sit(spec: GroupMemberSpec, consumer: DeskConsumer): Promise<Desk> {
    for (;;) {
      const desk = await deskOf(spec);
      if (desk.add(consumer)) return desk;
    }
  }

  async function join(spec: GroupMemberSpec, start: StartPosition, events: MemberEvents): Promise<Membership> {
    let desk: Desk | undefined;
    const own = await memberships.join({ ...spec, kind: "shared" }, start, {
      assigned: (ownership, claim) => events.assigned(ownership, claim),
      revoke: (partition) => events.revoke(partition),
      lost: (partition, error) => events.lost(partition, error),
      ended(error) {
        void desk?.remove(consumer).catch(couldNotLeave);
        events.ended(error);
      },
    });
    const consumer: DeskConsumer = { topics: spec.topics, sessionTimeoutMs: spec.sessionTimeoutMs, events };
    try {
      desk = await sit(spec, consumer);
    } catch (error) {
      await own.end({ leave: true });
      throw error;
    }
    const at = desk;
    return {
      async release(partitions) {
        at.released(partitions);
      },
      async setTopics(topics) {
        await own.setTopics(topics);
        consumer.topics = topics;
        at.changed(consumer);
      },
      refused: at.refused,
      async end(options) {
        await Promise.all([at.remove(consumer), own.end(options)]);
      },
    };
  }

  function couldNotLeave(error: unknown): void {
    logger.warn("a desk could not leave its group", { error });
  }

  return {
    memberships: { join },
    // The desk's own dispatchers hear the signals.
    dispatchers: { add: () => () => undefined },
    read(reader) {
      const { group } = reader.ownership;
      const desk = open.get(group);
      if (desk === undefined) throw new GmqError("fenced", `the desk of ${group} has closed`, { field: "group" });
      return desk.place(reader.ownership, reader);
    },
  };
}
