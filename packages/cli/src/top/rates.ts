/** What happened between two samples. */
import type { GroupSample, Sample, TopicSample } from "./sample.js";

/** Rates are undefined for what the earlier sample did not have. */
export interface Rates {
  readonly publishedPerSecond: number;
  readonly settledPerSecond: number;
  readonly topics: readonly (TopicSample & { readonly storedPerSecond: number | undefined })[];
  /** The one furthest behind first. */
  readonly groups: readonly (GroupSample & { readonly settledPerSecond: number | undefined })[];
}

/** Compares; what went down (a topic made anew, a group moved back) counts as nothing. */
export function ratesBetween(before: Sample, after: Sample): Rates {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1_000);
  const perSecond = (from: bigint | undefined, to: bigint): number | undefined =>
    from === undefined ? undefined : Math.max(0, Number(to - from)) / seconds;
  const stored = new Map(before.topics.map((one) => [one.topic, one.stored]));
  const settled = new Map(before.groups.map((one) => [one.group, one.settled]));
  const topics = after.topics.map((one) => ({ ...one, storedPerSecond: perSecond(stored.get(one.topic), one.stored) }));
  const groups = after.groups.map((one) => ({
    ...one,
    settledPerSecond: perSecond(settled.get(one.group), one.settled),
  }));
  return {
    publishedPerSecond: topics.reduce((sum, { storedPerSecond = 0 }) => sum + storedPerSecond, 0),
    settledPerSecond: groups.reduce((sum, { settledPerSecond = 0 }) => sum + settledPerSecond, 0),
    topics: topics.toSorted(
      (left, right) =>
        (right.storedPerSecond ?? 0) - (left.storedPerSecond ?? 0) || (left.topic < right.topic ? -1 : 1),
    ),
    groups: groups.toSorted((left, right) => Number(right.lag - left.lag) || (left.group < right.group ? -1 : 1)),
  };
}
