/** A process that dies before or after any step of a reject: what it leaves is finished by the next settle or claim, and no copy is stored twice. */
import { silentLogger } from "@gmq/log";
import { decodeEntry, GmqError } from "@gmq/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { claimWhole } from "../claim-whole.js";
import { batchOf } from "../conformance/batches.js";
import { monotonicClock as clock } from "../embedded/clock.js";
import { openDatabase } from "../embedded/database.js";
import { createEmbeddedAppender } from "../embedded/embedded-appender.js";
import { createEmbeddedOwnership } from "../embedded/embedded-ownership.js";
import { createEmbeddedReads } from "../embedded/embedded-reads.js";
import { createEmbeddedSignals } from "../embedded/embedded-signals.js";
import { createEmbeddedTopics } from "../embedded/embedded-topics.js";
import { pendingEntries } from "../embedded/pending-entries.js";
import type { LogStore, Ownership, SettleOutcome, TopicStore } from "../engine.js";
import { createDeadLetters, type DeadLetters } from "./dead-letters.js";

const records = 3;
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A store of which every call can be made to fail, before or after it took effect. */
function createStore() {
  const database = openDatabase({ memory: true });
  const signals = createEmbeddedSignals();
  const topics = createEmbeddedTopics(database, signals, clock, () => undefined);
  const reads = createEmbeddedReads(database, topics);
  const appender = createEmbeddedAppender(database, topics, reads, signals, clock);
  const ownership = createEmbeddedOwnership(database, topics, reads, clock);
  let calls = 0;
  let dieAt: { readonly call: number; readonly after: boolean } | undefined;
  let failOnce: string | undefined;
  const names: string[] = [];

  /** Once it is dead, a process does nothing more. */
  async function step<Result>(name: string, work: () => Result | Promise<Result>): Promise<Result> {
    calls++;
    names.push(name);
    if (name === failOnce) {
      failOnce = undefined;
      throw new GmqError("store_full", "the store is full");
    }
    if (dieAt !== undefined && (calls > dieAt.call || (calls === dieAt.call && !dieAt.after))) throw died();
    const result = await work();
    if (dieAt !== undefined && calls === dieAt.call) throw died();
    return result;
  }

  const died = (): GmqError => new GmqError("store_unavailable", "the process died");
  const log: Pick<LogStore, "append" | "read"> = {
    append: (appends) => step("append", () => appender.append(appends)),
    read: (request) => step("read", () => reads.read(request)),
  };
  const lookups: Pick<TopicStore, "get" | "create"> = {
    get: (name) => step("topics.get", () => topics.get(name)),
    create: (name, config) => step("topics.create", () => topics.create(name, config)),
  };

  function start(): DeadLetters {
    const deadLetters = createDeadLetters(
      {
        claim: (...asked) => step("claim", () => ownership.claim(...asked)),
        settle: (settles) => step("settle", () => ownership.settle(settles)),
        rejections: (owner, some) => step("rejections", () => ownership.rejections(owner, some)),
        bury: (owner, entries) => step("bury", () => ownership.bury(owner, entries)),
      },
      log,
      lookups,
      silentLogger,
    );
    closers.push(deadLetters.close);
    return deadLetters;
  }

  async function fill(entries: readonly string[][] = [["a", "b", "c"]]): Promise<Ownership> {
    await topics.create("t", { partitions: 1 });
    for (const values of entries) await appender.append([{ topic: "t", partition: 0, batches: [batchOf(values)] }]);
    database
      .statement(
        "insert into ownerships (partition_id, group_name, epoch, member_id, position, unsettled) values (?, 'g', 0, '', 0, 0)",
      )
      .run(topics.partitionId("t", 0));
    const owner: Ownership = { group: "g", topic: "t", partition: 0, memberId: "m", epoch: 1 };
    ownership.claim(owner);
    ownership.fetch([{ ownership: owner, position: 0n, bytesMax: 1_000_000, recordsMax: 100 }]);
    return owner;
  }

  async function copies(): Promise<bigint[]> {
    if ((await topics.get("t.g.dlq")) === undefined) return [];
    const { entries } = reads.read({
      topic: "t.g.dlq",
      partition: 0,
      from: "earliest",
      entriesMax: 100,
      bytesMax: 1_000_000,
    });
    const found: bigint[] = [];
    for (const entry of entries) {
      for await (const { headers } of decodeEntry(entry)) {
        const header = headers.find(({ key }) => key === "gmq-dlq-offset");
        found.push(BigInt(new TextDecoder().decode(header?.value)));
      }
    }
    return found;
  }

  closers.push(() => database.close());
  closers.push(() => appender.close());
  return {
    start,
    fill,
    copies,
    names,
    states: () => pendingEntries(database, clock, topics.partitionId("t", 0), "g").map(({ states }) => states),
    dieAt(call: number, after: boolean) {
      calls = 0;
      dieAt = { call, after };
    },
    failOnce(name: string) {
      failOnce = name;
    },
    live() {
      dieAt = undefined;
    },
  };
}

const rejectAll = (ownership: Ownership) => [
  {
    ownership,
    entries: [
      {
        baseOffset: 0n,
        recordCount: records,
        ranges: [{ firstOffset: 0n, lastOffset: BigInt(records - 1), verb: "reject" as const, reason: "bad" }],
      },
    ],
  },
];

/** Calls of a reject that nothing disturbs. */
const stepsOfReject = ["settle", "rejections", "read", "topics.get", "topics.get", "topics.create", "append", "bury"];

describe("a process that dies while it rejects", () => {
  it("takes the steps that the cases below kill it at", async () => {
    const store = createStore();
    const owner = await store.fill();
    expect(await store.start().settle(rejectAll(owner))).toEqual([{ ok: true, refusals: [] }]);
    expect(store.names).toEqual(stepsOfReject);
    expect(store.states()).toEqual([]);
    expect(await store.copies()).toEqual([0n, 1n, 2n]);
  });

  const cases = stepsOfReject.flatMap((name, at) =>
    [false, true].flatMap((after) =>
      (["settle", "claim"] as const).map((finisher) => ({ name, call: at + 1, after, finisher })),
    ),
  );

  it.each(cases)("at $name ($call), after it took effect: $after; the next $finisher finishes", async (testCase) => {
    const store = createStore();
    const owner = await store.fill();
    store.dieAt(testCase.call, testCase.after);
    const first = store.start();
    const [answer] = (await first
      .settle(rejectAll(owner))
      .catch((error: unknown) => [{ ok: false, error }])) as SettleOutcome[];
    const isMarked = testCase.call > 1 || testCase.after;
    // Never ok before everything is done: only the very last step may have taken effect.
    expect(answer?.ok === true && answer.refusals.length === 0).toBe(false);
    first.close();
    store.live();
    const second = store.start();
    if (testCase.finisher === "settle" || !isMarked) {
      expect(await second.settle(rejectAll(owner))).toEqual([{ ok: true, refusals: [] }]);
    } else {
      const { pending } = await second.claim({ ...owner, memberId: "n", epoch: 2 });
      expect(pending).toEqual([]);
    }
    expect(store.states()).toEqual([]);
    expect(await store.copies()).toEqual([0n, 1n, 2n]);
  });
});

describe("a store that cannot take the copy", () => {
  it("is told of with its error, keeps the record owed and undelivered, and gets it later without being asked", async () => {
    const store = createStore();
    const owner = await store.fill();
    const deadLetters = store.start();
    store.dieAt(stepsOfReject.indexOf("append") + 1, false);
    expect(await deadLetters.settle(rejectAll(owner))).toMatchObject([
      { ok: true, refusals: [{ firstOffset: 0n, lastOffset: 2n, error: { code: "store_unavailable" } }] },
    ]);
    expect(store.states()).toEqual(["xxx"]);
    expect(await store.copies()).toEqual([]);
    store.live();
    await expect.poll(() => store.states(), { timeout: 10_000 }).toEqual([]);
    expect(await store.copies()).toEqual([0n, 1n, 2n]);
  });

  it("gets it from each page of a claim", async () => {
    const store = createStore();
    const owner = await store.fill([["a", "b", "c"], ["d"], ["e"], ["f"]]);
    const deadLetters = store.start();
    const settles = rejectAll(owner);
    for (const baseOffset of [4n, 5n])
      settles[0]?.entries.push({
        baseOffset,
        recordCount: 1,
        ranges: [{ firstOffset: baseOffset, lastOffset: baseOffset, verb: "reject", reason: "bad" }],
      });
    store.dieAt(2, false);
    await deadLetters.settle(settles);
    deadLetters.close();
    expect(store.states()).toEqual(["xxx", "", "x", "x"]);
    store.live();
    const second = store.start();
    const inPages: Pick<DeadLetters, "claim"> = {
      claim: (next, peers, page) => second.claim(next, peers, { ...page, itemsMax: 1 }),
    };
    const { pending } = await claimWhole(inPages, { ...owner, memberId: "n", epoch: 2 });
    expect(pending).toMatchObject([{ baseOffset: 3n, states: "" }]);
    expect(store.states()).toEqual([""]);
    expect(await store.copies()).toEqual([0n, 1n, 2n, 4n, 5n]);
  });

  it("does not keep a new owner from its partition", async () => {
    const store = createStore();
    const owner = await store.fill();
    const deadLetters = store.start();
    store.dieAt(stepsOfReject.indexOf("append") + 1, false);
    await deadLetters.settle(rejectAll(owner));
    deadLetters.close();
    const second = store.start();
    store.live();
    store.failOnce("append");
    expect((await second.claim({ ...owner, memberId: "n", epoch: 2 })).pending).toMatchObject([{ states: "xxx" }]);
    await expect.poll(() => store.states(), { timeout: 10_000 }).toEqual([]);
    expect(await store.copies()).toEqual([0n, 1n, 2n]);
  });
});
