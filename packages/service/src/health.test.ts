import { silentLogger } from "@gmq/log";
import { Health as HealthService, HealthCheckResponse_ServingStatus as Status } from "@gmq/protocol/grpc";
import { BrokerService } from "@gmq/protocol/messages";
import { createNodeTransport, createServiceClient, type NodeTransport } from "@gmq/transport";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createHealth, type Health, healthPages, healthRoutes } from "./health.js";
import { type Listener, listen } from "./listen.js";

let health: Health;
let listener: Listener;
let node: NodeTransport;

beforeEach(async () => {
  health = createHealth();
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    logger: silentLogger,
    routes: healthRoutes(health, [BrokerService]),
    plainHttp: healthPages(health),
  });
  node = createNodeTransport({ url: listener.url });
});
afterEach(async () => {
  node.close();
  await listener.close({ drainMs: 0 });
});

it("is ready when nothing has a problem", () => {
  expect(health.ready).toBe(false);
  health.report("start", undefined);
  expect(health.ready).toBe(true);
  health.report("store", "no connection");
  health.report("disk", "full");
  health.report("disk", undefined);
  expect([...health.problems]).toEqual([["store", "no connection"]]);
  health.report("store", undefined);
  expect(health.ready).toBe(true);
  health.drain();
  expect([health.ready, health.draining]).toEqual([false, true]);
});

it("serves pages with reasons", async () => {
  expect((await fetch(`${listener.url}/healthz`)).status).toBe(200);
  const starting = await fetch(`${listener.url}/readyz?verbose`);
  expect(starting.status).toBe(503);
  expect(await starting.json()).toEqual({
    status: "not ready",
    problems: { start: "starting" },
    forMs: { start: expect.any(Number) },
  });
  health.report("start", undefined);
  expect((await fetch(`${listener.url}/readyz`)).status).toBe(200);
  const head = await fetch(`${listener.url}/readyz`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  expect((await fetch(`${listener.url}/readyz`, { method: "POST" })).status).toBe(405);
  health.drain();
  expect(await (await fetch(`${listener.url}/readyz`)).json()).toMatchObject({
    status: "draining",
    problems: { drain: "going away" },
  });
  expect((await fetch(`${listener.url}/healthz`)).status).toBe(200);
});

it("tells since when a subject has its problem, whatever it says meanwhile", async () => {
  health.report("start", undefined);
  health.report("store", "no connection");
  await expect.poll(() => health.problemsForMs.get("store")).toBeGreaterThan(5);
  const before = health.problemsForMs.get("store") ?? 0;
  health.report("store", "still no connection");
  expect(health.problemsForMs.get("store")).toBeGreaterThanOrEqual(before);
  health.report("store", undefined);
  expect([...health.problemsForMs]).toEqual([]);
});

it("answers check and list", async () => {
  const client = createServiceClient(HealthService, node.transport);
  expect((await client.check({})).status).toBe(Status.NOT_SERVING);
  health.report("start", undefined);
  expect((await client.check({ service: "gmq.v1.BrokerService" })).status).toBe(Status.SERVING);
  await expect(client.check({ service: "other" })).rejects.toThrow('no service "other"');
  expect(Object.keys((await client.list({})).statuses)).toEqual(["", "gmq.v1.BrokerService"]);
});

it("lets watchers see each change, and go with the drain", async () => {
  const client = createServiceClient(HealthService, node.transport);
  const seen: Status[] = [];
  const watching = (async () => {
    for await (const { status } of client.watch({})) {
      seen.push(status);
      if (seen.length === 1) health.report("start", undefined);
      if (seen.length === 2) health.drain();
    }
  })();
  const unknown = client.watch({ service: "other" })[Symbol.asyncIterator]();
  expect((await unknown.next()).value).toMatchObject({ status: Status.SERVICE_UNKNOWN });
  await watching;
  expect(seen).toEqual([Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]);
  expect((await unknown.next()).done).toBe(true);
});
