/** Real brokers on real ports in this process, over one engine in memory. They can be drained, killed and started again. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Broker, type BrokerLimits, createBroker } from "@gmq/broker";
import { silentLogger } from "@gmq/log";
import { decodeEntryMeta, decodeRecords, decompressBatch } from "@gmq/protocol";
import { type Listener, listen } from "@gmq/service";
import type { AppendOutcome, Engine, PartitionAppend } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterEach, beforeEach } from "vitest";
import { connect, type Gmq } from "../../src/index.js";
import { text } from "./records.js";

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
  /** Members of a group; undefined: there is none of that name. */
  members(group: string): Promise<number | undefined>;
  /** Records that a group has not settled, in all its partitions. */
  lag(group: string): Promise<number>;
  stop(): Promise<void>;
}

/** A deployment with a client that comes back quickly. */
export interface ClientDeployment extends TestDeployment {
  readonly gmq: Gmq;
  /** Sends values with one key, or without one to partition 0. */
  publish(topic: string, values: readonly string[], key?: string): Promise<void>;
}

/** Starts a broker and a client before each test of the file and stops them after it. Each test finds its own in the one object. */
export function useDeployment(): ClientDeployment {
  const current = {} as { -readonly [Part in keyof ClientDeployment]: ClientDeployment[Part] };
  beforeEach(async () => {
    const deployment = await startDeployment();
    const gmq = await connectTo(deployment);
    const publish: ClientDeployment["publish"] = async (topic, values, key) => {
      await using producer = gmq.producer();
      const where = key === undefined ? { partition: 0 } : { key };
      await Promise.all(values.map((value) => producer.send(topic, { value, ...where })));
    };
    Object.assign(current, deployment, { gmq, publish });
  });
  afterEach(() => stopBoth(current.gmq, current));
  return current;
}

/** A client of these brokers that tries again after 20 ms at first. */
export function connectTo({ urls }: Pick<TestDeployment, "urls">): Promise<Gmq> {
  return connect({ brokers: urls, reconnect: { initialMs: 20, maxMs: 100 } });
}

/** Closes the client and stops the deployment. A client whose brokers are gone gives up at its own deadlines; a test does not wait for them. */
export async function stopBoth(gmq: Gmq, deployment: TestDeployment): Promise<void> {
  await Promise.race([gmq.close(), sleep(2_000)]);
  await deployment.stop();
}

/** Starts brokers over an engine in memory. */
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
            texts.push(...records.map(({ value }) => text(value)));
          }
        }
        const last = entries.at(-1);
        if (last === undefined || last.baseOffset + BigInt(last.recordCount) >= endOffset) return texts;
        offset = last.baseOffset + BigInt(last.recordCount);
      }
    },
    members: async (group) => (await engine.groups.get(group))?.members.length,
    lag: async (group) => (await engine.groups.offsets(group)).reduce((sum, { lagRecords }) => sum + lagRecords, 0),
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
