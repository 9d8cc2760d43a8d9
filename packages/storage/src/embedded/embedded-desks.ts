/**
 * Desks on the embedded engine: the readers of a partition in a shared group. Several are registered at once, each under its epoch; every pending entry is with
 * one of them (`pending.desk`). Called by embedded-ownership inside its transactions.
 */
import { GmqError } from "@gmq/protocol";
import type { DeskPeers, Ownership } from "../engine.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";
import { countTakeOver, holdAnew } from "./pending-entries.js";

export interface EmbeddedDesks {
  /** Registers the desk and takes over what is with nobody that is registered; what `peers` shows as gone is registered no more. @throws GmqError `fenced` */
  register(partitionId: number, ownership: Ownership, partitionEpoch: number, peers: DeskPeers | undefined): void;
  isRegistered(partitionId: number, ownership: Ownership): boolean;
  /** An exclusive owner takes over: there are no desks any more. True: there were. */
  dissolve(partitionId: number, group: string): boolean;
}

/** Makes the desks over a database. */
export function createEmbeddedDesks(database: Database, clock: Clock): EmbeddedDesks {
  const inPartition = "where partition_id = ? and group_name = ?";

  function registered(partitionId: number, group: string): Map<string, number> {
    const rows = database.statement(`select member_id, epoch from desks ${inPartition}`).all(partitionId, group);
    return new Map(rows.map((row) => [String(row["member_id"]), Number(row["epoch"])]));
  }

  function takeOver(partitionId: number, group: string, from: string, memberId: string): void {
    if (from !== "") countTakeOver(database, partitionId, group, from);
    holdAnew(database, clock, partitionId, group, from);
    database
      .statement(`update pending set desk = ? ${inPartition} and desk = ?`)
      .run(memberId, partitionId, group, from);
  }

  return {
    register(partitionId, { group, memberId, epoch }, partitionEpoch, peers) {
      const desks = registered(partitionId, group);
      const own = desks.get(memberId);
      const newest = Math.max(partitionEpoch, own ?? 0);
      if (newest > epoch) throw new GmqError("fenced", `epoch ${epoch} was replaced by ${newest}`, { field: "epoch" });
      database
        .statement("insert or replace into desks (partition_id, group_name, member_id, epoch) values (?, ?, ?, ?)")
        .run(partitionId, group, memberId, epoch);
      // The same desk in a new life: what it had comes to it again.
      if (own !== undefined && own !== epoch) takeOver(partitionId, group, memberId, memberId);
      if (peers === undefined) return;
      const living = new Set([...peers.memberIds, memberId]);
      for (const [desk, since] of desks) {
        if (living.has(desk) || since > peers.epoch) continue;
        database.statement(`delete from desks ${inPartition} and member_id = ?`).run(partitionId, group, desk);
        desks.delete(desk);
      }
      const holders = database.statement(`select distinct desk from pending ${inPartition}`).all(partitionId, group);
      for (const holder of holders.map((row) => String(row["desk"])))
        if (holder !== memberId && !desks.has(holder)) takeOver(partitionId, group, holder, memberId);
    },
    isRegistered: (partitionId, { group, memberId, epoch }) => registered(partitionId, group).get(memberId) === epoch,
    dissolve(partitionId, group) {
      if (registered(partitionId, group).size === 0) return false;
      database.statement(`delete from desks ${inPartition}`).run(partitionId, group);
      database.statement(`update pending set desk = '' ${inPartition}`).run(partitionId, group);
      return true;
    },
  };
}
