/**
 * Live tail: looks where a topic's partitions end, reads what is new and shows at most `rate_max` records a second. Bounded on purpose: what does not fit,
 * or came faster than it can be read, is skipped and counted, so that a fast topic slows neither the portal nor the browser.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import {
  type BrowsedRecord,
  type PortalRecord,
  type PortalServiceTailRequest,
  type PortalServiceTailResponse,
  PortalServiceTailResponseSchema,
} from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { inTurns } from "../calls/in-turns.js";
import { createRates } from "../cluster/rates.js";
import { cutRecord } from "./cut-record.js";
import { createBrowse } from "./partition-scan.js";
import { createRecordFilter, createTextMatcher } from "./record-filter.js";

const rateDefault = 200;
const rateMaxMax = 1_000;
const frameIntervalMs = 250;
const valueBytesMax = 2_048;
const readsAtOnce = 8;
/** Records of one partition that one look reads; what is further behind is skipped. */
const readRecordsMax = 1_000;

/** Follows a topic from its present end until the signal. Yields at once, then four frames a second. @throws as `search` */
export async function* tail(
  brokers: Brokers,
  request: PortalServiceTailRequest,
  signal: AbortSignal,
): AsyncGenerator<PortalServiceTailResponse> {
  const { topic, text, expression } = request;
  const rateMax = request.rateMax === 0 ? rateDefault : request.rateMax;
  if (rateMax > rateMaxMax) {
    throw new GmqError("invalid_argument", `rate_max is ${rateMax}`, {
      field: "rate_max",
      limit: `1 to ${rateMaxMax}`,
    });
  }
  const filter = expression.trim() === "" ? undefined : await createRecordFilter(expression);
  // Not only in `finally`: a generator that waits for its reader does not get there.
  signal.addEventListener("abort", () => void filter?.close(), { once: true });
  try {
    const hasText = createTextMatcher(text);
    const follower = createFollower(brokers, topic, request.partitions, signal);
    const totals = { appended: 0n, scanned: 0n, matched: 0n, shown: 0n, dropped: 0n };
    const perFrame = Math.max(1, Math.floor((rateMax * frameIntervalMs) / 1_000));
    await follower.look();
    yield create(PortalServiceTailResponseSchema, totals);
    // As if it had begun a second ago: what one look finds is no rate.
    const rates = createRates();
    rates.note(topic, 0n, performance.now() - 1_000);
    while (!signal.aborted) {
      await pause(frameIntervalMs, signal);
      if (signal.aborted) return;
      const { appended, records } = await follower.look();
      const candidates = records.filter(hasText);
      const verdict = await filter?.evaluate(candidates);
      const matching = verdict === undefined ? candidates : candidates.filter((_, index) => verdict.matches[index]);
      // The newest of what matched: a tail shows what happens now.
      const shown = matching.slice(-perFrame).map((record): PortalRecord => cutRecord(record, valueBytesMax));
      totals.appended += appended;
      totals.scanned += BigInt(records.length);
      totals.matched += BigInt(matching.length);
      totals.shown += BigInt(shown.length);
      totals.dropped += BigInt(matching.length - shown.length) + appended - BigInt(records.length);
      yield create(PortalServiceTailResponseSchema, {
        ...totals,
        records: shown,
        recordsPerSecond: rates.note(topic, totals.appended, performance.now()),
      });
    }
  } finally {
    await filter?.close();
  }
}

interface Follower {
  /** What was appended since the last look, and as much of it as one look reads, by append time. */
  look(): Promise<{ readonly appended: bigint; readonly records: BrowsedRecord[] }>;
}

function createFollower(brokers: Brokers, topic: string, only: readonly number[], signal: AbortSignal): Follower {
  const browse = createBrowse(brokers, topic, signal);
  const ends = new Map<number, bigint>();
  return {
    async look() {
      const { partitions } = await brokers.read(({ admin }) => admin.describeTopic({ topic }, { signal }), signal);
      const followed = partitions.filter(({ partition }) => only.length === 0 || only.includes(partition));
      const moved = followed.filter(({ partition, endOffset }) => endOffset > (ends.get(partition) ?? endOffset));
      let appended = 0n;
      const records: BrowsedRecord[] = [];
      await inTurns(moved, readsAtOnce, async ({ partition, endOffset }) => {
        const from = ends.get(partition) ?? endOffset;
        appended += endOffset - from;
        const first = endOffset - from > BigInt(readRecordsMax) ? endOffset - BigInt(readRecordsMax) : from;
        const found = await browse(partition, { case: "offset", value: first }, readRecordsMax);
        records.push(...found.records.filter(({ offset }) => offset < endOffset));
      });
      for (const { partition, endOffset } of followed) ends.set(partition, endOffset);
      records.sort((left, right) => Number(left.appendTimeMs - right.appendTimeMs));
      return { appended, records };
    },
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    // The signal is looked at right after.
    if (!signal.aborted) throw error;
  }
}
