/** one-owner: an epoch belongs to one consumer, a replaced owner settles nothing, and nobody is replaced while all is well. */
import { disturbed, type Model, mayBeForgotten, placeName, type Tenure } from "./model.ts";
import type { Violation } from "./violation.ts";

export function oneOwner(model: Model): Violation[] {
  const broken: Violation[] = [];
  for (const [partition, tenures] of model.tenures) {
    broken.push(...oneEpochEach(model, partition, tenures), ...noOverlap(model, partition, tenures));
  }
  for (const runs of model.deliveries.values()) {
    for (const run of runs) {
      const { settle } = run;
      const newer = (model.tenures.get(`${run.topic}/${run.partition}`) ?? []).find(
        ({ epoch, from }) => epoch > run.epoch && from < run.at,
      );
      if (newer !== undefined && !disturbed(model, newer.from, run.at))
        broken.push({
          promise: "one-owner",
          text: `${run.by} began ${placeName(run)} under epoch ${run.epoch} after ${newer.by} had taken over under ${newer.epoch}, though nothing had happened`,
        });
      if (settle?.answer?.ok !== true) continue;
      const next = (model.tenures.get(`${run.topic}/${run.partition}`) ?? []).find(
        ({ epoch, from }) => epoch > run.epoch && from < settle.at,
      );
      if (next !== undefined && !mayBeForgotten(model, next.from))
        broken.push({
          promise: "one-owner",
          text: `${run.by} settled ${placeName(run)} under epoch ${run.epoch} after ${next.by} had taken over under ${next.epoch}`,
        });
    }
  }
  return broken;
}

function oneEpochEach(model: Model, partition: string, tenures: readonly Tenure[]): Violation[] {
  const owners = new Map<number, Tenure>();
  const broken: Violation[] = [];
  for (const tenure of tenures) {
    const other = owners.get(tenure.epoch);
    if (other !== undefined && other.by !== tenure.by && !mayBeForgotten(model, other.from))
      broken.push({
        promise: "one-owner",
        text: `epoch ${tenure.epoch} of ${partition} was given to ${other.by} and to ${tenure.by}`,
      });
    owners.set(tenure.epoch, tenure);
  }
  return broken;
}

/** A client may hear of the end of its lease this much later than the next owner of its beginning; it was given nothing in between. */
const hearsayMs = 1_000;

/** By lease intervals: a living owner gives a partition back before another gets it. */
function noOverlap(model: Model, partition: string, tenures: readonly Tenure[]): Violation[] {
  const broken: Violation[] = [];
  for (let index = 1; index < tenures.length; index++) {
    const [before, next] = [tenures[index - 1] as Tenure, tenures[index] as Tenure];
    if (before.by === next.by || before.to <= next.from + hearsayMs || disturbed(model, before.from, next.from))
      continue;
    broken.push({
      promise: "one-owner",
      text: `${partition} went to ${next.by} (epoch ${next.epoch}) while ${before.by} (epoch ${before.epoch}) held it, though nothing had happened`,
    });
  }
  return broken;
}
