import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startProxy, type TcpProxy } from "./tcp-proxy.ts";

let server: Server;
let proxy: TcpProxy;
let client: Socket;
let received = "";
let atServer = "";

/** A server that answers each byte with the same byte. */
beforeEach(async () => {
  received = "";
  atServer = "";
  server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      atServer += bytes.toString();
      socket.write(bytes);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  proxy = await startProxy("p", typeof address === "object" && address !== null ? address.port : 0);
  client = await dial();
});

afterEach(async () => {
  client.destroy();
  await proxy.close();
  server.close();
});

async function dial(): Promise<Socket> {
  const socket = connect(proxy.port, "127.0.0.1");
  socket.on("data", (bytes) => {
    received += bytes.toString();
  });
  socket.on("error", () => socket.destroy());
  await once(socket, "connect");
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

test("passes bytes both ways", async () => {
  client.write("abc");
  await expect.poll(() => received).toBe("abc");
});

test("holds both ways or one, and lets go in order", async () => {
  client.write("a");
  await expect.poll(() => received).toBe("a");
  proxy.set({ mode: "hold answers" });
  client.write("b");
  await expect.poll(() => atServer).toBe("ab");
  expect(received).toBe("a");
  proxy.set({ mode: "hold requests" });
  await expect.poll(() => received).toBe("ab");
  client.write("c");
  proxy.set({ mode: "pass" });
  client.write("d");
  await expect.poll(() => received).toBe("abcd");
});

test("slows down", async () => {
  proxy.set({ mode: "slow", delayMs: 50 });
  const fromMs = performance.now();
  client.write("a");
  await expect.poll(() => received, { interval: 5 }).toBe("a");
  expect(performance.now() - fromMs).toBeGreaterThan(95);
});

test("cuts, also in the middle of an answer, and refuses while shut", async () => {
  client.write("a");
  await expect.poll(() => received).toBe("a");
  proxy.cutAfterAnswerBytes(2);
  client.write("bcd");
  await closed(client);
  expect(received).toBe("abc");
  proxy.shut();
  const refused = connect(proxy.port, "127.0.0.1");
  refused.on("error", () => refused.destroy());
  await closed(refused);
  proxy.open();
  client = await dial();
  client.write("e");
  await expect.poll(() => received).toBe("abce");
});

test("forgets what is there and serves what comes", async () => {
  client.write("a");
  await expect.poll(() => received).toBe("a");
  proxy.forget();
  client.write("b");
  const second = await dial();
  second.write("c");
  await expect.poll(() => received).toBe("ac");
  expect(client.destroyed).toBe(false);
  second.destroy();
});

test("is deaf to what is published", async () => {
  client.write("psubscribe ");
  await expect.poll(() => received).toBe("psubscribe ");
  proxy.set({ mode: "deaf" });
  client.write("a");
  await expect.poll(() => atServer).toBe("psubscribe a");
  proxy.set({ mode: "pass" });
  client.write("b");
  await expect.poll(() => received).toBe("psubscribe b");
});
