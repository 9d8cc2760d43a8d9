/** A topic of a running subscription is deleted and made again: its consumers lose it, stay, and read the new one from its beginning. */
import { randomUUID } from "node:crypto";
import { GmqError, type Subscription } from "@gmq/client";
import { describe, expect, it } from "vitest";
import { useClients } from "./harness/clients.js";
import { startServices, startStandalone } from "./harness/topologies.js";

const soon = { timeout: 15_000 };
const text = new TextDecoder();

describe.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["separate processes, Redis, two brokers", () => startServices({ brokers: 2 })],
])("%s", (_name, start) => {
  const clients = useClients(start);

  /** What its consumer hears of a topic. */
  function told(subscription: Subscription, topic: string): string[] {
    const list: string[] = [];
    void (async () => {
      for await (const event of subscription.status())
        if ((event.type === "assigned" || event.type === "revoked") && event.topic === topic) list.push(event.type);
    })();
    return list;
  }

  describe.each(["exclusive", "shared", "broadcast"] as const)("%s", (mode) => {
    it.each([
      ["by name", ["a"]],
      ["beside another", ["a", "b"]],
      ["by pattern", ["*"]],
      ["by a pattern that nothing else matches", ["a*"]],
    ])(
      "goes on with a topic that is made again, subscribed to %s",
      async (_how, wanted) => {
        const prefix = `d${randomUUID().slice(0, 6)}.`;
        const [deleted, staying] = [`${prefix}a`, `${prefix}b`];
        for (const topic of [deleted, staying]) await clients.gmq.admin.createTopic(topic, { partitions: 1 });
        const send = async (topic: string, values: readonly string[]): Promise<void> => {
          const producer = clients.gmq.producer();
          for (const value of values) await producer.send(topic, { value });
          await producer.close();
        };
        await send(deleted, ["1", "2", "3"]);
        const seen: string[] = [];
        const subscription = clients.other.subscribe(
          wanted.map((topic) => prefix + topic),
          { group: `${prefix}g`, mode },
          ({ value, offset }) => void seen.push(`${text.decode(value as Uint8Array)} at ${offset}`),
        );
        const heard = told(subscription, deleted);
        let end: unknown;
        subscription.closed.catch((error: unknown) => (end = error));
        await expect.poll(() => seen, soon).toEqual(["1 at 0", "2 at 1", "3 at 2"]);

        await clients.gmq.admin.deleteTopic(deleted);
        await expect.poll(() => heard, soon).toEqual(["assigned", "revoked"]);
        if (wanted.length > 1 || wanted[0] === "*") {
          await send(staying, ["4"]);
          await expect.poll(() => seen.at(-1), soon).toBe("4 at 0");
        }
        // Who consumes a topic does not bring it back.
        await expect(clients.gmq.admin.describeTopic(deleted)).rejects.toSatisfy((error) =>
          GmqError.is(error, "topic_not_found"),
        );
        expect(end).toBeUndefined();

        await clients.gmq.admin.createTopic(deleted, { partitions: 1 });
        await send(deleted, ["5"]);
        await expect.poll(() => seen.at(-1), soon).toBe("5 at 0");
        expect(heard).toEqual(["assigned", "revoked", "assigned"]);

        // So soon that both may be seen at once.
        await clients.gmq.admin.deleteTopic(deleted);
        await clients.gmq.admin.createTopic(deleted, { partitions: 1 });
        await send(deleted, ["6", "7"]);
        await expect.poll(() => seen.slice(-2), soon).toEqual(["6 at 0", "7 at 1"]);
        // A group's member may have been given the partition of the topic that is going once more.
        if (mode === "broadcast") expect(heard).toHaveLength(5);
        expect(heard).toEqual(heard.map((_, index) => (index % 2 === 0 ? "assigned" : "revoked")));
        expect(heard.at(-1)).toBe("assigned");
        expect(end).toBeUndefined();
        await subscription.close();
      },
      60_000,
    );
  });
});
