/** Lag of every group, read from the store when somebody scrapes, at most once in a while. */
import { GmqError } from "@gmq/protocol";
import type { Engine, GroupPartitionOffsets } from "@gmq/storage";
import type { LabelledReading, Metrics } from "./metrics.js";
import { shareWhileAsked } from "./store-metrics.js";

/** How lag is shown. */
export interface GroupLagOptions {
  /** Groups × partitions that get a series of their own; with more of them there is one sum per group. Default 2,000. */
  readonly seriesMax?: number;
  /** A sample serves scrapes for so long. Default 5,000 ms. */
  readonly keepMs?: number;
  /** A sample that takes longer fails. Default 5,000 ms. */
  readonly timeoutMs?: number;
}

interface GroupSample {
  readonly group: string;
  readonly members: number;
  readonly offsets: readonly GroupPartitionOffsets[];
}

/** Groups that are asked for at a time. */
const askedAtOnce = 8;

/** Adds the lag of all groups to `metrics`. */
export function addGroupLag(metrics: Metrics, engine: Engine, options: GroupLagOptions = {}): void {
  const { seriesMax = 2_000, keepMs = 5_000, timeoutMs = 5_000 } = options;
  let kept: { readonly untilMs: number; readonly groups: readonly GroupSample[] } | undefined;
  let failures = 0;
  const takeSample = shareWhileAsked(async () => {
    try {
      const groups = await within(sampleGroups(engine), timeoutMs);
      kept = { untilMs: performance.now() + keepMs, groups };
      return groups;
    } catch (error) {
      failures++;
      throw error;
    }
  });

  async function groups(): Promise<readonly GroupSample[]> {
    return kept !== undefined && performance.now() < kept.untilMs ? kept.groups : await takeSample();
  }

  async function series(
    own: (offsets: GroupPartitionOffsets) => number,
    join: (values: readonly number[]) => number,
  ): Promise<LabelledReading[]> {
    const all = await groups();
    const summed = seriesOf(all) > seriesMax;
    return all.flatMap(({ group, offsets }) => {
      if (summed) return [{ labels: { group, topic: "", partition: "" }, value: join(offsets.map(own)) }];
      return offsets.map((at) => ({
        labels: { group, topic: at.topic, partition: String(at.partition) },
        value: own(at),
      }));
    });
  }

  async function perGroup(value: (sample: GroupSample) => number): Promise<LabelledReading[]> {
    return (await groups()).map((sample) => ({ labels: { group: sample.group }, value: value(sample) }));
  }

  metrics.read("gmq_group_lag_records", () => series(({ lagRecords }) => lagRecords, sum));
  metrics.read("gmq_group_lag_seconds", () => series(({ lagMs }) => lagMs / 1_000, largest));
  metrics.read("gmq_group_unsettled_records", () =>
    perGroup(({ offsets }) => sum(offsets.map(({ unsettledRecords }) => unsettledRecords))),
  );
  metrics.read("gmq_group_lost_records_total", () =>
    perGroup(({ offsets }) => sum(offsets.map(({ lostRecords }) => lostRecords))),
  );
  metrics.read("gmq_group_members", () => perGroup(({ members }) => members));
  metrics.read("gmq_group_lag_series", async () => seriesOf(await groups()));
  metrics.read("gmq_group_lag_summed", async () => (seriesOf(await groups()) > seriesMax ? 1 : 0));
  metrics.read("gmq_group_lag_failures_total", () => failures);
}

async function sampleGroups(engine: Engine): Promise<GroupSample[]> {
  const views = await engine.groups.list();
  const samples = new Array<GroupSample | undefined>(views.length);
  let next = 0;
  async function ask(): Promise<void> {
    while (next < views.length) {
      const at = next++;
      const view = views[at];
      if (view === undefined) return;
      const offsets = await engine.groups.offsets(view.group).catch((error: unknown) => {
        // Deleted since it was listed.
        if (GmqError.is(error, "group_not_found")) return undefined;
        throw error;
      });
      if (offsets !== undefined) samples[at] = { group: view.group, members: view.members.length, offsets };
    }
  }
  await Promise.all(Array.from({ length: askedAtOnce }, ask));
  return samples.filter((sample) => sample !== undefined);
}

async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new GmqError("deadline_exceeded", `lag was not read in ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function seriesOf(groups: readonly GroupSample[]): number {
  return sum(groups.map(({ offsets }) => offsets.length));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
