import { GmqError, limits } from "@gmq/protocol";
import type { StoreStatus, TopicInfo, TopicStore } from "../engine.js";
import type { Janitor } from "./janitor.js";

/** A topic store that tells of every topic that this process makes or changes: its budget counts from the first append on. */
export function watchedTopics(topics: TopicStore, changed: (info: TopicInfo) => void): TopicStore {
  async function tell(change: Promise<TopicInfo>): Promise<TopicInfo> {
    const info = await change;
    changed(info);
    return info;
  }

  return {
    create: (name, config) => tell(topics.create(name, config)),
    get: topics.get,
    list: topics.list,
    delete: topics.delete,
    stats: topics.stats,
    alter: (name, settings, version) => tell(topics.alter(name, settings, version)),
    addPartitions: (name, partitions) => tell(topics.addPartitions(name, partitions)),
  };
}

/** A store's status with that of its budgets. A full store stays ready: it still serves consumers, which is how it drains. */
export function withBudgetStatus(status: StoreStatus, { status: budgets }: Pick<Janitor, "status">): StoreStatus {
  if (!status.ready) return status;
  const { reason, details } = budgets();
  return { ...status, reason: reason === "" ? status.reason : reason, details: { ...status.details, ...details } };
}

/** @throws GmqError `invalid_argument` */
export function checkStoreBytesMax(storeBytesMax: number | undefined): void {
  if (storeBytesMax === undefined) return;
  if (Number.isInteger(storeBytesMax) && storeBytesMax >= limits.byteBudgetMin) return;
  throw new GmqError("invalid_argument", `storeBytesMax is ${storeBytesMax}`, {
    field: "storeBytesMax",
    limit: `${limits.byteBudgetMin} bytes or more`,
  });
}
