/**
 * The end of the node:http2 floors, in a process of its own: `PORT` counts messages, `PORT REDIS_PORT` appends each to a Redis Stream. Each message is answered with
 * a byte, then handed to the stream that asked for `/consume`, whose settles become an XACK each.
 */
import { createServer, type ServerHttp2Stream } from "node:http2";
import { openRespSocket, type RespSocket } from "../client/resp-socket.ts";
import { createFrameCutter, frameType, prefixOf } from "./frame-cutter.ts";
import { windowBytes } from "./http2-options.ts";

const [port, redisPort] = process.argv.slice(2).map(Number);
const redis = redisPort === undefined ? undefined : await openRespSocket(redisPort);
let consumer: ServerHttp2Stream | undefined;

/** Messages are answered in their order: Redis answers in order. */
async function append(store: RespSocket, stream: ServerHttp2Stream, parts: Buffer[]): Promise<void> {
  const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  await store.command(["XADD", "floor", "*", "b", body]);
  stream.write(Buffer.alloc(1));
  if (consumer === undefined) return;
  consumer.cork();
  consumer.write(prefixOf(frameType.record, body.length));
  consumer.write(body);
  consumer.uncork();
}

function readPublisher(stream: ServerHttp2Stream): void {
  let counted = 0;
  const cut = createFrameCutter((_, parts) => {
    if (redis === undefined) counted++;
    else append(redis, stream, parts).catch((error: unknown) => stream.destroy(error as Error));
  });
  stream.on("data", (chunk: Buffer) => {
    cut(chunk);
    if (counted === 0) return;
    stream.write(Buffer.alloc(counted));
    counted = 0;
  });
}

function readConsumer(stream: ServerHttp2Stream, store: RespSocket): void {
  consumer = stream;
  stream.once("close", () => {
    if (consumer === stream) consumer = undefined;
  });
  const settle = createFrameCutter(() => {
    store.command(["XACK", "floor", "group", "0-1"]).catch((error: unknown) => stream.destroy(error as Error));
  });
  stream.on("data", settle);
}

const server = createServer({ settings: { initialWindowSize: windowBytes } });
server.on("session", (session) => session.setLocalWindowSize(windowBytes));
server.on("stream", (stream, headers) => {
  stream.respond({ ":status": 200 });
  if (headers[":path"] === "/consume" && redis !== undefined) readConsumer(stream, redis);
  else readPublisher(stream);
  stream.on("end", () => stream.end());
});
server.listen(port, "127.0.0.1");
