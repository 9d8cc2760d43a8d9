/** Real brokers on real ports in this process, over one engine in memory. They can be drained, killed and started again. */
import { type Broker, type BrokerLimits, createBroker } from "@gmq/broker";
import { silentLogger } from "@gmq/log";
import { decodeEntryMeta, decodeRecords, decompressBatch } from "@gmq/protocol";
import { type Listener, listen } from "@gmq/service";
import type { AppendOutcome, Engine, PartitionAppend } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";

/** A broker of a test. */
export interface TestBroker {
  readonly url: string;
  /** The running broker, or the last one. */
  readonly broker: Broker;
  /** As SIGTERM does: drains, then lets go of everything. Returns how long the drain took. */
  drain(deadlineMs?: number): Promise<number>;
  /** As kill -9 does, as far as clients can tell: every connection breaks at once. */
  kill(): Promise<void>;
  /** Starts it again on its port. */
  restart(): Promise<void>;
}

/** What a test looks at and interferes with. */
export interface TestDeployment {
  readonly engine: Engine;
  readonly brokers: readonly TestBroker[];
  readonly urls: readonly string[];
  /** Holds back the answers of appends that are done, until the returned function is called. */
  holdAnswers(): () => void;
  /** Batches that were handed to the store so far. */
  readonly appendedBatches: readonly PartitionAppend["batches"][number][];
  /** All records of a partition, straight from the log. */
  stored(topic: string, partition?: number): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startDeployment(count = 1, limits: Partial<BrokerLimits> = {}): Promise<TestDeployment> {
  const engine = await createEmbeddedEngine({ memory: true });
  const appendedBatches: PartitionAppend["batches"][number][] = [];
  let held: Promise<void> | undefined;

  const watched: Engine = {
    ...engine,
    log: {
      ...engine.log,
      async append(appends): Promise<AppendOutcome[][]> {
        for (const { batches } of appends) appendedBatches.push(...batches);
        const outcomes = await engine.log.append(appends);
        await held;
        return outcomes;
      },
    },
  };
  const brokers = await Promise.all(Array.from({ length: count }, () => startTestBroker(watched, limits)));

  return {
    engine,
    brokers,
    urls: brokers.map(({ url }) => url),
    appendedBatches,
    holdAnswers() {
      const gate = Promise.withResolvers<void>();
      held = gate.promise;
      return () => {
        held = undefined;
        gate.resolve();
      };
    },
    async stored(topic, partition = 0) {
      const texts: string[] = [];
      for (let offset = 0n; ; ) {
        const { entries, endOffset } = await engine.log.read({
          topic,
          partition,
          from: { offset },
          entriesMax: 1_000,
          bytesMax: 1 << 24,
        });
        for (const { meta, body } of entries) {
          let position = 0;
          for (const { bodyBytes, codec, uncompressedBytes } of decodeEntryMeta(meta).batches) {
            const bytes = body.subarray(position, position + bodyBytes);
            position += bodyBytes;
            const records = decodeRecords(await decompressBatch(codec, bytes, uncompressedBytes));
            texts.push(...records.map(({ value }) => new TextDecoder().decode(value)));
          }
        }
        const last = entries.at(-1);
        if (last === undefined || last.baseOffset + BigInt(last.recordCount) >= endOffset) return texts;
        offset = last.baseOffset + BigInt(last.recordCount);
      }
    },
    async stop() {
      for (const broker of brokers) await broker.kill();
      await engine.close();
    },
  };
}

async function startTestBroker(engine: Engine, limits: Partial<BrokerLimits>): Promise<TestBroker> {
  async function start(port: number): Promise<{ broker: Broker; listener: Listener }> {
    const broker = createBroker({
      engine,
      defaultPartitions: 4,
      heartbeatIntervalMs: 1_000,
      revokeTimeoutMs: 20_000,
      limits,
    });
    const { routes, frameHandlers } = broker;
    const listener = await listen({ host: "127.0.0.1", port, routes, frameHandlers, logger: silentLogger });
    return { broker, listener };
  }
  let current: Awaited<ReturnType<typeof start>> | undefined = await start(0);
  let last = current;
  const { port, url } = current.listener;

  return {
    url,
    get broker() {
      return last.broker;
    },
    async drain(deadlineMs = 60_000) {
      if (current === undefined) return 0;
      const { broker, listener } = current;
      current = undefined;
      const startedMs = performance.now();
      await broker.drain(deadlineMs);
      const tookMs = performance.now() - startedMs;
      await broker.close();
      await listener.close({ drainMs: 1_000 });
      return tookMs;
    },
    async kill() {
      if (current === undefined) return;
      const { broker, listener } = current;
      current = undefined;
      // Connections first: nothing that the broker still wants to say gets through.
      const closed = listener.close({ drainMs: 0 });
      await broker.close();
      await closed;
    },
    async restart() {
      current = await start(port);
      last = current;
    },
  };
}
