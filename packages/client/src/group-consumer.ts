/**
 * A member of a group on the link: subscribes, again after every reconnect under the same member id, keeps assignments and credit, decodes what is delivered,
 * and gives partitions back when asked. What is done with messages is the owner's: a handler, an iterator, a batch reader.
 */
import { randomUUID } from "node:crypto";
import { GmqError, isTopicPattern, limits } from "@gmq/protocol";
import type { Assignment as AssignmentMessage, Deliver, Revoked, SettleRefusal } from "@gmq/protocol/messages";
import { errorFromMessage } from "@gmq/transport/frames";
import { bounded, type CallOptions } from "./call-options.js";
import { type ConsumerOptions, checkConsumer, startOf, wireModes } from "./consumer-options.js";
import { createCredit } from "./credit.js";
import { messagesOf } from "./delivered-entries.js";
import type { EventStream } from "./event-stream.js";
import type { BrokerFrame, ClientFrame, Link } from "./link.js";
import type { Assignment, RawMessage, Settlement } from "./message.js";
import { createResumePoints, noteDone } from "./resume-points.js";
import { createSettlements, isSame } from "./settlements.js";
import { type Work, watchStalls } from "./stall-watch.js";
import type { SubscriptionEvent } from "./subscription-events.js";

/** The owner's side. None of these may throw. */
export interface ConsumerOwner {
  messages(messages: readonly RawMessage[]): void;
  /** No new work for this assignment; resolves when what runs is done. */
  revoking(assignment: Assignment): Promise<void>;
  /** The assignment is gone, its signal has fired: forget its messages. */
  lost(assignment: Assignment): void;
  /** What it does with what it holds; asked a few times in each `stallMs`. */
  work(): Work;
  /** Nothing more will come. */
  ended(error: GmqError | undefined): void;
}

export interface GroupConsumer {
  /** Settles and waits. */
  settle(message: RawMessage, settlement: Settlement, options: CallOptions): Promise<void>;
  /** Settles; a failure becomes a status event: the record comes again. */
  note(message: RawMessage, settlement: Settlement): void;
  /** The message is handled or forgotten: its credit is free. Called once for each message. */
  done(message: RawMessage): void;
  /** Everything settled so far is answered. */
  flushed(): Promise<void>;
  /** From now on no credit goes out, and what arrives is dropped. */
  stop(): void;
  /**
   * Fires the signals of all assignments, sends what was settled before, leaves the group and ends; what is not settled goes to the others. Waits no longer than
   * `timeoutMs` for answers. Called again it waits for the first call.
   */
  close(error?: GmqError, timeoutMs?: number): Promise<void>;
  readonly assignments: readonly Assignment[];
}

const resubscribeMsMin = 100;
const resubscribeMsMax = 5_000;
const lagEventMs = 1_000;
/** A broker takes a client that is silent for a whole session timeout for gone; one that does not ask hears of it by the clock. */
const heartbeatsPerTimeout = 4;
let lastSubscriptionId = 0;

/** Starts consuming. @throws GmqError `invalid_argument`, `invalid_name` */
export function createGroupConsumer(
  link: Link,
  topics: readonly string[],
  options: ConsumerOptions,
  events: EventStream<SubscriptionEvent>,
  owner: ConsumerOwner,
): GroupConsumer {
  const settings = checkConsumer(topics, options);
  const subscriptionId = ++lastSubscriptionId;
  const memberId = settings.memberId ?? `member-${randomUUID()}`;
  const assignments = new Map<number, Assignment>();
  const resume = settings.mode === "broadcast" ? createResumePoints() : undefined;
  const { instrumentation } = link;
  const settlements = createSettlements(
    sendSettlement,
    (assignment, error) => {
      if (!assignment.lost.signal.aborted)
        events.emit({ type: "settleFailed", topic: assignment.topic, partition: assignment.partition, error });
    },
    instrumentation &&
      (({ topic, partition }, ranges) => instrumentation.settling({ topic, partition, group: settings.group, ranges })),
  );
  const credit = createCredit(settings, (records, bytes) =>
    link.send({ case: "credit", value: { subscriptionId, records, bytes } }),
  );
  let { start } = settings;
  let subscribed = false;
  /** The session that was asked to subscribe: it has to be told when that is over, answered or not. */
  let askedOn: typeof link.welcome;
  let failures = 0;
  let retryTimer: NodeJS.Timeout | undefined;
  let lastLagMs = 0;
  /** Deliveries that have to be unpacked wait for each other, so that their order is kept. */
  let unpacking: Promise<void> | undefined;
  /** It ends: neither a subscription nor credit is wanted any more. */
  let over = false;
  let closing: Promise<void> | undefined;

  async function sendSettlement(frame: ClientFrame, assignment: Assignment): Promise<readonly SettleRefusal[]> {
    // Ids begin anew with each session: what has lingered must not settle another's records.
    if (assignments.get(assignment.assignmentId) !== assignment) throw fenced();
    const answer = await link.request(frame);
    return answer.case === "settled" ? answer.value.refusals : [];
  }

  function subscribe(): void {
    clearTimeout(retryTimer);
    const { welcome } = link;
    if (over || welcome === undefined) return;
    askedOn = welcome;
    link
      .request({
        case: "subscribe",
        value: {
          subscriptionId,
          group: settings.group,
          topics: topics.filter((name) => !isTopicPattern(name)),
          topicPatterns: topics.filter(isTopicPattern),
          mode: wireModes[settings.mode],
          positions: resume?.positions() ?? [],
          start,
          memberId,
          sessionTimeoutMs: settings.sessionTimeoutMs,
          staticMember: settings.memberId !== undefined,
        },
      })
      .then(
        () => {
          if (over || link.welcome !== welcome) return;
          failures = 0;
          subscribed = true;
          // From now on there is a place for each partition: what has none was made since.
          if (resume && [...assignments.values()].every(({ place }) => place?.life)) start = startOf("", "earliest");
          events.emit({ type: "subscribed", group: settings.group, memberId });
          credit.grantAll();
        },
        (cause: unknown) => {
          if (over || link.welcome !== welcome) return;
          const error = GmqError.from(cause);
          // Refused: there is nothing to leave.
          askedOn = undefined;
          if (!error.retryable) void close(error);
          else resubscribeLater(error);
        },
      );
  }

  function resubscribeLater(error: GmqError): void {
    subscribed = false;
    events.emit({ type: "reconnecting", error });
    const delayMs =
      Math.min(resubscribeMsMax, resubscribeMsMin * 2 ** Math.min(failures++, 10)) * (0.5 + Math.random() / 2);
    retryTimer = setTimeout(subscribe, delayMs);
  }

  function frame(received: BrokerFrame): void {
    switch (received.case) {
      case "assigned":
        if (received.value.subscriptionId === subscriptionId)
          for (const assignment of received.value.assignments) assign(assignment);
        return;
      case "revoked":
        if (received.value.subscriptionId === subscriptionId) revoke(received.value);
        return;
      case "deliver":
        deliver(received.value);
        return;
      case "subscriptionEnded":
        if (received.value.subscriptionId === subscriptionId)
          ended(received.value.error === undefined ? undefined : errorFromMessage(received.value.error));
        return;
      default:
        return;
    }
  }

  function assign({ assignmentId, topic, partition, epoch, position, endOffset, life }: AssignmentMessage): void {
    assignments.set(assignmentId, {
      assignmentId,
      topic,
      partition,
      epoch,
      lost: new AbortController(),
      unsettled: 0,
      revoking: new AbortController(),
      endOffset,
      place: resume?.assigned(topic, partition, life, position),
    });
    events.emit({ type: "assigned", topic, partition, epoch });
  }

  function revoke({ assignmentIds, deadlineMs }: Revoked): void {
    for (const id of assignmentIds) {
      const assignment = assignments.get(id);
      if (assignment === undefined) continue;
      events.emit({ type: "revoked", topic: assignment.topic, partition: assignment.partition });
      if (deadlineMs === 0) resume?.forget(assignment);
      if (deadlineMs === 0) lose(assignment, new GmqError("fenced", "the partition has another owner"));
      else void handBack(assignment, deadlineMs);
    }
  }

  /** Lets running work finish and its verdicts arrive, then gives the partition back. */
  async function handBack(assignment: Assignment, deadlineMs: number): Promise<void> {
    assignment.revoking.abort();
    try {
      await bounded(
        owner.revoking(assignment).then(() => settlements.flushed(assignment)),
        { timeoutMs: deadlineMs * 0.9 },
        "handing a partition back",
      );
    } catch (error) {
      const { topic, partition } = assignment;
      events.emit({ type: "settleFailed", topic, partition, error: GmqError.from(error) });
    }
    if (assignments.get(assignment.assignmentId) !== assignment) return;
    lose(assignment, new GmqError("cancelled", "the partition was given back"));
    await link
      .request({ case: "release", value: { subscriptionId, assignmentIds: [assignment.assignmentId] } })
      .catch((error: unknown) => {
        // The session is gone, and with it the assignment.
        events.emit({ type: "reconnecting", error: GmqError.from(error) });
      });
  }

  function lose(assignment: Assignment, reason: GmqError): void {
    assignments.delete(assignment.assignmentId);
    end(assignment, reason);
  }

  function end(assignment: Assignment, reason: GmqError): void {
    assignment.lost.abort(reason);
    owner.lost(assignment);
  }

  function deliver({ assignmentId, entries, endOffset }: Deliver): void {
    const assignment = assignments.get(assignmentId);
    if (assignment === undefined) return;
    assignment.endOffset = endOffset;
    try {
      const messages = messagesOf(assignment, entries);
      if (unpacking === undefined && !(messages instanceof Promise)) hand(assignment, messages);
      else handInOrder(assignment, messages);
    } catch (error) {
      void close(GmqError.from(error));
    }
  }

  function handInOrder(assignment: Assignment, messages: RawMessage[] | Promise<RawMessage[]>): void {
    const own = Promise.all([messages, unpacking]).then(
      ([unpacked]) => hand(assignment, unpacked),
      (error: unknown) => void close(GmqError.from(error)),
    );
    unpacking = own;
    void own.then(() => {
      if (unpacking === own) unpacking = undefined;
    });
  }

  function hand(assignment: Assignment, messages: readonly RawMessage[]): void {
    credit.delivered(messages);
    assignment.unsettled += messages.length;
    resume?.delivered(messages);
    if (over || assignment.lost.signal.aborted || assignment.revoking.signal.aborted) messages.forEach(done);
    else owner.messages(messages);
    tellLag(assignment, messages.at(-1)?.offset);
  }

  function tellLag(assignment: Assignment, offset: bigint | undefined): void {
    const nowMs = performance.now();
    if (offset === undefined || nowMs - lastLagMs < lagEventMs) return;
    lastLagMs = nowMs;
    const { topic, partition, endOffset } = assignment;
    events.emit({ type: "lag", topic, partition, records: endOffset > offset ? endOffset - offset - 1n : 0n });
  }

  function done(message: RawMessage): void {
    message.assignment.unsettled--;
    credit.done(message);
    if (subscribed && !over) credit.grantDue();
  }

  /** The broker ended the subscription, the session goes on. */
  function ended(error: GmqError | undefined): void {
    askedOn = undefined;
    loseAll(error ?? new GmqError("cancelled", "the subscription ended"));
    if (error?.retryable === true) resubscribeLater(error);
    else void close(error);
  }

  function loseAll(reason: GmqError): void {
    subscribed = false;
    for (const assignment of [...assignments.values()]) lose(assignment, reason);
  }

  function stop(): void {
    over = true;
  }

  function close(error?: GmqError, timeoutMs: number = limits.revokeTimeoutMsDefault): Promise<void> {
    stop();
    // Begun when it is known: signals that fire may close again.
    closing ??= Promise.resolve().then(() => leave(error, timeoutMs));
    return closing;
  }

  async function leave(error: GmqError | undefined, timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    const inTime = (answer: Promise<unknown>, what: string): Promise<unknown> =>
      bounded(answer, { timeoutMs: Math.max(0, Math.ceil(untilMs - performance.now())) }, what).catch(
        (cause: unknown) => events.emit({ type: "reconnecting", error: GmqError.from(cause) }),
      );
    const reason = error ?? new GmqError("cancelled", "the consumer was closed");
    // Nothing is settled from now on; what was is sent while the broker knows the assignments.
    for (const assignment of assignments.values()) end(assignment, reason);
    await inTime(settlements.flushed(), "settling");
    loseAll(reason);
    clearTimeout(retryTimer);
    detach();
    stopHeartbeat();
    stopStallWatch();
    // Without an answer the session's end, or its timeout, does the same.
    if (askedOn !== undefined && link.welcome === askedOn)
      await inTime(link.request({ case: "unsubscribe", value: { subscriptionId } }), "leaving the group");
    events.end();
    owner.ended(error);
  }

  const stopStallWatch =
    settings.stallMs === false
      ? () => undefined
      : watchStalls(
          settings.stallMs,
          () => ({
            subscribed,
            heldRecords: credit.heldRecords,
            doneRecords: credit.doneRecords,
            creditUsedUp: credit.isUsedUp,
            work: owner.work(),
          }),
          events,
        );
  const stopHeartbeat = link.heartbeatEvery(settings.sessionTimeoutMs / heartbeatsPerTimeout);
  const detach = link.attach({
    opened: subscribe,
    lost(error) {
      loseAll(error);
      events.emit({ type: "reconnecting", error });
    },
    frame,
    drained: () => undefined,
    async leaving() {
      await Promise.all(
        Array.from(assignments.values(), (assignment) => {
          assignment.revoking.abort();
          return owner.revoking(assignment);
        }),
      );
      await settlements.flushed();
    },
  });

  return {
    async settle(message, settlement, callOptions) {
      if (message.verdict !== undefined && !isSame(message.verdict, settlement)) {
        throw new GmqError("already_settled", `the record was settled with ${message.verdict.verb} before`, {
          field: "verb",
        });
      }
      noteDone(message, settlement);
      if (message.assignment.lost.signal.aborted) throw fenced();
      // A failed try in place is no last word.
      if (settlement.verb !== "retry" || !settlement.inPlace) message.verdict = settlement;
      try {
        await bounded(settlements.settle(message.assignment, message.offset, settlement), callOptions, "settling");
      } catch (error) {
        // It may have failed: the store decides about the next one.
        if (message.verdict === settlement) message.verdict = undefined;
        throw error;
      }
    },
    note(message, settlement) {
      noteDone(message, settlement);
      if (settlement.verb !== "retry" || !settlement.inPlace) message.verdict ??= settlement;
      if (!message.assignment.lost.signal.aborted) settlements.note(message.assignment, message.offset, settlement);
    },
    done,
    flushed: () => settlements.flushed(),
    stop,
    close,
    get assignments() {
      return [...assignments.values()];
    },
  };
}

function fenced(): GmqError {
  return new GmqError("fenced", "the partition has another owner; the record comes again there", { field: "epoch" });
}
