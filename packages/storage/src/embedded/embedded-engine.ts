import { statfs } from "node:fs/promises";
import { resolve } from "node:path";
import { type Logger, silentLogger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { createGroupCoordinator } from "../coordinator/group-coordinator.js";
import { createDeadLetters } from "../dead-letters/dead-letters.js";
import { createDelays } from "../delays/delays.js";
import type { Engine, LogStore, StoreStatus } from "../engine.js";
import { createEndOffsets } from "../log/end-offsets.js";
import { createFollows } from "../log/follows.js";
import { createJanitor } from "../retention/janitor.js";
import { checkStoreBytesMax, watchedTopics, withBudgetStatus } from "../retention/watched-topics.js";
import { monotonicClock } from "./clock.js";
import { type DatabaseLocation, openDatabase } from "./database.js";
import { createEmbeddedAppender } from "./embedded-appender.js";
import { createEmbeddedDelays } from "./embedded-delays.js";
import { createEmbeddedDocuments } from "./embedded-documents.js";
import { groupOffsets } from "./embedded-offsets.js";
import { createEmbeddedOwnership } from "./embedded-ownership.js";
import { createEmbeddedReads } from "./embedded-reads.js";
import { createEmbeddedSignals } from "./embedded-signals.js";
import { createEmbeddedTopics } from "./embedded-topics.js";
import { createEmbeddedTrims } from "./embedded-trims.js";

/** Where the store lives: a folder (made when missing), or this process' memory for tests. */
export type EmbeddedEngineOptions = DatabaseLocation & {
  /** Bytes in use in the file from which on producers get `store_full`; 1 KiB or more. Default: what the disk has room for, less about 47 MiB (a quarter of a small disk) that consumers need to go on; that is a bound beside a given one, too. */
  readonly storeBytesMax?: number | undefined;
  /** How often retention looks at every topic; default 10,000 ms. */
  readonly retentionIntervalMs?: number;
  readonly logger?: Logger;
};

/**
 * Opens the embedded engine: a whole store in this process, no server. With a path every answer is on disk before it is given and survives SIGKILL and,
 * as far as the disk keeps its flush promise, a power cut. One process at a time holds a folder.
 * @throws GmqError `invalid_argument` (empty path), `store_unavailable` (folder in use; a retry is safe), `unsupported_version` (a newer GMQ wrote it)
 */
export async function createEmbeddedEngine(options: EmbeddedEngineOptions): Promise<Engine> {
  if ("path" in options && options.path === "")
    throw new GmqError("invalid_argument", "the data folder is empty", { field: "path" });
  const { storeBytesMax, retentionIntervalMs, logger = silentLogger } = options;
  checkStoreBytesMax(storeBytesMax);
  const location: DatabaseLocation = "path" in options ? { path: resolve(options.path) } : { memory: true };
  const clock = monotonicClock;
  const database = openDatabase(location);
  const signals = createEmbeddedSignals();
  const topics = createEmbeddedTopics(database, signals, clock, (partitionIds) => appender.forget(partitionIds));
  const reads = createEmbeddedReads(database, topics);
  const appender = createEmbeddedAppender(database, topics, reads, signals, clock);
  // What waits for its time was admitted when it came: it goes into the log past the budgets.
  const delays = createDelays(
    createEmbeddedDelays(database, topics, clock),
    appender.append,
    async ({ topic, partition }) => void topics.partitionId(topic, partition),
    clock.nowMs,
    logger,
  );
  const ownership = createEmbeddedOwnership(database, topics, reads, clock);
  const ends = createEndOffsets(signals);
  const follows = createFollows(async (fetches) => ownership.fetch(fetches), signals, ends);
  const coordinator = createGroupCoordinator(
    createEmbeddedDocuments(database, topics, reads, signals, clock),
    topics,
    signals,
  );
  const janitor = createJanitor({
    topics,
    store: createEmbeddedTrims(database, topics, reads, appender),
    append: delays.append,
    signals,
    async measureStore() {
      const bytesMax = Math.min(
        storeBytesMax ?? Number.POSITIVE_INFINITY,
        database.liveBytesMax() ?? Number.POSITIVE_INFINITY,
      );
      return Number.isFinite(bytesMax) ? { bytes: database.liveBytes(), bytesMax } : undefined;
    },
    nowMs: clock.nowMs,
    logger,
    intervalMs: retentionIntervalMs,
  });
  let closed = false;
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    follows.close();
    janitor.close();
    deadLetters.close();
    await delays.close();
    appender.close();
    closed = true;
    signals.close();
    database.close();
  }

  // A copy that is owed goes past the budgets: what consumers do always goes on.
  const log: Pick<LogStore, "append" | "read"> = {
    append: appender.append,
    read: async (request) => reads.read(request),
  };
  const deadLetters = createDeadLetters(
    {
      claim: async (...asked) => ownership.claim(...asked),
      settle: async (settles) => ownership.settle(settles),
      rejections: async (owner, records) => ownership.rejections(owner, records),
      bury: async (owner, entries) => ownership.bury(owner, entries),
    },
    log,
    topics,
    logger,
  );

  return {
    kind: "embedded",
    topics: watchedTopics(topics, janitor.changed),
    log: {
      append: janitor.append,
      purge: async (request) => janitor.purge(request),
      read: async (request) => reads.read(request),
      scheduled: delays.scheduled,
    },
    groups: {
      ...coordinator,
      async offsets(group) {
        if ((await coordinator.get(group)) === undefined)
          throw new GmqError("group_not_found", `there is no group ${group}`, { field: "group" });
        return groupOffsets(database, topics, clock, group);
      },
      fetch: async (fetches) => ownership.fetch(fetches),
      follow: follows.follow,
      claim: deadLetters.claim,
      settle: deadLetters.settle,
    },
    signals,
    async status(): Promise<StoreStatus> {
      const path = "path" in location ? location.path : "memory";
      const status: StoreStatus = {
        engine: "embedded",
        ready: !closed && database.damage === undefined,
        reason: closed ? "closed" : (database.damage ?? ""),
        durability: "path" in location ? "disk" : "memory",
        details: {
          path,
          size_bytes: closed ? "0" : String(database.sizeBytes()),
          live_bytes: closed ? "0" : String(database.liveBytes()),
          ...("path" in location ? await diskSpace(location.path) : {}),
        },
      };
      return withBudgetStatus(status, janitor);
    },
    close: () => (closing ??= close()),
  };
}

/** Room where the file is; nothing when the system does not tell. */
async function diskSpace(path: string): Promise<Readonly<Record<string, string>>> {
  try {
    const { bavail, blocks, bsize } = await statfs(path);
    return { disk_free_bytes: String(bavail * bsize), disk_total_bytes: String(blocks * bsize) };
  } catch (error) {
    return { disk_problem: error instanceof Error ? error.message : String(error) };
  }
}
