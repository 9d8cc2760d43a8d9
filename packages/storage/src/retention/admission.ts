/**
 * Publish, where the store's and the topics' byte budgets are kept. Stands before the engine's append: refuses at once when a budget is full (never waits: the
 * batches of a partition keep their order), and tells the caller how long to hold an answer back when one is nearly full.
 */
import { GmqError } from "@gmq/protocol";
import type { AppendOutcome, LogStore, PartitionAppend } from "../engine.js";
import type { ByteBudget } from "./byte-budget.js";

/** The budgets that an append meets. */
export interface Budgets {
  /** False: no budget at all, appends pass as they are. */
  readonly any: boolean;
  readonly store: ByteBudget | undefined;
  ofTopic(topic: string): ByteBudget | undefined;
  /** Told of every append to a topic that was tried, stored or refused. */
  noted(topic: string, bytes: number, records: number, refused: boolean): void;
  /** Told when the store itself refused as full, whether a budget is known or not. */
  storeRefused(): void;
  /** The store refused as full and no budget was known: told once it stores again. */
  readonly awaitsRoom: boolean;
  storeTook(): void;
}

/** An append on its way, with the budgets that it took from. */
interface Admitted {
  readonly request: PartitionAppend;
  readonly index: number;
  readonly bytes: number;
  readonly taken: readonly ByteBudget[];
}

/** Puts budgets before an engine's append. */
export function withBudgets(append: LogStore["append"], budgets: Budgets): LogStore["append"] {
  async function guarded(appends: readonly PartitionAppend[]): Promise<AppendOutcome[][]> {
    const admitted: Admitted[] = [];
    const outcomes = appends.map((request, index): AppendOutcome[] => {
      const bytes = request.batches.reduce((sum, { records }) => sum + records.length, 0);
      const taken = take(budgets, request.topic, bytes);
      if (Array.isArray(taken)) {
        admitted.push({ request, index, bytes, taken });
        return [];
      }
      budgets.noted(request.topic, bytes, 0, true);
      return request.batches.map(() => ({ ok: false, error: taken }));
    });
    if (admitted.length === 0) return outcomes;
    const stored = await append(admitted.map(({ request }) => request));
    admitted.forEach((one, at) => {
      outcomes[one.index] = finish(budgets, one, stored[at] as AppendOutcome[]);
    });
    return outcomes;
  }

  /** Without a budget only the store itself can be full: a look at each answer tells. */
  async function watched(appends: readonly PartitionAppend[]): Promise<AppendOutcome[][]> {
    const outcomes = await append(appends);
    for (const list of outcomes) told(budgets, list);
    return outcomes;
  }

  return (appends) => (budgets.any ? guarded(appends) : watched(appends));
}

function told(budgets: Budgets, outcomes: readonly AppendOutcome[]): void {
  for (const outcome of outcomes) {
    if (!outcome.ok && outcome.error.code === "store_full") {
      budgets.storeRefused();
      return;
    }
  }
  if (budgets.awaitsRoom && outcomes.some(({ ok }) => ok)) budgets.storeTook();
}

/** Takes the bytes from both budgets, or says which is full. */
function take({ store, ofTopic }: Budgets, topic: string, bytes: number): ByteBudget[] | GmqError {
  const own = ofTopic(topic);
  if (own?.take(bytes) === false) {
    return new GmqError("topic_full", `the topic ${topic} is full: it holds ${own.bytes} bytes`, {
      field: "config.bytes_max",
      limit: `${own.bytesMax} bytes`,
    });
  }
  if (store?.take(bytes) === false) {
    own?.done(bytes, false);
    return new GmqError("store_full", `the store is full: it holds ${store.bytes} bytes`, {
      field: "store_bytes_max",
      limit: `${store.bytesMax} bytes`,
    });
  }
  return [own, store].filter((budget) => budget !== undefined);
}

function finish(budgets: Budgets, { request, bytes, taken }: Admitted, outcomes: AppendOutcome[]): AppendOutcome[] {
  const { topic, batches } = request;
  let storedBytes = 0;
  let records = 0;
  outcomes.forEach((outcome, index) => {
    const batch = batches[index];
    if (batch === undefined || !outcome.ok || outcome.duplicate) return;
    storedBytes += batch.records.length;
    records += batch.recordCount;
  });
  for (const budget of taken) {
    budget.done(bytes - storedBytes, false);
    budget.done(storedBytes, true);
  }
  told(budgets, outcomes);
  budgets.noted(topic, storedBytes, records, false);
  const throttleMs = Math.max(0, ...taken.map((budget) => budget.throttleMs));
  return throttleMs === 0 ? outcomes : outcomes.map((outcome) => (outcome.ok ? { ...outcome, throttleMs } : outcome));
}
