/**
 * Looks at the cluster once a second while somebody watches, however many they are. Topics and groups are described in turns, those seen longest ago
 * first and at most 250 in a look, groups before topics that were not seen yet either: a large cluster makes the figures older, not the load higher.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { GmqError, redriveGroup } from "@gmq/protocol";
import {
  type PortalGroup,
  PortalGroupSchema,
  PortalPointSchema,
  type PortalTopic,
  PortalTopicSchema,
} from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { inTurns } from "../calls/in-turns.js";
import { brokerRow, groupRow, topicRow, unchangedOr } from "./cluster-rows.js";
import { type ClusterState, unseen } from "./cluster-state.js";
import { createGroupTimeline, type GroupTimeline } from "./group-timeline.js";
import { createRates } from "./rates.js";

/** The cluster, looked at while it is watched. */
export interface ClusterSampler {
  /** What was seen last. */
  state(): ClusterState;
  /** What happened to groups while it looked. */
  readonly timeline: Pick<GroupTimeline, "events">;
  /** Keeps the looks going until the returned function is called. */
  watch(): () => void;
  /** Resolves when a state newer than `version` is there, or after `timeoutMs`, or when the signal fires. */
  newerThan(version: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const intervalMs = 1_000;
/** Looks go on this long after the last watcher left, so that a reload finds its charts. */
const lingerMs = 30_000;
const describedPerLook = 250;
const callsAtOnce = 8;
const pointsMax = 300;
/** The lists of names are asked again after this many times the time that it took. */
const listRest = 10;
const listIntervalMsMax = 15_000;

/** Makes the sampler; nothing is asked before somebody watches. */
export function createClusterSampler(brokers: Brokers, logger: Logger): ClusterSampler {
  const rates = createRates();
  const timeline = createGroupTimeline();
  const closing = new AbortController();
  let state = unseen;
  let watchers = 0;
  let lastWatchedAt = 0;
  let running: Promise<void> | undefined;
  let wake = Promise.withResolvers<void>();
  let nextListAt = 0;

  function publish(next: ClusterState): void {
    state = next;
    wake.resolve();
    wake = Promise.withResolvers<void>();
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted && (watchers > 0 || Date.now() - lastWatchedAt < lingerMs)) {
      const startedAt = performance.now();
      publish(await look());
      await rest(Math.max(intervalMs / 4, intervalMs - (performance.now() - startedAt)), closing.signal);
    }
  }

  async function look(): Promise<ClusterState> {
    const statuses = await brokers.statuses();
    const takenAtMs = Date.now();
    const rows = statuses.map((answer) => brokerRow(answer, takenAtMs, rates));
    const seen = { version: state.version + 1, takenAtMs, brokers: rows };
    if (statuses.every((answer) => "problem" in answer)) return { ...state, ...seen, problem: "no broker answers" };
    try {
      const now = { ...seen, ...(await lookAtRows()) };
      // A sum without some of them is no figure of the cluster.
      const points = isWhole(now) ? [...state.points, pointOf(now)].slice(-pointsMax) : state.points;
      return { ...now, problem: "", points };
    } catch (error) {
      return { ...state, ...seen, problem: GmqError.from(error).message };
    }
  }

  async function lookAtRows() {
    let { topics, groups, deadLetters } = state;
    if (performance.now() >= nextListAt) {
      const startedAt = performance.now();
      [topics, groups, deadLetters] = await listNames(topics, groups);
      const tookMs = performance.now() - startedAt;
      nextListAt = startedAt + Math.min(listIntervalMsMax, Math.max(intervalMs / 2, tookMs * listRest));
    }
    // The sort keeps the order of equals.
    const rows = [...groups.values(), ...topics.values()].sort((left, right) =>
      Number(left.sampledAtMs - right.sampledAtMs),
    );
    const topicsNow = new Map(topics);
    const groupsNow = new Map(groups);
    await inTurns(rows.slice(0, describedPerLook), callsAtOnce, async (row) => {
      if (row.$typeName === "gmq.v1.PortalTopic") await describeTopic(row, topicsNow);
      else await describeGroup(row, groupsNow);
    });
    return { topics: topicsNow, groups: groupsNow, deadLetters };
  }

  /** Known names keep their rows, new ones get empty rows, gone ones are forgotten. */
  async function listNames(topics: ClusterState["topics"], groups: ClusterState["groups"]) {
    const [listedTopics, listedGroups, { queues }] = await brokers.read(({ admin }) =>
      Promise.all([admin.listTopics({}), admin.listGroups({}), admin.listDeadLetters({})]),
    );
    const topicRows = listedTopics.topics.map(({ name, config, createdAtMs }) => {
      return topics.get(name) ?? create(PortalTopicSchema, { name, partitions: config?.partitions ?? 0, createdAtMs });
    });
    const consuming = listedGroups.groups.filter(({ group }) => group !== redriveGroup);
    const groupRows = consuming.map(({ group, members }) => {
      return groups.get(group) ?? create(PortalGroupSchema, { name: group, members: members.length });
    });
    const topicsNow = new Map(topicRows.map((row) => [row.name, row]));
    const groupsNow = new Map(groupRows.map((row) => [row.name, row]));
    for (const name of topics.keys()) if (!topicsNow.has(name)) rates.forget(`topic ${name}`);
    for (const name of groups.keys()) {
      if (groupsNow.has(name)) continue;
      rates.forget(`group ${name}`);
      timeline.forget(name);
      rates.forget(`lag ${name}`);
    }
    return [topicsNow, groupsNow, queues.reduce((sum, { open }) => sum + open, 0n)] as const;
  }

  async function describeTopic(row: PortalTopic, into: Map<string, PortalTopic>): Promise<void> {
    try {
      const described = await brokers.read(({ admin }) => admin.describeTopic({ topic: row.name }));
      into.set(row.name, fresh(row, topicRow(described, Date.now(), rates)));
    } catch (error) {
      if (!GmqError.is(error, "topic_not_found")) throw error;
      into.delete(row.name);
    }
  }

  async function describeGroup(row: PortalGroup, into: Map<string, PortalGroup>): Promise<void> {
    try {
      const described = await brokers.read(({ admin }) => admin.describeGroup({ group: row.name }));
      into.set(row.name, fresh(row, groupRow(described, Date.now(), rates)));
      if (described.group !== undefined) timeline.note(described.group, Date.now());
    } catch (error) {
      if (!GmqError.is(error, "group_not_found")) throw error;
      into.delete(row.name);
    }
  }

  return {
    state: () => state,
    timeline,
    watch() {
      watchers++;
      running ??= run()
        .catch((error: unknown) => logger.error("looking at the cluster failed", { error }))
        .finally(() => {
          running = undefined;
        });
      let watching = true;
      return () => {
        if (!watching) return;
        watching = false;
        watchers--;
        lastWatchedAt = Date.now();
      };
    },
    async newerThan(version, timeoutMs, signal) {
      if (state.version > version || signal.aborted) return;
      const timer = new AbortController();
      await Promise.race([wake.promise, rest(timeoutMs, AbortSignal.any([signal, timer.signal]))]);
      timer.abort();
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}

/** The row as it was when nothing changed, but with the time of this look, which is not sent: it decides whose turn comes next. */
function fresh<Row extends PortalTopic | PortalGroup>(before: Row, now: Row): Row {
  const kept = unchangedOr(before, now);
  kept.sampledAtMs = now.sampledAtMs;
  return kept;
}

/** Whether each topic and group was looked at. */
function isWhole({ topics, groups }: Pick<ClusterState, "topics" | "groups">): boolean {
  return [...topics.values(), ...groups.values()].every(({ sampledAtMs }) => sampledAtMs > 0n);
}

function pointOf({ brokers, topics, groups }: Pick<ClusterState, "brokers" | "topics" | "groups">) {
  const publishedPerSecond = [...topics.values()].reduce((sum, { recordsPerSecond }) => sum + recordsPerSecond, 0);
  const settledPerSecond = [...groups.values()].reduce((sum, row) => sum + row.settledPerSecond, 0);
  const lagRecords = [...groups.values()].reduce((sum, row) => sum + row.lagRecords, 0n);
  return create(PortalPointSchema, {
    atMs: BigInt(Date.now()),
    publishedPerSecond,
    settledPerSecond,
    lagRecords,
    deliveredPerSecond: brokers.reduce((sum, row) => sum + row.deliveredPerSecond, 0),
    publishedBytesPerSecond: brokers.reduce((sum, row) => sum + row.publishedBytesPerSecond, 0),
    deliveredBytesPerSecond: brokers.reduce((sum, row) => sum + row.deliveredBytesPerSecond, 0),
  });
}

/** Waits; an aborted signal ends it early. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
