/** Several topics and patterns in one subscription; topics made later join the running group. */
import { randomUUID } from "node:crypto";
import { topic } from "@gmq/client";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { useClients } from "./harness/clients.js";
import { startServices, startStandalone } from "./harness/topologies.js";

describe.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["separate processes, Redis, two brokers", () => startServices({ brokers: 2 })],
])("%s", (_name, start) => {
  const clients = useClients(start);

  it("consumes what matches, now and later, and what is named", async () => {
    const prefix = `p${randomUUID().slice(0, 6)}`;
    const schema = z.object({ n: z.number() });
    const send = async (name: string, n: number): Promise<void> => {
      const producer = clients.gmq.producer();
      await producer.send(topic(name, { value: schema }), { value: { n }, partition: 0 });
      await producer.close();
    };
    await send(`${prefix}.eu`, 1);
    await send(`${prefix}-extra`, 2);
    await send(`${prefix}other`, 3);
    const seen: string[] = [];
    const subscription = clients.other.subscribe(
      [topic(`${prefix}.*`, { value: schema }), topic(`${prefix}-extra`, { value: schema })],
      { group: `${prefix}-g` },
      ({ topic: name, value }) => void seen.push(`${name.slice(prefix.length)} ${value.n}`),
    );
    await expect.poll(() => seen.toSorted(), { timeout: 15_000 }).toEqual(["-extra 2", ".eu 1"]);
    // Made while the group runs; nothing of it is missed, though the record was there before the group heard of the topic.
    await send(`${prefix}.us`, 4);
    await send(`${prefix}.group.dlq`, 5);
    await expect.poll(() => seen.toSorted(), { timeout: 15_000 }).toEqual(["-extra 2", ".eu 1", ".us 4"]);
    await send(`${prefix}.eu`, 6);
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(4);
    await subscription.close();
  }, 60_000);

  it("refuses a pattern that is none, and one that matches nothing, by name", async () => {
    const subscribe = (pattern: string) => clients.gmq.subscribe(pattern, { group: "g" }, () => undefined);
    expect(() => subscribe("a{*}")).toThrowError(
      expect.objectContaining({ code: "invalid_name", field: "topic_patterns" }),
    );
    await expect(subscribe(`${randomUUID()}*`).closed).rejects.toMatchObject({
      code: "topic_not_found",
      field: "topic_patterns",
    });
  });
});
