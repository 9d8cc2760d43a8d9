import { connect, type Gmq } from "@gmq/client";
import type { OpenSessions } from "./sessions.ts";

/** The longest that an idle consumer may be gone unnoticed; how often sessions are asked whether they live depends on it. */
const sessionTimeoutMs = 60_000;
const createdAtOnce = 100;

/** Consumers of a group each, of one topic; where records come one by one, each has a topic of its own. */
export const openGmqSessions: OpenSessions = async ({ addresses, topic, load }, handled, failed) => {
  const brokers = [addresses.brokerUrl];
  const admin = await connect({ brokers });
  const topicOf = (index: number): string => (load.ratePerSecond > 0 ? `${topic}-${index}` : topic);
  const topics = [...new Set(Array.from({ length: load.consumers }, (_, index) => topicOf(index)))];
  await inPieces(topics, (name) => admin.admin.createTopic(name, { partitions: load.partitions }));
  const producer = admin.producer();
  const clients: Gmq[] = [];
  const value = Buffer.alloc(load.recordBytes, 120);

  return {
    async open(index) {
      const gmq = await connect({ brokers, timeoutMs: 60_000 });
      clients.push(gmq);
      const subscription = gmq.subscribe(topicOf(index), { group: `${topic}-${index}`, sessionTimeoutMs }, () =>
        handled(index),
      );
      subscription.closed.catch(failed);
      for await (const event of subscription.status()) if (event.type === "assigned") return;
    },
    send(to) {
      producer.send(topicOf(to === "all" ? 0 : to), { partition: 0, value }).catch(failed);
    },
    async close() {
      await producer.close();
      await Promise.all(clients.map((gmq) => gmq.close()));
      await inPieces(topics, (name) => admin.admin.deleteTopic(name));
      await admin.close();
    },
  };
};

async function inPieces(names: readonly string[], run: (name: string) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < names.length; from += createdAtOnce)
    await Promise.all(names.slice(from, from + createdAtOnce).map(run));
}
