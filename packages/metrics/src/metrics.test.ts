import { silentLogger } from "@gmq/log";
import { expect, it } from "vitest";
import { createMetrics } from "./metrics.js";

const create = () => createMetrics({ part: "broker", version: "1.2.3", logger: silentLogger });

it("puts measurements into buckets that hold all smaller ones", async () => {
  const metrics = create();
  const observe = metrics.seconds("gmq_append_duration_seconds");
  for (const seconds of [0.0005, 0.0006, 0.3, 60]) observe(seconds);
  const lines = (await metrics.text()).split("\n").filter((line) => line.includes("gmq_append_duration_seconds"));
  expect(lines).toContain("# TYPE gmq_append_duration_seconds histogram");
  expect(lines).toContain('gmq_append_duration_seconds_bucket{le="0.0005"} 1');
  expect(lines).toContain('gmq_append_duration_seconds_bucket{le="0.001"} 2');
  expect(lines).toContain('gmq_append_duration_seconds_bucket{le="0.25"} 2');
  expect(lines).toContain('gmq_append_duration_seconds_bucket{le="0.5"} 3');
  expect(lines).toContain('gmq_append_duration_seconds_bucket{le="10"} 3');
  expect(lines).toContain('gmq_append_duration_seconds_bucket{le="+Inf"} 4');
  expect(lines).toContain("gmq_append_duration_seconds_count 4");
  expect(lines.find((line) => line.startsWith("gmq_append_duration_seconds_sum"))).toMatch(/ 60\.3011/);
  metrics.close();
});

it("shows totals and labels, and leaves out what cannot be read", async () => {
  const metrics = create();
  let sessions: number | Error = 3;
  metrics.read("gmq_sessions", () => {
    if (sessions instanceof Error) throw sessions;
    return sessions;
  });
  metrics.read("gmq_request_errors_total", () => [{ labels: { code: 'a"b' }, value: 2 }]);
  const before = await metrics.text();
  expect(before).toContain("\ngmq_sessions 3\n");
  expect(before).toContain('gmq_request_errors_total{code="a\\"b"} 2');
  expect(before).toContain('gmq_build_info{version="1.2.3",part="broker"} 1');
  // Read twice, a total is still the total.
  expect(await metrics.text()).toContain('gmq_request_errors_total{code="a\\"b"} 2');
  sessions = new Error("gone");
  expect(await metrics.text()).not.toMatch(/^gmq_sessions /m);
  metrics.close();
});

it("refuses a name of another part", () => {
  const metrics = create();
  expect(() => metrics.read("gmq_group_lag_records", () => 1)).toThrow("is no metric of broker");
  metrics.close();
});

it("looks at the event loop no more often than every 50 ms: each look wakes an idle process", async () => {
  const metrics = create();
  const shortestSeconds = async (): Promise<number> =>
    Number(/^nodejs_eventloop_lag_min_seconds (\S+)$/m.exec(await metrics.text())?.[1]);
  // Before the first look it is the largest number that there is.
  await expect
    .poll(shortestSeconds, { interval: 500, timeout: 15_000 })
    .toSatisfy((seconds: number) => seconds > 0.045 && seconds < 100);
  metrics.close();
});
