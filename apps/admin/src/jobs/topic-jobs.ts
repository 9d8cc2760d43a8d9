/** Jobs on topics: purge one partition after the other, and the same act on many topics. */
import { GmqError } from "@gmq/protocol";
import {
  type AdminServicePurgeTopicRequest,
  type ChangeTopics,
  type TopicConfig,
  TopicsAct,
} from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { type JobRun, type JobWork, said } from "./job-run.js";

const topicsMax = 1_000;
/** Above every offset: all but the last entry goes. */
const pastTheEnd = 2n ** 62n;

/** Deletes the older records of a topic, partition by partition. Below a fixed offset nothing can be deleted twice, so it may be resumed. */
export function purgeJob({ topic, partition, toOffset }: AdminServicePurgeTopicRequest): JobWork {
  return {
    ...plain,
    action: "PurgeTopic",
    title: `Purge ${topic}${partition === undefined ? "" : ` / ${partition}`} below offset ${toOffset}`,
    topic,
    async run(run) {
      const all =
        partition === undefined
          ? (await describe(run.brokers, topic)).partitions.map((stats) => stats.partition)
          : [partition];
      const purged = new Set(run.checkpoint === "" ? [] : (JSON.parse(run.checkpoint) as number[]));
      run.job.total = BigInt(all.length);
      for (const one of all.filter((candidate) => !purged.has(candidate))) {
        run.signal.throwIfAborted();
        await purgePartition(run, topic, one, toOffset);
        purged.add(one);
        await run.save(JSON.stringify([...purged]));
      }
    },
  };
}

async function purgePartition(run: JobRun, topic: string, partition: number, toOffset: bigint): Promise<void> {
  const item = `${topic} / ${partition}`;
  try {
    const { partitions } = await run.brokers.write(({ admin }) => admin.purgeTopic({ topic, partition, toOffset }));
    const removed = partitions.reduce((sum, { startBefore, startAfter }) => sum + startAfter - startBefore, 0n);
    const losses = partitions.flatMap(({ losses: lost }) => lost.map(({ group, records }) => `${group}: ${records}`));
    run.note(
      "done",
      item,
      `${removed} records deleted${losses.length === 0 ? "" : `; not settled by ${losses.join(", ")}`}`,
    );
  } catch (error) {
    const failure = GmqError.from(error);
    if (failure.retryable) throw failure;
    run.note("failed", item, said(failure));
  }
}

/** Deletes, purges or alters many topics. @throws GmqError `invalid_argument` */
export function changeTopicsJob({ topics, act, config }: ChangeTopics): JobWork {
  const names = [...new Set(topics)];
  if (names.length === 0 || names.length > topicsMax) {
    throw new GmqError("invalid_argument", `${names.length} topics are named`, {
      field: "topics",
      limit: `1 to ${topicsMax}`,
    });
  }
  const [action, word] = actNames[act] ?? ["", ""];
  if (action === "" || word === "") throw new GmqError("invalid_argument", "no such act", { field: "act" });
  if (act === TopicsAct.ALTER && config?.retention === undefined && (config?.bytesMax ?? 0n) === 0n) {
    throw new GmqError("invalid_argument", "nothing is to be altered", { field: "config" });
  }
  return {
    ...plain,
    action,
    title: `${word} ${names.length === 1 ? names[0] : `${names.length} topics`}`,
    topic: names.length === 1 ? (names[0] ?? "") : `${names.length} topics`,
    compared: false,
    notResumable:
      act === TopicsAct.PURGE
        ? ""
        : "topics may have been made or changed anew meanwhile: look at them and choose again",
    async run(run) {
      run.job.total = BigInt(names.length);
      const first = run.checkpoint === "" ? 0 : Number(run.checkpoint);
      for (const [index, topic] of names.entries()) {
        if (index < first) continue;
        run.signal.throwIfAborted();
        try {
          run.note("done", topic, await changeTopic(run.brokers, topic, act, config));
        } catch (error) {
          const failure = GmqError.from(error);
          if (failure.retryable) throw failure;
          run.note("failed", topic, said(failure));
        }
        await run.save(String(index + 1));
      }
    },
  };
}

const actNames: Readonly<Partial<Record<TopicsAct, readonly [action: string, word: string]>>> = {
  [TopicsAct.DELETE]: ["DeleteTopics", "Delete"],
  [TopicsAct.PURGE]: ["PurgeTopics", "Purge"],
  [TopicsAct.ALTER]: ["AlterTopics", "Alter"],
};

async function changeTopic(
  brokers: Brokers,
  topic: string,
  act: TopicsAct,
  config: TopicConfig | undefined,
): Promise<string> {
  if (act === TopicsAct.DELETE) {
    await brokers.write(({ admin }) => admin.deleteTopic({ topic }));
    return "";
  }
  if (act === TopicsAct.PURGE) {
    const { partitions } = await brokers.write(({ admin }) => admin.purgeTopic({ topic, toOffset: pastTheEnd }));
    const removed = partitions.reduce((sum, { startBefore, startAfter }) => sum + startAfter - startBefore, 0n);
    return `${removed} records deleted`;
  }
  const { topic: known } = await describe(brokers, topic);
  if (known?.config === undefined)
    throw new GmqError("topic_not_found", `there is no topic ${topic}`, { field: "topic" });
  const { partitions, retention, bytesMax } = known.config;
  const next = config?.retention;
  const altered = {
    partitions,
    bytesMax: config?.bytesMax || bytesMax,
    retention: {
      ms: next?.ms || retention?.ms || 0n,
      bytes: next?.bytes || retention?.bytes || 0n,
      records: next?.records || retention?.records || 0n,
      workQueue: next?.workQueue || retention?.workQueue || false,
    },
  };
  await brokers.write(({ admin }) => admin.alterTopic({ topic, config: altered, version: known.version }));
  return "";
}

function describe(brokers: Brokers, topic: string) {
  return brokers.read(({ admin }) => admin.describeTopic({ topic }));
}

const plain = {
  group: "",
  writes: true,
  dryRun: false,
  compared: true,
  notResumable: "",
  fileName: "",
} as const;
