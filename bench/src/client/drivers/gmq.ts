/** GMQ as users meet it: @gmq/client over a broker. Producers share one connection, consumers another. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Subscription, topic as topicOf } from "@gmq/client";
import type { OpenDriver } from "../driver.ts";

export const openGmq: OpenDriver = async ({ topic: name, addresses, load }) => {
  const topic = topicOf(name);
  const brokers = [addresses.brokerUrl];
  const sending = await connect({ brokers, clientId: "bench-producers" });
  const receiving = await connect({ brokers, clientId: "bench-consumers" });
  const groups = new Map<string, Subscription[]>();
  await sending.admin.createTopic(name, {
    partitions: load.partitions,
    ...(load.retainedBytes === 0 ? {} : { retention: { bytes: load.retainedBytes } }),
  });
  return {
    async createProducer() {
      const producer = sending.producer({ compression: load.compression });
      return {
        async sendBatch(payloads) {
          const results = await producer.sendBatch(
            topic,
            payloads.map((value) => ({ value })),
          );
          for (const result of results) if (!result.ok) throw result.error;
        },
        async send(value) {
          await producer.send(topic, { value });
        },
      };
    },
    async consume(group, index, count, handler) {
      const members = groups.get(group) ?? [];
      groups.set(group, members);
      const subscription = receiving.subscribe(topic, { group }, ({ value }) => handler(value));
      subscription.closed.catch((error: unknown) => {
        throw error;
      });
      members.push(subscription);
      if (index === count - 1) await untilShared(members, load.partitions);
    },
    async close() {
      await receiving.close();
      for (const group of groups.keys()) await sending.admin.deleteGroup(group);
      await sending.admin.deleteTopic(name);
      await sending.close();
    },
  };
};

const shareMsMax = 60_000;

/** Waits until the members of a group have shared the partitions: only then the group runs as it does in the long run. */
async function untilShared(members: readonly Subscription[], partitions: number): Promise<void> {
  const deadlineMs = performance.now() + shareMsMax;
  const most = Math.ceil(partitions / members.length);
  for (;;) {
    const held = members.map(({ assignments }) => assignments.length);
    const all = held.reduce((sum, count) => sum + count, 0);
    if (all === partitions && Math.max(...held) <= most) return;
    if (performance.now() > deadlineMs)
      throw new Error(`the partitions were not shared in time: ${held.join(", ")} of ${partitions}`);
    await sleep(20);
  }
}
