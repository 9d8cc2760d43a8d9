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
  FollowEvents,
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
import type { Dispatcher, DispatcherWait } from "./dispatcher-handle.js";
import { createFollowedLog, type FollowedLog } from "./followed-log.js";
import { createLedger, type DelayedRun, type Run } from "./ledger.js";
import { type OperatorSettle, type OperatorSettleParts, settleForOperator } from "./operator-settle.js";
import { readPending } from "./read-pending.js";
import { createReadyRuns, type ReadyRun } from "./ready-runs.js";
import { attemptsNotKnown, backoffMs, resend } from "./resend.js";
import { without } from "./settle-ranges.js";
import type { Taker, Takers } from "./takers.js";
import type { Turn } from "./turn.js";
import { createWaitingRuns, type WaitingRuns } from "./waiting-runs.js";

/** What a dispatcher needs of its surroundings. */
export interface DispatcherContext {
  readonly ownership: Ownership;
  readonly fetch: Turn<PartitionFetch, FetchOutcome>;
  /** Reads on without being asked, for an owner. Absent: by `fetch` alone. */
  readonly follow?: GroupStore["follow"] | undefined;
  readonly settle: Turn<PartitionSettle, SettleOutcome>;
  readonly log: Pick<LogStore, "read">;
  /** Claims once more under the same epoch. Undefined where nothing is owned: a broadcast. */
  reclaim?(): Promise<ClaimResult | undefined>;
  /** The assignment is over: fenced, the topic is gone, or stored bytes cannot be read. Called once. */
  lost(error: GmqError): void;
}

/** Makes a dispatcher over a fresh claim; it starts with the first `pump`. */
export function createDispatcher(context: DispatcherContext, takers: Takers, claim: ClaimResult): Dispatcher {
  return new PartitionDispatcher(context, takers, claim);
}

/** A class: there is one for each idle consumer, and closures and getters of a literal cost it more than its state. */
class PartitionDispatcher implements Dispatcher, FollowEvents {
  readonly #context: DispatcherContext;
  readonly #takers: Takers;
  readonly #ledger = createLedger();
  readonly #ready = createReadyRuns();
  readonly #waiting: WaitingRuns;
  readonly #followed: FollowedLog;
  /** Until the store is asked again; nothing else is under way meanwhile. */
  #retryTimer: NodeJS.Timeout | undefined;
  #position: bigint;
  #endOffset: bigint;
  #hintedEnd: bigint;
  #state: "running" | "paused" | "stopped" = "running";
  #busy = false;
  #lookAgain = false;
  #inherits = false;
  #failures = 0;

  constructor(context: DispatcherContext, takers: Takers, claim: ClaimResult) {
    this.#context = context;
    this.#takers = takers;
    this.#position = claim.position;
    this.#endOffset = claim.endOffset;
    this.#hintedEnd = claim.endOffset;
    this.#waiting = createWaitingRuns((runs) => {
      this.#ready.insert(runs);
      this.pump();
    });
    this.#followed = createFollowedLog(context.follow, this);
    this.#takeOver(claim.pending);
  }

  get ownership(): Ownership {
    return this.#context.ownership;
  }

  get waitsFor(): DispatcherWait {
    if (this.#state !== "running") return "end";
    if (this.#failures > 0) return "store retry";
    if (this.#ready.first === undefined) {
      if (this.#position >= this.#hintedEnd) return "records";
      if (!this.#mayReadOn) return "retries";
    }
    return this.#takers.records > 0 ? "store" : this.#takers.lacks;
  }

  get noCreditSinceMs(): number | undefined {
    return this.#takers.noCreditSinceMs;
  }

  get position(): bigint {
    return this.#position;
  }

  get endOffset(): bigint {
    return this.#endOffset > this.#hintedEnd ? this.#endOffset : this.#hintedEnd;
  }

  get heldRecords(): number {
    return this.#ledger.heldRecords;
  }

  pump(): void {
    if (this.#state !== "running" || this.#busy) return;
    const ready = this.#ready;
    const takers = this.#takers;
    // Both begin where all that was read is known.
    if (this.#followed.isOpen && (this.#inherits || this.#lookAgain)) return this.#followed.stop();
    if (this.#inherits) {
      void this.#work(this.#reclaim());
      return;
    }
    let deliveries: Delivery[] = [];
    let current: Taker | undefined;
    for (let run = ready.first; run !== undefined; run = ready.first) {
      const taker = takers.next(run.to - run.from);
      if (taker === undefined) break;
      if (taker !== current) {
        if (deliveries.length > 0) current?.deliver(deliveries, this.#endOffset);
        deliveries = [];
        current = taker;
      }
      const cut = ready.take(run, taker.records, taker.bytes);
      if (cut === undefined) {
        void this.#work(this.#prepare(run));
        break;
      }
      taker.spend(cut.bytes.recordCount, cut.bytes.body.length);
      this.#ledger.delivered(cut);
      deliveries.push(deliveryOf(this.#ledger, cut));
    }
    if (deliveries.length > 0) current?.deliver(deliveries, this.#endOffset);
    if (this.#followed.isOpen) {
      // More than the consumer takes, or than may wait for a retry: it is read when there is room.
      if (ready.first !== undefined || !this.#mayReadOn) this.#followed.stop();
    } else if (!this.#busy && ready.first === undefined && takers.records > 0 && this.#mayReadOn) {
      if (this.#position < this.#hintedEnd || this.#lookAgain) void this.#work(this.#fetchOn());
      else this.#followed.start(this.#next());
    }
  }

  signal(end: bigint): void {
    if (end <= this.#hintedEnd) return;
    this.#hintedEnd = end;
    this.pump();
  }

  look(): boolean {
    this.#lookAgain = true;
    this.pump();
    return this.#state === "running" && this.#takers.records > 0 && this.#mayReadOn;
  }

  async settle(ranges: readonly SettleRange[]): Promise<readonly SettleRefusal[]> {
    const plan = this.#ledger.plan(ranges);
    if (plan.entries.length === 0) return plan.refusals;
    let sendings = 0;
    const send = (sent: PartitionSettle): Promise<SettleOutcome> => {
      sendings++;
      return this.#context.settle(sent);
    };
    const settlement = { ownership: this.ownership, entries: plan.entries };
    const outcome = await resend(settlement, send, () => this.#state === "stopped");
    if (!outcome.ok) {
      if (outcome.error.code === "fenced") this.#fail(outcome.error);
      else if (outcome.error.retryable) this.#giveUp(outcome.error);
      throw outcome.error;
    }
    const refused = new Set(outcome.refusals.map(({ firstOffset }) => firstOffset));
    this.#ledger.settled(refused.size === 0 ? plan.entries : without(plan.entries, refused));
    const isTaken = ({ baseOffset, from }: Run): boolean => !refused.has(baseOffset + BigInt(from));
    this.#comeAgain(plan.released.filter(isTaken), plan.delayed.filter(isTaken));
    this.pump();
    return [...plan.refusals, ...outcome.refusals, ...(sendings > 1 ? attemptsNotKnown(plan.entries) : [])];
  }

  settleFor(ranges: readonly SettleRange[], how: OperatorSettle = {}): Promise<readonly SettleRefusal[]> {
    const parts: OperatorSettleParts = {
      ledger: this.#ledger,
      takeBack: this.#takers.takeBack,
      position: this.#position,
      takeOut: (isMeant) => [
        ...this.#ready.takeOut(isMeant).map((run) => ({ ...run, delayMs: 0 })),
        ...this.#waiting.takeOut(isMeant),
      ],
      bringBack: (runs) => {
        this.#comeAgain([], runs);
        this.pump();
      },
      settle: (entries) => this.#settleNow(entries),
    };
    return settleForOperator(parts, ranges, how);
  }

  holderOf(offset: bigint): string | undefined {
    return this.#takers.holderOf?.(offset);
  }

  inherit(): void {
    this.#inherits = this.#context.reclaim !== undefined;
    this.pump();
  }

  fetched(fetched: Fetched): void {
    if (this.#state === "stopped") return;
    this.#keep(fetched);
    this.pump();
  }

  ended(error: GmqError | undefined): void {
    if (error?.retryable === false) return this.#fail(error);
    if (error !== undefined) this.#lookAgain = true;
    this.pump();
  }

  pause(): void {
    if (this.#state === "running") this.#state = "paused";
    this.#followed.stop();
  }

  stop(): void {
    this.#state = "stopped";
    clearTimeout(this.#retryTimer);
    this.#waiting.clear();
    this.#ready.clear();
    this.#followed.stop();
  }

  #takeOver(entries: readonly PendingEntry[]): void {
    const ready: Run[] = [];
    const delayed: DelayedRun[] = [];
    for (const pending of entries) {
      const taken = this.#ledger.addPending(pending);
      for (const run of taken.ready) ready.push(run);
      for (const run of taken.delayed) delayed.push(run);
    }
    this.#comeAgain(ready, delayed);
  }

  /** Without a delay it is now, in its place: what is new stays behind it. After the end an answer that comes late begins nothing. */
  #comeAgain(ready: readonly Run[], delayed: readonly DelayedRun[]): void {
    if (this.#state === "stopped") return;
    this.#ready.insert([...ready, ...delayed.filter(({ delayMs }) => delayMs === 0)]);
    for (const run of delayed) if (run.delayMs > 0) this.#waiting.add(run);
  }

  /** Records that wait for their retry are no consumer's credit: they have a bound of their own. */
  get #mayReadOn(): boolean {
    return this.#waiting.records < limits.delayedRecordsMax;
  }

  #next(): PartitionFetch {
    const { records, bytes } = this.#takers;
    const bytesMax = Math.min(bytes, limits.fetchBytesDefault);
    return { ownership: this.ownership, position: this.#position, bytesMax, recordsMax: records };
  }

  /** Reads what the first runs need, several entries at a time; a run that has its entry and does not fit the credit is indexed for cutting. */
  async #prepare(run: ReadyRun): Promise<void> {
    if (run.entry !== undefined) return this.#ready.prepare(run);
    const found = await readPending(this.#context.log, this.ownership, run.baseOffset);
    if ("startOffset" in found) {
      // Retention or a purge was faster: the store has settled these away and counts them as lost.
      this.#ready.dropBelow(found.startOffset);
      this.#ledger.dropBelow(found.startOffset);
    } else this.#ready.attach(found);
  }

  async #fetchOn(): Promise<void> {
    this.#lookAgain = false;
    const before = this.#hintedEnd;
    const outcome = await this.#context.fetch(this.#next());
    if (!outcome.ok) throw outcome.error;
    // A hint may have been ahead of the log (an append that was refused): what the fetch saw is the truth, unless a later hint came meanwhile.
    if (this.#hintedEnd === before) this.#hintedEnd = outcome.endOffset;
    this.#keep(outcome);
    if (outcome.entries.length > 0) this.#followed.mayStart();
  }

  #keep(fetched: Fetched): void {
    this.#position = fetched.position;
    this.#endOffset = fetched.endOffset;
    if (this.#endOffset > this.#hintedEnd) this.#hintedEnd = this.#endOffset;
    for (const entry of fetched.entries) {
      this.#ledger.add(entry.baseOffset, entry.recordCount);
      this.#ready.append(entry);
    }
  }

  /** What is settled while the store is asked was known before, so that nothing of it comes again. */
  async #reclaim(): Promise<void> {
    const before = this.#ledger.settledIndexes();
    const found = await this.#context.reclaim?.();
    this.#inherits = false;
    if (found === undefined) return;
    if (found.position < this.#position) {
      const place = `${this.ownership.topic}/${this.ownership.partition}`;
      throw new GmqError("fenced", `the store has lost what it had handed out of ${place}`, { field: "position" });
    }
    this.#position = found.position;
    if (found.endOffset > this.#endOffset) this.#endOffset = found.endOffset;
    this.#takeOver(found.pending.filter(({ baseOffset }) => !before.has(baseOffset)));
    for (const pending of found.pending) {
      const settled = before.get(pending.baseOffset);
      if (settled !== undefined) this.#comeAgain(this.#ledger.reopen(pending, settled), []);
    }
  }

  /** One piece of asynchronous work at a time; afterwards the pump decides again. */
  async #work(piece: Promise<void>): Promise<void> {
    this.#busy = true;
    try {
      await piece;
      this.#failures = 0;
    } catch (error) {
      this.#fail(GmqError.from(error));
      return;
    }
    this.#busy = false;
    this.pump();
  }

  #fail(error: GmqError): void {
    if (!error.retryable) {
      this.#giveUp(error);
      return;
    }
    if (this.#state === "stopped") return;
    this.#lookAgain = true;
    // A desk that asks again is not told what it was given with a lost answer; an owner is.
    if (this.ownership.shared === true) this.#inherits = true;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(
      () => {
        this.#busy = false;
        this.pump();
      },
      backoffMs(this.#failures++),
    );
  }

  #giveUp(error: GmqError): void {
    if (this.#state === "stopped") return;
    this.stop();
    this.#context.lost(error);
  }

  async #settleNow(entries: readonly EntrySettle[]): Promise<readonly SettleRefusal[]> {
    const outcome = await this.#context.settle({ ownership: this.ownership, entries });
    if (outcome.ok) return outcome.refusals;
    if (outcome.error.code === "fenced") this.#fail(outcome.error);
    throw outcome.error;
  }
}
