/** What a peer can do to a port with raw frames, and that others are served all the same. Much of it Node bounds by itself: these tests say if it ever does not. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { AdminService, BrokerService } from "@gmq/protocol/messages";
import { createFrameConnection, leanFrameHandler } from "@gmq/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { attack, endHeaders, endStream, flood, frameOf, frameTypes, literal, requestBlock } from "../test/raw-http2.js";
import { captureLog, openHandles } from "../test/sockets.js";
import { type Listener, type ListenLimits, listen } from "./listen.js";

let listener: Listener;
let hanging: number;

async function start(limits: ListenLimits = {}): Promise<void> {
  hanging = 0;
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    logger: captureLog().logger,
    limits,
    routes: (router) => router.service(AdminService, { listTopics: () => ({}), describeTopic: () => ({}) }),
    plainHttp(request, response) {
      if (request.url === "/hang") {
        hanging++;
        return true;
      }
      response.writeHead(200, { "content-type": "text/plain" });
      response.end("hi");
      return true;
    },
    frameHandlers: [
      leanFrameHandler(BrokerService.method.session, (stream) =>
        stream.start({ frame: () => undefined, drain: () => undefined, end: () => stream.close() }),
      ),
    ],
  });
}

beforeEach(() => start());
afterEach(async () => {
  await listener.close({ drainMs: 0 });
  await expect.poll(() => openHandles()).toEqual([]);
});

async function othersAreServed(): Promise<void> {
  expect(await (await fetch(`${listener.url}/hello`, { headers: { connection: "close" } })).text()).toBe("hi");
}

describe("a flood", () => {
  it("of requests that are reset at once is cut (CVE-2023-44487)", async () => {
    const socket = await attack(listener.port);
    socket.resume();
    const wasCut = await flood(
      socket,
      (turn) => {
        const frames = [];
        for (let index = 0; index < 20; index++) {
          const streamId = (turn * 20 + index) * 2 + 1;
          frames.push(frameOf(frameTypes.headers, endHeaders | endStream, streamId, requestBlock("/hang")));
          frames.push(frameOf(frameTypes.reset, 0, streamId, Buffer.from([0, 0, 0, 8])));
        }
        return Buffer.concat(frames);
      },
      2_000,
    );
    expect(wasCut).toBe(true);
    expect(hanging).toBeLessThan(5_000);
    await othersAreServed();
  });

  it("of continuations is cut (CVE-2024-27983)", async () => {
    const socket = await attack(listener.port);
    socket.resume();
    socket.write(frameOf(frameTypes.headers, 0, 1, requestBlock("/hello")));
    let sent = 0;
    const wasCut = await flood(
      socket,
      (turn) => {
        const frame = frameOf(
          frameTypes.continuation,
          0,
          1,
          Buffer.concat(Array.from({ length: 20 }, (_, index) => literal(`x-${turn}-${index}`, "v".repeat(100)))),
        );
        sent += frame.length;
        return frame;
      },
      20_000,
    );
    expect(wasCut).toBe(true);
    expect(sent).toBeLessThan(20 * 1024 * 1024);
    await othersAreServed();
  });

  it.each([
    ["pings", frameOf(frameTypes.ping, 0, 0, Buffer.alloc(8))],
    ["settings", frameOf(frameTypes.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100]))],
  ])("of %s whose answers nobody reads is cut", async (_name, frame) => {
    const socket = await attack(listener.port);
    socket.pause();
    const hundred = Buffer.concat(Array.from({ length: 100 }, () => frame));
    // Who does not read does not see the end either: a write tells.
    const ended = once(socket, "error").then(
      () => true,
      () => true,
    );
    void flood(socket, () => hundred, 100_000);
    expect(await Promise.race([ended, once(socket, "close").then(() => true), sleep(60_000, false)])).toBe(true);
    socket.destroy();
    await othersAreServed();
  });

  it("of open requests stops at the bound", async () => {
    await listener.close({ drainMs: 0 });
    await start({ streamsPerConnectionMax: 10 });
    const socket = await attack(listener.port);
    socket.resume();
    // The bound counts once our settings are acknowledged.
    socket.write(frameOf(frameTypes.settings, 1, 0));
    await flood(
      socket,
      (turn) => frameOf(frameTypes.headers, endHeaders | endStream, turn * 2 + 1, requestBlock("/hang")),
      200,
    );
    expect(hanging).toBeLessThanOrEqual(10);
    expect(hanging).toBeGreaterThan(0);
    await othersAreServed();
    socket.destroy();
  });
});

describe("bounds of a port", () => {
  it("refuse headers over headerBytesMax on HTTP/2, too", async () => {
    await listener.close({ drainMs: 0 });
    await start({ headerBytesMax: 2_000 });
    const socket = await attack(listener.port);
    const answered: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => answered.push(chunk));
    const many = Buffer.concat([
      requestBlock("/hang"),
      ...Array.from({ length: 40 }, (_, index) => literal(`x-${index}`, "v".repeat(100))),
    ]);
    socket.write(frameOf(frameTypes.headers, endHeaders | endStream, 1, many));
    await sleep(300);
    expect(hanging).toBe(0);
    await othersAreServed();
    socket.destroy();
  });

  it("refuse one session more on a connection than sessionsPerConnectionMax, and take one again when another ended", async () => {
    await listener.close({ drainMs: 0 });
    await start({ sessionsPerConnectionMax: 2 });
    const connection = createFrameConnection({ url: listener.url });
    const open = () => {
      const stream = connection.open(BrokerService.method.session);
      const ended = new Promise((resolve) =>
        stream.start({ frame: () => undefined, drain: () => undefined, end: resolve }),
      );
      return { stream, ended };
    };
    const first = open();
    open();
    expect(await open().ended).toMatchObject({
      code: "resource_exhausted",
      field: "sessions per connection",
      limit: "2 sessions",
    });
    first.stream.close();
    await first.ended;
    await expect
      .poll(async () => {
        const again = open();
        const outcome = await Promise.race([again.ended, sleep(200, "open")]);
        return outcome;
      })
      .toBe("open");
    connection.close();
  });

  it("never unpack a compressed message over the size of a frame", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().rss;
    const answers = await Promise.all(
      Array.from({ length: 4 }, () =>
        fetch(`${listener.url}/gmq.v1.AdminService/DescribeTopic`, {
          method: "POST",
          headers: { "content-type": "application/json", "content-encoding": "gzip", connection: "close" },
          body: bomb,
        }),
      ),
    );
    for (const answer of answers) expect(await answer.json()).toMatchObject({ code: "resource_exhausted" });
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  });
});
