/**
 * A partition of a shared group, as this broker's desk reads it: one dispatcher for all its consumers here. Each consumer has a place at it, which looks like a
 * dispatcher of its own. Records go in turn to whoever has credit, an entry in parts; a consumer settles what it holds and nothing else, and what it leaves
 * unsettled goes to the others.
 */
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type { ClaimResult, SettleRange, SettleRefusal } from "@gmq/storage";
import type { ReaderContext } from "../assignment.js";
import { createDispatcher, type DispatcherContext } from "../dispatcher.js";
import type { Dispatcher } from "../dispatcher-handle.js";
import type { ConsumerSide, Taker, Takers } from "../takers.js";
import { createHeldRanges, type HeldRanges } from "./held-ranges.js";

export interface SharedPartition {
  readonly dispatcher: Dispatcher;
  /** Gives a consumer a place; it takes records as soon as it has credit. */
  join(consumer: ConsumerSide): Dispatcher;
  readonly placeCount: number;
  /** The end for everybody: what is not settled comes again to the next claim. */
  stop(): void;
}

/** What the partition's dispatcher needs. */
export type SharedPartitionContext = Omit<ReaderContext, "consumer"> &
  Pick<DispatcherContext, "reclaim"> & { readonly logger: Logger };

/** One consumer at the partition. */
interface Place extends Taker {
  readonly consumer: ConsumerSide;
  readonly held: HeldRanges;
  paused: boolean;
  /** Records that it gets at most this time. */
  share: number;
  /** What an operator took back from it; what it says of those is refused. */
  readonly takenBack: HeldRanges;
}

/** Makes the partition over a fresh claim. */
export function createSharedPartition(context: SharedPartitionContext, claim: ClaimResult): SharedPartition {
  const places = new Set<Place>();
  /** An operator took something back from them: they get nothing while others take, until they settle something. */
  const passedOver = new Set<Place>();
  const takers = turnsOf(places, passedOver, leave);
  const dispatcher = createDispatcher(context, takers, claim);
  let stopped = false;

  async function settle(place: Place, ranges: readonly SettleRange[]): Promise<readonly SettleRefusal[]> {
    const refusals: SettleRefusal[] = [];
    passedOver.delete(place);
    const left =
      place.takenBack.records === 0 ? ranges : ranges.flatMap((range) => withoutTakenBack(place, range, refusals));
    const own = left.filter((range) => {
      if (!isWithAnother(place, range)) return true;
      refusals.push(notDelivered(range));
      return false;
    });
    if (own.length === 0) return refusals;
    // Before the store is asked: what comes back may be with anybody by the time of the answer, this consumer too.
    const leaving = own.filter((range) => !(range.verb === "retry" && range.inPlace === true));
    const held = leaving.filter(({ firstOffset, lastOffset }) => place.held.overlaps(firstOffset, lastOffset));
    for (const { firstOffset, lastOffset } of held) place.held.remove(firstOffset, lastOffset);
    try {
      const outcome = await dispatcher.settle(own);
      const again = new Set(outcome.filter(({ error }) => error.retryable).map(({ firstOffset }) => firstOffset));
      holdAgain(
        place,
        // A retry that had to be said twice comes again all the same, to anybody: only whether it was counted is not known.
        held.filter(({ firstOffset, verb }) => verb !== "retry" && again.has(firstOffset)),
      );
      return [...refusals, ...outcome];
    } catch (error) {
      holdAgain(place, held);
      throw error;
    }
  }

  /** Still the consumer's: nothing of it was settled. One that has left meanwhile leaves it to the others. */
  function holdAgain(place: Place, ranges: readonly SettleRange[]): void {
    for (const { firstOffset, lastOffset } of ranges) place.held.add(firstOffset, lastOffset);
    if (!places.has(place) && ranges.length > 0) leave(place);
  }

  function isWithAnother(place: Place, { firstOffset, lastOffset }: SettleRange): boolean {
    for (const other of places) if (other !== place && other.held.overlaps(firstOffset, lastOffset)) return true;
    return false;
  }

  /** Hands back what the consumer holds: it costs no attempt. */
  function leave(place: Place): void {
    places.delete(place);
    passedOver.delete(place);
    const ranges = place.held.list().map((range): SettleRange => ({ ...range, verb: "release" }));
    for (const { firstOffset, lastOffset } of ranges) place.held.remove(firstOffset, lastOffset);
    if (stopped) return;
    if (ranges.length === 0) {
      // Who was passed over for this one may be the only one now.
      dispatcher.pump();
      return;
    }
    dispatcher.settle(ranges).catch((error: unknown) => {
      // The dispatcher has given the partition up: its next claim finds them.
      const { topic, partition, group } = context.ownership;
      context.logger.warn("records could not be handed back", { topic, partition, group, error });
    });
  }

  return {
    dispatcher,
    join(consumer) {
      const place = placeOf(consumer);
      places.add(place);
      return {
        ownership: context.ownership,
        get waitsFor() {
          return dispatcher.waitsFor;
        },
        get noCreditSinceMs() {
          return consumer.credit.closedSinceMs;
        },
        pump: () => dispatcher.pump(),
        signal: (endOffset) => dispatcher.signal(endOffset),
        look: () => dispatcher.look(),
        settle: (ranges) => settle(place, ranges),
        settleFor: (ranges, how) => dispatcher.settleFor(ranges, how),
        holderOf: (offset) => dispatcher.holderOf(offset),
        inherit: () => dispatcher.inherit(),
        pause() {
          place.paused = true;
        },
        stop: () => leave(place),
        get position() {
          return dispatcher.position;
        },
        get endOffset() {
          return dispatcher.endOffset;
        },
        get heldRecords() {
          return place.held.records;
        },
      };
    },
    get placeCount() {
      return places.size;
    },
    stop() {
      stopped = true;
      dispatcher.stop();
    },
  };
}

function placeOf(consumer: ConsumerSide): Place {
  const { credit } = consumer;
  const held = createHeldRanges();
  const takenBack = createHeldRanges();
  return {
    consumer,
    held,
    paused: false,
    takenBack,
    share: 1,
    get records() {
      return Math.min(credit.records, this.share);
    },
    get bytes() {
      return credit.bytes;
    },
    spend: (records: number, bytes: number) => credit.spend(records, bytes),
    deliver(deliveries, endOffset) {
      for (const { entry } of deliveries) {
        const lastOffset = entry.baseOffset + BigInt(entry.recordCount) - 1n;
        held.add(entry.baseOffset, lastOffset);
        if (takenBack.records > 0) takenBack.remove(entry.baseOffset, lastOffset);
      }
      consumer.deliver(deliveries, endOffset);
    },
  };
}

/** Everybody in turn; of what lies at hand each gets an equal part, so that a large credit does not take the work from the others. */
function turnsOf(places: Set<Place>, passedOver: Set<Place>, leave: (place: Place) => void): Takers {
  const takes = ({ paused, consumer }: Place): boolean => !paused && consumer.credit.open && consumer.writable();
  /** Somebody else is there, with credit or without. */
  const isPassedOver = (place: Place): boolean => passedOver.has(place) && othersOf(place).length > 0;
  const othersOf = (place: Place): Place[] =>
    [...places].filter((other) => other !== place && !other.paused && !passedOver.has(other));
  const open = (): Place[] =>
    [...places].filter((place) => takes(place) && (passedOver.size === 0 || !isPassedOver(place)));
  const holderOf = (offset: bigint): Place | undefined => {
    for (const place of places) if (place.held.overlaps(offset, offset)) return place;
    return undefined;
  };
  return {
    next(waitingRecords) {
      const takers = open();
      const [first] = takers;
      if (first === undefined) return undefined;
      first.share = Math.max(1, Math.ceil(waitingRecords / takers.length));
      // To the end of the line.
      places.delete(first);
      places.add(first);
      return first;
    },
    get records() {
      return open().reduce((sum, { consumer }) => sum + consumer.credit.records, 0);
    },
    get bytes() {
      return open().reduce((sum, { consumer }) => sum + consumer.credit.bytes, 0);
    },
    get lacks() {
      return [...places].some(({ paused, consumer }) => !paused && consumer.credit.open) ? "room" : "credit";
    },
    get noCreditSinceMs() {
      const since = [...places].map(({ consumer }) => consumer.credit.closedSinceMs);
      // The last one whose credit ran out left nobody.
      return since.reduce(
        (latest, ms) => (latest === undefined || ms === undefined ? undefined : Math.max(latest, ms)),
        since[0],
      );
    },
    holderOf: (offset) => holderOf(offset)?.consumer.memberId,
    takeBack: {
      refusal(offset) {
        const holder = holderOf(offset);
        if (holder === undefined) return "with_nobody";
        return othersOf(holder).length === 0 ? "with_only_consumer" : undefined;
      },
      take(offset) {
        const holder = holderOf(offset);
        if (holder === undefined) return () => undefined;
        const wasPassedOver = passedOver.has(holder);
        holder.held.remove(offset, offset);
        holder.takenBack.add(offset, offset);
        passedOver.add(holder);
        return () => {
          holder.takenBack.remove(offset, offset);
          holder.held.add(offset, offset);
          if (!wasPassedOver) passedOver.delete(holder);
          // Gone meanwhile: it leaves this to the others, with the rest.
          if (!places.has(holder)) leave(holder);
        };
      },
    },
  };
}

/** A consumer's range without what was taken back from it, which is refused; it says this once of a record, unless it tries it again in place. */
function withoutTakenBack({ takenBack }: Place, range: SettleRange, refusals: SettleRefusal[]): SettleRange[] {
  const left: SettleRange[] = [];
  let from = range.firstOffset;
  for (const { firstOffset, lastOffset } of takenBack.list()) {
    if (lastOffset < from || firstOffset > range.lastOffset) continue;
    const first = firstOffset > from ? firstOffset : from;
    const last = lastOffset < range.lastOffset ? lastOffset : range.lastOffset;
    if (first > from) left.push({ ...range, firstOffset: from, lastOffset: first - 1n });
    refusals.push(notDelivered({ ...range, firstOffset: first, lastOffset: last }));
    if (range.inPlace !== true) takenBack.remove(first, last);
    from = last + 1n;
  }
  if (from <= range.lastOffset) left.push({ ...range, firstOffset: from });
  return left;
}

function notDelivered({ firstOffset, lastOffset }: SettleRange): SettleRefusal {
  const message = `offsets ${firstOffset} to ${lastOffset} are not with this consumer`;
  return { firstOffset, lastOffset, error: new GmqError("not_delivered", message, { field: "settle.ranges" }) };
}
