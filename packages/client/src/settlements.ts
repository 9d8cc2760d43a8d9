/**
 * Acks and other verdicts on their way to the broker: gathered into ranges per assignment. What somebody waits for is sent at the end of the turn, with all that
 * has gathered; what nobody waits for (a handler's ack) `lingerMs` after the first where many have gathered by then, else once they are many, at the latest after
 * `lingerMsMax`: a record a millisecond does not cost a frame each, and the four processes that a settlement wakes. While a flush is unanswered more gathers, so that
 * load makes bigger frames, not more of them.
 */
import { GmqError, limits } from "@gmq/protocol";
import { type SettleRefusal, Verb } from "@gmq/protocol/messages";
import { errorFromMessage } from "@gmq/transport/frames";
import type { SettleStart } from "./instrumentation.js";
import type { ClientFrame } from "./link.js";
import type { Assignment, Settlement } from "./message.js";
import { pause } from "./pause.js";

/** Gathers what became of records. */
export interface Settlements {
  /** Adds a verdict; resolves when the store has taken it. @throws GmqError `fenced`, `assignment_not_found`, `already_settled`, `unavailable`: the record may come again */
  settle(assignment: Assignment, offset: bigint, settlement: Settlement): Promise<void>;
  /** Adds a verdict that nobody waits for; a failure is told to `failed`. */
  note(assignment: Assignment, offset: bigint, settlement: Settlement): void;
  /** Resolves when everything added so far for the assignment (or for all) is answered. */
  flushed(assignment?: Assignment): Promise<void>;
}

interface Range {
  first: bigint;
  last: bigint;
  readonly settlement: Settlement;
}

/** A range as it is sent. */
interface SettledRange {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly verb: Verb;
  readonly delayMs?: number;
  readonly inPlace?: boolean;
  readonly reason?: string;
  readonly errorText?: string;
}

/** One frame's worth, and everybody who waits for its answer. */
interface Flush {
  readonly ranges: Range[];
  textBytes: number;
  /** It holds verdicts that nobody waits for: a failure is told to `failed`. */
  noted: boolean;
  readonly answered: Promise<readonly SettleRefusal[]>;
  resolve(refusals: readonly SettleRefusal[]): void;
  reject(error: GmqError): void;
}

interface Lane {
  readonly assignment: Assignment;
  /** In order; all but the last are full. */
  readonly gathering: Flush[];
  sending: Flush | undefined;
}

const verbs = { ack: Verb.ACK, retry: Verb.RETRY, release: Verb.RELEASE, reject: Verb.REJECT } as const;

/** Verdicts that nobody waits for gather for so long where they are many by then, else until they are, at most for longer: few are not worth waking every process. */
const lingerMs = 5;
const lingerMsMax = 25;
const manyNoted = 50;
/** Texts of rejections in one frame, about; more go in the next one. */
const textBytesMax = 1024 * 1024;
/** A rejection whose copy could not be stored is asked for again for this long. */
const rejectAgainMsMax = 30_000;
const rejectAgainMsMin = 200;
const rejectAgainDelayMsMax = 5_000;

/** Makes the gatherer; `request` sends a settlement frame, unless the assignment is gone, and returns the refusals, `failed` hears of verdicts that nobody waits for. */
export function createSettlements(
  request: (frame: ClientFrame, assignment: Assignment) => Promise<readonly SettleRefusal[]>,
  failed: (assignment: Assignment, error: GmqError) => void,
  settling?: (assignment: Assignment, ranges: SettleStart["ranges"]) => (error: GmqError | undefined) => void,
): Settlements {
  const lanes = new Map<Assignment, Lane>();
  let scheduled = false;
  let lingering: NodeJS.Timeout | undefined;
  /** Verdicts that nobody waits for, since it lingers. */
  let notedCount = 0;
  /** They were few after `lingerMs`: from now on they go as soon as they are many. */
  let few = false;

  function lingerOn(): void {
    if (notedCount >= manyNoted) return flushAll();
    few = true;
    lingering = setTimeout(flushAll, lingerMsMax - lingerMs);
  }

  function flushAll(): void {
    clearTimeout(lingering);
    scheduled = false;
    lingering = undefined;
    notedCount = 0;
    few = false;
    for (const lane of lanes.values()) flush(lane);
  }

  function flushSoon(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(flushAll);
  }

  function flush(lane: Lane): void {
    if (lane.sending !== undefined) return;
    const flushed = lane.gathering.shift();
    if (flushed === undefined) return;
    lane.sending = flushed;
    const joined = merged(flushed.ranges);
    const settled = settling?.(lane.assignment, toldRanges(joined));
    const ranges = joined.map(
      ({ first, last, settlement }): SettledRange => ({
        firstOffset: first,
        lastOffset: last,
        verb: verbs[settlement.verb],
        ...(settlement.verb === "retry" ? { delayMs: settlement.delayMs, inPlace: settlement.inPlace } : {}),
        ...(settlement.verb === "reject" ? { reason: settlement.reason, errorText: settlement.errorText } : {}),
      }),
    );
    const next = (): void => {
      lane.sending = undefined;
      if (lane.gathering.length === 0) lanes.delete(lane.assignment);
      else flush(lane);
    };
    sendAll(lane.assignment, ranges).then(
      (refusals) => {
        settled?.(refusals[0]?.error === undefined ? undefined : errorFromMessage(refusals[0].error));
        flushed.resolve(refusals);
        for (const { error } of flushed.noted ? refusals : [])
          if (error !== undefined) failed(lane.assignment, errorFromMessage(error));
        next();
      },
      (cause: unknown) => {
        const error = GmqError.from(cause);
        settled?.(error);
        flushed.reject(error);
        if (flushed.noted) failed(lane.assignment, error);
        next();
      },
    );
  }

  /** One frame as a rule; the frames of more ranges than one may hold follow each other. */
  async function sendAll(assignment: Assignment, ranges: readonly SettledRange[]): Promise<SettleRefusal[]> {
    const { assignmentId } = assignment;
    const refusals: SettleRefusal[] = [];
    for (let from = 0; from < ranges.length; from += limits.settleRangesPerFrameMax) {
      const some = ranges.slice(from, from + limits.settleRangesPerFrameMax);
      refusals.push(...(await request({ case: "settlement", value: { assignmentId, ranges: some } }, assignment)));
    }
    return refusals;
  }

  function gather(assignment: Assignment, offset: bigint, settlement: Settlement): Flush {
    let lane = lanes.get(assignment);
    if (lane === undefined) {
      lane = { assignment, gathering: [], sending: undefined };
      lanes.set(assignment, lane);
    }
    let flush = lane.gathering.at(-1);
    if (flush === undefined || flush.textBytes >= textBytesMax) {
      flush = createFlush();
      lane.gathering.push(flush);
    }
    add(flush, offset, settlement);
    return flush;
  }

  async function settleOnce(assignment: Assignment, offset: bigint, settlement: Settlement): Promise<void> {
    const { answered } = gather(assignment, offset, settlement);
    flushSoon();
    const refusals = await answered;
    const refusal = refusals.find(({ firstOffset, lastOffset }) => offset >= firstOffset && offset <= lastOffset);
    if (refusal?.error !== undefined) throw errorFromMessage(refusal.error);
  }

  /** A rejection that the store could not complete is asked for again: it changes nothing the second time, and acks go on meanwhile. */
  async function settle(assignment: Assignment, offset: bigint, settlement: Settlement): Promise<void> {
    if (settlement.verb !== "reject") return settleOnce(assignment, offset, settlement);
    const untilMs = performance.now() + rejectAgainMsMax;
    for (let failures = 0; ; failures++) {
      try {
        await settleOnce(assignment, offset, settlement);
        return;
      } catch (error) {
        const delayMs = Math.min(rejectAgainDelayMsMax, rejectAgainMsMin * 2 ** failures) * (0.5 + Math.random() / 2);
        const isLast = performance.now() + delayMs > untilMs || assignment.lost.signal.aborted;
        if (isLast || !GmqError.from(error).retryable) throw error;
        await pause(delayMs, [assignment.lost.signal]);
        if (assignment.lost.signal.aborted) throw error;
      }
    }
  }

  return {
    note(assignment, offset, settlement) {
      if (settlement.verb !== "reject") {
        gather(assignment, offset, settlement).noted = true;
        lingering ??= setTimeout(lingerOn, lingerMs);
        if (++notedCount >= manyNoted && few) flushSoon();
      } else settle(assignment, offset, settlement).catch((error: unknown) => failed(assignment, GmqError.from(error)));
    },
    settle,
    async flushed(assignment) {
      flushSoon();
      const wanted =
        assignment === undefined ? [...lanes.values()] : [lanes.get(assignment)].filter((lane) => lane !== undefined);
      const flushes = wanted
        .flatMap(({ gathering, sending }) => [...gathering, sending])
        .filter((flush) => flush !== undefined);
      await Promise.allSettled(flushes.map(({ answered }) => answered));
    },
  };
}

function toldRanges(ranges: readonly Range[]): SettleStart["ranges"] {
  return ranges.map(({ first, last, settlement }) => ({
    verb: settlement.verb,
    firstOffset: first,
    lastOffset: last,
  }));
}

function createFlush(): Flush {
  let resolve: Flush["resolve"] = () => undefined;
  let reject: Flush["reject"] = () => undefined;
  const answered = new Promise<readonly SettleRefusal[]>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Verdicts that nobody waits for must not end the process when they fail.
  answered.catch(() => undefined);
  return { ranges: [], textBytes: 0, noted: false, answered, resolve, reject };
}

/** Adds an offset; the usual case, the one after the last, makes the last range longer. */
function add(flush: Flush, offset: bigint, settlement: Settlement): void {
  const last = flush.ranges.at(-1);
  if (last !== undefined && last.last + 1n === offset && isSame(last.settlement, settlement)) {
    last.last = offset;
    return;
  }
  flush.ranges.push({ first: offset, last: offset, settlement });
  if (settlement.verb === "reject") flush.textBytes += settlement.reason.length + settlement.errorText.length;
}

/** Joins ranges that touch or overlap, whatever order they came in. Tries that failed in place come first: behind its verdict a record is settled, and has no more tries. */
function merged(ranges: readonly Range[]): Range[] {
  if (ranges.length === 1) return [...ranges];
  const rank = ({ settlement }: Range): number => (settlement.verb === "retry" && settlement.inPlace ? 0 : 1);
  const sorted = [...ranges].sort(
    (left, right) => rank(left) - rank(right) || (left.first < right.first ? -1 : left.first > right.first ? 1 : 0),
  );
  const joined: Range[] = [];
  for (const range of sorted) {
    const last = joined.at(-1);
    // A verdict that is said twice is said once; each failed try in place counts.
    const touches =
      range.settlement.verb === "retry" && range.settlement.inPlace
        ? range.first - 1n === last?.last
        : last !== undefined && range.first - 1n <= last.last;
    if (last !== undefined && touches && isSame(last.settlement, range.settlement)) {
      if (range.last > last.last) last.last = range.last;
    } else joined.push({ ...range });
  }
  return joined;
}

/** True for verdicts that say the same. */
export function isSame(left: Settlement, right: Settlement): boolean {
  if (left.verb === "retry" && right.verb === "retry")
    return left.delayMs === right.delayMs && left.inPlace === right.inPlace;
  if (left.verb === "reject" && right.verb === "reject")
    return left.reason === right.reason && left.errorText === right.errorText;
  return left.verb === right.verb;
}
