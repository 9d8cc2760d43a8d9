/**
 * What users write by hand today: one stream per partition, XADD per record (auto-pipelined), XREADGROUP in bulk, XACK of what was read.
 * No broker, no idempotence, no fencing, no retries.
 */
import { Redis } from "ioredis";
import type { OpenDriver } from "../driver.ts";

const readCount = 500;
const blockMs = 100;

type Reply = [stream: Buffer, entries: [id: Buffer, fields: Buffer[]][]][] | null;

export const openIoredisStreams: OpenDriver = async ({ topic, addresses, load }) => {
  const connections: Redis[] = [];
  const loops: Promise<void>[] = [];
  const streams = Array.from({ length: load.partitions }, (_, partition) => `stream:${topic}:${partition}`);
  let stopped = false;

  function open(): Redis {
    const redis = new Redis({ host: "127.0.0.1", port: addresses.redisPort, enableAutoPipelining: true });
    connections.push(redis);
    return redis;
  }

  const sending = open();
  const made = new Set<string>();

  async function consumeFrom(
    redis: Redis,
    own: readonly string[],
    group: string,
    name: string,
    handler: (bytes: Uint8Array) => void,
  ) {
    const newest = own.map(() => ">");
    while (!stopped) {
      const reply = (await redis.xreadgroupBuffer(
        "GROUP",
        group,
        name,
        "COUNT",
        readCount,
        "BLOCK",
        blockMs,
        "STREAMS",
        ...own,
        ...newest,
      )) as Reply;
      if (reply === null) continue;
      for (const [stream, entries] of reply) {
        for (const [, fields] of entries) handler(fields[1] as Buffer);
        await sending.xack(stream, group, ...entries.map(([id]) => id));
      }
    }
  }

  return {
    async createProducer() {
      let next = 0;
      const add = (payload: Uint8Array): Promise<string | null> => {
        next = (next + 1) % streams.length;
        return sending.xadd(streams[next] as string, "*", "value", payload as Buffer);
      };
      return {
        async sendBatch(payloads) {
          await Promise.all(payloads.map(add));
        },
        async send(payload) {
          await add(payload);
        },
      };
    },
    async consume(group, index, count, handler) {
      if (!made.has(group)) {
        made.add(group);
        await Promise.all(streams.map((stream) => sending.xgroup("CREATE", stream, group, "0", "MKSTREAM")));
      }
      const own = streams.filter((_, partition) => partition % count === index);
      if (own.length > 0) loops.push(consumeFrom(open(), own, group, `consumer-${index}`, handler));
    },
    async close() {
      stopped = true;
      await Promise.all(loops);
      await sending.flushall();
      for (const redis of connections) redis.disconnect();
    },
  };
};
