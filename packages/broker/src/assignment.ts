/** A partition of a subscription: what its reader needs to know of its surroundings, and the end of it. */
import type { GmqError } from "@gmq/protocol";
import type { ClaimResult, Ownership, TopicPartition } from "@gmq/storage";
import type { Credit } from "./credit.js";
import type { Delivery } from "./delivery.js";
import { createDispatcher, type DispatcherContext } from "./dispatcher.js";
import type { Dispatcher } from "./dispatcher-handle.js";
import type { Meter } from "./meter.js";
import type { SubscriptionContext, SubscriptionSink } from "./subscription.js";
import { type ConsumerSide, onlyTaker } from "./takers.js";

/** What the reader of an assignment needs of its surroundings. */
export interface ReaderContext extends DispatcherContext {
  readonly consumer: ConsumerSide;
}

function readAlone(context: ReaderContext, claim: ClaimResult): Dispatcher {
  return createDispatcher(context, onlyTaker(context.consumer), claim);
}

/** The subscription, as its assignments know it. */
export interface AssignmentHome {
  readonly context: SubscriptionContext;
  readonly sink: SubscriptionSink;
  readonly credit: Credit;
  readonly memberId: string;
  reclaim(partition: TopicPartition): Promise<ClaimResult | undefined>;
  /** The store or the log refused the reader. */
  readerLost(assignment: Assignment, error: GmqError): void;
}

/** A class, as a dispatcher is one. */
export class Assignment implements ReaderContext, ConsumerSide {
  readonly assignmentId: number;
  readonly ownership: Ownership;
  readonly dispatcher: Dispatcher;
  readonly #subscription: AssignmentHome;
  readonly #forget: () => void;
  deadline: NodeJS.Timeout | undefined;

  constructor(subscription: AssignmentHome, assignmentId: number, ownership: Ownership, claim: ClaimResult) {
    const { context } = subscription;
    this.#subscription = subscription;
    this.assignmentId = assignmentId;
    this.ownership = ownership;
    this.dispatcher = (context.read ?? readAlone)(this, claim);
    this.#forget = context.dispatchers.add(ownership, this.dispatcher);
  }

  get consumer(): ConsumerSide {
    return this;
  }

  get memberId(): string {
    return this.#subscription.memberId;
  }

  get credit(): Credit {
    return this.#subscription.credit;
  }

  get log(): SubscriptionContext["log"] {
    return this.#subscription.context.log;
  }

  get fetch(): SubscriptionContext["fetch"] {
    return this.#subscription.context.fetch;
  }

  get follow(): SubscriptionContext["follow"] {
    return this.#subscription.context.follow;
  }

  get settle(): SubscriptionContext["settle"] {
    return this.#subscription.context.settle;
  }

  deliver(deliveries: readonly Delivery[], endOffset: bigint): void {
    countDelivered(this.#subscription.context.meter, deliveries);
    this.#subscription.sink.deliver(this.assignmentId, deliveries, endOffset);
  }

  writable(): boolean {
    return this.#subscription.sink.writable();
  }

  reclaim(): Promise<ClaimResult | undefined> {
    return this.#subscription.reclaim(this.ownership);
  }

  lost(error: GmqError): void {
    this.#subscription.readerLost(this, error);
  }

  end(): void {
    clearTimeout(this.deadline);
    this.#forget();
    this.dispatcher.stop();
  }
}

function countDelivered(meter: Meter, deliveries: readonly Delivery[]): void {
  for (const { entry } of deliveries) {
    meter.deliveredRecords += entry.recordCount;
    meter.deliveredBytes += entry.body.length;
  }
}
