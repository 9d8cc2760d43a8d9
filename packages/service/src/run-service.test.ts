import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { GmqError } from "@gmq/protocol";
import { expect, it } from "vitest";
import { captureLog } from "../test/sockets.js";
import { type RunningService, runService, type ServiceHost } from "./run-service.js";

function setUp(start: (signal: AbortSignal) => Promise<RunningService>, drainTimeoutMs = 1_000) {
  const { logger, lines } = captureLog();
  const exits: number[] = [];
  const emitter = new EventEmitter();
  const host: ServiceHost = Object.assign(emitter, { exit: (code: number) => void exits.push(code) });
  const ended = runService({ name: "test", logger, host, drainTimeoutMs, start });
  return { emitter, exits, ended, log: () => lines.join("") };
}

function service(steps: string[], overrides: Partial<RunningService> = {}): RunningService {
  return {
    async drain(deadlineMs) {
      steps.push(`drain ${deadlineMs}`);
    },
    async close() {
      steps.push("close");
    },
    ...overrides,
  };
}

it.each(["SIGTERM", "SIGINT"])("drains, closes and exits 0 on %s", async (signal) => {
  const steps: string[] = [];
  const run = setUp(async () => service(steps));
  await sleep(5);
  run.emitter.emit(signal, signal);
  expect(await run.ended).toBe(0);
  expect(run.exits).toEqual([0]);
  expect(steps).toEqual(["drain 1000", "close"]);
  expect(run.emitter.eventNames()).toEqual([]);
});

it("exits 1 at once on a second signal", async () => {
  const run = setUp(async () => service([], { drain: () => sleep(100) }));
  await sleep(5);
  run.emitter.emit("SIGTERM", "SIGTERM");
  run.emitter.emit("SIGTERM", "SIGTERM");
  expect(run.exits).toEqual([1]);
  await run.ended;
});

it("closes and exits 1 when the drain fails", async () => {
  const steps: string[] = [];
  const run = setUp(async () => service(steps, { drain: () => Promise.reject(new Error("stuck session")) }));
  await sleep(5);
  run.emitter.emit("SIGTERM", "SIGTERM");
  expect(await run.ended).toBe(1);
  expect(steps).toEqual(["close"]);
  expect(run.log()).toContain("stuck session");
});

it("tells a failed start in one line and exits 1", async () => {
  const run = setUp(() =>
    Promise.reject(new GmqError("unavailable", "cannot listen on h:1: another process listens there")),
  );
  expect(await run.ended).toBe(1);
  expect(run.log().trim().split("\n")).toHaveLength(1);
  expect(run.log()).toContain("test could not start: cannot listen on h:1");
  expect(run.log()).not.toContain("stack");
});

it("stops a start that is still going on", async () => {
  const run = setUp(async (signal) => {
    await sleep(60_000, undefined, { signal });
    return service([]);
  });
  await sleep(5);
  run.emitter.emit("SIGINT", "SIGINT");
  expect(await run.ended).toBe(0);
});

it("logs what nobody caught and exits 1", async () => {
  const run = setUp(async () => service([]));
  await sleep(5);
  run.emitter.emit("unhandledRejection", new Error("lost promise"));
  run.emitter.emit("uncaughtException", new Error("lost error"));
  expect(run.exits).toEqual([1, 1]);
  expect(run.log()).toMatch(/lost promise[\s\S]*lost error/);
  run.emitter.emit("SIGTERM", "SIGTERM");
  await run.ended;
});
