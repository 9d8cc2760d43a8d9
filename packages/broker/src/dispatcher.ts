/**
 * Deliver in the broker: one dispatcher per assignment (group × partition with an owner here). Created by membership after the claim; fetches, cuts to
 * the consumer's credit and hands entries to the subscription's sink. `pump()` alone decides what is done next; every event only calls it.
 * Guarantees: pending records of earlier owners first, then the log in order; never more than the credit; nothing after `stop`.
 */
import { GmqError, limits } from "@gmq/protocol";
import type {
  ClaimResult,
  EntrySettle,
  FetchOutcome,
  HandBacks,
  LogEntry,
  LogStore,
  Ownership,
  PartitionFetch,
  PartitionSettle,
  SettleOutcome,
  SettleRange,
  SettleRefusal,
} from "@gmq/storage";
import type { Credit } from "./credit.js";
import { createEntrySlicer, type EntrySlicer } from "./entry-slicer.js";
import { type AttemptsAt, createLedger, type DelayedRun, type Run } from "./ledger.js";
import { attemptsNotKnown, resend } from "./resend.js";
import type { Turn } from "./turn.js";

/** An entry, or a part of one, on its way to the consumer. */
export interface Delivery {
  readonly entry: LogEntry;
  /** By index in the delivered entry. */
  readonly attempts: readonly AttemptsAt[];
  /** By index in the delivered entry; undefined: it was never handed back. */
  readonly handBacks: HandBacks | undefined;
}

/** What a dispatcher needs of its surroundings. */
export interface DispatcherContext {
  readonly ownership: Ownership;
  readonly credit: Credit;
  readonly fetch: Turn<PartitionFetch, FetchOutcome>;
  readonly settle: Turn<PartitionSettle, SettleOutcome>;
  readonly log: Pick<LogStore, "read">;
  /** Hands over; the consumer's side has room when `writable` says so. */
  deliver(deliveries: readonly Delivery[], endOffset: bigint): void;
  writable(): boolean;
  /** The assignment is over: fenced, the topic is gone, or stored bytes cannot be read. Called once. */
  lost(error: GmqError): void;
}

export interface Dispatcher {
  readonly ownership: Ownership;
  /** What it waits for before it hands out more. */
  readonly waitsFor: DispatcherWait;
  /** Something changed: credit, room, a signal. Cheap when there is nothing to do. */
  pump(): void;
  /** The partition's end moved, as far as a hint can tell. */
  signal(endOffset: bigint): void;
  /** Looks at the log once more, whatever the hints said. */
  look(): void;
  /**
   * Settles what the consumer says. While the store does not answer it is sent again for up to `limits.settleResendMsMax`, a retry as a release: it may have been
   * counted; past that the assignment is lost, and what is unsettled comes again with the next claim.
   * @throws GmqError `fenced` and the store's errors, then nothing is settled
   */
  settle(ranges: readonly SettleRange[]): Promise<readonly SettleRefusal[]>;
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

/** A run whose entry may have to be read first. */
interface ReadyRun extends Run {
  readonly slicer: EntrySlicer | undefined;
  readonly entry: LogEntry | undefined;
}

/** Pending entries lie close together as a rule. */
const readAheadEntries = 256;
const backoffMsMin = 50;
const backoffMsMax = 2_000;

/** Makes a dispatcher over a fresh claim; it starts with the first `pump`. */
export function createDispatcher(context: DispatcherContext, claim: ClaimResult): Dispatcher {
  const { ownership, credit, log } = context;
  const ledger = createLedger();
  /** Ordered by offset; what was taken over or handed back stands before what is read on. */
  const ready: ReadyRun[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let position = claim.position;
  let endOffset = claim.endOffset;
  let hintedEnd = claim.endOffset;
  let state: "running" | "paused" | "stopped" = "running";
  let busy = false;
  let lookAgain = false;
  let failures = 0;

  for (const pending of claim.pending) {
    const taken = ledger.addPending(pending);
    ready.push(...taken.ready.map(unread));
    for (const run of taken.delayed) later(run);
  }

  function later(run: DelayedRun): void {
    if (run.delayMs === 0) {
      // Now, in its place: what is new stays behind it.
      enqueue(run);
      return;
    }
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        enqueue(run);
        pump();
      },
      Math.min(run.delayMs, 2_147_483_647),
    );
    timers.add(timer);
  }

  function enqueue({ baseOffset, recordCount, from, to }: Run): void {
    const offset = baseOffset + BigInt(from);
    const at = ready.findIndex((other) => other.baseOffset + BigInt(other.from) > offset);
    ready.splice(at < 0 ? ready.length : at, 0, unread({ baseOffset, recordCount, from, to }));
  }

  function pump(): void {
    if (state !== "running" || busy) return;
    const deliveries: Delivery[] = [];
    for (let run = ready[0]; run !== undefined && credit.open && context.writable(); run = ready[0]) {
      const delivery = take(run);
      if (delivery === undefined) {
        void work(() => prepare(run));
        break;
      }
      deliveries.push(delivery);
    }
    if (deliveries.length > 0) context.deliver(deliveries, endOffset);
    if (!busy && ready.length === 0 && credit.open && context.writable() && (position < hintedEnd || lookAgain))
      void work(fetchOn);
  }

  /** Cuts the next delivery off a run, as much as the credit allows; undefined when the run's entry has to be read or indexed first. */
  function take(run: ReadyRun): Delivery | undefined {
    const { entry, slicer } = run;
    const whole = run.from === 0 && run.to === run.recordCount;
    if (entry !== undefined && whole && entry.recordCount <= credit.records && entry.body.length <= credit.bytes) {
      ready.shift();
      return hand(run, entry);
    }
    if (slicer === undefined) return undefined;
    const to = fitting(slicer, run.from, Math.min(run.to, run.from + credit.records));
    if (to === run.to) ready.shift();
    else ready[0] = { ...run, from: to };
    return hand({ ...run, to }, slicer.slice(run.from, to));
  }

  /** Where to cut, so that the bytes fit the credit: at least one record. */
  function fitting(slicer: EntrySlicer, from: number, to: number): number {
    let end = to;
    while (end > from + 1 && slicer.sliceBytes(from, end) > credit.bytes) end = from + Math.max(1, (end - from) >>> 1);
    return end;
  }

  function hand(run: Run, entry: LogEntry): Delivery {
    credit.spend(entry.recordCount, entry.body.length);
    ledger.delivered(run);
    const handBacks = ledger.handBacks(run);
    return {
      entry,
      attempts: ledger.attempts(run).map(({ index, attempts }) => ({ index: index - run.from, attempts })),
      handBacks:
        handBacks === undefined
          ? undefined
          : {
              takeOvers: handBacks.takeOvers,
              releases: handBacks.releases.map(({ index, releases }) => ({ index: index - run.from, releases })),
            },
    };
  }

  /** Reads what the first runs need, several entries at a time; a run that has its entry and still does not fit the credit is indexed for cutting. */
  async function prepare(run: ReadyRun): Promise<void> {
    if (run.entry === undefined) {
      await readEntries(run);
      return;
    }
    const slicer = await createEntrySlicer(run.entry);
    ready.forEach((other, at) => {
      if (other.baseOffset === run.baseOffset) ready[at] = { ...other, slicer };
    });
  }

  async function readEntries({ baseOffset }: Run): Promise<void> {
    const { topic, partition } = ownership;
    const { entries, startOffset } = await log.read({
      topic,
      partition,
      from: { offset: baseOffset },
      entriesMax: readAheadEntries,
      bytesMax: limits.fetchBytesDefault,
    });
    if (baseOffset < startOffset) {
      dropTrimmed(startOffset);
      return;
    }
    if (entries[0]?.baseOffset !== baseOffset) {
      throw new GmqError("batch_corrupt", `the entry at offset ${baseOffset} of ${topic}/${partition} is gone`, {
        field: "offset",
      });
    }
    const found = new Map(entries.map((entry) => [entry.baseOffset, entry]));
    ready.forEach((other, at) => {
      const entry = other.entry ?? found.get(other.baseOffset);
      if (entry !== undefined) ready[at] = { ...other, entry };
    });
  }

  /** Retention or a purge was faster: the store has settled these away and counts them as lost. */
  function dropTrimmed(startOffset: bigint): void {
    const first = ready.findIndex(({ baseOffset }) => baseOffset >= startOffset);
    ready.splice(0, first < 0 ? ready.length : first);
    ledger.dropBelow(startOffset);
  }

  async function fetchOn(): Promise<void> {
    lookAgain = false;
    const before = hintedEnd;
    const outcome = await context.fetch({
      ownership,
      position,
      bytesMax: Math.min(credit.bytes, limits.fetchBytesDefault),
      recordsMax: credit.records,
    });
    if (!outcome.ok) throw outcome.error;
    position = outcome.position;
    // A hint may have been ahead of the log (an append that was refused): what the fetch saw is the truth, unless a later hint came meanwhile.
    endOffset = outcome.endOffset;
    if (hintedEnd === before || outcome.endOffset > hintedEnd) hintedEnd = outcome.endOffset;
    for (const entry of outcome.entries) {
      ledger.add(entry.baseOffset, entry.recordCount);
      ready.push({
        baseOffset: entry.baseOffset,
        recordCount: entry.recordCount,
        from: 0,
        to: entry.recordCount,
        entry,
        slicer: undefined,
      });
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
    const delayMs = Math.min(backoffMsMax, backoffMsMin * 2 ** failures++) * (0.5 + Math.random() / 2);
    const timer = setTimeout(() => {
      timers.delete(timer);
      busy = false;
      pump();
    }, delayMs);
    timers.add(timer);
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
    for (const run of plan.released) if (!refused.has(run.baseOffset + BigInt(run.from))) enqueue(run);
    for (const run of plan.delayed) if (!refused.has(run.baseOffset + BigInt(run.from))) later(run);
    pump();
    return [...plan.refusals, ...outcome.refusals, ...(sendings > 1 ? attemptsNotKnown(plan.entries) : [])];
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
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
    ready.length = 0;
  }

  return {
    ownership,
    get waitsFor() {
      if (state !== "running") return "end";
      if (failures > 0) return "store retry";
      if (ready.length === 0 && position >= hintedEnd) return "records";
      if (!credit.open) return "credit";
      return context.writable() ? "store" : "room";
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
    },
    settle,
    pause() {
      if (state === "running") state = "paused";
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

function unread(run: Run): ReadyRun {
  const { baseOffset, recordCount, from, to } = run;
  return { baseOffset, recordCount, from, to, entry: undefined, slicer: undefined };
}

function without(entries: readonly EntrySettle[], refused: ReadonlySet<bigint>): EntrySettle[] {
  return entries.map((entry) => ({
    ...entry,
    ranges: entry.ranges.filter(({ firstOffset }) => !refused.has(firstOffset)),
  }));
}
