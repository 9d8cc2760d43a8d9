/** Records for later: kept through restarts, delivered once, in time, by whoever is there. */
import { randomUUID } from "node:crypto";
import { connect, type Gmq, GmqError } from "@gmq/client";
import { afterEach, describe, expect, it } from "vitest";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";

describe.each([
  ["standalone, embedded engine", () => startStandalone(), "standalone"],
  ["separate processes, Redis", () => startServices({ redis: { appendonly: "always" } }), "storage"],
])("%s", (_name, start, store) => {
  let topology: Topology;
  let gmq: Gmq;

  afterEach(async () => {
    await gmq.close();
    await topology.stop();
  });

  it("delivers at its time and not before, once, though the store's process is killed meanwhile", async () => {
    topology = await start();
    gmq = await connect({ brokers: topology.brokers });
    const target = `later-${randomUUID().slice(0, 8)}`;
    const arrived = new Map<string, number[]>();
    gmq.subscribe(target, { group: "g", concurrency: 16 }, ({ value }) => {
      const text = new TextDecoder().decode(value as Uint8Array);
      arrived.set(text, [...(arrived.get(text) ?? []), Date.now()]);
    });
    const producer = gmq.producer();
    const startedMs = Date.now();
    const dueMs = startedMs + 6_000;
    const kept = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        producer.send(target, { key: `k${n}`, value: `late ${n}`, deliverAt: new Date(dueMs) }),
      ),
    );
    expect(new Set(kept.map(({ offset }) => offset))).toEqual(new Set([-1n]));
    // The same id again is the same record.
    for (let n = 0; n < 2; n++) {
      await producer.send(target, { partition: 0, value: "same", deliverAt: dueMs, dedupeId: "same" });
    }
    await producer.send(target, { key: "k1", value: "now" });
    await producer.send(target, { key: "k1", value: "past", deliverAt: new Date(startedMs - 1_000) });
    await expect.poll(() => [...arrived.keys()].toSorted(), { timeout: 15_000 }).toEqual(["now", "past"]);

    await topology.part(store).kill();
    await topology.part(store).restart();
    await expect.poll(() => arrived.size, { timeout: 30_000 }).toBe(103);
    const late = [...arrived].filter(([text]) => text.startsWith("late") || text === "same");
    expect(late.flatMap(([, times]) => times).filter((ms) => ms < dueMs)).toEqual([]);
    // Stored once: the log holds each record one time.
    const { partitions } = await gmq.admin.describeGroup("g");
    expect(partitions.reduce((sum, { endOffset }) => sum + endOffset, 0n)).toBe(103n);
  }, 90_000);

  it("takes a time from curl, and refuses one too far away", async () => {
    topology = await start();
    gmq = await connect({ brokers: topology.brokers });
    const target = `later-${randomUUID().slice(0, 8)}`;
    const response = await fetch(`${topology.brokers[0]}/gmq.v1.BrokerService/Publish`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ topic: target, value: "eA==", partition: 0, deliverAtMs: String(Date.now() + 300) }),
    });
    expect(await response.json()).toMatchObject({ offset: "-1", scheduled: true });
    const ends = async () => (await gmq.admin.describeTopic(target)).partitionStats[0]?.endOffset;
    await expect.poll(ends, { timeout: 15_000 }).toBe(1n);
    const deliverAt = Date.now() + 400 * 86_400_000;
    await expect(gmq.producer().send(target, { value: "x", deliverAt })).rejects.toSatisfy(
      (error) => GmqError.is(error, "invalid_argument") && error.field === "deliverAt",
    );
  }, 60_000);
});
