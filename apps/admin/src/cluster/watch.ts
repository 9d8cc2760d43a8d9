/** The stream behind every page: hello at once, a whole snapshot, then what changed. One per browser. */
import { create } from "@bufbuild/protobuf";
import {
  type PortalFacts,
  type PortalServiceWatchResponse,
  PortalServiceWatchResponseSchema,
  type PortalSnapshot,
  PortalSnapshotSchema,
} from "@gmq/protocol/messages";
import { type Alerts, alertMessage } from "../alerts/alerts.js";
import type { AuditLog } from "../audit/audit-log.js";
import type { Jobs } from "../jobs/jobs.js";
import type { ClusterSampler } from "./cluster-sampler.js";
import { type ClusterState, unseen } from "./cluster-state.js";

const heartbeatMs = 5_000;
const lastWritesShown = 8;
const alertsShown = 10;

/** Streams the cluster until the signal. A slow reader gets fewer and larger frames, never a queue of old ones. */
export async function* watch(
  sampler: ClusterSampler,
  audit: AuditLog,
  jobs: Pick<Jobs, "active">,
  alerts: Pick<Alerts, "open">,
  facts: PortalFacts,
  signal: AbortSignal,
): AsyncGenerator<PortalServiceWatchResponse> {
  const release = sampler.watch();
  // Not only in `finally`: a generator that waits for its reader does not get there.
  signal.addEventListener("abort", release, { once: true });
  try {
    yield frame({ case: "hello", value: facts });
    let sent: ClusterState | undefined;
    let auditSent = -1;
    while (!signal.aborted) {
      await sampler.newerThan(sent?.version ?? 0, heartbeatMs, signal);
      const state = sampler.state();
      if (signal.aborted) return;
      if (state.version === 0 || state.version === sent?.version) {
        yield frame({ case: "heartbeat", value: { $typeName: "gmq.v1.Heartbeat", nextMs: 0, answer: false } });
        continue;
      }
      const value = difference(sent ?? unseen, state);
      if (audit.version !== auditSent) value.lastWrites = audit.entries().slice(0, lastWritesShown);
      auditSent = audit.version;
      value.activeJobs = [...jobs.active()];
      const firing = alerts.open().filter(({ firedAtMs, silence }) => firedAtMs > 0 && silence === undefined);
      value.alerts = firing.slice(0, alertsShown).map(alertMessage);
      value.alertCount = firing.length;
      yield frame({ case: sent === undefined ? "snapshot" : "delta", value });
      sent = state;
    }
  } finally {
    release();
  }
}

/** What a page that has `before` needs to have `now`. */
export function difference(before: ClusterState, now: ClusterState): PortalSnapshot {
  const lastPoint = before.points.at(-1)?.atMs ?? 0n;
  return create(PortalSnapshotSchema, {
    takenAtMs: BigInt(now.takenAtMs),
    brokers: [...now.brokers],
    topics: changed(before.topics, now.topics),
    groups: changed(before.groups, now.groups),
    removedTopics: gone(before.topics, now.topics),
    removedGroups: gone(before.groups, now.groups),
    deadLetters: now.deadLetters,
    problem: now.problem,
    points: now.points.filter(({ atMs }) => atMs > lastPoint),
    topicCount: now.topics.size,
    groupCount: now.groups.size,
  });
}

function changed<Row>(before: ReadonlyMap<string, Row>, now: ReadonlyMap<string, Row>): Row[] {
  return [...now].filter(([name, row]) => before.get(name) !== row).map(([, row]) => row);
}

function gone(before: ReadonlyMap<string, unknown>, now: ReadonlyMap<string, unknown>): string[] {
  return [...before.keys()].filter((name) => !now.has(name));
}

function frame(event: PortalServiceWatchResponse["event"]): PortalServiceWatchResponse {
  return create(PortalServiceWatchResponseSchema, { event });
}
