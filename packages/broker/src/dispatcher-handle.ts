/** What others see of a dispatcher: membership, the consumers that settle, and operators. */
import type { Ownership, SettleRange, SettleRefusal } from "@gmq/storage";
import type { OperatorSettle } from "./operator-settle.js";

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
  /** Looks at the log once more, whatever the hints said; false: not before a consumer takes something, or fewer records wait for a retry. */
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

/** Why nothing goes out: no credit, a connection that is full, a store that is asked or does not answer, as many retries as may wait, nothing there, it is to stop. */
export type DispatcherWait = "credit" | "room" | "store" | "store retry" | "retries" | "records" | "end";
