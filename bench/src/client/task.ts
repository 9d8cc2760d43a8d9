/** What the parent tells a client process to do, and what it answers. Everything here crosses a process border as JSON. */
import type { LatencySummary } from "../measure/histogram.ts";

/** Who does the work. */
export type SystemName =
  | "gmq"
  | "engine-redis"
  | "engine-file"
  | "floor-resp"
  | "floor-http2"
  | "floor-chain"
  | "floor-fsync"
  | "ioredis"
  | "bullmq"
  | "nats"
  | "rabbitmq";

/** Where the servers are; a driver reads what it needs. */
export interface Addresses {
  readonly brokerUrl: string;
  readonly redisPort: number;
  readonly natsPort: number;
  readonly amqpPort: number;
  readonly http2Port: number;
  /** An empty folder of the round. */
  readonly folder: string;
}

/** The load, in the same words for every system. */
export interface Load {
  readonly kind: "publish" | "drain" | "inOut" | "singles" | "latency" | "sessions" | "neverRead" | "neverStop";
  readonly partitions: number;
  readonly producers: number;
  readonly consumers: number;
  readonly groups: number;
  readonly batchRecords: number;
  readonly recordBytes: number;
  /** A file of JSON lines to take the records from, in place of `recordBytes`. */
  readonly dataFile: string | undefined;
  readonly compression: "none" | "gzip" | "zstd";
  /** Awaited sends of one record at once. */
  readonly concurrency: number;
  readonly ratePerSecond: number;
  /** Records that producers may be ahead of consumers. */
  readonly lagMax: number;
  /** What a topic keeps of each partition in GMQ, in bytes; 0: everything. For loads that would fill the machine's memory. */
  readonly retainedBytes: number;
  /** Records that are there before a drain begins. */
  readonly preload: number;
  readonly warmupMs: number;
  readonly measureMs: number;
}

export interface Task {
  readonly system: SystemName;
  /** Unique name of the round. */
  readonly topic: string;
  readonly addresses: Addresses;
  readonly load: Load;
}

export interface TaskResult {
  /** Records counted in the measured time: stored for publish and singles, handled for the rest. */
  readonly records: number;
  readonly payloadBytes: number;
  readonly elapsedMs: number;
  /** Records stored in the whole round, with warm-up. */
  readonly storedRecords: number;
  readonly latency: LatencySummary | undefined;
}

/** From the client process. `begin` and `end` frame the measured time; with a `mark` between them, CPU is counted up to it. */
export type ClientMessage =
  | { readonly type: "begin" | "mark" }
  | { readonly type: "end"; readonly result: TaskResult }
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly message: string };
