/** One run: a topic, producers, a group of consumers, what happens to them, the drain, and the judgement of the history. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, deadLetterTopic, type Gmq, GmqError } from "@gmq/client";
import { waitUntil } from "@gmq/e2e/harness/wait-until";
import type { ConsumerSpec, GroupMode, ProducerSpec } from "../actors/spec.ts";
import { type Judgement, judge } from "../check/judge.ts";
import { nowMs, type RunEvent } from "../history/events.ts";
import { openJournal, readHistory } from "../history/journal.ts";
import { type Actor, endActor, startActor, whenUp } from "./actors.ts";
import { residentBytes, type World } from "./world.ts";

/** A run that is under way. */
export interface Run {
  readonly world: World;
  readonly topic: string;
  readonly group: string;
  readonly folder: string;
  readonly partitions: number;
  readonly actors: readonly Actor[];
  /** Starts one more; resolves when it works. */
  produce(spec?: Partial<ProducerSpec>): Promise<Actor>;
  consume(spec?: Partial<ConsumerSpec>): Promise<Actor>;
  /** So many more consumers that join together, stay a little and leave by themselves; resolves when they are gone. */
  storm(members: number): Promise<void>;
  /** Writes a fault down and does it; it is over when `act` resolves. */
  fault(
    fault: { readonly kind: string; readonly target: string; readonly lossMs?: number },
    act: () => Promise<void> | void,
  ): Promise<void>;
  /** Takes away about half of what lies in a partition, settled or not. */
  purge(partition: number): Promise<void>;
  /** How many records have been settled so far, as far as the group says. */
  waitForKept(records: number, timeoutMs?: number): Promise<void>;
  /** Ends producers, drains, reads everything, ends consumers, judges. */
  finish(): Promise<Judgement>;
  /** Ends whatever still runs and deletes the history. */
  close(): Promise<void>;
}

export interface RunOptions {
  readonly partitions?: number;
  readonly bug?: string;
  /** Default exclusive. */
  readonly mode?: GroupMode;
  /** Other groups that read the topic beside the judged one, so that a storage service gives one what it has read for another. Default 0. */
  readonly neighbours?: number;
  /** How long the group may take to settle everything after the last fault. */
  readonly drainTimeoutMs?: number;
  readonly producer?: Partial<ProducerSpec>;
  readonly consumer?: Partial<ConsumerSpec>;
  /** Keep the journals in this folder. */
  readonly keepIn?: string;
}

/** The longest delay of a record, and time to bring it into the log after the last fault. */
const delayedMs = 6_000;
const memoryIntervalMs = 1_000;
const stormTimeoutMs = 90_000;
let runs = 0;

/** Makes the topic and an empty run over a world. */
export async function startRun(world: World, options: RunOptions = {}): Promise<Run> {
  const { partitions = 4, drainTimeoutMs = 60_000, bug, mode = "exclusive" } = options;
  const folder = options.keepIn ?? (await mkdtemp(join(tmpdir(), "gmq-chaos-")));
  const topic = `chaos-${process.pid}-${++runs}`;
  const group = `${topic}-group`;
  const journal = openJournal(folder, "run");
  const actors: Actor[] = [];
  const note = (event: RunEvent): void => journal.note(event);
  let names = 0;
  const admin = await connect({ brokers: world.brokersDirect, timeoutMs: 30_000 });
  await admin.admin.createTopic(topic, { partitions, timeoutMs: 30_000 });
  note({ e: "group", at: nowMs(), mode });
  const neighbours = Array.from({ length: options.neighbours ?? 0 }, (_, index) =>
    admin.subscribe(topic, { group: `${topic}-beside-${index}` }, () => undefined),
  );
  /** Ends with an error when one of them ends before the run does. */
  const neighboursEnd = Promise.all(neighbours.map(({ closed }) => closed));
  neighboursEnd.catch(() => undefined); // `finish` throws it
  const sampler = setInterval(() => void sample(), memoryIntervalMs);

  async function sample(): Promise<void> {
    for (const { name, process: running } of [...world.parts, ...actors]) {
      const bytes = await residentBytes(running);
      if (bytes !== undefined) note({ e: "memory", at: nowMs(), process: name, bytes });
    }
  }

  async function add(actor: Actor): Promise<Actor> {
    actors.push(actor);
    await whenUp(actor);
    return actor;
  }

  /** The last answer of the group: everything is settled. */
  async function isDrained(): Promise<boolean> {
    const { partitions: progress } = await admin.admin.describeGroup(group, { timeoutMs: 5_000 });
    return progress.length === partitions && progress.every(({ lag, inFlight }) => lag === 0n && inFlight === 0n);
  }

  /** Progress of the group; one that is not there has settled nothing. */
  async function describeGroup() {
    try {
      return (await admin.admin.describeGroup(group, { timeoutMs: 30_000 })).partitions;
    } catch (error) {
      if (!GmqError.is(error, "group_not_found")) throw error;
      const { partitionStats } = await admin.admin.describeTopic(topic, { timeoutMs: 30_000 });
      return partitionStats.map(({ partition, endOffset }) => ({ partition, lag: endOffset, inFlight: 0n, lost: 0n }));
    }
  }

  async function noteLag(): Promise<void> {
    const progress = await describeGroup();
    for (const { partition, lag, inFlight } of progress)
      note({ e: "lag", at: nowMs(), topic, partition, records: Math.max(Number(lag), Number(inFlight)) });
    for (const { partition, lost } of progress)
      if (lost > 0n) note({ e: "lost", at: nowMs(), topic, partition, records: Number(lost) });
  }

  async function readDeadLetters(): Promise<void> {
    const name = deadLetterTopic(topic, group);
    const text = new TextDecoder();
    try {
      const { partitionStats } = await admin.admin.describeTopic(name, { timeoutMs: 30_000 });
      for (const { partition } of partitionStats) {
        for await (const { value, headers } of recordsOf(name, partition)) {
          const told = new Map(headers.map((header) => [header.key, text.decode(header.value)]));
          const id = text.decode(value).split(" ", 1)[0] ?? "";
          const [from, offset, attempts] = ["partition", "offset", "attempts"].map((fact) =>
            Number(told.get(`gmq-dlq-${fact}`)),
          ) as [number, number, number];
          note({ e: "buried", at: nowMs(), id, topic, partition: from, offset, attempts });
        }
      }
    } catch (error) {
      if (!GmqError.is(error, "topic_not_found")) throw error;
    }
  }

  async function* recordsOf(name: string, partition: number) {
    let from = 0n;
    for (;;) {
      const { records, nextOffset, endOffset } = await admin.admin.browse(name, {
        partition,
        from: { offset: from },
        limit: 1_000,
        timeoutMs: 30_000,
      });
      yield* records;
      if (nextOffset >= endOffset || nextOffset === from) return;
      from = nextOffset;
    }
  }

  async function readAll(): Promise<void> {
    const text = new TextDecoder();
    for (let partition = 0; partition < partitions; partition++) {
      for await (const { offset, value, key } of recordsOf(topic, partition)) {
        const id = text.decode(value).split(" ", 1)[0] ?? "";
        note({ e: "kept", at: nowMs(), id, key: text.decode(key), topic, partition, offset: Number(offset) });
      }
    }
  }

  function consumerSpec(spec: Partial<ConsumerSpec> = {}): ConsumerSpec {
    names++;
    return {
      name: `c${names}`,
      folder,
      // In shared mode desks of several brokers stand beside each other.
      brokers: mode === "shared" && names % 2 === 0 ? world.brokers.toReversed() : world.brokers,
      topic,
      group,
      mode,
      concurrency: 32,
      sessionTimeoutMs: 3_000,
      workMs: 0,
      failPerMille: 0,
      retryPerMille: 0,
      releasePerMille: 0,
      rejectPerMille: 0,
      extendPerMille: 0,
      settle: "explicit",
      ...options.consumer,
      ...spec,
    };
  }

  const run: Run = {
    world,
    topic,
    group,
    folder,
    partitions,
    actors,
    produce: (spec) =>
      add(
        startActor(
          "producer",
          {
            name: `p${++names}`,
            folder,
            brokers: world.brokers,
            topic,
            keys: 40,
            ratePerSecond: 500,
            records: Number.MAX_SAFE_INTEGER,
            valueBytes: 100,
            delayPerMille: 0,
            delayMsMax: 1_500,
            ttlPerMille: 0,
            ttlMs: 500,
            timeoutMs: 60_000,
            ...options.producer,
            ...spec,
          },
          bug,
        ),
      ),
    consume: (spec) => add(startActor("consumer", consumerSpec(spec), bug)),
    async storm(members) {
      const actor = await add(startActor("consumer", consumerSpec({ concurrency: 4 }), bug, members));
      actor.gone = true;
      const late = sleep(stormTimeoutMs, undefined, { ref: false });
      const exit = await Promise.race([actor.process.exited, late]);
      if (exit?.code !== 0)
        throw new Error(`a storm did not pass (${JSON.stringify(exit)}):\n${actor.process.output()}`);
    },
    async fault(fault, act) {
      const at = nowMs();
      try {
        await act();
      } finally {
        note({ e: "fault", at, until: nowMs(), ...fault });
      }
    },
    async purge(partition) {
      const at = nowMs();
      const { partitionStats } = await admin.admin.describeTopic(topic, { timeoutMs: 30_000 });
      const stats = partitionStats.find((one) => one.partition === partition);
      if (stats === undefined) return;
      const toOffset = (stats.startOffset + stats.endOffset) / 2n;
      let floor = toOffset;
      try {
        const [purged] = await admin.admin.purge(topic, { partition, toOffset, timeoutMs: 10_000 });
        floor = purged?.startAfter ?? toOffset;
      } catch (error) {
        // It may have happened: what lies below may be gone.
        if (!GmqError.from(error).retryable) throw error;
      }
      note({ e: "purged", at, until: nowMs(), topic, partition, offset: Number(floor) });
    },
    async waitForKept(records, timeoutMs = 60_000) {
      await waitUntil(
        `${records} records in the log`,
        async () => {
          const { partitionStats } = await admin.admin.describeTopic(topic, { timeoutMs: 5_000 });
          return partitionStats.reduce((sum, { endOffset }) => sum + Number(endOffset), 0) >= records;
        },
        timeoutMs,
      );
    },
    async finish() {
      const working = actors.filter(({ gone }) => !gone);
      await Promise.all(working.filter(({ kind }) => kind === "producer").map((actor) => endActor(actor, 90_000)));
      // What was taken for later has to come first.
      if ((options.producer?.delayPerMille ?? 0) > 0) await sleep(delayedMs);
      await waitUntil("the group to settle everything", isDrained, drainTimeoutMs).catch(ignoreLateness);
      await noteLag();
      await Promise.all(working.filter(({ kind }) => kind === "consumer").map((actor) => endActor(actor, 40_000)));
      await Promise.race([neighboursEnd, Promise.all(neighbours.map((neighbour) => neighbour.close()))]);
      await readAll();
      await readDeadLetters();
      return judge(readHistory(folder));
    },
    async close() {
      clearInterval(sampler);
      for (const actor of actors) {
        actor.gone = true;
        await actor.process.kill();
      }
      await closeQuietly(admin);
      if (options.keepIn === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
  return run;
}

function ignoreLateness(error: unknown): void {
  // What is left is noted and judged; anything but lateness is the judge's own failure.
  if (!(error instanceof Error) || !/not within/.test(error.message)) throw error;
}

async function closeQuietly(gmq: Gmq): Promise<void> {
  const late = sleep(5_000, undefined, { ref: false });
  await Promise.race([gmq.close(), late]).catch((error: unknown) => {
    throw GmqError.from(error);
  });
}
