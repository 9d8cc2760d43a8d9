/** What a run is told by, in numbers. */
import { type Delivery, type Model, placeName, purgedTo, type Tenure } from "./model.ts";
import type { Violation } from "./violation.ts";

export interface Figures {
  readonly sent: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  readonly kept: number;
  /** Acknowledged, not purged and not in the log, in a loss window of the store or not. */
  readonly lost: number;
  readonly lostOutsideWindow: number;
  /** More than once in the log. */
  readonly duplicated: number;
  readonly reordered: number;
  readonly deliveries: number;
  readonly redelivered: number;
  /** Settlements that were refused because another owner had taken over. */
  readonly fenced: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Ms from the end of an owner to the next owner of the partition. */
  readonly takeOverMs: { readonly closed: TakeOvers; readonly silent: TakeOvers };
  readonly memoryBytesMax: number;
}

/** Take-overs, sorted. A partition cannot pass on while the store or the brokers are away themselves: those say nothing about take-over, and are told apart. */
export interface TakeOvers {
  readonly alone: readonly number[];
  /** Another fault, of the store, a service or a path, was at work between the owner's end and the next owner. */
  readonly besideAnother: readonly number[];
}

/** Faults of clients: they take nothing away that a take-over needs. */
const ofClients: ReadonlySet<string> = new Set([
  "kill consumer",
  "kill producer",
  "stop consumer",
  "stop producer",
  "clock jump",
  "blocked event loop",
]);
/** A fault's effects go on for a moment: a store loads, processes connect again. */
const aftermathMs = 2_000;

/** Counts. */
export function figuresOf(model: Model, violations: readonly Violation[]): Figures {
  const calls = [...model.sent.values()];
  const as = (outcome: string): number => calls.filter((call) => call.outcome?.as === outcome).length;
  const runs: Delivery[] = [...model.deliveries.values()].flat();
  const faults: Record<string, number> = {};
  for (const { kind } of model.faults) faults[kind] = (faults[kind] ?? 0) + 1;
  const places = new Set(model.kept.map(placeName));
  const count = (promise: string): number => violations.filter((violation) => violation.promise === promise).length;
  return {
    sent: calls.length,
    acknowledged: as("stored"),
    refused: as("refused"),
    unknown: as("unknown"),
    kept: model.kept.length,
    lost: calls.filter(
      ({ outcome, place }) =>
        outcome?.as === "stored" &&
        place !== undefined &&
        place.offset >= purgedTo(model, place) &&
        !places.has(placeName(place)),
    ).length,
    lostOutsideWindow: count("acked-is-kept"),
    duplicated: model.kept.length - new Set(model.kept.map(({ id }) => id)).size,
    reordered: count("ordered"),
    deliveries: runs.length,
    redelivered: runs.length - model.deliveries.size,
    fenced: runs.filter(({ settle }) => settle?.answer?.code === "fenced").length,
    faults,
    takeOverMs: {
      closed: takeOvers(model, ["kill consumer"]),
      silent: takeOvers(model, ["stop consumer"]),
    },
    memoryBytesMax: model.memory.reduce((most, { bytes }) => Math.max(most, bytes), 0),
  };
}

/** For every partition that the target of such a fault held then: the time until another consumer had it. One that woke up before it was missed has kept it. */
function takeOvers(model: Model, kinds: readonly string[]): TakeOvers {
  // Nobody takes a partition over that everybody reads.
  if (model.shared) return { alone: [], besideAnother: [] };
  const alone: number[] = [];
  const besideAnother: number[] = [];
  for (const { at, until, kind, target } of model.faults) {
    if (!kinds.includes(kind)) continue;
    for (const tenures of model.tenures.values()) {
      const held = tenures.findLast(({ by, from, to }) => by === target && from <= at && to > at) as Tenure | undefined;
      if (held === undefined) continue;
      const next = tenures.find(({ epoch, by, from }) => epoch > held.epoch && by !== target && from >= at);
      if (kind === "stop consumer" && (next === undefined || next.from > until)) continue;
      if (next === undefined) continue;
      const { from } = next;
      const isBeside = model.faults.some(
        (other) => !ofClients.has(other.kind) && other.at < from && other.until + aftermathMs > at,
      );
      (isBeside ? besideAnother : alone).push(from - at);
    }
  }
  const sorted = (times: number[]): number[] => times.sort((one, other) => one - other);
  return { alone: sorted(alone), besideAnother: sorted(besideAnother) };
}

/** A percentile of sorted numbers; undefined when there are none. */
export function percentile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}
