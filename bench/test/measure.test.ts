import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createHistogram } from "../src/measure/histogram.ts";
import { median } from "../src/measure/median.ts";
import { forgetPeak, type ProcessUsage, readProcessUsage } from "../src/measure/process-usage.ts";

describe("histogram", () => {
  it("gives percentiles within a percent over five decades", () => {
    const histogram = createHistogram();
    for (let value = 1; value <= 100_000; value++) histogram.add(value / 100);
    const summary = histogram.summary();
    expect(summary?.count).toBe(100_000);
    expect(summary?.p50Ms).toBeGreaterThan(500 * 0.99);
    expect(summary?.p50Ms).toBeLessThan(500 * 1.01);
    expect(summary?.p99Ms).toBeGreaterThan(990 * 0.99);
    expect(summary?.p99Ms).toBeLessThan(990 * 1.01);
    expect(summary?.p999Ms).toBeGreaterThan(999 * 0.99);
    expect(summary?.maxMs).toBe(1_000);
  });

  it("keeps a single slow sample among a million fast ones as its maximum only", () => {
    const histogram = createHistogram();
    for (let count = 0; count < 1_000_000; count++) histogram.add(0.2);
    histogram.add(5_000);
    expect(histogram.summary()?.p999Ms).toBeLessThan(0.21);
    expect(histogram.summary()?.maxMs).toBe(5_000);
  });

  it("has nothing to say without samples", () => {
    expect(createHistogram().summary()).toBeUndefined();
  });
});

describe("median", () => {
  it("takes the middle, or the mean of the two in the middle", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeUndefined();
  });
});

describe.runIf(process.platform === "linux")("process usage", () => {
  it("counts the time that this process spends", () => {
    const before = readProcessUsage(process.pid);
    const own = process.cpuUsage();
    let spentUs = 0;
    while (spentUs < 150_000) {
      const { user, system } = process.cpuUsage(own);
      spentUs = user + system;
    }
    const after = readProcessUsage(process.pid);
    const countedUs = (after?.cpuUs ?? 0) - (before?.cpuUs ?? 0);
    // In steps of 10 ms, both for user and for system time.
    expect(countedUs).toBeGreaterThan(spentUs - 50_000);
    expect(after?.rssBytes).toBeGreaterThan(10 * 1024 * 1024);
  });

  it("keeps the most memory that a process had, until it is forgotten", () => {
    const bytes = 200 * 1024 * 1024;
    const child = spawnSync(
      process.execPath,
      [
        "-e",
        `let held = Buffer.alloc(${bytes}, 1); held = undefined; gc();
         const { forgetPeak, readProcessUsage } = await import(process.argv[1]);
         const before = readProcessUsage(process.pid);
         forgetPeak(process.pid);
         console.log(JSON.stringify([before, readProcessUsage(process.pid)]));`,
        join(import.meta.dirname, "../src/measure/process-usage.ts"),
      ],
      { encoding: "utf8", env: { ...process.env, NODE_OPTIONS: "--expose-gc --input-type=module" } },
    );
    const [before, after] = JSON.parse(child.stdout) as ProcessUsage[];
    expect((before?.peakRssBytes ?? 0) - (before?.rssBytes ?? 0)).toBeGreaterThan(bytes / 2);
    expect((after?.peakRssBytes ?? 0) - (after?.rssBytes ?? 0)).toBeLessThan(bytes / 2);
  });

  it("says nothing of a process that is not there", () => {
    forgetPeak(2 ** 22 + 1);
    expect(readProcessUsage(2 ** 22 + 1)).toBeUndefined();
  });
});
