/** What deliveries are judged by: delivered, attempts, and the order in which a key's records are handled. */
import { type Delivery, disturbed, type Model, mayBeForgotten, partitionName, placeName } from "./model.ts";
import type { Violation } from "./violation.ts";

/** delivered: every record was handled, nothing is left, and what was settled (or is in a living consumer's hands) does not come again. */
export function delivered(model: Model): Violation[] {
  const broken: Violation[] = [];
  const lossy = model.faults.some(({ lossMs }) => lossMs !== undefined);
  for (const { topic, partition, records } of model.lags)
    if (records !== 0)
      broken.push({
        promise: "delivered",
        text: `${topic}/${partition} has ${records} unsettled records after the drain`,
      });
  const buried = new Set(model.buried.map(placeName));
  for (const record of model.kept) {
    if (buried.has(placeName(record)) || mayHaveExpired(model, record)) continue;
    const runs = model.deliveries.get(placeName(record)) ?? [];
    if (!runs.some(({ id, end }) => id === record.id && end?.as === "handled"))
      broken.push({
        promise: "delivered",
        text: `${record.id} at ${placeName(record)} was never handled (${runs.length} deliveries)`,
      });
  }
  for (const [place, runs] of model.deliveries) {
    for (const run of runs) {
      const call = model.sent.get(run.id);
      if (call === undefined)
        broken.push({ promise: "delivered", text: `${run.id} at ${place} was delivered and never sent` });
      else if (call.place !== undefined && placeName(call.place) !== place && !lossy)
        broken.push({
          promise: "delivered",
          text: `${run.id} was stored at ${placeName(call.place)} and delivered at ${place}`,
        });
    }
    broken.push(...comesAgain(model, place, runs));
  }
  return broken;
}

/** Its time was over before the end: nobody need have had it. */
function mayHaveExpired({ sent, endedAt }: Model, { id }: Model["kept"][number]): boolean {
  const expiresAt = sent.get(id)?.expiresAt;
  return expiresAt !== undefined && expiresAt < endedAt;
}

function comesAgain(model: Model, place: string, runs: readonly Delivery[]): Violation[] {
  const broken: Violation[] = [];
  for (let index = 1; index < runs.length; index++) {
    const run = runs[index] as Delivery;
    for (const earlier of runs.slice(0, index)) {
      const { settle } = earlier;
      // A process that was stopped may still run what it was given under an older epoch; the store takes nothing of it.
      const acked =
        (settle?.verb === "ack" || settle?.verb === "reject") &&
        settle.answer?.ok === true &&
        settle.answer.at < run.at;
      if (acked && !isLate(model, earlier, run) && !mayBeForgotten(model, settle.answer?.at ?? 0))
        broken.push({
          promise: "delivered",
          text: `${run.id} at ${place} came again to ${run.by} after ${earlier.by} had settled it`,
        });
    }
    const before = runs[index - 1] as Delivery;
    const handedBack = before.end?.as === "failed" || (before.settle !== undefined && before.settle.verb !== "ack");
    if (!handedBack && !disturbed(model, before.at, run.at))
      broken.push({
        promise: "delivered",
        text: `${run.id} at ${place} came to ${before.by} and again to ${run.by} though nothing had happened`,
      });
  }
  return broken;
}

/**
 * True for a run that a stopped process begins with what it had been given before the other one. Epochs tell; those of a shared group's desks do not follow each
 * other, so there only an undisturbed time says that it was not so.
 */
function isLate(model: Model, other: Delivery, run: Delivery): boolean {
  return model.shared ? disturbed(model, other.at, run.at) : run.epoch < other.epoch;
}

/** attempts: a delivery counts the failures before it, and nothing else: not a crash, not a hand-back. */
export function attempts(model: Model): Violation[] {
  const broken: Violation[] = [];
  for (const [place, runs] of model.deliveries) {
    runs.forEach((run, index) => {
      const earlier = runs.slice(0, index);
      const failures = earlier.filter(({ end, settle }) => end?.as === "failed" || settle?.verb === "retry").length;
      const confirmed = earlier.filter(
        (before) =>
          before.settle?.verb === "retry" &&
          before.settle.answer?.ok === true &&
          before.settle.answer.at < run.at &&
          !isLate(model, before, run) &&
          !mayBeForgotten(model, before.settle.answer.at),
      ).length;
      if (run.attempt > failures + 1 || run.attempt < confirmed + 1)
        broken.push({
          promise: "attempts",
          text: `${run.id} at ${place} says attempt ${run.attempt} after ${failures} failures, ${confirmed} of them told to the store`,
        });
    });
  }
  return broken;
}

/** ordered, at the handlers: under one epoch a key's records begin in order, and none begins before the one ahead of it was dealt with. */
export function orderedAtHandlers(model: Model): Violation[] {
  const broken: Violation[] = [];
  const lanes = new Map<string, Delivery[]>();
  for (const runs of model.deliveries.values()) {
    for (const run of runs) {
      const lane = `${run.by} ${partitionName(run)} ${run.epoch} ${run.key}`;
      const list = lanes.get(lane);
      if (list === undefined) lanes.set(lane, [run]);
      else list.push(run);
    }
  }
  for (const runs of lanes.values()) {
    runs.sort((one, other) => one.at - other.at);
    for (let index = 1; index < runs.length; index++) {
      const before = runs[index - 1] as Delivery;
      const run = runs[index] as Delivery;
      // What was handed back or put off, by whomever, may come at any time, and lets others pass.
      if (wasPutOff(model, before) || wasPutOff(model, run)) continue;
      if (run.offset < before.offset && forgotBetween(model, before.at, run.at)) continue;
      if (run.offset < before.offset)
        broken.push({
          promise: "ordered",
          text: `${run.by} began ${run.id} at ${placeName(run)} after ${before.id} at ${placeName(before)}`,
        });
      else if (
        run.offset > before.offset &&
        (before.end === undefined || before.end.as === "failed" || before.end.at > run.at) &&
        !ranOut(model, before, run.at)
      )
        broken.push({
          promise: "ordered",
          text: `${run.by} began ${run.id} at ${placeName(run)} while ${before.id} at ${placeName(before)} was not done`,
        });
    }
  }
  return [...broken, ...firstsInOrder(model)];
}

/** True when it had failed and its time was over before another try: then it lets its key go on. */
function ranOut({ sent }: Model, { id, end }: Delivery, at: number): boolean {
  return end?.as === "failed" && end.at <= at && (sent.get(id)?.expiresAt ?? Number.POSITIVE_INFINITY) <= at;
}

/** The first deliveries of a key come in order, whoever gets them; a replaced owner's are left out. */
function firstsInOrder(model: Model): Violation[] {
  const broken: Violation[] = [];
  const firsts = new Map<string, Delivery[]>();
  for (const runs of model.deliveries.values()) {
    const first = runs.find((run) => !isReplaced(model, run));
    if (first === undefined) continue;
    const key = `${first.topic} ${first.key}`;
    const list = firsts.get(key);
    if (list === undefined) firsts.set(key, [first]);
    else list.push(first);
  }
  for (const list of firsts.values()) {
    list.sort((one, other) => one.at - other.at);
    for (let index = 1; index < list.length; index++) {
      const [before, run] = [list[index - 1] as Delivery, list[index] as Delivery];
      if (
        run.offset < before.offset &&
        !wasPutOff(model, run) &&
        !wasPutOff(model, before) &&
        !mayBeForgotten(model, before.at)
      )
        broken.push({
          promise: "ordered",
          text: `${before.id} at ${placeName(before)} was delivered before ${run.id} at ${placeName(run)}`,
        });
    }
  }
  return broken;
}

/** True when the store may have forgotten in between that it had handed something out: then it does so again. */
function forgotBetween({ faults }: Model, from: number, to: number): boolean {
  return faults.some(({ at, until, lossMs }) => lossMs !== undefined && from <= until && to >= at - lossMs);
}

/** True when some consumer asked for the record to come again later, or elsewhere. */
function wasPutOff({ deliveries }: Model, run: Delivery): boolean {
  return (deliveries.get(placeName(run)) ?? []).some(({ settle }) => settle !== undefined && settle.verb !== "ack");
}

/** True when a later epoch of the partition had begun. */
function isReplaced({ tenures }: Model, run: Delivery): boolean {
  return (tenures.get(partitionName(run)) ?? []).some(({ epoch, from }) => epoch > run.epoch && from <= run.at);
}
