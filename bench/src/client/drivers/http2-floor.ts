/**
 * The node:http2 floors: the same bytes over a stream with GMQ's window sizes, one byte back per batch. Alone, to a process that counts them (one leg); as a chain,
 * over a process that only passes them on to one that appends them to Redis and hands them to the consumer: GMQ's hops and nothing else.
 */
import { once } from "node:events";
import { type ClientHttp2Stream, connect } from "node:http2";
import { createFrameCutter, frameType, prefixOf } from "../../floor/frame-cutter.ts";
import { windowBytes } from "../../floor/http2-options.ts";
import type { OpenDriver } from "../driver.ts";
import { openRespSocket } from "../resp-socket.ts";

/** What encoding adds to a record of GMQ. */
const framingBytes = 14;

export const openHttp2Floor: OpenDriver = async ({ addresses: { http2Port, redisPort }, load }) => {
  const session = connect(`http://127.0.0.1:${http2Port}`, { settings: { initialWindowSize: windowBytes } });
  await once(session, "connect");
  session.setLocalWindowSize(windowBytes);
  const streams: ClientHttp2Stream[] = [];
  const open = (path: string): ClientHttp2Stream => {
    const stream = session.request({ ":method": "POST", ":path": path }, { endStream: false });
    streams.push(stream);
    return stream;
  };
  const publishing = open("/publish");
  const waiting: (() => void)[] = [];
  publishing.on("data", (chunk: Buffer) => {
    for (const resolve of waiting.splice(0, chunk.length)) resolve();
  });
  function write(body: Buffer): Promise<void> {
    publishing.cork();
    publishing.write(prefixOf(frameType.record, body.length));
    publishing.write(body);
    publishing.uncork();
    return new Promise((resolve) => waiting.push(resolve));
  }
  return {
    async createProducer() {
      const body = Buffer.alloc(load.batchRecords * (load.recordBytes + framingBytes), 120);
      return { sendBatch: () => write(body), send: (payload) => write(payload as Buffer) };
    },
    /** One consumer, of records sent one by one. */
    async consume(_group, _index, _count, handler) {
      const stream = open("/consume");
      const cut = createFrameCutter((_, parts) => {
        handler(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
        stream.write(prefixOf(frameType.settle, 0));
      });
      stream.on("data", cut);
      await once(stream, "response");
    },
    async close() {
      for (const stream of streams) {
        stream.end();
        await once(stream, "close");
      }
      session.close();
      if (redisPort === 0) return;
      const redis = await openRespSocket(redisPort);
      await redis.command(["FLUSHALL"]);
      redis.close();
    },
  };
};
