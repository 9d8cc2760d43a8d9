import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { silentLogger } from "@gmq/log";
import { afterEach, expect, it } from "vitest";
import { createWebhook, type Webhook, type WebhookBounds } from "./webhook.js";

const bounds: WebhookBounds = { requestMs: 2_000, deadlineMs: 60_000, firstPauseMs: 5, waitingMax: 3 };
const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

interface Taken {
  readonly body: unknown;
  readonly headers: IncomingHttpHeaders;
}

/** A server that answers with these states in turn, then with the last; 0 is no answer at all. */
async function serve(...states: readonly number[]) {
  const taken: Taken[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += String(piece)));
    request.on("end", () => {
      const state = states[Math.min(taken.length, states.length - 1)] ?? 200;
      taken.push({ body: JSON.parse(text), headers: request.headers });
      if (state === 302) response.setHeader("location", "/elsewhere");
      if (state !== 0) response.writeHead(state).end("some text");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  endings.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return { taken, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` };
}

function webhookTo(url: string, own: Partial<WebhookBounds> = {}): Webhook {
  const target = { url, headers: { authorization: "Bearer secret" } };
  const webhook = createWebhook(() => target, silentLogger, { ...bounds, ...own });
  endings.push(webhook.close);
  return webhook;
}

it("tells in order, with its headers, and tries again under the same id until it is taken", async () => {
  const { taken, url } = await serve(500, 429, 200);
  const webhook = webhookTo(url);
  webhook.send({ turn: 1 });
  webhook.send({ turn: 2 });
  await expect.poll(() => webhook.status()).toMatchObject({ delivered: 2, failed: 0, waiting: 0, lastProblem: "" });
  expect(taken.map(({ body }) => body)).toEqual([{ turn: 1 }, { turn: 1 }, { turn: 1 }, { turn: 2 }]);
  const ids = taken.map(({ headers }) => headers["gmq-delivery"]);
  expect(new Set(ids.slice(0, 3)).size).toBe(1);
  expect(ids[3]).not.toBe(ids[0]);
  expect(taken[0]?.headers).toMatchObject({ authorization: "Bearer secret", "content-type": "application/json" });
});

it.each([400, 302])("does not try again after %i, and follows nothing", async (state) => {
  const { taken, url } = await serve(state, 200);
  const webhook = webhookTo(url);
  webhook.send({ turn: 1 });
  webhook.send({ turn: 2 });
  await expect.poll(() => webhook.status()).toMatchObject({ delivered: 1, failed: 1, waiting: 0 });
  expect(taken.map(({ body }) => body)).toEqual([{ turn: 1 }, { turn: 2 }]);
});

it("gives up what nobody takes in time, and says why", async () => {
  const { url } = await serve(503);
  const webhook = webhookTo(url, { deadlineMs: 50 });
  webhook.send({ turn: 1 });
  await expect.poll(() => webhook.status()).toMatchObject({ failed: 1, waiting: 0, lastProblem: "it answered 503" });
});

it("keeps a bounded number waiting: the oldest go first", async () => {
  const { taken, url } = await serve(0);
  const webhook = webhookTo(url, { requestMs: 60_000 });
  for (let turn = 1; turn <= 6; turn++) webhook.send({ turn });
  expect(webhook.status()).toMatchObject({ waiting: 3, failed: 3 });
  await expect.poll(() => taken.length).toBe(1);
  // One is under way and answered by nobody: closing does not wait for it.
  await webhook.close();
  expect(webhook.waiting()).toHaveLength(3);
});

it("keeps what waits before it tells it, and goes on with it under the same id", async () => {
  const { taken, url } = await serve(503, 200);
  const webhook = webhookTo(url, { firstPauseMs: 30_000 });
  const kept: { waiting: number; told: number }[] = [];
  webhook.resume([], () => {
    kept.push({ waiting: webhook.waiting().length, told: taken.length });
    return Promise.resolve();
  });
  webhook.send({ turn: 1 });
  await expect.poll(() => taken.length).toBe(1);
  expect(kept).toEqual([{ waiting: 1, told: 0 }]);
  await webhook.close();

  const next = webhookTo(url);
  next.resume(webhook.waiting(), () => Promise.resolve());
  next.send({ turn: 2 });
  await expect.poll(() => next.status()).toMatchObject({ delivered: 2, waiting: 0 });
  expect(taken.map(({ body }) => body)).toEqual([{ turn: 1 }, { turn: 1 }, { turn: 2 }]);
  expect(taken[1]?.headers["gmq-delivery"]).toBe(taken[0]?.headers["gmq-delivery"]);
  expect(next.waiting()).toEqual([]);
});

it("makes one try for a test and says what came of it", async () => {
  const { url, taken } = await serve(200, 500);
  const webhook = webhookTo(url);
  await webhook.test({ status: "test" });
  await expect(webhook.test({ status: "test" })).rejects.toThrow(/it answered 500/);
  expect(taken).toHaveLength(2);
  await expect(createWebhook(() => undefined, silentLogger).test({})).rejects.toThrow(/names no webhook/);
});
