/** What Prometheus sees of real processes under real traffic: every name of the catalogue, and numbers that are those of the traffic. */
import { connect, type Gmq } from "@gmq/client";
import { type MetricFacts, type MetricPart, metricCatalogue } from "@gmq/metrics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSamples, type Samples, scrape } from "./harness/metrics-text.js";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";

const count = 200;

describe.each([
  ["standalone, in memory", () => startStandalone({ args: ["--memory", "--lag-series-max", "3"] })],
  ["separate processes, Redis", () => startServices({ storageArgs: ["--lag-series-max", "3"] })],
])("%s", (_name, start) => {
  let topology: Topology;
  let gmq: Gmq;

  beforeAll(async () => {
    topology = await start();
    gmq = await connect({ brokers: topology.brokers });
  }, 60_000);

  afterAll(async () => {
    await gmq.close();
    await topology.stop();
  });

  const broker = (): Promise<Samples> => scrape(topology.brokers[0] ?? "");
  const storage = (): Promise<Samples> => scrape(topology.storageUrl);

  it("counts what was published, delivered and settled", async () => {
    await gmq.admin.createTopic("orders", { partitions: 2 });
    const producer = gmq.producer();
    await Promise.all(
      Array.from({ length: count }, (_, n) => producer.send("orders", { key: `k${n}`, value: "12345" })),
    );
    const refused = gmq.subscribe("orders", { group: "g2", memberId: "gmq.mine" }, () => undefined);
    await expect(refused.closed).rejects.toMatchObject({ code: "invalid_name" });
    const handled = new Set<string>();
    const subscription = gmq.subscribe("orders", { group: "g" }, ({ partition, offset }) => {
      handled.add(`${partition}/${offset}`);
    });
    await expect.poll(() => handled.size).toBe(count);
    await expect.poll(async () => (await broker()).value("gmq_settle_records_total", { verb: "ack" })).toBe(count);
    const seen = await broker();
    expect(seen.value("gmq_append_records_total")).toBe(count);
    expect(seen.value("gmq_append_bytes_total")).toBeGreaterThan(count * 5);
    expect(seen.value("gmq_delivered_records_total")).toBe(count);
    expect(seen.value("gmq_fetch_records_total")).toBe(count);
    expect(seen.value("gmq_sessions")).toBe(1);
    expect(seen.value("gmq_subscriptions")).toBe(1);
    expect(seen.value("gmq_in_flight_records")).toBe(0);
    expect(seen.value("gmq_credit_records")).toBeGreaterThan(0);
    expect(seen.value("gmq_requests_in_flight")).toBe(0);
    expect(seen.value("gmq_publish_in_flight_bytes")).toBe(0);
    expect(seen.value("gmq_request_errors_total", { code: "invalid_name" })).toBe(1);
    // Calls, not records: a batch is measured once.
    const calls = seen.value("gmq_append_duration_seconds_count");
    expect(calls).toBeGreaterThan(0);
    expect(calls).toBeLessThanOrEqual(count);
    await subscription.close();
    await expect.poll(async () => (await broker()).value("gmq_subscriptions")).toBe(0);
  });

  it("shows lag by group and partition, and one sum per group when there are too many", async () => {
    await gmq.producer().send("orders", { value: "behind", partition: 1 });
    // The sample that an earlier scrape took serves for a while.
    await expect
      .poll(async () =>
        (await storage()).value("gmq_group_lag_records", { group: "g", topic: "orders", partition: "1" }),
      )
      .toBe(1);
    await expect
      .poll(async () =>
        (await storage()).value("gmq_group_lag_seconds", { group: "g", topic: "orders", partition: "1" }),
      )
      .toBeGreaterThan(0);
    const seen = await storage();
    expect(seen.value("gmq_group_lag_records", { group: "g", topic: "orders", partition: "0" })).toBe(0);
    expect(seen.value("gmq_group_lag_summed")).toBe(0);
    expect(seen.value("gmq_group_lag_series")).toBe(2);
    const second = gmq.subscribe("orders", { group: "late" }, () => undefined);
    await expect.poll(async () => (await storage()).value("gmq_group_lag_summed")).toBe(1);
    await second.close();
    const summed = await storage();
    expect(summed.value("gmq_group_lag_series")).toBe(4);
    expect(summed.value("gmq_group_lag_records", { group: "g", topic: "", partition: "" })).toBe(1);
    expect(summed.value("gmq_group_lag_records", { group: "g", topic: "orders", partition: "1" })).toBeUndefined();
  });

  it("exposes the names of the catalogue, each with its help, and no others", async () => {
    const urls: Record<MetricPart, string> = {
      broker: topology.brokers[0] ?? "",
      storage: topology.storageUrl,
      admin: topology.adminUrl,
    };
    const catalogue: [string, MetricFacts][] = Object.entries(metricCatalogue);
    for (const [part, url] of Object.entries(urls)) {
      const wanted = catalogue.filter(([, { parts }]) => parts.some((of) => of === part)).map(([name]) => name);
      const found = (await scrape(url)).names.filter((name) => name.startsWith("gmq_"));
      expect(found.toSorted(), part).toEqual(wanted.toSorted());
    }
  });

  it("answers as Prometheus asks, and refuses to be written to", async () => {
    const response = await fetch(`${topology.brokers[0]}/metrics`);
    expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    expect(await response.text()).toContain("# TYPE process_resident_memory_bytes gauge");
    expect((await fetch(`${topology.brokers[0]}/metrics`, { method: "POST" })).status).toBe(405);
  });
});

it("answers while the store is gone: not ready, with the reason, and without series that nobody knows", async () => {
  const topology = await startServices({ redis: {} });
  try {
    expect((await scrape(topology.storageUrl)).value("gmq_store_memory_bytes")).toBeGreaterThan(0);
    await topology.redis?.kill();
    await expect.poll(async () => (await scrape(topology.storageUrl)).value("gmq_ready")).toBe(0);
    const seen = await scrape(topology.storageUrl);
    expect(seen.value("gmq_store_ready")).toBe(0);
    expect(seen.value("gmq_problems", { subject: "store" })).toBe(1);
    expect(seen.value("gmq_store_memory_bytes")).toBeUndefined();
    expect(await (await fetch(`${topology.storageUrl}/readyz`)).json()).toMatchObject({
      status: "not ready",
      problems: { store: expect.stringMatching(/./) },
      forMs: { store: expect.any(Number) },
    });
  } finally {
    await topology.stop();
  }
});

it("reads the text format", () => {
  const samples = readSamples('# HELP a_total b\n# TYPE a_total counter\na_total{x="1",y="a b"} 3\nc 0.5\n');
  expect(samples.value("a_total", { x: "1", y: "a b" })).toBe(3);
  expect(samples.value("c")).toBe(0.5);
  expect(samples.names).toEqual(["a_total"]);
});
