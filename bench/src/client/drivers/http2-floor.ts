/** The floor of one leg: the same bytes over a node:http2 stream with GMQ's window sizes to a process that counts them; one byte back per batch. */
import { once } from "node:events";
import { connect } from "node:http2";
import type { OpenDriver } from "../driver.ts";

const windowBytes = 8 * 1024 * 1024;
/** What encoding adds to a record of GMQ. */
const framingBytes = 14;

export const openHttp2Floor: OpenDriver = async ({ addresses, load }) => {
  const session = connect(`http://127.0.0.1:${addresses.http2Port}`, { settings: { initialWindowSize: windowBytes } });
  await once(session, "connect");
  session.setLocalWindowSize(windowBytes);
  const stream = session.request({ ":method": "POST", ":path": "/floor" });
  const waiting: (() => void)[] = [];
  stream.on("data", (chunk: Buffer) => {
    for (const resolve of waiting.splice(0, chunk.length)) resolve();
  });
  function write(body: Buffer): Promise<void> {
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(body.length, 1);
    stream.cork();
    stream.write(prefix);
    stream.write(body);
    stream.uncork();
    return new Promise((resolve) => waiting.push(resolve));
  }
  return {
    async createProducer() {
      const body = Buffer.alloc(load.batchRecords * (load.recordBytes + framingBytes), 120);
      return { sendBatch: () => write(body), send: (payload) => write(payload as Buffer) };
    },
    async consume() {
      throw new Error("the http2 floor has no consumers");
    },
    async close() {
      stream.end();
      session.close();
    },
  };
};
