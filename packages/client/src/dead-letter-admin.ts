/** Dead letters over AdminService: which there are, back to their topic, or away. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import {
  type AdminService,
  type DeadLetterFilterSchema,
  type DeadLetter as DeadLetterMessage,
  RedriveAction,
} from "@gmq/protocol/messages";
import { errorFromMessage } from "@gmq/transport/frames";
import type { CallClient } from "@gmq/transport/unary";
import type { CallOptions } from "./call-options.js";
import { checkOffset, checkPartition, inRange } from "./checked-values.js";

/** Dead letters of one group for one topic. */
export interface DeadLetterQueue {
  readonly deadLetterTopic: string;
  readonly topic: string;
  readonly group: string;
  /** Neither redriven nor discarded. */
  readonly open: bigint;
}

/** A dead letter's place in the dead-letter topic. */
export interface DeadLetterPlace {
  readonly partition: number;
  readonly offset: bigint;
}

/** A record that was given up, as it was in its topic, and why. */
export interface DeadLetter {
  readonly place: DeadLetterPlace;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly group: string;
  readonly reason: string;
  readonly errorText: string;
  /** Failed attempts, with the one that was rejected. */
  readonly attempts: number;
  readonly rejectedAt: Date;
  /** Times that it was redriven before. */
  readonly redrives: number;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array;
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array }[];
  readonly timestamp: Date;
}

export interface DeadLetterReason {
  readonly reason: string;
  readonly count: bigint;
  readonly firstAt: Date;
  readonly lastAt: Date;
}

/** All conditions have to hold. */
export interface DeadLetterFilter {
  readonly reason?: string;
  readonly errorContains?: string;
  readonly key?: string | Uint8Array;
  /** Partition and offsets (both inclusive) in the dead-letter topic. */
  readonly partition?: number;
  readonly fromOffset?: bigint;
  readonly toOffset?: bigint;
}

export interface DeadLetterList {
  /** Most frequent first. */
  readonly reasons: readonly DeadLetterReason[];
  readonly letters: readonly DeadLetter[];
  /** False: there are more open dead letters than a broker looks at (10,000, or 64 MiB); the reasons' counts are of those. */
  readonly complete: boolean;
  /** There are more after the last one: ask again with its place as `after`. */
  readonly more: boolean;
}

/** Counts of a redrive so far. */
export interface RedriveProgress {
  /** Open dead letters that are meant. */
  readonly matched: number;
  /** Back in their topic (or discarded); in a dry run: those that would be. */
  readonly redriven: number;
  /** Passed over: they were redriven `maxRedrives` times before. */
  readonly skipped: number;
  readonly failed: number;
}

export interface RedriveResult extends RedriveProgress {
  /** The first 1,000 that stayed where they are. */
  readonly failures: readonly { readonly place: DeadLetterPlace; readonly error: GmqError }[];
}

export interface DiscardOptions extends CallOptions {
  readonly group: string;
  readonly filter?: DeadLetterFilter;
  /** Only these; at most 10,000. */
  readonly selected?: readonly DeadLetterPlace[];
  /** Counts, and changes nothing. */
  readonly dryRun?: boolean;
  /** Hears of counts as it goes. */
  readonly onProgress?: (progress: RedriveProgress) => void;
}

export interface RedriveOptions extends DiscardOptions {
  /** Records a second, 1 to 1,000,000; default: as fast as it goes. */
  readonly ratePerSecond?: number;
  /** A record that was redriven so often is skipped, so that it does not go round for ever; 1 to 1,000,000, default 3. */
  readonly maxRedrives?: number;
}

/** Dead letters of groups. */
export interface DeadLetterAdmin {
  /** The dead-letter topics there are, with what is open in each. */
  deadLetterQueues(options?: CallOptions): Promise<DeadLetterQueue[]>;
  /** A group's open dead letters of a topic; `limit` (default 100) at most 1,000. @throws GmqError `topic_not_found` (field `group`: it has none) */
  deadLetters(
    topic: string,
    options: CallOptions & {
      readonly group: string;
      readonly filter?: DeadLetterFilter;
      readonly limit?: number;
      readonly after?: DeadLetterPlace;
    },
  ): Promise<DeadLetterList>;
  /**
   * Puts dead letters back to their topic, in order, to the partition that they came from, where every group of the topic gets them. Each is stored once, also when
   * this is broken off and called again. There is no deadline unless `timeoutMs` names one.
   * @throws GmqError `topic_not_found`, `conflict` (another redrive of these runs), `invalid_argument`, and the store's errors: what was moved stays moved
   */
  redrive(topic: string, options: RedriveOptions): Promise<RedriveResult>;
  /** Settles dead letters without putting them back; they stay readable in the dead-letter topic. @throws GmqError as `redrive` */
  discardDeadLetters(topic: string, options: DiscardOptions): Promise<RedriveResult>;
}

/** How the calls reach a broker. */
export type AdminCall = <Result>(
  options: CallOptions | undefined,
  run: (
    client: CallClient<typeof AdminService>,
    callOptions: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ) => Promise<Result>,
) => Promise<Result>;

const failuresMax = 1_000;
const rateMax = 1_000_000;
const text = new TextEncoder();

/** Makes the dead-letter part of the administration. */
export function createDeadLetterAdmin(call: AdminCall): DeadLetterAdmin {
  async function move(topic: string, options: RedriveOptions, action: RedriveAction): Promise<RedriveResult> {
    const { group, filter, selected = [], ratePerSecond, maxRedrives, dryRun = false, onProgress } = options;
    if (ratePerSecond !== undefined) inRange("ratePerSecond", ratePerSecond, 1, rateMax);
    if (maxRedrives !== undefined) inRange("maxRedrives", maxRedrives, 1, rateMax);
    const failures: { place: DeadLetterPlace; error: GmqError }[] = [];
    const request = {
      topic,
      group,
      selected: selected.map((place) => checkedPlace("selected", place)),
      ratePerSecond: ratePerSecond ?? 0,
      redrivesMax: maxRedrives ?? 0,
      dryRun,
      action,
      ...(filter === undefined ? {} : { filter: filterOf(filter) }),
    };
    return call(options, async (client, { timeoutMs, signal }) => {
      const callLimits = {
        ...(signal === undefined ? {} : { signal }),
        ...(options.timeoutMs === undefined ? {} : { timeoutMs }),
      };
      // Leaving the loop early ends it at the broker too.
      for await (const { event } of client.redrive(request, callLimits)) {
        if (event.case === "failure") {
          const { place, error } = event.value;
          if (failures.length === failuresMax || place === undefined || error === undefined) continue;
          failures.push({ place: placeOf(place), error: errorFromMessage(error) });
        } else if (event.case === "progress") {
          const { matched, moved, skipped, failed, done } = event.value;
          const progress = {
            matched: Number(matched),
            redriven: Number(moved),
            skipped: Number(skipped),
            failed: Number(failed),
          };
          if (done) return { ...progress, failures };
          onProgress?.(progress);
        }
      }
      throw new GmqError("unavailable", "the redrive was broken off: call it again for the rest");
    });
  }

  return {
    async deadLetterQueues(options) {
      const { queues } = await call(options, (client, callOptions) => client.listDeadLetters({}, callOptions));
      return queues.map(({ deadLetterTopic, topic, group, open }) => ({ deadLetterTopic, topic, group, open }));
    },

    async deadLetters(topic, { group, filter, limit, after, ...options }) {
      if (limit !== undefined) inRange("limit", limit, 1, 1_000);
      const request = {
        topic,
        group,
        limit: limit ?? 0,
        ...(filter === undefined ? {} : { filter: filterOf(filter) }),
        ...(after === undefined ? {} : { after: checkedPlace("after", after) }),
      };
      const answer = await call(options, (client, callOptions) => client.listDeadLetters(request, callOptions));
      return {
        reasons: answer.reasons.map(({ reason, count, firstAtMs, lastAtMs }) => ({
          reason,
          count,
          firstAt: new Date(Number(firstAtMs)),
          lastAt: new Date(Number(lastAtMs)),
        })),
        letters: answer.letters.map(letterOf),
        complete: answer.complete,
        more: answer.more,
      };
    },

    redrive: (topic, options) => move(topic, options, RedriveAction.REDRIVE),
    discardDeadLetters: (topic, options) => move(topic, options, RedriveAction.DISCARD),
  };
}

function filterOf({ key, ...filter }: DeadLetterFilter): MessageInitShape<typeof DeadLetterFilterSchema> {
  const { partition, fromOffset, toOffset } = filter;
  if (partition !== undefined) checkPartition("filter.partition", partition);
  if (fromOffset !== undefined) checkOffset("filter.fromOffset", fromOffset);
  if (toOffset !== undefined) checkOffset("filter.toOffset", toOffset);
  if (key === undefined) return filter;
  return { ...filter, key: typeof key === "string" ? text.encode(key) : key };
}

function checkedPlace(field: string, place: DeadLetterPlace): DeadLetterPlace {
  checkPartition(`${field}.partition`, place.partition);
  checkOffset(`${field}.offset`, place.offset);
  return placeOf(place);
}

function placeOf({ partition, offset }: DeadLetterPlace): DeadLetterPlace {
  return { partition, offset };
}

function letterOf(message: DeadLetterMessage): DeadLetter {
  const { place, record, topic, partition, offset, group, reason, errorText, attempts, atMs, redrives } = message;
  if (place === undefined || record === undefined)
    throw new GmqError("internal", "the broker's answer has a dead letter without its place or record");
  return {
    place: placeOf(place),
    topic,
    partition,
    offset,
    group,
    reason,
    errorText,
    attempts,
    rejectedAt: new Date(Number(atMs)),
    redrives,
    key: record.key,
    value: record.value,
    headers: record.headers.map(({ key, value }) => ({ key, value })),
    timestamp: new Date(Number(record.timestampMs)),
  };
}
