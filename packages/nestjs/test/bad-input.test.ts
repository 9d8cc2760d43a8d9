/** What cannot be meant is refused with a typed error that names field and limit, before anything is consumed. */
import { GmqError } from "@gmq/client";
import { Controller, Module, type Type } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { EventPattern } from "@nestjs/microservices";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GmqClient, GmqEventPattern, GmqMessagePattern, GmqServer, type GmqServerOptions } from "../src/index.js";
import { patternsOverlap } from "../src/pattern-overlap.js";
import { keptLog, openStage, type Stage } from "./harness/nest-app.js";

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.closeAll());

function moduleWith(...decorators: readonly MethodDecorator[]): Type {
  class Handlers {
    handle0(): void {
      // refused before it is called
    }
    handle1(): void {
      // refused before it is called
    }
  }
  for (const [index, decorate] of decorators.entries()) {
    const name = `handle${index}`;
    decorate(Handlers.prototype, name, Object.getOwnPropertyDescriptor(Handlers.prototype, name) ?? {});
  }
  Controller()(Handlers);
  class App {}
  Module({ controllers: [Handlers] })(App);
  return App;
}

async function refusal(module: Type, options: Partial<GmqServerOptions> = {}): Promise<GmqError> {
  try {
    await stage.serve(module, options);
  } catch (error) {
    if (GmqError.is(error)) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("a server", () => {
  it.each([
    ["no options", undefined, "group"],
    ["no group", {}, "group"],
    ["an empty group", { group: "" }, "group"],
    ["a drain time that is no number", { group: "g", drainTimeoutMs: Number.NaN }, "drainTimeoutMs"],
  ])("refuses %s", (_name, options, field) => {
    expect(() => new GmqServer(options as GmqServerOptions)).toThrow(
      expect.objectContaining({ code: "invalid_argument", field }),
    );
  });

  it("refuses a group's name that breaks the rule, options out of range and a mode that there is not", async () => {
    const module = moduleWith(EventPattern<string>("a"));
    expect(await refusal(module, { group: "not a name" })).toMatchObject({ code: "invalid_name" });
    expect(await refusal(module, { subscribe: { concurrency: 0 } })).toMatchObject({ field: "concurrency" });
    const mode = await refusal(moduleWith(GmqEventPattern("a", { mode: "sideways" as never })));
    expect(mode).toMatchObject({ code: "invalid_argument", field: "mode" });
  });

  it("refuses a pattern that is no topic", async () => {
    expect(await refusal(moduleWith(EventPattern({ cmd: "sum" })))).toMatchObject({ field: "pattern" });
    expect(await refusal(moduleWith(EventPattern<string>("no topic")))).toMatchObject({ code: "invalid_name" });
    expect(() => GmqEventPattern(7 as never)).toThrow(expect.objectContaining({ field: "pattern" }));
  });

  it("refuses handlers of one group that would share records by chance", async () => {
    const error = await refusal(moduleWith(GmqEventPattern("orders.*"), GmqEventPattern("orders.eu")));
    expect(error).toMatchObject({ code: "invalid_argument", field: "pattern" });
    expect(error.message).toContain("orders.* and orders.eu");
    const differing = await refusal(moduleWith(GmqEventPattern("a"), GmqEventPattern("a", { concurrency: 2 })));
    expect(differing).toMatchObject({ code: "invalid_argument", field: "options" });
    const answering = await refusal(moduleWith(GmqMessagePattern("a"), GmqMessagePattern("a")));
    expect(answering).toMatchObject({ code: "invalid_argument", field: "pattern" });
  });

  it("tells when no broker answers", async () => {
    const connection = { brokers: ["http://127.0.0.1:1"], timeoutMs: 300 };
    expect(await refusal(moduleWith(EventPattern<string>("a")), { connection })).toMatchObject({ code: "unavailable" });
  });
});

describe("a client", () => {
  it("refuses a request time out of range and a pattern that is no topic", async () => {
    expect(() => new GmqClient({ requestTimeoutMs: 0 })).toThrow(
      expect.objectContaining({ code: "invalid_argument", field: "requestTimeoutMs" }),
    );
    const client = new GmqClient({ connection: stage.gmq });
    const app = stage.keep(await NestFactory.createApplicationContext(moduleWith(), { logger: keptLog() }));
    expect(app).toBeDefined();
    await expect(toPromise(client, { cmd: "sum" })).rejects.toMatchObject({ field: "pattern" });
    await client.close();
    await expect(toPromise(client, "a")).rejects.toMatchObject({ code: "closed" });
  });
});

async function toPromise(client: GmqClient, pattern: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => client.emit(pattern, 1).subscribe({ next: resolve, error: reject }));
}

it("knows patterns that share topics", () => {
  for (const [one, other] of [
    ["orders", "orders"],
    ["orders.*", "orders.eu"],
    ["*", "orders"],
    ["orders.*", "*.eu"],
    ["a*c", "ab*"],
    ["*.dlq", "orders.g.dlq"],
  ] as const) {
    expect(patternsOverlap(one, other), `${one} ${other}`).toBe(true);
    expect(patternsOverlap(other, one), `${other} ${one}`).toBe(true);
  }
  for (const [one, other] of [
    ["orders", "order"],
    ["orders.*", "invoices.*"],
    ["a*c", "b*"],
    ["*.eu", "orders.us"],
    ["*", "orders.g.dlq"],
    [`${"*a".repeat(60)}b`, "a".repeat(120)],
  ] as const) {
    expect(patternsOverlap(one, other), `${one} ${other}`).toBe(false);
    expect(patternsOverlap(other, one), `${other} ${one}`).toBe(false);
  }
});
