/** RabbitMQ: one durable queue, persistent messages, publisher confirms with a window of their own, consumers with prefetch and one ack a message. */
import { type ConfirmChannel, connect } from "amqplib";
import type { OpenDriver } from "../driver.ts";

/** Deliveries that a consumer may have unacked. */
const prefetch = 1_000;
/** Publishes in flight on a channel. */
const publishWindow = 2_000;

export const openRabbitmq: OpenDriver = async ({ topic, addresses }) => {
  const url = `amqp://127.0.0.1:${addresses.amqpPort}`;
  const sending = await connect(url);
  const receiving = await connect(url);
  const admin = await sending.createChannel();
  await admin.assertQueue(topic, { durable: true, arguments: { "x-queue-version": 2 } });

  async function openProducer() {
    const channel = await sending.createConfirmChannel();
    let inFlight = 0;
    const waiting = new Set<() => void>();

    async function publish(payload: Uint8Array): Promise<void> {
      if (inFlight >= publishWindow) await new Promise<void>((resolve) => waiting.add(resolve));
      else inFlight++;
      await confirmed(channel, topic, payload);
      // Its place in the window goes to whoever waits longest.
      const [next] = waiting;
      if (next === undefined) inFlight--;
      else {
        waiting.delete(next);
        next();
      }
    }

    return {
      async sendBatch(payloads: readonly Uint8Array[]) {
        await Promise.all(payloads.map(publish));
      },
      send: publish,
    };
  }

  let groupOfAll: string | undefined;
  return {
    createProducer: openProducer,
    async consume(group, _index, _count, handler) {
      groupOfAll ??= group;
      // A queue has one group: what one consumer gets no other does.
      if (group !== groupOfAll) throw new Error("a RabbitMQ queue has no groups");
      const channel = await receiving.createChannel();
      await channel.prefetch(prefetch);
      await channel.consume(topic, (message) => {
        if (message === null) return; // the queue is deleted
        handler(message.content);
        channel.ack(message);
      });
    },
    async close() {
      await receiving.close();
      await admin.deleteQueue(topic);
      await sending.close();
    },
  };
};

function confirmed(channel: ConfirmChannel, queue: string, payload: Uint8Array): Promise<void> {
  const content = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  return new Promise((resolve, reject) => {
    channel.sendToQueue(queue, content, { persistent: true }, (error: unknown) => {
      if (error === null || error === undefined) resolve();
      else reject(error instanceof Error ? error : new Error(String(error)));
    });
  });
}
