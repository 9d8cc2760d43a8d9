/** BullMQ: jobs by addBulk, workers with concurrency; finished jobs are removed, as its documentation advises for throughput. */
import { type Job, Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import type { OpenDriver } from "../driver.ts";

const concurrency = 100;

interface Payload {
  readonly text: string;
}

export const openBullmq: OpenDriver = async ({ topic, addresses }) => {
  const connection = { host: "127.0.0.1", port: addresses.redisPort };
  const queue = new Queue<Payload>(topic, { connection, defaultJobOptions: { removeOnComplete: true } });
  const workers: Worker[] = [];
  const job = (payload: Uint8Array): { name: string; data: Payload } => ({
    name: "record",
    data: { text: Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("latin1") },
  });
  return {
    async createProducer() {
      return {
        async sendBatch(payloads) {
          await queue.addBulk(payloads.map(job));
        },
        async send(payload) {
          const { name, data } = job(payload);
          await queue.add(name, data);
        },
      };
    },
    async consume(_group, _index, _count, handler) {
      const run = async ({ data }: Job<Payload>): Promise<void> => handler(Buffer.from(data.text, "latin1"));
      const worker = new Worker<Payload>(topic, run, { connection, concurrency, removeOnComplete: { count: 0 } });
      worker.on("error", (error) => {
        throw error;
      });
      workers.push(worker);
      await worker.waitUntilReady();
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
      await queue.close();
      const redis = new Redis(connection);
      await redis.flushall();
      redis.disconnect();
    },
  };
};
