import { once } from "node:events";
import { type ClientHttp2Session, connect, createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { sessionWindowBytes, widenSession } from "./http2-windows.js";

let server: Http2Server;
let session: ClientHttp2Session;

afterEach(() => {
  session.destroy();
  server.close();
});

async function open(): Promise<void> {
  server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

test("widens a session", async () => {
  await open();
  await once(session, "connect");
  widenSession(session);
  expect(session.state.effectiveLocalWindowSize).toBe(sessionWindowBytes);
});

// Node emits "connect" in a later turn: whoever gave the session up in between had an uncaught exception.
test("a session that is gone when its connection is told of is left alone", async () => {
  await open();
  const connected = once(session, "connect");
  session.once("connect", () => {
    session.destroy();
    expect(() => widenSession(session)).not.toThrow();
  });
  await connected;
  expect(session.destroyed).toBe(true);
});
