/** A broker that stood still (a long collection, SIGSTOP, a debugger) reads what came meanwhile before it takes anybody for gone. */
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterEach, expect, it } from "vitest";
import { createHeartbeats } from "./heartbeats.js";

const server = createServer();
const heartbeats = createHeartbeats(300);
let client: Worker | undefined;

afterEach(async () => {
  heartbeats.close();
  await client?.terminate();
  server.close();
});

it("hears a client that went on, and notices one that did not", async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // It writes while this thread is blocked; the kernel keeps it.
  client = new Worker(
    `const { workerData } = require("node:worker_threads");
     const socket = require("node:net").connect(workerData, "127.0.0.1");
     setInterval(() => socket.write("x"), 50);`,
    { eval: true, workerData: (server.address() as { readonly port: number }).port },
  );
  const [socket] = await once(server, "connection");
  const gone: string[] = [];
  const start = (name: string) =>
    heartbeats.start(
      { sessionTimeoutMsMin: () => Number.POSITIVE_INFINITY, beat: () => undefined, silent: () => gone.push(name) },
      false,
    );
  const [living] = [start("living"), start("dead")];
  socket.on("data", () => living.heard(performance.now()));
  await once(socket, "data");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
  await expect.poll(() => gone, { timeout: 15_000 }).toEqual(["dead"]);
  await sleep(1_500);
  expect(gone).toEqual(["dead"]);
  living.stop();
});
