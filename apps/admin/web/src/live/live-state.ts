import type {
  PortalAlert,
  PortalAuditEntry,
  PortalBroker,
  PortalFacts,
  PortalGroup,
  PortalJob,
  PortalPoint,
  PortalServiceWatchResponse,
  PortalSnapshot,
  PortalTopic,
} from "@gmq/protocol/messages";

/** The cluster as the watch stream told it so far. */
export interface LiveState {
  readonly connection: "connecting" | "live" | "reconnecting";
  readonly facts: PortalFacts | undefined;
  readonly brokers: readonly PortalBroker[];
  readonly topics: ReadonlyMap<string, PortalTopic>;
  readonly groups: ReadonlyMap<string, PortalGroup>;
  /** Open dead letters of all groups. */
  readonly deadLetters: bigint;
  readonly points: readonly PortalPoint[];
  /** Jobs that wait or run. */
  readonly activeJobs: readonly PortalJob[];
  readonly lastWrites: readonly PortalAuditEntry[];
  /** The first of those that fire and are not silenced. */
  readonly alerts: readonly PortalAlert[];
  /** How many there are. */
  readonly alertCount: number;
  /** Why topics and groups are not current, "" when they are. */
  readonly problem: string;
  /** True once a snapshot has come. */
  readonly loaded: boolean;
  /** When the last figures came, by this browser's clock; 0: never. */
  readonly receivedAtMs: number;
}

/** Before anything came. */
export const emptyLiveState: LiveState = {
  connection: "connecting",
  facts: undefined,
  brokers: [],
  topics: new Map(),
  groups: new Map(),
  deadLetters: 0n,
  points: [],
  activeJobs: [],
  lastWrites: [],
  alerts: [],
  alertCount: 0,
  problem: "",
  loaded: false,
  receivedAtMs: 0,
};

const pointsMax = 300;

/** The state after one more frame. */
export function applyFrame(state: LiveState, { event }: PortalServiceWatchResponse, receivedAtMs: number): LiveState {
  switch (event.case) {
    case "hello":
      return { ...state, facts: event.value, connection: "live" };
    case "snapshot":
      return applySnapshot({ ...emptyLiveState, facts: state.facts }, event.value, receivedAtMs);
    case "delta":
      return applySnapshot(state, event.value, receivedAtMs);
    default:
      return state.connection === "live" ? state : { ...state, connection: "live" };
  }
}

function applySnapshot(state: LiveState, snapshot: PortalSnapshot, receivedAtMs: number): LiveState {
  return {
    ...state,
    connection: "live",
    brokers: snapshot.brokers,
    topics: merged(state.topics, snapshot.topics, snapshot.removedTopics),
    groups: merged(state.groups, snapshot.groups, snapshot.removedGroups),
    deadLetters: snapshot.deadLetters,
    points: [...state.points, ...snapshot.points].slice(-pointsMax),
    activeJobs: snapshot.activeJobs,
    lastWrites: snapshot.lastWrites.length > 0 ? snapshot.lastWrites : state.lastWrites,
    alerts: snapshot.alerts,
    alertCount: snapshot.alertCount,
    problem: snapshot.problem,
    loaded: true,
    receivedAtMs,
  };
}

function merged<Row extends { readonly name: string }>(
  rows: ReadonlyMap<string, Row>,
  changed: readonly Row[],
  removed: readonly string[],
): ReadonlyMap<string, Row> {
  if (changed.length === 0 && removed.length === 0) return rows;
  const next = new Map(rows);
  for (const row of changed) next.set(row.name, row);
  for (const name of removed) next.delete(name);
  return next;
}
