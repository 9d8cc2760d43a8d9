/**
 * What a partition's appender remembers of its producers, so that a batch is stored once. The log itself is the source: the table is rebuilt from
 * entry metas, a snapshot only bounds how far back that reads. Pure; both engines use it.
 */
import { type BatchMeta, GmqError, limits } from "@gmq/protocol";

/** Identity of a batch, as its producer states it. */
export interface BatchIdentity {
  readonly recordCount: number;
  /** 0n: not idempotent. */
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** Sequence number of the first record. */
  readonly firstSequence: number;
  readonly dedupeId: string | undefined;
}

/** What is to be done with a batch. */
export type Verdict =
  | { readonly kind: "append" }
  | { readonly kind: "duplicate"; readonly firstOffset: bigint; readonly appendTimeMs: number }
  | { readonly kind: "refuse"; readonly error: GmqError };

/** One partition's memory of producers and dedupe ids; both are bounded, those that were used longest ago leave first, a producer not before half of the bound others were noted. */
export interface ProducerTable {
  /** Judges a batch that would be appended next. Changes nothing. */
  judge(batch: BatchIdentity): Verdict;
  /** Remembers a batch that is (or is about to be) stored. Batches of one producer must come in log order. */
  note(batch: BatchIdentity, firstOffset: bigint, appendTimeMs: number): void;
  /** Remembers every batch of a stored entry. */
  noteEntry(baseOffset: bigint, appendTimeMs: number, batches: readonly BatchMeta[]): void;
  /** The table as bytes, for `createProducerTable`. */
  snapshot(): Uint8Array;
  readonly producerCount: number;
}

interface StoredBatch {
  readonly firstSequence: number;
  readonly recordCount: number;
  readonly firstOffset: bigint;
  readonly appendTimeMs: number;
}

interface Producer {
  epoch: number;
  nextSequence: number;
  /** Oldest first, at most `limits.batchesPerProducer`. */
  recent: StoredBatch[];
  /** How many batches had been noted when it was put at the end of the order. */
  placedAt: number;
}

interface Place {
  readonly firstOffset: bigint;
  readonly appendTimeMs: number;
}

const append: Verdict = { kind: "append" };
/** A producer keeps its place for so many batches: to move it with each one would give the map a new table every few batches (see in-flight.ts of the protocol). */
const batchesPerPlace = limits.producersPerPartitionMax / 2;

/**
 * Makes a table, from a snapshot when given.
 * @throws GmqError `internal` when the snapshot cannot be read
 */
export function createProducerTable(snapshot?: Uint8Array): ProducerTable {
  const { producers, dedupeIds } =
    snapshot === undefined
      ? { producers: new Map<bigint, Producer>(), dedupeIds: new Map<string, Place>() }
      : decode(snapshot);
  let noted = 0;

  function judgeSequence(batch: BatchIdentity): Verdict {
    const producer = producers.get(batch.producerId);
    if (producer === undefined || batch.producerEpoch > producer.epoch) {
      // An epoch begins with 0: anything else came before what belongs in front of it, unless its beginning may have been forgotten.
      const mayBeForgotten = producer === undefined && producers.size >= limits.producersPerPartitionMax;
      if (batch.firstSequence === 0 || mayBeForgotten) return append;
      return refuse("out_of_order", `sequence ${batch.firstSequence} came, 0 was expected`, "batch.first_sequence");
    }
    if (batch.producerEpoch < producer.epoch) {
      return refuse(
        "producer_fenced",
        `producer epoch ${batch.producerEpoch} was replaced by ${producer.epoch}`,
        "batch.producer_epoch",
      );
    }
    if (batch.firstSequence === producer.nextSequence) return append;
    if (batch.firstSequence > producer.nextSequence) {
      return refuse(
        "out_of_order",
        `sequence ${batch.firstSequence} came, ${producer.nextSequence} was expected`,
        "batch.first_sequence",
      );
    }
    const stored = producer.recent.find(
      ({ firstSequence, recordCount }) => firstSequence === batch.firstSequence && recordCount === batch.recordCount,
    );
    if (stored !== undefined)
      return { kind: "duplicate", firstOffset: stored.firstOffset, appendTimeMs: stored.appendTimeMs };
    return refuse(
      "out_of_order",
      `sequence ${batch.firstSequence} is older than the last ${limits.batchesPerProducer} batches`,
      "batch.first_sequence",
    );
  }

  function note(batch: BatchIdentity, firstOffset: bigint, appendTimeMs: number): void {
    if (batch.dedupeId !== undefined)
      remember(dedupeIds, batch.dedupeId, { firstOffset, appendTimeMs }, limits.dedupeIdsPerPartitionMax);
    if (batch.producerId === 0n) return;
    noted++;
    const known = producers.get(batch.producerId);
    const producer = known ?? { epoch: batch.producerEpoch, nextSequence: 0, recent: [], placedAt: noted };
    if (producer.epoch !== batch.producerEpoch) producer.recent = [];
    producer.epoch = batch.producerEpoch;
    producer.nextSequence = batch.firstSequence + batch.recordCount;
    const { recent } = producer;
    recent.push({ firstSequence: batch.firstSequence, recordCount: batch.recordCount, firstOffset, appendTimeMs });
    if (recent.length > limits.batchesPerProducer) recent.shift();
    if (known !== undefined && noted - known.placedAt < batchesPerPlace) return;
    producer.placedAt = noted;
    remember(producers, batch.producerId, producer, limits.producersPerPartitionMax);
  }

  return {
    judge(batch) {
      const known = batch.dedupeId === undefined ? undefined : dedupeIds.get(batch.dedupeId);
      if (known !== undefined) return { kind: "duplicate", ...known };
      return batch.producerId === 0n ? append : judgeSequence(batch);
    },
    note,
    noteEntry(baseOffset, appendTimeMs, batches) {
      let offset = baseOffset;
      for (const batch of batches) {
        note(batch, offset, appendTimeMs);
        offset += BigInt(batch.recordCount);
      }
    },
    snapshot: () => encode(producers, dedupeIds),
    get producerCount() {
      return producers.size;
    },
  };
}

/** Puts an item last in the map's order and drops the first ones past the bound. */
function remember<Key, Item>(items: Map<Key, Item>, key: Key, item: Item, itemsMax: number): void {
  items.delete(key);
  items.set(key, item);
  for (const oldest of items.keys()) {
    if (items.size <= itemsMax) return;
    items.delete(oldest);
  }
}

function refuse(code: "out_of_order" | "producer_fenced", message: string, field: string): Verdict {
  return { kind: "refuse", error: new GmqError(code, message, { field }) };
}

type SnapshotBatch = [firstSequence: number, recordCount: number, firstOffset: string, appendTimeMs: number];

interface Snapshot {
  readonly version: 1;
  readonly producers: [id: string, epoch: number, nextSequence: number, recent: SnapshotBatch[]][];
  readonly dedupeIds: [id: string, firstOffset: string, appendTimeMs: number][];
}

function encode(producers: ReadonlyMap<bigint, Producer>, dedupeIds: ReadonlyMap<string, Place>): Uint8Array {
  const snapshot: Snapshot = {
    version: 1,
    producers: Array.from(producers, ([id, { epoch, nextSequence, recent }]) => [
      id.toString(),
      epoch,
      nextSequence,
      recent.map((batch) => [batch.firstSequence, batch.recordCount, batch.firstOffset.toString(), batch.appendTimeMs]),
    ]),
    dedupeIds: Array.from(dedupeIds, ([id, { firstOffset, appendTimeMs }]) => [
      id,
      firstOffset.toString(),
      appendTimeMs,
    ]),
  };
  return new TextEncoder().encode(JSON.stringify(snapshot));
}

function decode(bytes: Uint8Array): { producers: Map<bigint, Producer>; dedupeIds: Map<string, Place> } {
  const snapshot = JSON.parse(new TextDecoder().decode(bytes)) as Snapshot;
  if (snapshot.version !== 1)
    throw new GmqError("internal", `producer snapshot has version ${String(snapshot.version)}`);
  const producers = snapshot.producers.map(([id, epoch, nextSequence, recent]): [bigint, Producer] => [
    BigInt(id),
    {
      epoch,
      nextSequence,
      placedAt: 0,
      recent: recent.map(([firstSequence, recordCount, firstOffset, appendTimeMs]) => ({
        firstSequence,
        recordCount,
        firstOffset: BigInt(firstOffset),
        appendTimeMs,
      })),
    },
  ]);
  const dedupeIds = snapshot.dedupeIds.map(([id, firstOffset, appendTimeMs]): [string, Place] => [
    id,
    { firstOffset: BigInt(firstOffset), appendTimeMs },
  ]);
  return { producers: new Map(producers), dedupeIds: new Map(dedupeIds) };
}
