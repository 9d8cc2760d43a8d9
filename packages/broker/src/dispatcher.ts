/**
 * Deliver in the broker: one dispatcher per group × partition that is read here. Created by membership after the claim; fetches, cuts to the credit of who
 * takes next and hands entries over. `pump()` alone decides what is done next; every event only calls it.
 * Guarantees: pending records of earlier owners first, then the log in order; never more than the credit; nothing after `stop`.
 */
import { GmqError, limits } from "@gmq/protocol";
import type {
  ClaimResult,
  EntrySettle,
  Fetched,
  FetchOutcome,
  GroupStore,
  LogStore,
  Ownership,
  PartitionFetch,
  PartitionSettle,
  PendingEntry,
  SettleOutcome,
  SettleRange,
  SettleRefusal,
} from "@gmq/storage";
import { type Delivery, deliveryOf } from "./delivery.js";
import { createEntrySlicer } from "./entry-slicer.js";
import { createFollowedLog } from "./followed-log.js";
import { createLedger, type DelayedRun, type Run } from "./ledger.js";
import { type OperatorSettle, settleForOperator } from "./operator-settle.js";
import { readPending } from "./read-pending.js";
import { type CutRun, createReadyRuns, type ReadyRun } from "./ready-runs.js";
import { attemptsNotKnown, resend } from "./resend.js";
import { without } from "./settle-ranges.js";
import type { Taker, Takers } from "./takers.js";
import type { Turn } from "./turn.js";
import { createWaitingRuns } from "./waiting-runs.js";

/** What a dispatcher needs of its surroundings. */
export interface DispatcherContext {
  readonly ownership: Ownership;
  readonly takers: Takers;
  readonly fetch: Turn<PartitionFetch, FetchOutcome>;
  /** Reads on without being asked, for an owner. Absent: by `fetch` alone. */
  readonly follow?: GroupStore["follow"] | undefined;
  readonly settle: Turn<PartitionSettle, SettleOutcome>;
  readonly log: Pick<LogStore, "read">;
  /** Claims once more under the same epoch. Undefined where nothing is owned: a broadcast. */
  readonly reclaim?: (() => Promise<ClaimResult | undefined>) | undefined;
  /** The assignment is over: fenced, the topic is gone, or stored bytes cannot be read. Called once. */
  lost(error: GmqError): void;
}

export interface Dispatcher {
  readonly ownership: Ownership;
  /** What it waits for before it hands out more. */
  readonly waitsFor: DispatcherWait;
  /** Since when no consumer gives credit, by `Date.now()`; undefined while one does. */
  readonly noCreditSinceMs: number | undefined;
  /** Something changed: credit, room, a signal. Cheap when there is nothing to do. */
  pump(): void;
  /** The partition's end moved, as far as a hint can tell. */
  signal(endOffset: bigint): void;
  /** Looks at the log once more, whatever the hints said; false: not before a consumer takes something. */
  look(): boolean;
  /**
   * Settles what the consumer says. While the store does not answer it is sent again for up to `limits.settleResendMsMax`, a retry as a release: it may have been
   * counted; past that the assignment is lost, and what is unsettled comes again with the next claim.
   * @throws GmqError `fenced` and the store's errors, then nothing is settled
   */
  settle(ranges: readonly SettleRange[]): Promise<readonly SettleRefusal[]>;
  /**
   * Settles for an operator, one record a range: under this owner's epoch, so that no fence is passed by. Records that wait in the broker may be meant too;
   * `release` delivers those at once. What became settled, passed on or went to the consumer meanwhile is refused. @throws as `settle`
   */
  settleFor(ranges: readonly SettleRange[], how?: OperatorSettle): Promise<readonly SettleRefusal[]>;
  /** Member id of the consumer that has a record now, where several share the partition; undefined: none has, or there is one consumer. */
  holderOf(offset: bigint): string | undefined;
  /** Claims again and takes what it does not know of: what a desk left that is gone, what was given with a lost answer, and settlements that the store has lost. */
  inherit(): void;
  /** Delivers nothing more; settling still works. */
  pause(): void;
  /** The end: no delivery, no timer. */
  stop(): void;
  readonly position: bigint;
  readonly endOffset: bigint;
  /** Records that are with the consumer now. */
  readonly heldRecords: number;
}

/** Why nothing goes out: the consumer gave no credit, its connection is full, the store is asked or does not answer, there is nothing, it is to stop. */
export type DispatcherWait = "credit" | "room" | "store" | "store retry" | "records" | "end";

const backoffMsMin = 50;
const backoffMsMax = 2_000;

/** Makes a dispatcher over a fresh claim; it starts with the first `pump`. */
export function createDispatcher(context: DispatcherContext, claim: ClaimResult): Dispatcher {
  const { ownership, takers, log } = context;
  const ledger = createLedger();
  const ready = createReadyRuns();
  /** Until the store is asked again; nothing else is under way meanwhile. */
  let retryTimer: NodeJS.Timeout | undefined;
  const waiting = createWaitingRuns((run) => {
    ready.insert(run);
    pump();
  });
  const followed = createFollowedLog(context.follow, took, (error) => {
    if (error !== undefined && !error.retryable) return fail(error);
    if (error !== undefined) lookAgain = true;
    pump();
  });
  let position = claim.position;
  let endOffset = claim.endOffset;
  let hintedEnd = claim.endOffset;
  let state: "running" | "paused" | "stopped" = "running";
  let busy = false;
  let lookAgain = false;
  let inherits = false;
  let failures = 0;

  takeOver(claim.pending);

  function takeOver(entries: readonly PendingEntry[]): void {
    for (const pending of entries) {
      const taken = ledger.addPending(pending);
      for (const run of taken.ready) ready.insert(run);
      for (const run of taken.delayed) later(run);
    }
  }

  function later(run: DelayedRun): void {
    if (run.delayMs === 0) {
      // Now, in its place: what is new stays behind it.
      ready.insert(run);
      return;
    }
    waiting.add(run);
  }

  /** Takes single records out of what is to be delivered, now or later, and gives them as they waited. */
  function takeOut(isMeant: (offset: bigint) => boolean): DelayedRun[] {
    return [...ready.takeOut(isMeant).map((run) => ({ ...run, delayMs: 0 })), ...waiting.takeOut(isMeant)];
  }

  function pump(): void {
    if (state !== "running" || busy) return;
    // Both begin where all that was read is known.
    if (followed.isOpen && (inherits || lookAgain)) return followed.stop();
    if (inherits) {
      void work(inherit);
      return;
    }
    let deliveries: Delivery[] = [];
    let current: Taker | undefined;
    for (let run = ready.first; run !== undefined; run = ready.first) {
      const taker = takers.next(run.to - run.from);
      if (taker === undefined) break;
      if (taker !== current) {
        if (deliveries.length > 0) current?.deliver(deliveries, endOffset);
        deliveries = [];
        current = taker;
      }
      const cut = ready.take(run, taker.records, taker.bytes);
      if (cut === undefined) {
        void work(() => prepare(run));
        break;
      }
      deliveries.push(hand(cut, taker));
    }
    if (deliveries.length > 0) current?.deliver(deliveries, endOffset);
    if (followed.isOpen) {
      // More than the consumer takes: it is read when it does.
      if (ready.first !== undefined) followed.stop();
    } else if (!busy && ready.first === undefined && takers.records > 0) {
      if (position < hintedEnd || lookAgain) void work(fetchOn);
      else followed.start(next());
    }
  }

  function next(): PartitionFetch {
    const bytesMax = Math.min(takers.bytes, limits.fetchBytesDefault);
    return { ownership, position, bytesMax, recordsMax: takers.records };
  }

  function hand(run: CutRun, taker: Taker): Delivery {
    const { bytes: entry } = run;
    taker.spend(entry.recordCount, entry.body.length);
    ledger.delivered(run);
    return deliveryOf(ledger, run);
  }

  /** Reads what the first runs need, several entries at a time; a run that has its entry and still does not fit the credit is indexed for cutting. */
  async function prepare(run: ReadyRun): Promise<void> {
    if (run.entry === undefined) {
      await readEntries(run);
      return;
    }
    ready.index(run.baseOffset, await createEntrySlicer(run.entry));
  }

  async function readEntries({ baseOffset }: Run): Promise<void> {
    const found = await readPending(log, ownership, baseOffset);
    if ("startOffset" in found) dropTrimmed(found.startOffset);
    else ready.attach(found);
  }

  /** Retention or a purge was faster: the store has settled these away and counts them as lost. */
  function dropTrimmed(startOffset: bigint): void {
    ready.dropBelow(startOffset);
    ledger.dropBelow(startOffset);
  }

  async function fetchOn(): Promise<void> {
    lookAgain = false;
    const before = hintedEnd;
    const outcome = await context.fetch(next());
    if (!outcome.ok) throw outcome.error;
    // A hint may have been ahead of the log (an append that was refused): what the fetch saw is the truth, unless a later hint came meanwhile.
    if (hintedEnd === before) hintedEnd = outcome.endOffset;
    keep(outcome);
    if (outcome.entries.length > 0) followed.mayStart();
  }

  function took(fetched: Fetched): void {
    if (state === "stopped") return;
    keep(fetched);
    pump();
  }

  function keep(fetched: Fetched): void {
    position = fetched.position;
    endOffset = fetched.endOffset;
    if (endOffset > hintedEnd) hintedEnd = endOffset;
    for (const entry of fetched.entries) {
      ledger.add(entry.baseOffset, entry.recordCount);
      ready.append(entry);
    }
  }

  /** What is settled while the store is asked was known before, so that nothing of it comes again. */
  async function inherit(): Promise<void> {
    const before = ledger.settledIndexes();
    const found = await context.reclaim?.();
    inherits = false;
    if (found === undefined) return;
    if (found.position < position) {
      const place = `${ownership.topic}/${ownership.partition}`;
      throw new GmqError("fenced", `the store has lost what it had handed out of ${place}`, { field: "position" });
    }
    position = found.position;
    if (found.endOffset > endOffset) endOffset = found.endOffset;
    takeOver(found.pending.filter(({ baseOffset }) => !before.has(baseOffset)));
    for (const pending of found.pending) {
      const settled = before.get(pending.baseOffset);
      if (settled !== undefined) for (const run of ledger.reopen(pending, settled)) ready.insert(run);
    }
  }

  /** One piece of asynchronous work at a time; afterwards the pump decides again. */
  async function work(piece: () => Promise<void>): Promise<void> {
    busy = true;
    try {
      await piece();
      failures = 0;
    } catch (error) {
      fail(GmqError.from(error));
      return;
    }
    busy = false;
    pump();
  }

  function fail(error: GmqError): void {
    if (state === "stopped") return;
    if (!error.retryable) {
      stop();
      context.lost(error);
      return;
    }
    lookAgain = true;
    // A desk that asks again is not told what it was given with a lost answer; an owner is.
    if (ownership.shared === true) inherits = true;
    const delayMs = Math.min(backoffMsMax, backoffMsMin * 2 ** failures++) * (0.5 + Math.random() / 2);
    clearTimeout(retryTimer);
    retryTimer = setTimeout(() => {
      busy = false;
      pump();
    }, delayMs);
  }

  async function settle(ranges: readonly SettleRange[]): Promise<readonly SettleRefusal[]> {
    const plan = ledger.plan(ranges);
    if (plan.entries.length === 0) return plan.refusals;
    let sendings = 0;
    const send = (settlement: PartitionSettle): Promise<SettleOutcome> => {
      sendings++;
      return context.settle(settlement);
    };
    const outcome = await resend({ ownership, entries: plan.entries }, send, isStopped);
    if (!outcome.ok) {
      if (outcome.error.code === "fenced") fail(outcome.error);
      else if (outcome.error.retryable) giveUp(outcome.error);
      throw outcome.error;
    }
    const refused = new Set(outcome.refusals.map(({ firstOffset }) => firstOffset));
    ledger.settled(refused.size === 0 ? plan.entries : without(plan.entries, refused));
    for (const run of plan.released) if (!refused.has(run.baseOffset + BigInt(run.from))) ready.insert(run);
    for (const run of plan.delayed) if (!refused.has(run.baseOffset + BigInt(run.from))) later(run);
    pump();
    return [...plan.refusals, ...outcome.refusals, ...(sendings > 1 ? attemptsNotKnown(plan.entries) : [])];
  }

  /** Brings runs back to be delivered: what waited goes on waiting, what has no delay goes out now. */
  function bringBack(runs: readonly DelayedRun[]): void {
    for (const run of runs) later(run);
    pump();
  }

  /** Settles once, as an operator asks for it. @throws GmqError what the store refused it with */
  async function settleNow(entries: readonly EntrySettle[]): Promise<readonly SettleRefusal[]> {
    const outcome = await context.settle({ ownership, entries });
    if (outcome.ok) return outcome.refusals;
    if (outcome.error.code === "fenced") fail(outcome.error);
    throw outcome.error;
  }

  function isStopped(): boolean {
    return state === "stopped";
  }

  function giveUp(error: GmqError): void {
    if (state === "stopped") return;
    stop();
    context.lost(error);
  }

  function stop(): void {
    state = "stopped";
    clearTimeout(retryTimer);
    waiting.clear();
    ready.clear();
    followed.stop();
  }

  return {
    ownership,
    get waitsFor() {
      if (state !== "running") return "end";
      if (failures > 0) return "store retry";
      if (ready.first === undefined && position >= hintedEnd) return "records";
      return takers.records > 0 ? "store" : takers.lacks;
    },
    get noCreditSinceMs() {
      return takers.noCreditSinceMs;
    },
    pump,
    signal(end) {
      if (end <= hintedEnd) return;
      hintedEnd = end;
      pump();
    },
    look() {
      lookAgain = true;
      pump();
      return state === "running" && takers.records > 0;
    },
    settle,
    settleFor: (ranges, how = {}) =>
      settleForOperator(
        { ledger, takeBack: takers.takeBack, position, takeOut, bringBack, settle: settleNow },
        ranges,
        how,
      ),
    holderOf: (offset) => takers.holderOf?.(offset),
    inherit() {
      inherits = context.reclaim !== undefined;
      pump();
    },
    pause() {
      if (state === "running") state = "paused";
      followed.stop();
    },
    stop,
    get position() {
      return position;
    },
    get endOffset() {
      return endOffset > hintedEnd ? endOffset : hintedEnd;
    },
    get heldRecords() {
      return ledger.heldRecords;
    },
  };
}
