/**
 * Deliver and settle, last stage on the embedded engine: claim, fetch and settle check the owner's epoch and change the pending list in one transaction each.
 * Called by `groups.claim`, `groups.fetch` and `groups.settle`.
 */
import { GmqError } from "@gmq/protocol";
import type { BuriedEntry, OwedRecord, Rejection } from "../dead-letters/owed-copies.js";
import type {
  ClaimPage,
  ClaimResult,
  DeskPeers,
  FetchOutcome,
  LogEntry,
  Ownership,
  PartitionFetch,
  PartitionSettle,
  SettleOutcome,
  SettleRange,
  SettleRefusal,
} from "../engine.js";
import { checkRange } from "../log/check-range.js";
import {
  buryRecords,
  type EntryChange,
  freshStates,
  rejectedState,
  settleEntry,
  unsettledState,
} from "../log/entry-states.js";
import { pageItemsMax } from "../pages-of.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";
import { createEmbeddedDesks } from "./embedded-desks.js";
import type { EmbeddedReads } from "./embedded-reads.js";
import type { EmbeddedTopics } from "./embedded-topics.js";
import { countRelease, countTakeOver, heldPage, holdAnew, pendingOf } from "./pending-entries.js";

export interface EmbeddedOwnership {
  claim(ownership: Ownership, peers?: DeskPeers, page?: ClaimPage): ClaimResult;
  fetch(fetches: readonly PartitionFetch[]): FetchOutcome[];
  settle(settles: readonly PartitionSettle[]): SettleOutcome[];
  rejections(ownership: Ownership, records: readonly OwedRecord[]): (Rejection | undefined)[];
  bury(ownership: Ownership, entries: readonly BuriedEntry[]): void;
}

/** Entries read in one fetch at most, whatever the byte budget. */
const fetchEntriesMax = 1_024;

/** Makes the owner-checked operations over a database. */
export function createEmbeddedOwnership(
  database: Database,
  topics: EmbeddedTopics,
  reads: EmbeddedReads,
  clock: Clock,
): EmbeddedOwnership {
  const desks = createEmbeddedDesks(database, clock);

  interface Held {
    readonly partitionId: number;
    readonly epoch: number;
    readonly memberId: string;
    readonly position: bigint;
  }

  function held({ topic, partition, group }: Ownership): Held {
    const partitionId = topics.partitionId(topic, partition);
    const row = database
      .statement("select epoch, member_id, position from ownerships where partition_id = ? and group_name = ?")
      .get(partitionId, group);
    if (row === undefined)
      throw new GmqError("fenced", `the group ${group} does not consume ${topic}/${partition}`, { field: "epoch" });
    return {
      partitionId,
      epoch: Number(row["epoch"]),
      memberId: String(row["member_id"]),
      position: row["position"] as bigint,
    };
  }

  function owned(ownership: Ownership): Held {
    const current = held(ownership);
    const isOwner =
      ownership.shared === true
        ? desks.isRegistered(current.partitionId, ownership)
        : current.epoch === ownership.epoch && current.memberId === ownership.memberId;
    if (isOwner) return current;
    throw new GmqError(
      "fenced",
      `epoch ${ownership.epoch} of ${ownership.topic}/${ownership.partition} was replaced by ${current.epoch}`,
      { field: "epoch" },
    );
  }

  function claim(ownership: Ownership, peers: DeskPeers | undefined, page: ClaimPage): ClaimResult {
    if (page.from !== undefined) return claimed(owned(ownership), ownership, page);
    const current = held(ownership);
    if (ownership.shared === true) return claimShared(current, ownership, peers, page);
    const same = current.epoch === ownership.epoch && current.memberId === ownership.memberId;
    if (current.epoch >= ownership.epoch && !same) {
      throw new GmqError("fenced", `epoch ${ownership.epoch} is not above ${current.epoch}`, { field: "epoch" });
    }
    const hadDesks = desks.dissolve(current.partitionId, ownership.group);
    if ((current.memberId !== "" || hadDesks) && current.epoch !== ownership.epoch)
      countTakeOver(database, current.partitionId, ownership.group);
    if (!same) holdAnew(database, clock, current.partitionId, ownership.group);
    own(current, ownership.epoch, ownership);
    return claimed(current, ownership, page);
  }

  /** Beside desks there is no owner: what the last one left is with nobody, and taken over. */
  function claimShared(
    current: Held,
    ownership: Ownership,
    peers: DeskPeers | undefined,
    page: ClaimPage,
  ): ClaimResult {
    desks.register(current.partitionId, ownership, current.epoch, peers);
    if (current.memberId !== "") {
      if (peers !== undefined) countTakeOver(database, current.partitionId, ownership.group, ownership.memberId);
      own(current, current.epoch, { group: ownership.group, memberId: "" });
    }
    return claimed(current, ownership, page);
  }

  function own({ partitionId }: Held, epoch: number, { group, memberId }: { group: string; memberId: string }): void {
    database
      .statement("update ownerships set epoch = ?, member_id = ? where partition_id = ? and group_name = ?")
      .run(epoch, memberId, partitionId, group);
  }

  function claimed(
    { partitionId, position }: Held,
    { group, memberId, shared }: Ownership,
    page: ClaimPage,
  ): ClaimResult {
    const desk = shared === true ? memberId : undefined;
    const itemsMax = pageItemsMax(page.itemsMax);
    const { pending, next } = heldPage(database, clock, { partitionId, group, desk, from: page.from ?? 0n, itemsMax });
    const found = { position, endOffset: topics.endOffset(partitionId), pending: pending.map(pendingOf) };
    return next === undefined ? found : { ...found, next };
  }

  function fetchOne({ ownership, position, bytesMax, recordsMax }: PartitionFetch): FetchOutcome {
    const { partitionId, position: delivered } = owned(ownership);
    const entries = reads.entriesFrom(partitionId, position, { entriesMax: fetchEntriesMax, recordsMax, bytesMax });
    const next = register(partitionId, ownership, entries, delivered) ?? position;
    const endOffset = topics.endOffset(partitionId);
    if (ownership.shared !== true) return { ok: true, entries, position: next, endOffset };
    // What another desk took meanwhile is not this one's.
    const fresh = entries.filter(({ baseOffset }) => baseOffset >= delivered);
    return { ok: true, entries: fresh, position: delivered > next ? delivered : next, endOffset };
  }

  /** Notes what is handed out; returns the position after it. What was handed out before, and may be settled, stays as it is. */
  function register(
    partitionId: number,
    { group, memberId, shared }: Ownership,
    entries: readonly LogEntry[],
    delivered: bigint,
  ): bigint | undefined {
    const last = entries.at(-1);
    if (last === undefined) return undefined;
    const insert = database.statement(
      "insert into pending (partition_id, group_name, base_offset, record_count, states, desk, held_since_ms) values (?, ?, ?, ?, '', ?, ?)",
    );
    const nowMs = clock.nowMs();
    let records = 0;
    for (const { baseOffset, recordCount } of entries) {
      if (baseOffset < delivered) continue;
      insert.run(partitionId, group, baseOffset, recordCount, shared === true ? memberId : "", nowMs);
      records += recordCount;
    }
    const position = last.baseOffset + BigInt(last.recordCount);
    database
      .statement(
        "update ownerships set position = max(position, ?), unsettled = unsettled + ? where partition_id = ? and group_name = ?",
      )
      .run(position, records, partitionId, group);
    return position;
  }

  function settleOne({ ownership, entries }: PartitionSettle): SettleOutcome {
    const { partitionId, position } = owned(ownership);
    const { group } = ownership;
    const refusals: SettleRefusal[] = [];
    let settled = 0;
    const desk = ownership.shared === true ? ownership.memberId : "";
    for (const entry of entries) {
      const states = statesOf(partitionId, group, entry.baseOffset);
      if (states !== undefined && deskOf(partitionId, group, entry.baseOffset) !== desk) {
        refusals.push(...entry.ranges.map((range) => refuseGone(range, false) as SettleRefusal));
        continue;
      }
      if (states === undefined) {
        const isDelivered = entry.baseOffset < position;
        refusals.push(...entry.ranges.flatMap((range) => refuseGone(range, isDelivered) ?? []));
        continue;
      }
      const change = settleEntry(states, { ...entry, recordCount: states.length });
      refusals.push(...change.refusals);
      settled += change.newlySettled;
      keep(partitionId, group, entry.baseOffset, change);
    }
    countSettled(partitionId, group, settled);
    return { ok: true, refusals };
  }

  function statesOf(partitionId: number, group: string, baseOffset: bigint): string | undefined {
    const row = database
      .statement(
        "select record_count, states from pending where partition_id = ? and group_name = ? and base_offset = ?",
      )
      .get(partitionId, group, baseOffset);
    if (row === undefined) return undefined;
    const states = String(row["states"]);
    return states === "" ? freshStates(Number(row["record_count"])) : states;
  }

  function deskOf(partitionId: number, group: string, baseOffset: bigint): unknown {
    return database
      .statement("select desk from pending where partition_id = ? and group_name = ? and base_offset = ?")
      .get(partitionId, group, baseOffset)?.["desk"];
  }

  function countSettled(partitionId: number, group: string, settled: number): void {
    if (settled === 0) return;
    database
      .statement("update ownerships set unsettled = unsettled - ? where partition_id = ? and group_name = ?")
      .run(settled, partitionId, group);
  }

  function keep(partitionId: number, group: string, baseOffset: bigint, change: EntryChange): void {
    const where = "where partition_id = ? and group_name = ? and base_offset = ?";
    const nowMs = clock.nowMs();
    // First: a rejection of the same call counts the tries that failed before it. What a later range settled forgets them again below.
    const retry = database.statement(
      "insert into retries (partition_id, group_name, base_offset, record_index, attempts, due_ms) values (?, ?, ?, ?, 1, ?) on conflict do update set attempts = attempts + 1, due_ms = excluded.due_ms",
    );
    for (const { from, to, dueInMs } of change.retried) {
      for (let index = from; index < to; index++)
        retry.run(partitionId, group, baseOffset, index, dueInMs === undefined ? 0 : nowMs + dueInMs);
    }
    // Before the attempts are forgotten: a rejection keeps their number.
    const reject = database.statement(
      `insert into rejections (partition_id, group_name, base_offset, record_index, attempts, at_ms, reason, error_text)
       values (?, ?, ?, ?, 1 + coalesce((select attempts from retries ${where} and record_index = ?), 0), ?, ?, ?)`,
    );
    for (const { index, range } of change.rejected) {
      const { reason = "", errorText = "" } = range;
      reject.run(
        partitionId,
        group,
        baseOffset,
        index,
        partitionId,
        group,
        baseOffset,
        index,
        nowMs,
        reason,
        errorText,
      );
    }
    if (change.complete) {
      for (const table of ["pending", "retries", "rejections", "hand_backs"])
        database.statement(`delete from ${table} ${where}`).run(partitionId, group, baseOffset);
      return;
    }
    if (change.changed) {
      database.statement(`update pending set states = ? ${where}`).run(change.states, partitionId, group, baseOffset);
      dropSettled("retries", unsettledState);
      dropSettled("rejections", rejectedState);
    }
    for (const index of change.released)
      if (change.states[index] === unsettledState) countRelease(database, partitionId, group, baseOffset, index);

    /** Drops what a table keeps of records that are not in this state any more. */
    function dropSettled(table: "retries" | "rejections", state: string): void {
      const drop = database.statement(`delete from ${table} ${where} and record_index = ?`);
      for (const row of database
        .statement(`select record_index from ${table} ${where}`)
        .all(partitionId, group, baseOffset)) {
        const index = Number(row["record_index"]);
        if (change.states[index] !== state) drop.run(partitionId, group, baseOffset, index);
      }
    }
  }

  function rejections(ownership: Ownership, records: readonly OwedRecord[]): (Rejection | undefined)[] {
    const partitionId = topics.partitionId(ownership.topic, ownership.partition);
    const find = database.statement(
      "select attempts, at_ms, reason, error_text from rejections where partition_id = ? and group_name = ? and base_offset = ? and record_index = ?",
    );
    return records.map(({ baseOffset, index }) => {
      const row = find.get(partitionId, ownership.group, baseOffset, index);
      if (row === undefined) return undefined;
      return {
        attempts: Number(row["attempts"]),
        atMs: Number(row["at_ms"]),
        reason: String(row["reason"]),
        errorText: String(row["error_text"]),
      };
    });
  }

  function bury(ownership: Ownership, entries: readonly BuriedEntry[]): void {
    const { partitionId } = owned(ownership);
    let settled = 0;
    for (const { baseOffset, indexes } of entries) {
      const states = statesOf(partitionId, ownership.group, baseOffset);
      if (states === undefined) continue;
      const change = buryRecords(states, indexes);
      settled += change.newlySettled;
      keep(partitionId, ownership.group, baseOffset, change);
    }
    countSettled(partitionId, ownership.group, settled);
  }

  /** One commit for all items. A typed refusal is found before the item writes anything, so it does not touch the others. */
  function each<Item, Outcome extends { readonly ok: boolean }>(
    items: readonly Item[],
    work: (item: Item) => Outcome,
  ): (Outcome | { ok: false; error: GmqError })[] {
    try {
      return database.transaction(() =>
        items.map((item) => {
          try {
            return work(item);
          } catch (error) {
            if (!GmqError.is(error)) throw error;
            return { ok: false as const, error };
          }
        }),
      );
    } catch (cause) {
      const error = GmqError.from(cause);
      return items.map(() => ({ ok: false as const, error }));
    }
  }

  return {
    claim: (ownership, peers, page = {}) => database.transaction(() => claim(ownership, peers, page)),
    fetch: (fetches) => each(fetches, fetchOne),
    settle: (settles) => each(settles, settleOne),
    rejections,
    bury: (ownership, entries) => database.transaction(() => bury(ownership, entries)),
  };
}

/** The refusal of a range of an entry that is not pending; undefined when it was settled before, which is no error. */
function refuseGone(range: SettleRange, isDelivered: boolean): SettleRefusal | undefined {
  const { firstOffset, lastOffset, verb } = range;
  const where = `offsets ${firstOffset} to ${lastOffset}`;
  const field = "settle.ranges";
  const senseless = checkRange(range);
  if (senseless !== undefined) return { firstOffset, lastOffset, error: senseless };
  if (!isDelivered) {
    const error = new GmqError("not_delivered", `${where} were not delivered to this owner`, { field });
    return { firstOffset, lastOffset, error };
  }
  if (verb !== "retry") return undefined;
  const error = new GmqError("already_settled", `a settled record cannot be retried: ${where}`, { field });
  return { firstOffset, lastOffset, error };
}
