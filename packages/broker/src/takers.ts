/** Those who take what a dispatcher hands out: the one consumer of an assignment, or all that share a partition. */
import type { Credit } from "./credit.js";
import type { Delivery } from "./delivery.js";

export interface Taker {
  /** Records and bytes that it takes now, both above zero. */
  readonly records: number;
  readonly bytes: number;
  spend(records: number, bytes: number): void;
  deliver(deliveries: readonly Delivery[], endOffset: bigint): void;
}

/** Takes single records back from the consumers that hold them, for an operator. */
export interface TakeBack {
  /** Why it cannot be; undefined: it can. */
  refusal(offset: bigint): "with_nobody" | "with_only_consumer" | undefined;
  /** The consumer that holds it has it no more, and is passed over while others take, until it settles something. Returns how to undo that. */
  take(offset: bigint): () => void;
}

export interface Takers {
  /** Who takes next of so many records at hand; undefined: nobody has credit and room. */
  next(waitingRecords: number): Taker | undefined;
  /** Records and bytes that they take together; none when nobody does. */
  readonly records: number;
  readonly bytes: number;
  /** Absent: there is one consumer, which has everything. */
  readonly takeBack?: TakeBack;
  /** Member id of the consumer that has a record now; undefined: none has. Absent as above. */
  readonly holderOf?: (offset: bigint) => string | undefined;
  /** What is missing while nobody takes. */
  readonly lacks: "credit" | "room";
  /** Since when nobody has any credit, by `Date.now()`; undefined while somebody has, and where nobody takes at all. */
  readonly noCreditSinceMs: number | undefined;
}

/** The consumer's side of an assignment. */
export interface ConsumerSide {
  readonly memberId: string;
  readonly credit: Credit;
  /** Hands over; the consumer's side has room when `writable` says so. */
  deliver(deliveries: readonly Delivery[], endOffset: bigint): void;
  writable(): boolean;
}

/** One consumer takes everything. */
export function onlyTaker(consumer: Omit<ConsumerSide, "memberId">): Takers {
  return new OnlyTaker(consumer);
}

/** A class, as credit is one. */
class OnlyTaker implements Takers, Taker {
  readonly #consumer: Omit<ConsumerSide, "memberId">;

  constructor(consumer: Omit<ConsumerSide, "memberId">) {
    this.#consumer = consumer;
  }

  get #takes(): boolean {
    return this.#consumer.credit.open && this.#consumer.writable();
  }

  next(): Taker | undefined {
    return this.#takes ? this : undefined;
  }

  get records(): number {
    return this.#takes ? this.#consumer.credit.records : 0;
  }

  get bytes(): number {
    return this.#takes ? this.#consumer.credit.bytes : 0;
  }

  spend(records: number, bytes: number): void {
    this.#consumer.credit.spend(records, bytes);
  }

  deliver(deliveries: readonly Delivery[], endOffset: bigint): void {
    this.#consumer.deliver(deliveries, endOffset);
  }

  get lacks(): "credit" | "room" {
    return this.#consumer.credit.open ? "room" : "credit";
  }

  get noCreditSinceMs(): number | undefined {
    return this.#consumer.credit.closedSinceMs;
  }
}
