import type { CallOptions, Gmq, Status } from "@gmq/client";
import { GmqError } from "@gmq/protocol";

/** What one look at a GMQ shows. */
export interface Sample {
  /** By `performance.now()`. */
  readonly atMs: number;
  readonly status: Status;
  readonly topics: readonly TopicSample[];
  readonly groups: readonly GroupSample[];
  /** There are more than are looked at. */
  readonly cut: boolean;
}

export interface TopicSample {
  readonly topic: string;
  readonly partitions: number;
  /** Kept now. */
  readonly records: bigint;
  readonly bytes: bigint;
  /** Stored since the topic was made. */
  readonly stored: bigint;
}

export interface GroupSample {
  readonly group: string;
  readonly members: number;
  readonly lag: bigint;
  readonly lagMs: number;
  readonly unsettled: bigint;
  /** Settled since the group began: only differences mean something. */
  readonly settled: bigint;
}

/** Topics and groups that are looked at, by name. */
const looksMax = 500;
const looksAtOnce = 8;

/** Looks once. @throws GmqError */
export async function takeSample({ admin }: Gmq, call: CallOptions): Promise<Sample> {
  const [status, topics, groups] = await Promise.all([
    admin.status(call),
    admin.listTopics(call),
    admin.listGroups(call),
  ]);
  const topicNames = topics.map(({ name }) => name).toSorted();
  const groupNames = groups.map(({ group }) => group).toSorted();
  const atMs = performance.now();
  return {
    atMs,
    status,
    topics: await lookAtAll(topicNames, async (name): Promise<TopicSample> => {
      const { partitions, partitionStats } = await admin.describeTopic(name, call);
      return {
        topic: name,
        partitions,
        records: sum(partitionStats.map(({ startOffset, endOffset }) => endOffset - startOffset)),
        bytes: sum(partitionStats.map(({ bytes }) => bytes)),
        stored: sum(partitionStats.map(({ endOffset }) => endOffset)),
      };
    }),
    groups: await lookAtAll(groupNames, async (name): Promise<GroupSample> => {
      const { group, members, partitions } = await admin.describeGroup(name, call);
      return {
        group,
        members: members.length,
        lag: sum(partitions.map(({ lag }) => lag)),
        lagMs: partitions.reduce((most, { lagMs }) => Math.max(most, lagMs), 0),
        unsettled: sum(partitions.map(({ inFlight }) => inFlight)),
        settled: sum(partitions.map(({ endOffset, lag }) => endOffset - lag)),
      };
    }),
    cut: topicNames.length > looksMax || groupNames.length > looksMax,
  };
}

/** Looks at each, some at a time; what was deleted meanwhile is left out. */
async function lookAtAll<T>(names: readonly string[], look: (name: string) => Promise<T>): Promise<T[]> {
  const wanted = names.slice(0, looksMax);
  const found: (T | undefined)[] = wanted.map(() => undefined);
  let next = 0;
  async function work(): Promise<void> {
    while (next < wanted.length) {
      const at = next++;
      try {
        found[at] = await look(wanted[at] ?? "");
      } catch (error) {
        if (!GmqError.is(error, "topic_not_found") && !GmqError.is(error, "group_not_found")) throw error;
      }
    }
  }
  await Promise.all(Array.from({ length: looksAtOnce }, work));
  return found.filter((item) => item !== undefined);
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
