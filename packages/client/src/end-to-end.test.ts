import { createBroker } from "@gmq/broker";
import { silentLogger } from "@gmq/log";
import { listen } from "@gmq/service";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { connect, type Gmq, topic } from "./index.js";

let gmq: Gmq;
let stop: () => Promise<void>;

beforeAll(async () => {
  const engine = await createEmbeddedEngine({ memory: true });
  const broker = createBroker({ engine });
  const listener = await listen({ host: "127.0.0.1", port: 0, routes: broker.routes, logger: silentLogger });
  gmq = await connect({ brokers: [listener.url] });
  stop = async () => {
    await gmq.close();
    await broker.drain(1_000);
    await broker.close();
    await listener.close({ drainMs: 500 });
    await engine.close();
  };
});

afterAll(() => stop());

describe("client, broker and embedded engine", () => {
  const orders = topic("orders", { value: z.object({ id: z.string(), cents: z.number().int() }) });

  it("delivers what was sent, typed, in order per key, once", async () => {
    await using producer = gmq.producer();
    const sent = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) =>
        producer.send(orders, {
          key: `k${index % 7}`,
          value: { id: `o${index}`, cents: index },
          headers: { source: "test" },
        }),
      ),
    );
    expect(new Set(sent.map(({ partition, offset }) => `${partition}/${offset}`)).size).toBe(1_000);
    const seen: number[] = [];
    const byKey = new Map<string, number[]>();
    const subscription = gmq.subscribe(orders, { group: "g1", concurrency: 16 }, async (message) => {
      seen.push(message.value.cents);
      const list = byKey.get(message.key ?? "") ?? [];
      list.push(message.value.cents);
      byKey.set(message.key ?? "", list);
      expect(message.headers["source"]).toBe("test");
    });
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1_000);
    for (const list of byKey.values()) expect(list).toEqual([...list].sort((a, b) => a - b));
    await subscription.drain();
    const group = await gmq.admin.describeGroup("g1");
    expect(group.partitions.reduce((sum, { lag }) => sum + lag, 0n)).toBe(0n);
  });

  it("reads by hand, one by one and in batches, and goes on where it stopped", async () => {
    await using producer = gmq.producer();
    for (let index = 0; index < 20; index++) await producer.send("raw", { key: "a", value: `v${index}` });
    const first: string[] = [];
    for await (const message of gmq.messages("raw", { group: "audit" })) {
      first.push(new TextDecoder().decode(message.value as Uint8Array));
      await message.ack();
      if (first.length === 5) break;
    }
    await using consumer = gmq.consumer("raw", { group: "audit" });
    const rest: string[] = [];
    while (rest.length < 15) {
      const batch = await consumer.receive({ timeoutMs: 5_000, max: 10 });
      expect(batch?.messages.length).toBeLessThanOrEqual(10);
      rest.push(...(batch?.messages ?? []).map((message) => new TextDecoder().decode(message.value as Uint8Array)));
      await batch?.ack();
    }
    expect(rest).toEqual(Array.from({ length: 15 }, (_, index) => `v${index + 5}`));
    expect(await consumer.receive({ timeoutMs: 200 })).toBeNull();
  });

  it("tries a record that fails again in place, and its key waits", async () => {
    await using producer = gmq.producer();
    for (const value of ["1", "2", "3"]) await producer.send("poison", { key: "k", value });
    const seen: string[] = [];
    const subscription = gmq.subscribe(
      "poison",
      { group: "g", concurrency: 4, retry: { backoff: { initialMs: 10, maxMs: 20 } } },
      async (message) => {
        const text = new TextDecoder().decode(message.value as Uint8Array);
        seen.push(`${text}@${message.attempt}`);
        if (text === "2" && message.attempt < 3) throw new Error("not yet");
      },
    );
    await expect.poll(() => seen.length, { timeout: 5_000 }).toBe(5);
    expect(seen).toEqual(["1@1", "2@1", "2@2", "2@3", "3@1"]);
    await subscription.drain();
  });
});
