import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type {
  AppendOutcome,
  Engine,
  GroupMemberSpec,
  GroupPartitionOffsets,
  LogBatch,
  ReadRequest,
  ReadResult,
  StartPosition,
} from "../engine.js";
import { accepted, present } from "./assertions.js";
import { batchOf, valuesOf } from "./batches.js";
import { type Consumer, memberOf, startConsumer } from "./consumer.js";
import { eventually } from "./eventually.js";
import type { ConformanceStore, ConformanceTarget } from "./target.js";

/** What a case works with: one engine, shared by all cases, and short ways to what they all need. */
export interface ConformanceContext {
  readonly engine: Engine;
  /** A name that no other case has. */
  unique(word: string): string;
  /** Makes a topic. */
  topic(partitions?: number): Promise<string>;
  /** Appends one batch to partition 0 and gives the outcome. */
  append(topic: string, values: readonly string[], identity?: Partial<LogBatch>): Promise<AppendOutcome>;
  /** Appends each list as a batch and an entry of its own; the first offsets. */
  store(topic: string, batches: readonly (readonly string[])[]): Promise<bigint[]>;
  /** Reads partition 0; the bounds let everything through unless told. */
  read(topic: string, request?: Partial<ReadRequest>): Promise<ReadResult>;
  /** Every value of partition 0, in order; fails when offsets overlap or fall. */
  values(topic: string): Promise<string[]>;
  /** Joins a group as its only member and claims partition 0. Default: a new group, from the earliest record. */
  consume(topic: string, member?: Partial<GroupMemberSpec>, start?: StartPosition): Promise<Consumer>;
  /** Progress of a group in partition 0 of a topic. */
  progress(group: string, topic: string): Promise<GroupPartitionOffsets>;
  /** A store of the case's own, disposed of with the context. */
  ownStore(): Promise<ConformanceStore>;
  /** Opens an engine over a store, ready to be used. */
  openReady(store: ConformanceStore): Promise<Engine>;
  dispose(): Promise<void>;
}

/** Makes a store, opens an engine over it and waits until it is ready. */
export async function createContext(target: ConformanceTarget): Promise<ConformanceContext> {
  const stores: ConformanceStore[] = [];
  const engines: Engine[] = [];

  async function ownStore(): Promise<ConformanceStore> {
    const store = await target.makeStore();
    stores.push(store);
    return store;
  }

  async function openReady(store: ConformanceStore): Promise<Engine> {
    const engine = await store.open();
    engines.push(engine);
    await eventually(async () => {
      const { ready, reason } = await engine.status();
      assert.ok(ready, reason);
    });
    return engine;
  }

  async function dispose(): Promise<void> {
    for (const engine of engines.splice(0)) await engine.close();
    for (const store of stores.splice(0)) await store.dispose();
  }

  try {
    return { ...waysInto(await openReady(await ownStore())), ownStore, openReady, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The short ways, over any engine. */
export function waysInto(engine: Engine): Omit<ConformanceContext, "ownStore" | "openReady" | "dispose"> {
  const unique = (word: string): string => `${word}-${randomUUID().slice(0, 13)}`;

  async function append(topic: string, values: readonly string[], identity?: Partial<LogBatch>) {
    const [outcomes] = await engine.log.append([{ topic, partition: 0, batches: [batchOf(values, identity)] }]);
    return present(outcomes?.[0], "outcome");
  }

  function read(topic: string, request: Partial<ReadRequest> = {}): Promise<ReadResult> {
    const whole = { partition: 0, from: "earliest" as const, entriesMax: 1_000, bytesMax: 2 * 1024 * 1024 };
    return engine.log.read({ topic, ...whole, ...request });
  }

  return {
    engine,
    unique,
    async topic(partitions = 1) {
      const name = unique("topic");
      await engine.topics.create(name, { partitions });
      return name;
    },
    append,
    async store(topic, batches) {
      const offsets: bigint[] = [];
      for (const values of batches) offsets.push(accepted(await append(topic, values)).firstOffset);
      return offsets;
    },
    read,
    async values(topic) {
      const found: string[] = [];
      let next = 0n;
      for (;;) {
        const { entries, endOffset } = await read(topic, { from: { offset: next } });
        for (const entry of entries) {
          assert.ok(entry.baseOffset >= next, `entry ${entry.baseOffset} begins before ${next}`);
          found.push(...valuesOf(entry));
          next = entry.baseOffset + BigInt(entry.recordCount);
        }
        if (entries.length === 0 || next >= endOffset) return found;
      }
    },
    consume: (topic, member = {}, start = "earliest") =>
      startConsumer(engine, memberOf(unique("group"), [topic], member), start),
    async progress(group, topic) {
      const offsets = await engine.groups.offsets(group);
      return present(
        offsets.find((place) => place.topic === topic && place.partition === 0),
        "progress",
      );
    },
  };
}
