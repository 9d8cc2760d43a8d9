/** Both engines behind the same opener, each test with a store of its own. */
import { randomUUID } from "node:crypto";
import { present } from "../src/conformance/assertions.js";
import { batchOf, valuesOf } from "../src/conformance/batches.js";
import { memberOf } from "../src/conformance/consumer.js";
import { createEmbeddedEngine } from "../src/embedded/embedded-engine.js";
import type { AppendOutcome, Engine, LogBatch, Ownership, PendingEntry } from "../src/engine.js";
import { createRedisEngine } from "../src/redis/redis-engine.js";
import { dropKeys, openTestRedis } from "./redis-server.js";

export interface EngineSettings {
  readonly retentionIntervalMs?: number;
  readonly storeBytesMax?: number;
}

/** Opens engines over one kind of store. */
export interface EngineKind {
  readonly name: string;
  start(): Promise<void>;
  open(settings?: EngineSettings): Promise<Engine>;
  /** Closes the engines that were opened. */
  close(): Promise<void>;
  stop(): Promise<void>;
}

/** Redis, and the embedded engine in memory. */
export function engineKinds(): EngineKind[] {
  const engines: Engine[] = [];
  let server: Awaited<ReturnType<typeof openTestRedis>> | undefined;
  const prefixes: string[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
  };
  const keep = (engine: Engine): Engine => {
    engines.push(engine);
    return engine;
  };
  return [
    {
      name: "redis",
      async start() {
        server = await openTestRedis();
      },
      async open(settings = {}) {
        const prefix = `t-${randomUUID().slice(0, 8)}`;
        prefixes.push(prefix);
        return keep(await createRedisEngine({ url: server?.url ?? "", prefix, ...settings }));
      },
      close,
      async stop() {
        if (server === undefined) return;
        for (const prefix of prefixes) await dropKeys(server.url, prefix);
        await server.stop();
      },
    },
    {
      name: "embedded",
      start: async () => undefined,
      open: async (settings = {}) => keep(await createEmbeddedEngine({ memory: true, ...settings })),
      close,
      stop: async () => undefined,
    },
  ];
}

/** Appends these values as one batch to partition 0; the outcome, refusal or not. */
export async function append(
  engine: Engine,
  topic: string,
  values: readonly string[],
  identity: Partial<LogBatch> = {},
): Promise<AppendOutcome> {
  const [outcomes] = await engine.log.append([{ topic, partition: 0, batches: [batchOf(values, identity)] }]);
  return present(outcomes?.[0], "outcome");
}

/** Every record of partition 0, in order, as often as the log has it. */
export async function recordsIn(
  engine: Engine,
  topic: string,
): Promise<{ readonly offset: bigint; readonly value: string }[]> {
  const found: { readonly offset: bigint; readonly value: string }[] = [];
  for (let next = 0n; ; ) {
    const request = { topic, partition: 0, from: { offset: next }, entriesMax: 1_000, bytesMax: 1 << 21 };
    const { entries, endOffset } = await engine.log.read(request);
    for (const entry of entries) {
      valuesOf(entry).forEach((value, index) => found.push({ offset: entry.baseOffset + BigInt(index), value }));
      next = entry.baseOffset + BigInt(entry.recordCount);
    }
    if (entries.length === 0 || next >= endOffset) return found;
  }
}

/** Appends batches, each as an entry of its own, and returns their first offsets. @throws the refusal */
export async function appendEach(engine: Engine, topic: string, batches: readonly LogBatch[]): Promise<bigint[]> {
  const firsts: bigint[] = [];
  for (const batch of batches) {
    const [[outcome] = []] = await engine.log.append([{ topic, partition: 0, batches: [batch] }]);
    if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
    firsts.push(outcome.firstOffset);
  }
  return firsts;
}

/** Joins a group over a topic as its only member and claims partition 0. */
export async function ownPartition(
  engine: Engine,
  group: string,
  topic: string,
): Promise<{ readonly ownership: Ownership; readonly position: bigint; readonly pending: readonly PendingEntry[] }> {
  const memberId = `${group}-m`;
  const view = await engine.groups.join(
    memberOf(group, [topic], { memberId, incarnation: `${memberId}-1` }),
    "earliest",
  );
  const epoch = view.partitions.find(({ partition }) => partition === 0)?.epoch ?? 0;
  const ownership = { group, topic, partition: 0, memberId, epoch };
  return { ownership, ...(await engine.groups.claim(ownership)) };
}

/** Fetches on from a position, as much as there is up to a number of records. */
export async function fetchFrom(engine: Engine, ownership: Ownership, position: bigint, recordsMax = 10_000) {
  const [outcome] = await engine.groups.fetch([{ ownership, position, bytesMax: 8_000_000, recordsMax }]);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  return outcome;
}

/** Acks records first to last of one entry. */
export async function ack(
  engine: Engine,
  ownership: Ownership,
  entry: { readonly baseOffset: bigint; readonly recordCount: number },
  records = entry.recordCount,
): Promise<void> {
  const { baseOffset, recordCount } = entry;
  const range = { firstOffset: baseOffset, lastOffset: baseOffset + BigInt(records - 1), verb: "ack" as const };
  const [outcome] = await engine.groups.settle([
    { ownership, entries: [{ baseOffset, recordCount, ranges: [range] }] },
  ]);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
}
