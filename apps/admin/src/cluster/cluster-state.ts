import type { PortalBroker, PortalGroup, PortalPoint, PortalTopic } from "@gmq/protocol/messages";

/** The cluster as it was seen last. A row that did not change is the same object in the next state. */
export interface ClusterState {
  /** Grows with each look. */
  readonly version: number;
  readonly takenAtMs: number;
  readonly brokers: readonly PortalBroker[];
  readonly topics: ReadonlyMap<string, PortalTopic>;
  /** Without the brokers' own, whose lag are the open dead letters. */
  readonly groups: ReadonlyMap<string, PortalGroup>;
  /** Open dead letters of all groups. */
  readonly deadLetters: bigint;
  /** Why topics and groups are not current, "" when they are. */
  readonly problem: string;
  /** Oldest first. */
  readonly points: readonly PortalPoint[];
}

/** Before the first look. */
export const unseen: ClusterState = {
  version: 0,
  takenAtMs: 0,
  brokers: [],
  topics: new Map(),
  groups: new Map(),
  deadLetters: 0n,
  problem: "",
  points: [],
};
