/** An owner whose session ran out while it slept, and who settles when it wakes: told to the engine itself, as a broker would. */
import { setTimeout as sleep } from "node:timers/promises";
import { waitUntil } from "@gmq/e2e/harness/wait-until";
import { decodeEntryMeta, decodeRecords, GmqError } from "@gmq/protocol";
import type { Engine, GroupMemberSpec, LogEntry, Ownership } from "@gmq/storage";
import { createRemoteEngine } from "@gmq/storage/remote";
import { nowMs } from "../history/events.ts";
import { type Journal, openJournal } from "../history/journal.ts";
import type { Run } from "../world/run.ts";

/**
 * A member that never renews its session takes every partition and some of its records; when another consumer has taken over, it settles what it holds.
 * Each of these settlements has to be `fenced`.
 */
export async function wakeAsZombie(run: Run, takeOver: () => Promise<unknown>): Promise<void> {
  const engine = createRemoteEngine({ urls: run.world.storagesDirect, brokerId: "zombie" });
  const journal = openJournal(run.folder, "zombie");
  try {
    await waitUntil("the store", async () => (await engine.status()).ready);
    const held = await takeSome(engine, run, journal);
    await sleep(zombieSessionMs);
    await takeOver();
    await waitUntil("another owner of every partition", async () => {
      const view = await engine.groups.get(run.group);
      return view?.partitions.every(({ memberId }) => memberId !== undefined && memberId !== "zombie");
    });
    // The new owner has claimed when it has settled something.
    await waitUntil("the new owner to go on", async () => {
      const progress = await engine.groups.offsets(run.group);
      return progress.every(({ lagRecords }) => lagRecords === 0);
    });
    for (const { ownership, entry } of held) await settle(engine, journal, ownership, entry);
    journal.note({ e: "ended", at: nowMs() });
  } finally {
    await engine.close();
  }
}

interface Held {
  readonly ownership: Ownership;
  readonly entry: LogEntry;
}

const zombieSessionMs = 1_000;

async function takeSome(engine: Engine, { topic, group }: Run, journal: Journal): Promise<Held[]> {
  const member: GroupMemberSpec = {
    group,
    memberId: "zombie",
    incarnation: "zombie-1",
    clientId: "zombie",
    clientVersion: "",
    brokerId: "zombie",
    topics: [topic],
    sessionTimeoutMs: zombieSessionMs,
    staticMember: false,
  };
  const { partitions } = await engine.groups.join(member, "earliest");
  const held: Held[] = [];
  for (const { partition, epoch } of partitions) {
    const ownership: Ownership = { group, topic, partition, memberId: "zombie", epoch };
    const { position } = await engine.groups.claim(ownership);
    journal.note({ e: "assigned", at: nowMs(), topic, partition, epoch });
    const [outcome] = await engine.groups.fetch([{ ownership, position, bytesMax: 65_536, recordsMax: 1_000 }]);
    if (outcome?.ok !== true) throw outcome?.error ?? new Error("a fetch without an answer");
    for (const entry of outcome.entries) {
      held.push({ ownership, entry });
      for (const { id, key, offset } of recordsOf(entry)) {
        journal.note({ e: "delivered", at: nowMs(), id, key, epoch, attempt: 1, topic, partition, offset });
        journal.note({ e: "handled", at: nowMs(), topic, partition, offset });
      }
    }
  }
  return held;
}

async function settle(engine: Engine, journal: Journal, ownership: Ownership, entry: LogEntry): Promise<void> {
  const { topic, partition } = ownership;
  const { baseOffset, recordCount } = entry;
  const places = recordsOf(entry).map(({ offset }) => ({ topic, partition, offset }));
  for (const place of places) journal.note({ e: "settle", at: nowMs(), verb: "ack", ...place });
  const ranges = [{ firstOffset: baseOffset, lastOffset: baseOffset + BigInt(recordCount - 1), verb: "ack" as const }];
  const [outcome] = await engine.groups.settle([{ ownership, entries: [{ baseOffset, recordCount, ranges }] }]);
  for (const place of places) {
    if (outcome?.ok === true) journal.note({ e: "settled", at: nowMs(), ...place });
    else journal.note({ e: "unsettled", at: nowMs(), code: GmqError.from(outcome?.error).code, ...place });
  }
}

function recordsOf({ baseOffset, meta, body }: LogEntry): { id: string; key: string; offset: number }[] {
  const text = new TextDecoder();
  let at = 0;
  let offset = Number(baseOffset);
  return decodeEntryMeta(meta).batches.flatMap(({ bodyBytes }) => {
    const records = decodeRecords(body.subarray(at, at + bodyBytes));
    at += bodyBytes;
    return records.map(({ key, value }) => ({
      id: text.decode(value).split(" ", 1)[0] ?? "",
      key: text.decode(key),
      offset: offset++,
    }));
  });
}
