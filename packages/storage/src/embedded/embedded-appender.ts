/**
 * Publish, last stage on the embedded engine. Called by `log.append`; what arrives in one turn, whoever sent it, is joined into entries and stored in one
 * transaction (group commit): one flush to disk for all. Answers only after the commit.
 */
import { type BatchMeta, decodeEntryMeta, encodeEntryMeta, GmqError, limits } from "@gmq/protocol";
import type { AppendOutcome, LogBatch, PartitionAppend } from "../engine.js";
import { checkBatch } from "../log/check-batch.js";
import { type BatchIdentity, createProducerTable, type ProducerTable } from "../log/producer-table.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";
import type { EmbeddedReads } from "./embedded-reads.js";
import type { EmbeddedSignals } from "./embedded-signals.js";
import type { EmbeddedTopics } from "./embedded-topics.js";
import { baseOffsetMax, baseOffsetOf, placeOf } from "./schema.js";

export interface EmbeddedAppender {
  append(appends: readonly PartitionAppend[]): Promise<AppendOutcome[][]>;
  /** Keeps the producers of a partition, so that they are known without the entries below an offset. Inside the caller's transaction. */
  keepProducers(partitionId: number, below: bigint): void;
  /** Forgets what is remembered of partitions that are gone. */
  forget(partitionIds: readonly number[]): void;
  /** Commits what waits; later appends are refused. */
  close(): void;
}

interface WaitingCall {
  readonly appends: readonly PartitionAppend[];
  readonly bytes: number;
  resolve(outcomes: AppendOutcome[][]): void;
}

/** An entry that grows in this turn. */
interface GrowingEntry {
  readonly baseOffset: bigint;
  readonly metas: BatchMeta[];
  readonly bodies: Uint8Array[];
  records: number;
  bytes: number;
}

/** What is known of a partition's log without reading it. */
interface KnownLog {
  readonly table: ProducerTable;
  entriesSinceSnapshot: number;
  /** Bytes of all bodies ever appended. */
  logBytes: number;
}

/** One partition's part of a turn. */
interface PartitionTurn {
  readonly topic: string;
  readonly partition: number;
  readonly table: ProducerTable;
  readonly entries: GrowingEntry[];
  nextOffset: bigint;
}

const entriesBetweenSnapshots = 256;

/** Makes the appender over a database. */
export function createEmbeddedAppender(
  database: Database,
  topics: EmbeddedTopics,
  reads: EmbeddedReads,
  signals: EmbeddedSignals,
  clock: Clock,
): EmbeddedAppender {
  const tables = new Map<number, KnownLog>();
  let waiting: WaitingCall[] = [];
  let waitingBytes = 0;
  let scheduled: NodeJS.Immediate | undefined;
  let closed = false;

  function tableOf(partitionId: number): KnownLog {
    let known = tables.get(partitionId);
    if (known === undefined) {
      known = loadTable(database, reads, partitionId);
      tables.set(partitionId, known);
    }
    return known;
  }

  function commitTurn(): void {
    scheduled = undefined;
    const calls = waiting;
    waiting = [];
    waitingBytes = 0;
    const turns = new Map<number, PartitionTurn>();
    const appendTimeMs = clock.nowMs();
    const outcomes = calls.map(({ appends }) =>
      appends.map((partitionAppend) => place(partitionAppend, turns, appendTimeMs)),
    );
    try {
      if (turns.size > 0) database.transaction(() => store(turns, appendTimeMs));
    } catch (cause) {
      for (const partitionId of turns.keys()) tables.delete(partitionId);
      const error = GmqError.from(cause);
      for (const call of calls)
        call.resolve(call.appends.map(({ batches }) => batches.map(() => ({ ok: false, error }))));
      return;
    }
    for (const [partitionId, turn] of turns) {
      if (turn.entries.length === 0) continue;
      topics.setEndOffset(partitionId, turn.nextOffset);
      signals.send({ kind: "partition", topic: turn.topic, partition: turn.partition, endOffset: turn.nextOffset });
    }
    calls.forEach((call, index) => call.resolve(outcomes[index] as AppendOutcome[][]));
  }

  /** Gives each batch of a partition its place in this turn, or the reason why it has none. */
  function place(request: PartitionAppend, turns: Map<number, PartitionTurn>, appendTimeMs: number): AppendOutcome[] {
    let turn: PartitionTurn;
    try {
      const partitionId = topics.partitionId(request.topic, request.partition);
      turn = turns.get(partitionId) ?? beginTurn(request, partitionId);
      turns.set(partitionId, turn);
    } catch (error) {
      const refusal = database.errorOf(error);
      return request.batches.map(() => ({ ok: false, error: refusal }));
    }
    return request.batches.map((batch) => placeBatch(turn, batch, appendTimeMs));
  }

  function beginTurn({ topic, partition }: PartitionAppend, partitionId: number): PartitionTurn {
    return {
      topic,
      partition,
      table: tableOf(partitionId).table,
      entries: [],
      nextOffset: topics.endOffset(partitionId),
    };
  }

  function store(turns: ReadonlyMap<number, PartitionTurn>, appendTimeMs: number): void {
    const insert = database.statement(
      "insert into entries (place, record_count, append_time_ms, meta, body) values (?, ?, ?, ?, ?)",
    );
    for (const [partitionId, turn] of turns) {
      const known = tableOf(partitionId);
      for (const entry of turn.entries) {
        const { logBytes } = known;
        const meta = encodeEntryMeta({ appendTimeMs, appendId: 0n, batches: entry.metas, logBytes });
        known.logBytes += entry.bytes;
        const body =
          entry.bodies.length === 1 ? (entry.bodies[0] as Uint8Array) : Buffer.concat(entry.bodies, entry.bytes);
        insert.run(placeOf(partitionId, entry.baseOffset), entry.records, appendTimeMs, meta, body);
      }
      keepSnapshot(partitionId, turn);
    }
  }

  function keepSnapshot(partitionId: number, turn: PartitionTurn): void {
    const known = tableOf(partitionId);
    known.entriesSinceSnapshot += turn.entries.length;
    if (known.entriesSinceSnapshot >= entriesBetweenSnapshots) writeSnapshot(partitionId, known, turn.nextOffset);
  }

  function writeSnapshot(partitionId: number, known: KnownLog, upToOffset: bigint): void {
    known.entriesSinceSnapshot = 0;
    database
      .statement(
        "insert into producers (partition_id, up_to_offset, snapshot) values (?, ?, ?) on conflict do update set up_to_offset = excluded.up_to_offset, snapshot = excluded.snapshot",
      )
      .run(partitionId, upToOffset, known.table.snapshot());
  }

  return {
    append(appends) {
      const bytes = appends.reduce(
        (sum, { batches }) => batches.reduce((inner, { records }) => inner + records.length, sum),
        0,
      );
      const refused = closed
        ? new GmqError("closed", "the engine is closed")
        : waitingBytes > 0 && waitingBytes + bytes > limits.appendQueueBytesMax
          ? new GmqError("resource_exhausted", "too many bytes wait to be appended", {
              field: "append",
              limit: `${limits.appendQueueBytesMax} bytes`,
            })
          : undefined;
      if (refused !== undefined) {
        return Promise.resolve(
          appends.map(({ batches }) => batches.map(() => ({ ok: false as const, error: refused }))),
        );
      }
      waitingBytes += bytes;
      scheduled ??= setImmediate(commitTurn);
      return new Promise((resolve) => waiting.push({ appends, bytes, resolve }));
    },
    keepProducers(partitionId, below) {
      const kept = database.statement("select up_to_offset from producers where partition_id = ?").get(partitionId);
      if (kept !== undefined && (kept["up_to_offset"] as bigint) >= below) return;
      // Turns are placed and committed in one go: between them the table is that of the log's end.
      writeSnapshot(partitionId, tableOf(partitionId), topics.endOffset(partitionId));
    },
    forget(partitionIds) {
      for (const id of partitionIds) tables.delete(id);
    },
    close() {
      closed = true;
      if (scheduled === undefined) return;
      clearImmediate(scheduled);
      commitTurn();
    },
  };
}

function placeBatch(turn: PartitionTurn, batch: LogBatch, appendTimeMs: number): AppendOutcome {
  const unsound = checkBatch(batch);
  if (unsound !== undefined) return { ok: false, error: unsound };
  const { recordCount, producerId, producerEpoch, dedupeId } = batch;
  const identity: BatchIdentity = {
    recordCount,
    producerId,
    producerEpoch,
    firstSequence: Number(batch.firstSequence),
    dedupeId,
  };
  const verdict = turn.table.judge(identity);
  if (verdict.kind === "refuse") return { ok: false, error: verdict.error };
  if (verdict.kind === "duplicate")
    return { ok: true, firstOffset: verdict.firstOffset, duplicate: true, appendTimeMs: verdict.appendTimeMs };
  const firstOffset = turn.nextOffset;
  if (firstOffset + BigInt(recordCount) > baseOffsetMax) {
    return {
      ok: false,
      error: new GmqError("resource_exhausted", "the partition has no offsets left", {
        field: "partition",
        limit: `${baseOffsetMax} records`,
      }),
    };
  }
  const entry = growingEntry(turn, batch.records.length, recordCount);
  const { codec, crc32, uncompressedBytes, records } = batch;
  entry.metas.push({ ...identity, codec, crc32, uncompressedBytes, bodyBytes: records.length, timestampMs: 0 });
  entry.bodies.push(records);
  entry.records += recordCount;
  entry.bytes += records.length;
  turn.nextOffset += BigInt(recordCount);
  turn.table.note(identity, firstOffset, appendTimeMs);
  return { ok: true, firstOffset, duplicate: false, appendTimeMs };
}

/** The turn's last entry when the batch still fits, else a new one. */
function growingEntry(turn: PartitionTurn, bytes: number, records: number): GrowingEntry {
  const last = turn.entries.at(-1);
  if (
    last !== undefined &&
    last.bytes + bytes <= limits.entryBytesMax &&
    last.records + records <= limits.entryRecordsMax &&
    last.metas.length < limits.entryBatchesMax
  )
    return last;
  const entry: GrowingEntry = { baseOffset: turn.nextOffset, metas: [], bodies: [], records: 0, bytes: 0 };
  turn.entries.push(entry);
  return entry;
}

function loadTable(database: Database, reads: EmbeddedReads, partitionId: number): KnownLog {
  const stored = database
    .statement("select up_to_offset, snapshot from producers where partition_id = ?")
    .get(partitionId);
  const table = createProducerTable(stored === undefined ? undefined : (stored["snapshot"] as Uint8Array));
  const from = stored === undefined ? 0n : (stored["up_to_offset"] as bigint);
  let entriesSinceSnapshot = 0;
  const rows = database
    .statement("select place, meta from entries where place between ? and ? order by place")
    .iterate(placeOf(partitionId, from), placeOf(partitionId, baseOffsetMax));
  for (const row of rows) {
    const { appendTimeMs, batches } = decodeEntryMeta(row["meta"] as Uint8Array);
    table.noteEntry(baseOffsetOf(row["place"] as bigint), appendTimeMs, batches);
    entriesSinceSnapshot++;
  }
  const last = reads.headBefore(partitionId, baseOffsetMax);
  return { table, entriesSinceSnapshot, logBytes: last === undefined ? 0 : last.logBytes + last.bodyBytes };
}
