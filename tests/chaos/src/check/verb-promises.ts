/** dead-lettered-once, delayed, expired, retained: what is promised of records that are not simply handled and acked. */
import { type Delivery, type Model, partitionName, placeName, purgedTo } from "./model.ts";
import type { Violation } from "./violation.ts";

/** A store that lost its tail may have lost, or made anew, what these are judged by. */
function isLossy({ faults }: Model): boolean {
  return faults.some(({ lossMs }) => lossMs !== undefined);
}

/** dead-lettered-once: what was rejected has one copy, which says how often it failed; what was not has none. */
export function deadLetteredOnce(model: Model): Violation[] {
  if (isLossy(model)) return [];
  const broken: Violation[] = [];
  const say = (text: string): void => void broken.push({ promise: "dead-lettered-once", text });
  const copies = Map.groupBy(model.buried, placeName);
  for (const [place, some] of copies) {
    const runs = model.deliveries.get(place) ?? [];
    if (some.length > 1) say(`${some[0]?.id} at ${place} has ${some.length} dead letters`);
    if (!runs.some(({ settle }) => settle?.verb === "reject")) say(`${place} has a dead letter and nobody rejected it`);
    for (const copy of some) broken.push(...wrongCopy(copy, place, runs));
  }
  for (const [place, runs] of model.deliveries) {
    const run = runs.find(({ settle }) => settle?.verb === "reject" && settle.answer?.ok === true);
    if (run === undefined || copies.has(place) || run.offset < purgedTo(model, run)) continue;
    say(`${run.id} at ${place} was rejected and has no dead letter`);
  }
  return broken;
}

function wrongCopy({ id, attempts }: Model["buried"][number], place: string, runs: readonly Delivery[]): Violation[] {
  const broken: Violation[] = [];
  const other = runs.find((run) => run.id !== id);
  if (other !== undefined)
    broken.push({ promise: "dead-lettered-once", text: `the dead letter of ${other.id} at ${place} holds ${id}` });
  const failures = runs.filter(({ end, settle }) => end?.as === "failed" || settle?.verb === "retry").length;
  const told = runs.filter(({ settle }) => settle?.verb === "retry" && settle.answer?.ok === true).length;
  // The reject is a failure too.
  if (attempts > failures + 1 || attempts < told + 1)
    broken.push({
      promise: "attempts",
      text: `the dead letter of ${id} at ${place} tells ${attempts} attempts after ${failures} failures, ${told} of them told to the store, and a reject`,
    });
  return broken;
}

/** Between a look at a clock and the line in the journal. */
const noteMs = 50;

/** delayed: nothing is delivered before its time. */
export function delayed({ deliveries, sent }: Model): Violation[] {
  return [...deliveries.values()].flat().flatMap((run): Violation[] => {
    const dueAt = sent.get(run.id)?.dueAt;
    if (dueAt === undefined || run.at >= dueAt - noteMs) return [];
    return [{ promise: "delayed", text: `${run.id} was delivered ${Math.round(dueAt - run.at)} ms before its time` }];
  });
}

/** A busy machine may take so long between asking for the time and beginning the handler. */
const beginMs = 1_000;

/** expired: no handler begins after a record's time, unless its process had stood still, or its clock was wrong. */
export function expired({ deliveries, sent, faults }: Model): Violation[] {
  if (faults.some(({ kind }) => kind === "clock jump")) return [];
  return [...deliveries.values()].flat().flatMap((run): Violation[] => {
    const expiresAt = sent.get(run.id)?.expiresAt;
    if (expiresAt === undefined || run.at <= expiresAt + beginMs) return [];
    const stoodStill = faults.some(
      ({ kind, target, at, until }) =>
        target === run.by &&
        (kind === "stop consumer" || kind === "blocked event loop") &&
        at <= run.at &&
        until >= expiresAt,
    );
    if (stoodStill) return [];
    return [
      { promise: "expired", text: `${run.id} was delivered ${Math.round(run.at - expiresAt)} ms after its time` },
    ];
  });
}

/** retained: what a purge took from a group unsettled is what the store has counted as lost. */
export function retained(model: Model): Violation[] {
  if (isLossy(model)) return [];
  const broken: Violation[] = [];
  const places = Map.groupBy(model.purges, partitionName);
  for (const [partition, purges] of places) {
    const floor = Math.max(...purges.map(({ offset }) => offset));
    const firstMs = Math.min(...purges.map(({ at }) => at));
    const counted = model.lost.get(partition) ?? 0;
    let never = 0;
    for (const { place, outcome, expiresAt } of model.sent.values()) {
      if (outcome?.as !== "stored" || place === undefined || partitionName(place) !== partition) continue;
      if (place.offset >= floor || expiresAt !== undefined) continue;
      if (!model.deliveries.has(placeName(place))) never++;
    }
    let settled = 0;
    for (const runs of model.deliveries.values()) {
      const [first] = runs;
      if (first === undefined || partitionName(first) !== partition || first.offset >= floor) continue;
      const isDone = ({ settle }: Delivery): boolean =>
        (settle?.verb === "ack" || settle?.verb === "reject") &&
        settle.answer?.ok === true &&
        settle.answer.at < firstMs;
      if (runs.some(isDone)) settled++;
    }
    if (never > counted)
      broken.push({
        promise: "retained",
        text: `${never} records of ${partition} were purged before anybody had them, and ${counted} are counted as lost`,
      });
    if (counted > floor - settled)
      broken.push({
        promise: "retained",
        text: `${counted} records of ${partition} are counted as lost, of ${floor} purged ones of which ${settled} had been settled`,
      });
  }
  for (const [partition, records] of model.lost)
    if (records > 0 && !places.has(partition))
      broken.push({
        promise: "retained",
        text: `${records} records of ${partition} are counted as lost without a purge`,
      });
  return broken;
}
