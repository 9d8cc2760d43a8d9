/** Event handlers of a real Nest app over a real broker. */
import { deadLetterTopic, type Message, Reject, topic } from "@gmq/client";
import { Controller, Module } from "@nestjs/common";
import { Ctx, EventPattern, Payload } from "@nestjs/microservices";
import { from, type Observable } from "rxjs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import { GmqContext, GmqEventPattern } from "../src/index.js";
import { keptLog, openStage, type Stage } from "./harness/nest-app.js";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.closeAll());

interface Order {
  readonly id: string;
}

async function publish(name: string, value: unknown, key?: string, headers?: Record<string, string>): Promise<void> {
  const record = { value: JSON.stringify(value), ...(key !== undefined && { key }), ...(headers && { headers }) };
  await stage.gmq.producer().send(name, record);
}

/** Dead letters of a group, once there are so many. */
async function deadLetters(name: string, group: string, count: number) {
  await expect.poll(async () => (await stage.gmq.admin.deadLetters(name, { group })).letters.length).toBe(count);
  return (await stage.gmq.admin.deadLetters(name, { group })).letters;
}

it("hands a record to its handler with payload and context, and acks it", async () => {
  const seen: unknown[] = [];
  @Controller()
  class Orders {
    @EventPattern<string>("orders")
    handle(@Payload() order: Order, @Ctx() context: GmqContext): void {
      expect(context).toBeInstanceOf(GmqContext);
      seen.push({
        order,
        topic: context.getTopic(),
        key: context.getKey(),
        headers: context.getHeaders(),
        attempt: context.getAttempt(),
        offset: context.getOffset(),
        partition: context.getPartition(),
        isAborted: context.getSignal().aborted,
      });
    }
  }
  @Module({ controllers: [Orders] })
  class App {}
  await stage.serve(App);
  const { partition, offset } = await stage.gmq
    .producer()
    .send("orders", { key: "user-1", value: '{"id":"o1"}', headers: { source: "web" } });
  await stage.gmq.settled("svc");
  expect(seen).toEqual([
    {
      order: { id: "o1" },
      topic: "orders",
      key: "user-1",
      headers: { source: "web" },
      attempt: 1,
      offset,
      partition,
      isAborted: false,
    },
  ]);
});

it("tries a failed record again, and dead-letters it with the handler's own error", async () => {
  const attempts: number[] = [];
  @Controller()
  class Payments {
    @GmqEventPattern("payments", { retry: { maxAttempts: 3, backoff: { initialMs: 1, maxMs: 2 } } })
    pay(@Ctx() context: GmqContext): void {
      attempts.push(context.getAttempt());
      throw new Error("the bank does not answer");
    }
  }
  @Module({ controllers: [Payments] })
  class App {}
  const log = keptLog();
  await stage.serve(App, {}, log);
  await publish("payments", { id: "o1" }, "k");
  const [letter] = await deadLetters("payments", "svc", 1);
  expect(attempts).toEqual([1, 2, 3]);
  expect(letter).toMatchObject({ reason: "max attempts", errorText: "Error: the bank does not answer" });
  await expect.poll(() => log.warnings.join()).toMatch(/payments\/\d at 0 was rejected: max attempts/);
});

it("succeeds at a later attempt: nothing is dead-lettered", async () => {
  let attempts = 0;
  @Controller()
  class Flaky {
    @GmqEventPattern("flaky", { retry: { backoff: { initialMs: 1, maxMs: 2 } } })
    async handle(): Promise<void> {
      if (++attempts < 3) throw new Error("not yet");
    }
  }
  @Module({ controllers: [Flaky] })
  class App {}
  await stage.serve(App);
  await publish("flaky", 1);
  await stage.gmq.settled("svc");
  expect(attempts).toBe(3);
  expect((await stage.gmq.admin.listTopics()).map(({ name }) => name)).not.toContain(deadLetterTopic("flaky", "svc"));
});

it("takes Reject as the end at the first attempt, from handlers and from observables", async () => {
  let attempts = 0;
  @Controller()
  class Strict {
    @GmqEventPattern("strict")
    handle(): void {
      attempts++;
      throw new Reject("bad order", { cause: new Error("no such account") });
    }
    @GmqEventPattern("stream")
    handleStream(): Observable<number> {
      return from(Promise.reject(new Reject("bad stream")));
    }
  }
  @Module({ controllers: [Strict] })
  class App {}
  await stage.serve(App);
  await publish("strict", 1);
  await publish("stream", 1);
  const [letter] = await deadLetters("strict", "svc", 1);
  expect(letter).toMatchObject({ reason: "bad order", errorText: "Error: no such account" });
  expect(attempts).toBe(1);
  expect(await deadLetters("stream", "svc", 1)).toMatchObject([{ reason: "bad stream" }]);
});

it("waits for an observable before it acks", async () => {
  const gate = Promise.withResolvers<number>();
  let begun = 0;
  @Controller()
  class Slow {
    @EventPattern<string>("slow")
    handle(_value: unknown): Observable<number> {
      begun++;
      return from(gate.promise);
    }
  }
  @Module({ controllers: [Slow] })
  class App {}
  await stage.serve(App);
  await publish("slow", 1);
  await expect.poll(() => begun).toBe(1);
  expect((await stage.gmq.admin.describeGroup("svc")).partitions.some(({ lag }) => lag > 0n)).toBe(true);
  gate.resolve(1);
  await stage.gmq.settled("svc");
});

it("with Nest's own decorator retries too, and says once that Nest hides the error", async () => {
  @Controller()
  class Plain {
    @EventPattern<string>("plain")
    handle(_value: unknown): void {
      throw new Error("boom");
    }
  }
  @Module({ controllers: [Plain] })
  class App {}
  const log = keptLog();
  await stage.serve(App, { subscribe: { retry: { maxAttempts: 2, backoff: { initialMs: 1, maxMs: 1 } } } }, log);
  await publish("plain", 1);
  expect(await deadLetters("plain", "svc", 1)).toMatchObject([
    { reason: "max attempts", errorText: "Error: Internal server error" },
  ]);
  expect(log.warnings.filter((line) => line.includes("@GmqEventPattern"))).toHaveLength(1);
});

it("leaves a verdict that was given by hand as it is", async () => {
  const attempts: number[] = [];
  @Controller()
  class ByHand {
    @GmqEventPattern("by-hand")
    async handle(@Ctx() context: GmqContext): Promise<void> {
      const message: Message<unknown> = context.getMessage();
      attempts.push(context.getAttempt());
      if (context.getAttempt() === 1) await message.retry({ delayMs: 1 });
      else await message.reject("seen twice");
    }
  }
  @Module({ controllers: [ByHand] })
  class App {}
  await stage.serve(App);
  await publish("by-hand", 1);
  expect(await deadLetters("by-hand", "svc", 1)).toMatchObject([{ reason: "seen twice" }]);
  expect(attempts).toEqual([1, 2]);
});

it("subscribes to patterns, topics made later included", async () => {
  const seen: string[] = [];
  @Controller()
  class All {
    @GmqEventPattern("orders.*")
    handle(@Payload() id: string, @Ctx() context: GmqContext): void {
      seen.push(`${context.getTopic()} ${id}`);
    }
  }
  @Module({ controllers: [All] })
  class App {}
  await publish("orders.eu", "o1");
  await stage.serve(App);
  await expect.poll(() => seen).toEqual(["orders.eu o1"]);
  await publish("orders.us", "o2");
  await expect.poll(() => seen).toEqual(["orders.eu o1", "orders.us o2"]);
});

it("checks values against a topic's schema, and dead-letters what does not fit", async () => {
  const orders = topic("typed", { value: z.object({ cents: z.number() }) });
  const seen: number[] = [];
  @Controller()
  class Typed {
    @GmqEventPattern(orders)
    handle({ cents }: { readonly cents: number }): void {
      seen.push(cents);
    }
    @EventPattern<string>("json")
    handleJson(_value: unknown): void {
      seen.push(-1);
    }
  }
  @Module({ controllers: [Typed] })
  class App {}
  await stage.serve(App);
  await publish("typed", { cents: "9" });
  await publish("typed", { cents: 9 });
  await stage.gmq.producer().send("json", { value: "not JSON" });
  await stage.gmq.settled("svc");
  expect(seen).toEqual([9]);
  expect(await deadLetters("typed", "svc", 1)).toMatchObject([{ reason: "schema invalid" }]);
  expect(await deadLetters("json", "svc", 1)).toMatchObject([{ reason: "schema invalid" }]);
});

it("gives handlers of one topic and group each record, and of another group all of them too", async () => {
  const seen: string[] = [];
  @Controller()
  class Twice {
    @GmqEventPattern("shared-topic")
    first(id: string): void {
      seen.push(`first ${id}`);
    }
    @GmqEventPattern("shared-topic")
    second(id: string): void {
      seen.push(`second ${id}`);
    }
    @GmqEventPattern("shared-topic", { group: "audit" })
    audit(id: string): void {
      seen.push(`audit ${id}`);
    }
  }
  @Module({ controllers: [Twice] })
  class App {}
  await stage.serve(App);
  await publish("shared-topic", "o1");
  await stage.gmq.settled("svc");
  await stage.gmq.settled("audit");
  expect(seen.toSorted()).toEqual(["audit o1", "first o1", "second o1"]);
});

it("runs as many handlers at once as its options say, those of the server by default", async () => {
  let running = 0;
  let most = 0;
  const open = Promise.withResolvers<void>();
  @Controller()
  class Busy {
    @EventPattern<string>("busy")
    async handle(_value: unknown): Promise<void> {
      running++;
      most = Math.max(most, running);
      await open.promise;
      running--;
    }
  }
  @Module({ controllers: [Busy] })
  class App {}
  await stage.serve(App, { subscribe: { concurrency: 4 } });
  for (let n = 0; n < 20; n++) await publish("busy", n, `k${n}`);
  await expect.poll(() => running).toBe(4);
  open.resolve();
  await stage.gmq.settled("svc");
  expect(most).toBe(4);
});
