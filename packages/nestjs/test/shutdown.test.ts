/** A server that closes loses nothing, and a consumer that dies is told. */
import { GmqError } from "@gmq/client";
import { Controller, Module } from "@nestjs/common";
import { Ctx } from "@nestjs/microservices";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type GmqContext, GmqEventPattern, GmqServer } from "../src/index.js";
import { keptLog, openStage, type Stage } from "./harness/nest-app.js";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.closeAll());

const records = 400;

it("closes in the middle of traffic: handlers end, every record is handled once or by the next instance", async () => {
  const done = new Map<number, number>();
  let running = 0;
  @Controller()
  class Jobs {
    @GmqEventPattern("jobs", { concurrency: 8, orderBy: "none" })
    async handle(job: number): Promise<void> {
      running++;
      await new Promise((resolve) => setTimeout(resolve, 2));
      done.set(job, (done.get(job) ?? 0) + 1);
      running--;
    }
  }
  @Module({ controllers: [Jobs] })
  class App {}
  const first = await stage.serve(App);
  const batch = Array.from({ length: records }, (_, job) => ({ value: JSON.stringify(job), key: `k${job}` }));
  const results = await stage.gmq.producer().sendBatch("jobs", batch);
  expect(results.every(({ ok }) => ok)).toBe(true);
  await expect.poll(() => done.size).toBeGreaterThan(20);
  await first.close();
  // Closed means that nothing of it runs any more.
  expect(running).toBe(0);
  const byFirst = done.size;
  expect(byFirst).toBeLessThan(records);
  await stage.serve(App);
  await stage.gmq.settled("svc");
  expect(done.size).toBe(records);
  // A drain settles what was handled: nothing comes twice.
  expect([...done.values()].filter((times) => times !== 1)).toEqual([]);
});

it("does not wait for a handler beyond its drain time, and the record comes again", async () => {
  const signals: AbortSignal[] = [];
  let attempts = 0;
  @Controller()
  class Stuck {
    @GmqEventPattern("stuck")
    async handle(@Ctx() context: GmqContext): Promise<void> {
      if (++attempts > 1) return;
      const signal = context.getSignal();
      signals.push(signal);
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    }
  }
  @Module({ controllers: [Stuck] })
  class App {}
  const first = await stage.serve(App, { drainTimeoutMs: 50 });
  await stage.gmq.producer().send("stuck", { value: "1" });
  await expect.poll(() => signals.length).toBe(1);
  await first.close();
  expect(signals[0]?.aborted).toBe(true);
  await stage.serve(App);
  await stage.gmq.settled("svc");
  expect(attempts).toBe(2);
});

it("comes back by itself when its broker was away, and says so", async () => {
  const seen: number[] = [];
  @Controller()
  class Jobs {
    @GmqEventPattern("back")
    handle(job: number): void {
      seen.push(job);
    }
  }
  @Module({ controllers: [Jobs] })
  class App {}
  const app = await stage.serve(App);
  const statuses: string[] = [];
  app.status.subscribe((status) => statuses.push(status));
  await stage.gmq.producer().send("back", { value: "1", key: "k" });
  await expect.poll(() => seen).toEqual([1]);
  await stage.gmq.restartBroker();
  await expect.poll(() => statuses).toEqual(["connected", "disconnected", "connected"]);
  await stage.gmq.producer().send("back", { value: "2", key: "k" });
  // The first one's ack may have gone down with the broker: then it comes again.
  await expect.poll(() => [...new Set(seen)]).toEqual([1, 2]);
  await app.close();
  expect(statuses.at(-1)).toBe("closed");
});

it("tells that a subscription has died", async () => {
  @Controller()
  class Strict {
    @GmqEventPattern("dies", { onInvalid: "fail" })
    handle(): void {
      // never called: the value is no JSON
    }
  }
  @Module({ controllers: [Strict] })
  class App {}
  const log = keptLog();
  const app = await stage.serve(App, {}, log);
  const failures: GmqError[] = [];
  app.on("failed", (error: GmqError) => failures.push(error));
  await stage.gmq.producer().send("dies", { value: "not JSON" });
  await expect.poll(() => failures.map(({ code }) => code)).toEqual(["schema_invalid"]);
  expect(log.errors.join()).toContain("the subscription to dies ended: schema_invalid");
});

it("closes before it listens, and twice", async () => {
  const server = new GmqServer({ group: "g" });
  expect(() => server.on("elsewhere", nothing)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  expect(() => server.unwrap()).toThrow(expect.objectContaining({ code: "unavailable" }));
  await server.close();
  await server.close();
  const answer = await new Promise((resolve) => void server.listen(resolve));
  expect(GmqError.is(answer)).toBe(true);
});

function nothing(): void {
  // no such event
}
