import { describe, expect, it } from "vitest";
import type { RoundResult } from "../src/processes/round.ts";
import { summarize } from "../src/report/summary.ts";
import type { CaseResult } from "../src/run-suite.ts";
import { createSuite } from "../src/suite.ts";

const suite = createSuite({ measureMs: 1_000, cores: 2, dataFile: "none" });
const [first] = suite;

function round(recordsPerSecond: number, redisBytesPerRecord?: number): RoundResult {
  return {
    records: recordsPerSecond,
    payloadBytes: recordsPerSecond * 512,
    elapsedMs: 1_000,
    storedRecords: recordsPerSecond,
    latency: undefined,
    processes: { client: { cpuUs: recordsPerSecond * 3, rssBytes: 100e6, peakRssBytes: 120e6 } },
    redisBytesPerRecord,
  };
}

function resultOf(subject: readonly RoundResult[], ioredis: readonly RoundResult[]): CaseResult {
  if (first === undefined) throw new Error("the suite is empty");
  const systems = [
    { system: "gmq" as const, rounds: subject, failure: undefined },
    { system: "ioredis" as const, rounds: ioredis, failure: undefined },
  ];
  return { case: first, systems, loadAverage: 0 };
}

describe("summary", () => {
  it("compares rounds that ran side by side, so that a slow minute does not count", () => {
    const [figures] = summarize([resultOf([round(300), round(30), round(330)], [round(100), round(10), round(100)])]);
    expect(figures?.systems[1]?.subjectRatio).toBe(3);
    expect(figures?.systems[0]?.recordsPerSecond).toBe(300);
    expect(figures?.systems[0]?.cpuUsPerRecord).toEqual({ client: 3 });
  });

  it("judges targets, halves those against ioredis on two cores, and leaves open what was not measured", () => {
    const [figures] = summarize([resultOf([round(260, 530)], [round(100)])]);
    expect(figures?.targets).toEqual([
      { text: "x ioredis >= 2.5", found: 2.6, met: true },
      { text: "x floor-http2 >= 0.35", found: undefined, met: undefined },
      { text: "x nats >= 3", found: undefined, met: undefined },
      { text: "Redis bytes / payload <= 1.05", found: 530 / 512, met: true },
    ]);
  });
});

it("tells what a process costs for each idle session, and of a core", () => {
  const idle = suite.find(({ workload }) => workload === "W9") as CaseResult["case"];
  const own = {
    ...round(10_000),
    elapsedMs: 45_000,
    processes: { broker: { cpuUs: 1_800_000, rssBytes: 550e6, peakRssBytes: 560e6 } },
  };
  const [figures] = summarize([
    { case: idle, systems: [{ system: "gmq", rounds: [own], failure: undefined }], loadAverage: 0 },
  ]);
  expect(figures?.targets.slice(0, 2)).toEqual([
    { text: "broker % of a core <= 2", found: 4, met: false },
    { text: "broker KB a session <= 60", found: 55, met: true },
  ]);
});

it("judges memory by the most that a process had", () => {
  const memory = suite.find(({ workload }) => workload === "MEM") as CaseResult["case"];
  const broker = { cpuUs: 0, rssBytes: 100e6, peakRssBytes: 600e6 };
  const own = { ...round(100), processes: { broker, storage: { ...broker, peakRssBytes: 500e6 } } };
  const [figures] = summarize([
    { case: memory, systems: [{ system: "gmq", rounds: [own], failure: undefined }], loadAverage: 0 },
  ]);
  expect(figures?.targets).toEqual([
    { text: "broker MB at most <= 512", found: 600, met: false },
    { text: "storage MB at most <= 512", found: 500, met: true },
  ]);
});

describe("suite", () => {
  it("names every case once, and compares only with cases that are there", () => {
    const names = suite.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { targets } of suite)
      for (const target of targets) if (target.kind === "ratioToCase") expect(names).toContain(target.to);
  });
});
