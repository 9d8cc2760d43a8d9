/**
 * An engine that counts what goes through it: same interface, same answers. Plain numbers per batch, fetched entry and settled range; one measurement of time per call.
 */
import type { AppendOutcome, Engine, FetchOutcome, PartitionSettle, SettleOutcome } from "@gmq/storage";
import type { LabelledReading, Metrics } from "./metrics.js";

const verbs = ["ack", "retry", "release", "reject"] as const;

/** Counts per operation and error code. */
function createErrorCounts() {
  const counts = new Map<string, { readonly labels: Readonly<Record<string, string>>; value: number }>();
  return {
    add(operation: string, code: string) {
      const key = `${operation} ${code}`;
      const count = counts.get(key);
      if (count === undefined) counts.set(key, { labels: { operation, code }, value: 1 });
      else count.value++;
    },
    read: (): LabelledReading[] => [...counts.values()],
  };
}

/** Wraps `engine`; the wrapper's `close` closes it. The counts go into `metrics`. */
export function measureEngine(engine: Engine, metrics: Metrics): Engine {
  const errors = createErrorCounts();
  const appended = { batches: 0, records: 0, bytes: 0, duplicates: 0 };
  const fetched = { records: 0, bytes: 0 };
  const settled = { ack: 0, retry: 0, release: 0, reject: 0 };

  metrics.read("gmq_append_batches_total", () => appended.batches);
  metrics.read("gmq_append_records_total", () => appended.records);
  metrics.read("gmq_append_bytes_total", () => appended.bytes);
  metrics.read("gmq_append_duplicates_total", () => appended.duplicates);
  metrics.read("gmq_fetch_records_total", () => fetched.records);
  metrics.read("gmq_fetch_bytes_total", () => fetched.bytes);
  metrics.read("gmq_settle_records_total", () => verbs.map((verb) => ({ labels: { verb }, value: settled[verb] })));
  metrics.read("gmq_store_errors_total", errors.read);
  const appendSeconds = metrics.seconds("gmq_append_duration_seconds");
  const fetchSeconds = metrics.seconds("gmq_fetch_duration_seconds");
  const settleSeconds = metrics.seconds("gmq_settle_duration_seconds");

  const append: Engine["log"]["append"] = async (appends) => {
    const startedMs = performance.now();
    const outcomes = await engine.log.append(appends);
    appendSeconds((performance.now() - startedMs) / 1_000);
    for (let at = 0; at < appends.length; at++) {
      const batches = appends[at]?.batches ?? [];
      const own = outcomes[at] ?? [];
      for (let index = 0; index < batches.length; index++) countAppend(batches[index], own[index]);
    }
    return outcomes;
  };

  function countAppend(
    batch: { readonly recordCount: number; readonly records: Uint8Array } | undefined,
    outcome: AppendOutcome | undefined,
  ): void {
    if (batch === undefined || outcome === undefined) return;
    if (!outcome.ok) errors.add("append", outcome.error.code);
    else if (outcome.duplicate) appended.duplicates++;
    else {
      appended.batches++;
      appended.records += batch.recordCount;
      appended.bytes += batch.records.length;
    }
  }

  const fetch: Engine["groups"]["fetch"] = async (fetches) => {
    const startedMs = performance.now();
    const outcomes = await engine.groups.fetch(fetches);
    fetchSeconds((performance.now() - startedMs) / 1_000);
    for (const outcome of outcomes) countFetch(outcome);
    return outcomes;
  };

  function countFetch(outcome: FetchOutcome): void {
    if (!outcome.ok) {
      errors.add("fetch", outcome.error.code);
      return;
    }
    for (const { recordCount, body } of outcome.entries) {
      fetched.records += recordCount;
      fetched.bytes += body.length;
    }
  }

  const settle: Engine["groups"]["settle"] = async (settles) => {
    const startedMs = performance.now();
    const outcomes = await engine.groups.settle(settles);
    settleSeconds((performance.now() - startedMs) / 1_000);
    for (let at = 0; at < settles.length; at++) countSettle(settles[at], outcomes[at]);
    return outcomes;
  };

  function countSettle(request: PartitionSettle | undefined, outcome: SettleOutcome | undefined): void {
    if (request === undefined || outcome === undefined) return;
    if (!outcome.ok) {
      errors.add("settle", outcome.error.code);
      return;
    }
    const refused = outcome.refusals.length === 0 ? undefined : new Set(outcome.refusals.map((one) => one.firstOffset));
    for (const { ranges } of request.entries) {
      for (const { verb, firstOffset, lastOffset } of ranges) {
        if (refused?.has(firstOffset) === true) continue;
        settled[verb] += Number(lastOffset - firstOffset) + 1;
      }
    }
    for (const { error } of outcome.refusals) errors.add("settle", error.code);
  }

  const { follow } = engine.groups;
  const measured = { ...engine.groups, fetch, settle };
  const groups: Engine["groups"] = follow === undefined ? measured : { ...measured, follow: measureFollow(follow) };

  function measureFollow(unmeasured: NonNullable<Engine["groups"]["follow"]>): typeof unmeasured {
    return (wanted, events) =>
      unmeasured(wanted, {
        fetched(outcome) {
          countFetch(outcome);
          events.fetched(outcome);
        },
        ended(error) {
          if (error !== undefined) errors.add("fetch", error.code);
          events.ended(error);
        },
      });
  }

  return { ...engine, log: { ...engine.log, append }, groups };
}
