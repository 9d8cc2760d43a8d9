import { silentLogger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type { LogEntry, SettleOutcome } from "@gmq/storage";
import { expect, test } from "vitest";
import { createCredit } from "../credit.js";
import { createSharedPartition } from "./shared-partition.js";

const entry: LogEntry = { baseOffset: 0n, recordCount: 1, meta: new Uint8Array(), body: new Uint8Array(1) };
const away: SettleOutcome = { ok: false, error: new GmqError("store_unavailable", "the store is away") };
const retry = { firstOffset: 0n, lastOffset: 0n, verb: "retry" as const, delayMs: 0 };
const ack = { firstOffset: 0n, lastOffset: 0n, verb: "ack" as const };

test("what was put off while the store was away is the next consumer's alone", async () => {
  const answers = [away];
  const shared = createSharedPartition(
    {
      logger: silentLogger,
      ownership: { topic: "t", partition: 0, group: "g", memberId: "desk", epoch: 1, shared: true },
      fetch: async () => ({ ok: true, entries: [entry], position: 1n, endOffset: 1n }),
      settle: async () => answers.shift() ?? { ok: true, refusals: [] },
      log: { read: async () => ({ entries: [entry], startOffset: 0n, endOffset: 1n }) },
      lost: () => undefined,
    },
    { position: 0n, endOffset: 1n, pending: [] },
  );
  const given: string[] = [];
  const join = (name: string) => {
    const credit = createCredit();
    credit.grant(1, 1_000);
    return shared.join({ memberId: name, credit, deliver: () => void given.push(name), writable: () => true });
  };
  const first = join("first");
  first.pump();
  await expect.poll(() => given).toEqual(["first"]);
  const second = join("second");
  // It is not known whether the attempt was counted.
  expect(await first.settle([retry])).toMatchObject([{ error: { code: "store_unavailable" } }]);
  await expect.poll(() => given).toEqual(["first", "second"]);
  expect(await second.settle([ack])).toEqual([]);
  expect([first.heldRecords, second.heldRecords]).toEqual([0, 0]);
  shared.stop();
});
