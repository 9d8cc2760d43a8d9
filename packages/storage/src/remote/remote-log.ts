import { GmqError, limits } from "@gmq/protocol";
import type { AppendOutcome, LogBatch, LogStore, PartitionAppend } from "../engine.js";
import { startToMessage } from "../wire/group-messages.js";
import { appendOutcomeFromMessage } from "../wire/record-messages.js";
import { purgedFromMessage } from "../wire/topic-messages.js";
import type { Links } from "./links.js";
import type { StorageLink } from "./storage-link.js";

/** Payload of one append request's frame, at most; a batch is never cut. */
const requestBytesMax = 4 * 1024 * 1024;

/** Part of a call that goes out in one frame: which outcomes it answers. */
interface Piece {
  readonly appends: { topic: string; partition: number; batches: LogBatch[] }[];
  readonly places: { readonly append: number; readonly first: number; readonly count: number }[];
  bytes: number;
}

/** The log over links. */
export function createRemoteLog(links: Links): LogStore {
  async function appendOn(link: StorageLink, piece: Piece, outcomes: AppendOutcome[][]): Promise<void> {
    let error: GmqError;
    try {
      const answer = await link.request({ case: "append", value: { appends: piece.appends } }, piece.bytes);
      if (answer.case !== "appended") throw new GmqError("internal", `an append was answered with ${answer.case}`);
      piece.places.forEach(({ append, first }, index) => {
        const results = answer.value.partitions[index]?.results ?? [];
        results.forEach((result, at) => {
          (outcomes[append] as AppendOutcome[])[first + at] = appendOutcomeFromMessage(result);
        });
      });
      return;
    } catch (cause) {
      error = outcomeOf(GmqError.from(cause));
    }
    for (const { append, first, count } of piece.places) {
      (outcomes[append] as AppendOutcome[]).fill({ ok: false, error }, first, first + count);
    }
  }

  /** Gives each append to its partition's link, in frames of bounded size. Order within a partition is the order of the call. */
  function cut(appends: readonly PartitionAppend[], outcomes: AppendOutcome[][]): [StorageLink, Piece][] {
    const pieces: [StorageLink, Piece][] = [];
    const growing = new Map<StorageLink, Piece>();
    appends.forEach(({ topic, partition, batches }, append) => {
      const link = links.readyFor(`${topic}/${partition}`);
      if (link === undefined) {
        const error = links.problem ?? new GmqError("store_unavailable", "no storage service answers");
        (outcomes[append] as AppendOutcome[]).fill({ ok: false, error });
        return;
      }
      let part: LogBatch[] | undefined;
      batches.forEach((batch, index) => {
        const bytes = batch.records.length + 128;
        let piece = growing.get(link);
        if (piece === undefined || (piece.bytes > 0 && piece.bytes + bytes > requestBytesMax)) {
          piece = { appends: [], places: [], bytes: 0 };
          pieces.push([link, piece]);
          growing.set(link, piece);
          part = undefined;
        }
        if (part === undefined) {
          part = [];
          piece.appends.push({ topic, partition, batches: part });
          piece.places.push({ append, first: index, count: 0 });
        }
        part.push(batch);
        const place = piece.places.at(-1) as { append: number; first: number; count: number };
        place.count++;
        piece.bytes += bytes;
      });
    });
    return pieces;
  }

  let waitingBytes = 0;

  return {
    async append(appends) {
      const outcomes = appends.map(({ batches }) => new Array<AppendOutcome>(batches.length));
      let bytes = 0;
      for (const { batches } of appends) for (const { records } of batches) bytes += records.length;
      if (waitingBytes > 0 && waitingBytes + bytes > limits.appendQueueBytesMax) {
        const error = new GmqError("resource_exhausted", "too many bytes wait to be appended", {
          field: "append",
          limit: `${limits.appendQueueBytesMax} bytes`,
        });
        for (const list of outcomes) list.fill({ ok: false, error });
        return outcomes;
      }
      waitingBytes += bytes;
      try {
        // Waits for a service when there is none at all.
        if (links.problem !== undefined) await links.for("append");
        await Promise.all(cut(appends, outcomes).map(([link, piece]) => appendOn(link, piece, outcomes)));
      } catch (cause) {
        const error = GmqError.from(cause);
        for (const list of outcomes) list.fill({ ok: false, error });
      } finally {
        waitingBytes -= bytes;
      }
      return outcomes;
    },

    async read({ topic, partition, from, entriesMax, bytesMax }) {
      const { client } = await links.for(`${topic}/${partition}`);
      const request = { topic, partition, from: startToMessage(from), entriesMax, bytesMax };
      const { entries, startOffset, endOffset } = await client.readEntries(request);
      return { entries, startOffset, endOffset };
    },

    async scheduled({ topic, partition }) {
      const { client } = await links.for(`${topic}/${partition}`);
      try {
        const { batches, nextInMs } = await client.getScheduled({ topic, partition });
        return { batches: Number(batches), nextInMs: nextInMs === undefined ? undefined : Number(nextInMs) };
      } catch (error) {
        // A service of before this call, during a rolling upgrade: it tells nothing of what waits.
        if (GmqError.is(error, "unimplemented")) return { batches: 0, nextInMs: undefined };
        throw error;
      }
    },

    async purge({ topic, partition, toOffset, dryRun = false }) {
      const { client } = await links.for("topics");
      const which = partition === undefined ? {} : { partition };
      return (await client.purgeTopic({ topic, toOffset, dryRun, ...which })).partitions.map(purgedFromMessage);
    },
  };
}

/** A lost link leaves the outcome open; what the service itself refused keeps its code. */
function outcomeOf(error: GmqError): GmqError {
  if (error.code !== "unavailable") return error;
  return new GmqError("unknown_outcome", `it is not known whether the batch was stored: ${error.message}`, {
    cause: error,
  });
}
