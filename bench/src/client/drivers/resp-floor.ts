/**
 * The floor of Redis: the bytes of GMQ's entries over bare sockets, one XADD per batch, XREAD from the other side. No queue semantics, no decoding;
 * a consumer's handler is called once a record, with nothing.
 */
import type { OpenDriver } from "../driver.ts";
import { openRespSocket, type RespSocket } from "../resp-socket.ts";

const readCount = "8";
const blockMs = "50";
/** What encoding adds to a record of GMQ. */
const framingBytes = 14;
const nothing = new Uint8Array(0);

export const openRespFloor: OpenDriver = async ({ topic, addresses, load }) => {
  const sockets: RespSocket[] = [];
  const loops: Promise<void>[] = [];
  const streams = Array.from({ length: load.partitions }, (_, partition) => `floor:{${topic}/${partition}}`);
  let stopped = false;

  async function open(): Promise<RespSocket> {
    const socket = await openRespSocket(addresses.redisPort);
    sockets.push(socket);
    return socket;
  }
  const sending = await open();
  let next = 0;

  async function add(records: number, body: Buffer): Promise<void> {
    next = (next + 1) % streams.length;
    await sending.command(["XADD", streams[next] as string, "*", "n", String(records), "b", body]);
  }

  async function read(own: readonly string[], handler: (payload: Uint8Array) => void): Promise<void> {
    const socket = await open();
    const last = own.map(() => "0-0");
    while (!stopped) {
      const reply = await socket.command(["XREAD", "COUNT", readCount, "BLOCK", blockMs, "STREAMS", ...own, ...last]);
      if (reply.length <= 5) continue;
      for (const { stream, id, records } of entriesOf(reply)) {
        last[own.indexOf(stream)] = id;
        for (let count = records; count > 0; count--) handler(nothing);
      }
    }
  }

  return {
    async createProducer() {
      const body = Buffer.alloc(load.batchRecords * (load.recordBytes + framingBytes), 120);
      return {
        sendBatch: (payloads) => add(payloads.length, body),
        send: (payload) => add(1, payload as Buffer),
      };
    },
    async consume(_group, index, count, handler) {
      const own = streams.filter((_, partition) => partition % count === index);
      if (own.length > 0) loops.push(read(own, handler));
    },
    async close() {
      stopped = true;
      await Promise.all(loops);
      await sending.command(["FLUSHALL"]);
      for (const socket of sockets) socket.close();
    },
  };
};

/** Steps over an XREAD reply: streams, ids and record counts; bodies are not touched. */
function entriesOf(reply: Buffer): { readonly stream: string; readonly id: string; readonly records: number }[] {
  const found: { stream: string; id: string; records: number }[] = [];
  let position = 0;
  const size = (): number => {
    const line = reply.indexOf("\r\n", position);
    const value = Number(reply.toString("latin1", position + 1, line));
    position = line + 2;
    return value;
  };
  const text = (): string => {
    const length = size();
    position += length + 2;
    return reply.toString("latin1", position - length - 2, position - 2);
  };
  for (let streams = size(); streams > 0; streams--) {
    size();
    const stream = text();
    for (let entries = size(); entries > 0; entries--) {
      size();
      const id = text();
      size();
      text();
      const records = Number(text());
      text();
      const bodyBytes = size();
      position += bodyBytes + 2;
      found.push({ stream, id, records });
    }
  }
  return found;
}
