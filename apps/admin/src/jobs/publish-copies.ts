/** Publishes records of a job. Each has a dedupe id of its own, so that one may be sent again after a lost answer, or by a resumed job, and is stored once. */
import { setTimeout as sleep } from "node:timers/promises";
import { GmqError } from "@gmq/protocol";
import type { Header, PublishResponse } from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { inTurns } from "../calls/in-turns.js";

/** A record to be stored. */
export interface Copy {
  readonly topic: string;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array;
  readonly headers: readonly Pick<Header, "key" | "value">[];
  readonly partition?: number | undefined;
  readonly dedupeId: string;
}

const attemptsMax = 8;
const delayMsMin = 100;
const delayMsMax = 3_000;
const lanesAtOnce = 16;

/** Stores one. @throws GmqError what a publish is refused with; a failure that may pass is tried again for some seconds */
export async function publishCopy(brokers: Brokers, copy: Copy, signal: AbortSignal): Promise<PublishResponse> {
  const { topic, key, value, partition, dedupeId } = copy;
  const headerList = copy.headers.map((header) => ({ key: header.key, value: header.value }));
  const request = { topic, keyBytes: key, value, headerList, partition, dedupeId };
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      // Not ended by the signal: what is under way may be stored, and is counted then.
      return await brokers.read(({ broker }) => broker.publish(request));
    } catch (error) {
      const failure = GmqError.from(error);
      if (signal.aborted || attempt === attemptsMax || !isPassing(failure)) throw failure;
      await sleep(Math.min(delayMsMax, delayMsMin * 2 ** attempt), undefined, { signal });
    }
  }
}

/** Stores many; those of one key one after the other, in order. `told` hears of each; it is not called for those that were not tried. @throws GmqError the first failure that may pass and did not */
export async function publishCopies(
  brokers: Brokers,
  copies: readonly Copy[],
  signal: AbortSignal,
  told: (index: number, result: PublishResponse | GmqError) => void,
): Promise<void> {
  const lanes = new Map<string, number[]>();
  copies.forEach(({ key, partition }, index) => {
    // Those without a key have an order among themselves only where they go to a partition that was named.
    const lane =
      key === undefined
        ? partition === undefined
          ? `no key ${index}`
          : `partition ${partition}`
        : `key ${Buffer.from(key).toString("base64")}`;
    lanes.set(lane, [...(lanes.get(lane) ?? []), index]);
  });
  let failure: GmqError | undefined;
  await inTurns([...lanes.values()], lanesAtOnce, async (lane) => {
    for (const index of lane) {
      const copy = copies[index];
      if (copy === undefined || failure !== undefined) return;
      try {
        told(index, await publishCopy(brokers, copy, signal));
      } catch (error) {
        const refusal = GmqError.from(error);
        if (signal.aborted || isPassing(refusal)) failure = refusal;
        else told(index, refusal);
      }
    }
  });
  // Not before every other one has been told of.
  if (failure !== undefined) throw failure;
}

/** Nobody was there, or nobody knows whether it was stored: with the dedupe id it may be asked again. */
function isPassing({ code, retryable }: GmqError): boolean {
  return retryable || code === "deadline_exceeded" || code === "unknown_outcome";
}
