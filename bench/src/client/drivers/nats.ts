/** NATS JetStream: one stream on file storage, publishes with a window of their own, a durable pull consumer shared by the group, one ack a message. */
import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { OpenDriver } from "../driver.ts";

/** Messages that a pull consumer asks for ahead. */
const pullMessages = 5_000;
const ackPendingMax = 100_000;
/** Publishes in flight: measured from 100 to 25,000, this is where the client is fastest (34 k/s against 22 k/s with all of 25,000 at once). */
const publishWindow = 500;

export const openNats: OpenDriver = async ({ topic, addresses }) => {
  const servers = `127.0.0.1:${addresses.natsPort}`;
  const sending = await connect({ servers });
  const receiving = await connect({ servers });
  const admin = await jetstreamManager(sending);
  await admin.streams.add({
    name: topic,
    subjects: [topic],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
  });
  const publisher = jetstream(sending, { timeout: 30_000 });
  const consuming = jetstream(receiving, { timeout: 30_000 });
  const groups = new Set<string>();
  let inFlight = 0;
  const waiting = new Set<() => void>();

  async function publish(payload: Uint8Array): Promise<void> {
    if (inFlight >= publishWindow) await new Promise<void>((resolve) => waiting.add(resolve));
    else inFlight++;
    await publisher.publish(topic, payload);
    // Its place in the window goes to whoever waits longest.
    const [next] = waiting;
    if (next === undefined) inFlight--;
    else {
      waiting.delete(next);
      next();
    }
  }

  const stops: (() => void)[] = [];
  return {
    async createProducer() {
      return {
        async sendBatch(payloads) {
          await Promise.all(payloads.map(publish));
        },
        send: publish,
      };
    },
    async consume(group, _index, _count, handler) {
      if (!groups.has(group)) {
        groups.add(group);
        await admin.consumers.add(topic, {
          durable_name: group,
          ack_policy: AckPolicy.Explicit,
          max_ack_pending: ackPendingMax,
        });
      }
      const consumer = await consuming.consumers.get(topic, group);
      const messages = await consumer.consume({
        max_messages: pullMessages,
        callback(message) {
          handler(message.data);
          message.ack();
        },
      });
      stops.push(() => messages.stop());
    },
    async close() {
      for (const stop of stops) stop();
      await receiving.close();
      await admin.streams.delete(topic);
      await sending.close();
    },
  };
};
