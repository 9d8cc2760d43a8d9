import { GmqError, type SubscribeOptions, type Topic } from "@gmq/client";
import { patternsOverlap } from "./pattern-overlap.js";

/** How the records of one handler are consumed: what `gmq.subscribe` takes. */
export interface GmqHandlerOptions extends Omit<SubscribeOptions, "group" | "signal"> {
  /** Default: the server's. */
  readonly group?: string;
}

/** A handler's subscription, before it is made. */
export interface PlannedSubscription {
  readonly topic: Topic<unknown, unknown>;
  readonly group: string;
  readonly options: GmqHandlerOptions;
  /** Where Nest keeps its handler. */
  readonly handlerKey: string;
}

/**
 * Refuses what cannot be meant: two subscriptions of one group that share topics would each get a part of the records.
 * @throws GmqError `invalid_argument` naming `pattern`
 */
export function checkApart(planned: readonly PlannedSubscription[]): void {
  for (const [index, { topic, group }] of planned.entries()) {
    const other = planned
      .slice(index + 1)
      .find((it) => it.group === group && patternsOverlap(it.topic.name, topic.name));
    if (other === undefined) continue;
    throw new GmqError(
      "invalid_argument",
      `${topic.name} and ${other.topic.name} share topics in the group ${group}: each handler would get a part of their records`,
      { field: "pattern", limit: "patterns of one group that share no topic; give one handler a group of its own" },
    );
  }
}

/** @throws GmqError `invalid_argument` when handlers of one pattern and group, which share a subscription, want it otherwise */
export function checkSame(known: PlannedSubscription, options: GmqHandlerOptions): void {
  if (JSON.stringify(sorted(known.options)) === JSON.stringify(sorted(options))) return;
  throw new GmqError(
    "invalid_argument",
    `two handlers of ${known.topic.name} in the group ${known.group} have different options, but share one subscription`,
    { field: "options", limit: "the same options, or a group of its own" },
  );
}

function sorted(options: GmqHandlerOptions): unknown[] {
  return Object.entries(options)
    .filter(([name]) => name !== "group")
    .map(([name, value]) => [name, typeof value === "object" ? textOf(value) : value])
    .toSorted(([a], [b]) => String(a).localeCompare(String(b)));
}

function textOf(value: object): string {
  return JSON.stringify(value, (_name, part: unknown) => (typeof part === "bigint" ? `${part}n` : part));
}
