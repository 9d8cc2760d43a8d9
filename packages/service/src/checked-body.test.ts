/** Requests with endless lists, by every protocol that Connect serves: refused before they are decoded. */
import { request } from "node:http";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { silentLogger } from "@gmq/log";
import { limits } from "@gmq/protocol";
import { BrokerService } from "@gmq/protocol/messages";
import { connectFrameHandler, fromConnectError } from "@gmq/transport";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Listener, listen } from "./listen.js";

let listener: Listener;
let settled: number[] = [];
let batches: number[] = [];

beforeAll(async () => {
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    logger: silentLogger,
    routes: (router) =>
      router.service(BrokerService, {
        settle({ ranges }) {
          settled.push(ranges.length);
          return {};
        },
        session: connectFrameHandler(
          (stream) => {
            stream.start({
              frame({ correlationId, frame }) {
                if (frame.case === "publish") batches.push(frame.value.batches.length);
                stream.send({ correlationId, frame: { case: "heartbeat", value: {} } });
              },
              drain() {},
              end: () => stream.close(),
            });
          },
          { frameBytes: () => 10 },
        ),
      }),
  });
});
afterAll(() => listener.close({ drainMs: 0 }));

const most = limits.listItemsPerFrameMax;
const packed = { sendCompression: compressionGzip, compressMinBytes: 0 };

/** A request in JSON has a bracket and a comma for the list, and a brace for each item. */
const transports: [string, (baseUrl: string) => Transport, itemsMax: number][] = [
  ["Connect", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }), most],
  ["Connect, HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }), most],
  [
    "Connect in JSON",
    (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
    most / 2,
  ],
  ["Connect, packed", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", ...packed }), most],
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl }), most],
  ["gRPC, packed", (baseUrl) => createGrpcTransport({ baseUrl, ...packed }), most],
  ["gRPC-web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }), most],
];

it.each(transports)(
  "bounds the lists of a call: %s",
  async (_, open, itemsMax) => {
    const client = createClient(BrokerService, open(listener.url));
    settled = [];
    const ranges = (count: number) => ({ sessionId: "s", ranges: new Array(count).fill({}) });
    const few = itemsMax === most ? most : itemsMax - 10;
    await client.settle(ranges(few));
    expect(settled).toEqual([few]);
    const refused = await client.settle(ranges(itemsMax + 1)).catch((error: unknown) => fromConnectError(error));
    expect(refused).toMatchObject({ code: "malformed_frame", limit: `${most} items` });
    expect(settled).toEqual([few]);
    await client.settle(ranges(3));
    expect(settled).toEqual([few, 3]);
  },
  30_000,
);

it.each(transports.filter(([name]) => !name.includes("1.1") && name !== "gRPC-web"))(
  "bounds the lists of a stream's frames: %s",
  async (_, open, itemsMax) => {
    const client = createClient(BrokerService, open(listener.url));
    batches = [];
    async function* frames() {
      for (const count of [2, 1_000, itemsMax + 1, 4])
        yield {
          correlationId: count,
          frame: { case: "publish", value: { batches: new Array(count).fill({}) } },
        } as const;
    }
    const answered: number[] = [];
    const ended = (async () => {
      for await (const { correlationId } of client.session(frames())) answered.push(correlationId);
      return undefined;
    })().catch((error: unknown) => fromConnectError(error));
    expect(await ended).toMatchObject({ code: "malformed_frame", limit: `${most} items` });
    expect(batches).toEqual([2, 1_000]);
    expect(answered).toEqual([2, 1_000]);
  },
  30_000,
);

it("counts what is in a text as text", async () => {
  const body = JSON.stringify({ sessionId: `\\"${",[{".repeat(most)}"`, ranges: [{}] });
  settled = [];
  const status = await new Promise((resolve, reject) => {
    const call = request(`${listener.url}/gmq.v1.BrokerService/Settle`, {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    call.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    call.on("error", reject);
    call.end(body);
  });
  expect(status).toBe(200);
  expect(settled).toEqual([1]);
});
