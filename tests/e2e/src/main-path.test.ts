/** Publish → ack → deliver → ack, the same file on every deployment. */
import { randomUUID } from "node:crypto";
import { GmqError, topic } from "@gmq/client";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { useClients } from "./harness/clients.js";
import { startServices, startStandalone } from "./harness/topologies.js";

const name = (): string => `t-${randomUUID().slice(0, 8)}`;

describe.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["standalone, in memory", () => startStandalone({ args: ["--memory"] })],
  ["separate processes, Redis, two brokers", () => startServices({ brokers: 2 })],
])("%s", (_name, start) => {
  const clients = useClients(start);

  it("delivers typed records once, in order per key, through any broker", async () => {
    const orders = topic(name(), { value: z.object({ id: z.number().int(), key: z.string() }) });
    const producer = clients.gmq.producer();
    const count = 5_000;
    const sent = await Promise.all(
      Array.from({ length: count }, (_, id) => {
        const key = `user-${id % 37}`;
        return producer.send(orders, { key, value: { id, key }, headers: { n: String(id) } });
      }),
    );
    expect(new Set(sent.map(({ partition, offset }) => `${partition}/${offset}`)).size).toBe(count);
    const byKey = new Map<string, number[]>();
    let seen = 0;
    const subscription = clients.other.subscribe(orders, { group: "g", concurrency: 50 }, ({ value, headers, key }) => {
      seen++;
      expect(headers["n"]).toBe(String(value.id));
      expect(key).toBe(value.key);
      byKey.set(value.key, [...(byKey.get(value.key) ?? []), value.id]);
    });
    await expect.poll(() => seen, { timeout: 20_000 }).toBe(count);
    await subscription.drain();
    for (const ids of byKey.values()) expect(ids).toEqual(ids.toSorted((left, right) => left - right));
    const { partitions } = await clients.gmq.admin.describeGroup("g");
    expect(partitions.map(({ lag }) => lag)).toEqual(partitions.map(() => 0n));
    await clients.gmq.admin.deleteTopic(orders.name);
    await clients.gmq.admin.deleteGroup("g");
  });

  it("shares partitions among consumers, and takes over from one that leaves", async () => {
    const target = name();
    const group = `${target}-group`;
    await clients.gmq.admin.createTopic(target, { partitions: 8 });
    const handled: string[] = [];
    const consumers = [clients.gmq, clients.other, clients.gmq].map((client, index) =>
      client.subscribe(target, { group, concurrency: 8 }, ({ partition, offset }) => {
        handled.push(`${partition}/${offset}`);
        expect(index).toBeLessThan(3);
      }),
    );
    await expect
      .poll(() => consumers.map(({ assignments }) => assignments.length).toSorted(), { timeout: 15_000 })
      .toEqual([2, 3, 3]);
    const owned = consumers.flatMap(({ assignments }) => assignments.map(({ partition }) => partition));
    expect(owned.toSorted((left, right) => left - right)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const producer = clients.gmq.producer();
    const send = (count: number) =>
      Promise.all(Array.from({ length: count }, (_, n) => producer.send(target, { key: `k${n}`, value: `${n}` })));
    await send(500);
    await consumers[0]?.close();
    await send(500);
    await expect.poll(() => new Set(handled).size, { timeout: 15_000 }).toBe(1_000);
    await expect
      .poll(() => consumers.slice(1).map(({ assignments }) => assignments.length), { timeout: 15_000 })
      .toEqual([4, 4]);
    for (const consumer of consumers) await consumer.close();
  });

  it("retries a record that failed, in its place, and settles by hand", async () => {
    const target = name();
    const producer = clients.gmq.producer();
    for (const value of ["a", "b", "c"]) await producer.send(target, { key: "k", value });
    const order: string[] = [];
    const subscription = clients.other.subscribe(
      target,
      { group: `${target}-g`, retry: { backoff: { initialMs: 10, maxMs: 20 } } },
      ({ value, attempt }) => {
        const text = new TextDecoder().decode(value as Uint8Array);
        order.push(`${text}${attempt}`);
        if (text === "b" && attempt < 3) throw new Error("not yet");
      },
    );
    await expect.poll(() => order, { timeout: 10_000 }).toEqual(["a1", "b1", "b2", "b3", "c1"]);
    await subscription.drain();
    await using consumer = clients.other.consumer(target, { group: `${target}-hand` });
    const batch = await consumer.receive({ timeoutMs: 10_000 });
    expect(batch?.messages.length).toBeGreaterThan(0);
    await batch?.ack();
  });

  it("refuses what it must, by name, and goes on", async () => {
    const producer = clients.gmq.producer();
    await expect(producer.send("bad{name}", { value: "x" })).rejects.toSatisfy((e) => GmqError.is(e, "invalid_name"));
    await expect(producer.send("ok", { value: "x", partition: 99 })).rejects.toMatchObject({
      code: "partition_not_found",
    });
    await expect(producer.send("ok", { value: new Uint8Array(3 * 1024 * 1024) })).rejects.toMatchObject({
      code: "record_too_large",
    });
    await expect(clients.gmq.admin.createTopic("ok2", { partitions: 5_000 })).rejects.toMatchObject({
      code: "invalid_argument",
      field: "partitions",
    });
    await expect(clients.gmq.admin.describeTopic("missing")).rejects.toMatchObject({ code: "topic_not_found" });
    expect(await producer.send("ok", { value: "x" })).toMatchObject({ offset: 0n });
  });

  it("answers curl on the same port", async () => {
    const target = name();
    const body = { topic: target, key: "user_id_123", value: "T3JkZXIjMTAwMQ==" };
    const response = await fetch(`${clients.topology.brokers[0]}/gmq.v1.BrokerService/Publish`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ topic: target, offset: "0" });
    const { records } = await clients.gmq.admin.browse(target, { partition: 1 });
    expect(records.map(({ value }) => new TextDecoder().decode(value))).toEqual(["Order#1001"]);
    const refused = await fetch(`${clients.topology.brokers[0]}/gmq.v1.BrokerService/Publish`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...body, topic: "no/slash" }),
    });
    expect(refused.status).toBe(400);
    expect(JSON.stringify(await refused.json())).toContain("invalid_name");
  });

  it("shows health and serves the portal", async () => {
    expect((await fetch(`${clients.topology.brokers[0]}/readyz`)).status).toBe(200);
    expect((await fetch(`${clients.topology.storageUrl}/healthz`)).status).toBe(200);
    expect((await fetch(`${clients.topology.adminUrl}/readyz`)).status).toBe(200);
    expect(await (await fetch(clients.topology.adminUrl)).text()).toContain("<title>GMQ</title>");
    const listed = await fetch(`${clients.topology.adminUrl}/gmq.v1.AdminService/ListTopics`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(listed.status).toBe(200);
  });

  it("drains and exits 0 on SIGTERM, and finds its data again", async () => {
    const target = name();
    await clients.gmq.producer().send(target, { value: "stays", partition: 0 });
    for (const part of clients.topology.parts) {
      await part.stop();
      expect(await part.process.exited).toEqual({ code: 0, signal: null });
    }
    for (const part of clients.topology.parts) await part.restart();
    if (_name.includes("memory")) return;
    const { records } = await clients.gmq.admin.browse(target, { partition: 0, timeoutMs: 20_000 });
    expect(records.length).toBe(1);
  }, 60_000);
});
