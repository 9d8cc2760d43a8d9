/** The workloads of issue 4: what is loaded, who is measured beside GMQ, and what the ratio should reach. */
import type { Load, SystemName } from "./client/task.ts";

/** One line of loads: GMQ and its baselines under the same load. */
export interface Case {
  /** `W1 publish 4 partitions`: no comma, so that `--workloads` can name it. */
  readonly name: string;
  readonly workload: string;
  /** The system that ratios are of. */
  readonly subject: SystemName;
  readonly baselines: readonly SystemName[];
  readonly load: Load;
  /** Another load for a system that this one would take minutes. */
  readonly smaller?: Partial<Record<SystemName, Partial<Load>>>;
  readonly targets: readonly Target[];
  /** Only when it is asked for by name. */
  readonly onRequest: boolean;
}

/** What a case should reach. */
export type Target =
  /** Records/s of the subject over that of a baseline. */
  | { readonly kind: "ratio"; readonly to: SystemName; readonly min: number }
  /** Records/s over that of another case of the subject. */
  | { readonly kind: "ratioToCase"; readonly to: string; readonly min: number }
  | { readonly kind: "recordsPerSecond" | "megabytesPerSecond"; readonly min: number }
  | { readonly kind: "p50Ms" | "p99Ms"; readonly max: number }
  /** p99 over that of a baseline. */
  | { readonly kind: "p99Ratio"; readonly to: SystemName; readonly max: number }
  /** Of one core, in the measured time. */
  | { readonly kind: "cpuPercent"; readonly of: string; readonly max: number }
  /** RSS of a process over the records: of idle sessions, each of which counts as one. */
  | { readonly kind: "rssKbPerRecord"; readonly of: string; readonly max: number }
  /** Most RSS of a process in the measured time. */
  | { readonly kind: "peakRssMegabytes"; readonly of: string; readonly max: number }
  /** Bytes of Redis memory over bytes of payload. */
  | { readonly kind: "redisPerPayload"; readonly max: number };

/** How long things take; all in ms or records. */
export interface SuiteOptions {
  readonly measureMs: number;
  readonly cores: number;
  readonly dataFile: string;
}

const mebibyte = 1024 * 1024;

const noLoad: Load = {
  kind: "publish",
  partitions: 10,
  producers: 1,
  consumers: 0,
  groups: 1,
  batchRecords: 500,
  recordBytes: 512,
  dataFile: undefined,
  compression: "none",
  concurrency: 1,
  ratePerSecond: 0,
  lagMax: 50_000,
  retainedBytes: 0,
  preload: 0,
  warmupMs: 1_000,
  measureMs: 3_000,
};

/** Every case. On fewer than 4 cores the ratios to hand-written ioredis, which has two processes less, may halve (issue 4). */
export function createSuite({ measureMs, cores, dataFile }: SuiteOptions): Case[] {
  const ioredisShare = cores < 4 ? 0.5 : 1;
  const ratio = (to: SystemName, min: number): Target => ({
    kind: "ratio",
    to,
    min: to === "ioredis" ? min * ioredisShare : min,
  });
  const define = (
    name: string,
    load: Partial<Load>,
    baselines: readonly SystemName[],
    targets: readonly Target[],
    more: Partial<Pick<Case, "subject" | "smaller" | "onRequest">> = {},
  ): Case => ({
    name,
    workload: name.slice(0, name.indexOf(" ")),
    subject: "gmq",
    baselines,
    load: { ...noLoad, measureMs, ...load },
    targets,
    onRequest: false,
    ...more,
  });
  /** As many records as a drain of the measured time needs, about. */
  const preload = 400_000 * (measureMs / 1_000);
  const partOfPreload = (divisor: number): number => Math.round(preload / divisor);
  const slowDrain: Case["smaller"] = {
    ioredis: { preload: partOfPreload(3) },
    nats: { preload: partOfPreload(6), producers: 2 },
    rabbitmq: { preload: partOfPreload(15) },
    bullmq: { preload: partOfPreload(150) },
  };
  const publish: Partial<Load> = { kind: "publish", producers: 50 };
  const publishTargets = [ratio("ioredis", 5), ratio("floor-http2", 0.35), ratio("nats", 3)];
  const both: Partial<Load> = { kind: "inOut", producers: 4, consumers: 4 };
  const slowBoth: Case["smaller"] = { bullmq: { lagMax: 2_000, batchRecords: 100 } };
  // At 1,000 records/s V8 compiles what it runs for some twenty seconds, on threads that take the processors from the others; a service runs for days.
  const latency: Partial<Load> = { kind: "latency", consumers: 1, warmupMs: 15_000 };
  // As long as the longest interval between two heartbeats.
  const sessions: Partial<Load> = {
    kind: "sessions",
    partitions: 1,
    consumers: 10_000,
    warmupMs: 20_000,
    measureMs: 50_000,
  };
  const idleTargets: readonly Target[] = [
    { kind: "cpuPercent", of: "broker", max: 2 },
    { kind: "rssKbPerRecord", of: "broker", max: 60 },
  ];
  /** Long enough that gigabytes pass by: what is not bounded shows. */
  const memory: Partial<Load> = {
    recordBytes: mebibyte - 64,
    retainedBytes: 50 * mebibyte,
    measureMs: 20_000,
  };
  const memoryTargets: readonly Target[] = ["broker", "storage"].map((of) => ({
    kind: "peakRssMegabytes",
    of,
    max: 512,
  }));
  const engineBaselines: readonly SystemName[] = ["floor-resp", "ioredis"];

  return [
    define(
      "W1 publish 4 partitions",
      { ...publish, partitions: 4 },
      ["floor-resp", "floor-http2", "ioredis", "nats"],
      [...publishTargets, { kind: "redisPerPayload", max: 1.05 }],
    ),
    define(
      "W1 publish 10 partitions",
      publish,
      ["floor-resp", "floor-http2", "floor-chain", "ioredis", "nats", "bullmq", "rabbitmq"],
      publishTargets,
    ),
    define(
      "W2 drain",
      { kind: "drain", producers: 10, consumers: 10, preload },
      ["floor-resp", "ioredis", "nats", "bullmq", "rabbitmq"],
      [ratio("ioredis", 2.5), ratio("nats", 2)],
      { smaller: slowDrain },
    ),
    define(
      "W3 in = out",
      both,
      ["floor-resp", "ioredis", "nats", "bullmq", "rabbitmq"],
      [ratio("ioredis", 2), ratio("nats", 2), ratio("bullmq", 20)],
      { smaller: slowBoth },
    ),
    define("W4 singles 1 at once", { kind: "singles" }, ["floor-resp", "floor-chain", "ioredis", "nats"], []),
    define("W4 singles 20 at once", { kind: "singles", concurrency: 20 }, ["floor-chain", "ioredis", "nats"], []),
    define("W4 singles 100 at once", { kind: "singles", concurrency: 100 }, ["floor-resp", "ioredis", "nats"], []),
    define(
      "W4 singles 1000 at once",
      { kind: "singles", concurrency: 1_000 },
      ["floor-resp", "ioredis", "nats", "bullmq", "rabbitmq"],
      [ratio("ioredis", 2), { kind: "p99Ms", max: 15 }],
    ),
    define(
      "W5 latency at 1000/s",
      { ...latency, ratePerSecond: 1_000 },
      ["floor-chain", "ioredis", "nats", "bullmq", "rabbitmq"],
      [
        { kind: "p50Ms", max: 1 },
        { kind: "p99Ms", max: 5 },
        { kind: "p99Ratio", to: "nats", max: 1.5 },
      ],
    ),
    define(
      "W5 latency at 20000/s",
      { ...latency, ratePerSecond: 20_000 },
      ["ioredis", "nats"],
      [
        { kind: "p99Ms", max: 10 },
        { kind: "p99Ratio", to: "nats", max: 1.5 },
      ],
    ),
    define(
      "W6 fan-out to 10 groups",
      { kind: "drain", producers: 10, consumers: 1, groups: 10, preload: partOfPreload(8) },
      ["nats", "ioredis"],
      [{ kind: "ratioToCase", to: "W2 drain", min: 1 }],
      { smaller: { nats: { preload: partOfPreload(60) }, ioredis: { preload: partOfPreload(60) } } },
    ),
    define(
      "W7 publish 100 B",
      { ...publish, recordBytes: 100 },
      ["ioredis", "nats"],
      [{ kind: "ratioToCase", to: "W1 publish 10 partitions", min: 1.5 }],
    ),
    define(
      "W7 publish 4 KiB",
      { ...publish, recordBytes: 4_096, batchRecords: 100 },
      ["floor-resp", "ioredis", "nats"],
      [{ kind: "megabytesPerSecond", min: 300 }],
    ),
    define(
      "W7 publish 1 MiB",
      { ...publish, producers: 4, recordBytes: mebibyte - 64, batchRecords: 2 },
      ["floor-resp", "ioredis"],
      [{ kind: "megabytesPerSecond", min: 300 }],
    ),
    define("W8 publish JSON", { ...publish, dataFile }, ["ioredis", "nats"], []),
    define(
      "W8 publish JSON zstd",
      { ...publish, dataFile, compression: "zstd" },
      [],
      [
        { kind: "redisPerPayload", max: 0.4 },
        { kind: "ratioToCase", to: "W8 publish JSON", min: 0.4 },
      ],
    ),
    define(
      "W9 10000 sessions one record to all",
      sessions,
      ["floor-http2"],
      [...idleTargets, { kind: "p99Ms", max: 20 }],
      { onRequest: true },
    ),
    define(
      "W9 10000 sessions one record to each",
      { ...sessions, ratePerSecond: 100 },
      ["floor-http2"],
      [...idleTargets, { kind: "p99Ms", max: 20 }],
      { onRequest: true },
    ),
    define(
      "W10 publish 1000 partitions",
      { ...publish, partitions: 1_000 },
      ["ioredis"],
      [{ kind: "ratioToCase", to: "W1 publish 10 partitions", min: 0.7 }],
    ),
    define(
      "W10 in = out 1000 partitions",
      { ...both, partitions: 1_000, warmupMs: 3_000 },
      ["ioredis"],
      [{ kind: "ratioToCase", to: "W3 in = out", min: 0.7 }],
    ),
    define(
      "W11 embedded on Redis in = out",
      both,
      engineBaselines,
      [ratio("floor-resp", 0.6), { kind: "ratio", to: "ioredis", min: 5 }],
      {
        subject: "engine-redis",
      },
    ),
    define(
      "W12 embedded file publish",
      { ...publish, producers: 8 },
      ["floor-fsync"],
      [{ kind: "recordsPerSecond", min: 200_000 }],
      {
        subject: "engine-file",
      },
    ),
    define(
      "W12 embedded file 1000 singles",
      { kind: "singles", concurrency: 1_000 },
      ["floor-fsync"],
      [{ kind: "recordsPerSecond", min: 20_000 }],
      { subject: "engine-file" },
    ),
    define(
      "MEM consumers that never read",
      { ...memory, kind: "neverRead", producers: 4, batchRecords: 2, groups: 10 },
      [],
      memoryTargets,
      { onRequest: true },
    ),
    define("MEM producer that never stops 1 MiB", { ...memory, kind: "neverStop" }, [], memoryTargets, {
      onRequest: true,
    }),
    define(
      "MEM producer that never stops 512 B",
      { ...memory, kind: "neverStop", recordBytes: 512 },
      [],
      memoryTargets,
      { onRequest: true },
    ),
    define("RSS ten minutes of in = out", { ...both, measureMs: 600_000, retainedBytes: 50 * mebibyte }, [], [], {
      onRequest: true,
    }),
  ];
}
