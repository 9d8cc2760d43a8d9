/** GmqClient and GmqModule in real Nest apps: emit, request and reply, injected connections. */
import { type Gmq, GmqError, type StoredRecord, topic } from "@gmq/client";
import { Controller, Inject, Injectable, Module, type Type } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientsModule, Ctx, MessagePattern, Payload, RpcException } from "@nestjs/microservices";
import { firstValueFrom, lastValueFrom, of, toArray } from "rxjs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  GmqClient,
  type GmqContext,
  GmqEventPattern,
  GmqMessagePattern,
  GmqModule,
  GmqRecord,
  gmqClientToken,
  InjectGmq,
  InjectGmqClient,
} from "../src/index.js";
import { keptLog, openStage, type Stage } from "./harness/nest-app.js";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.closeAll());

describe("emit", () => {
  it("stores JSON, with key and headers when they are given, and gives the place", async () => {
    const client = new GmqClient({ connection: { brokers: [stage.gmq.url] } });
    const stored: StoredRecord = await lastValueFrom(
      client.emit("orders", new GmqRecord({ id: "o1" }, { key: "user-1", headers: { source: "web" } })),
    );
    expect(stored).toMatchObject({ offset: 0n, duplicate: false });
    // Hot, as with Nest's other clients: it is sent whether or not somebody subscribes.
    client.emit("orders", { id: "o2" });
    await client.close();
    const { records } = await stage.gmq.admin.browse("orders", { partition: stored.partition, limit: 10 });
    const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
    const [record] = records;
    expect([text(record?.key), text(record?.value)]).toEqual(["user-1", '{"id":"o1"}']);
    expect(record?.headers.map(({ key, value }) => [key, text(value)])).toEqual([["source", "web"]]);
    const topicInfo = await stage.gmq.admin.describeTopic("orders");
    expect(topicInfo.partitionStats.reduce((sum, { endOffset }) => sum + Number(endOffset), 0)).toBe(2);
  });

  it("checks a typed topic's values, and says of what was not stored", async () => {
    const orders = topic("typed", { value: z.object({ cents: z.number() }) });
    const client = new GmqClient({ connection: stage.gmq });
    await expect(lastValueFrom(client.emit(orders, { cents: "9" }))).rejects.toMatchObject({ code: "schema_invalid" });
    expect(await lastValueFrom(client.emit(orders, { cents: 9 }))).toMatchObject({ offset: 0n });
    await client.close();
    // A connection that it was given stays open.
    await stage.gmq.admin.listTopics();
  });

  it("connects again at the next call when no broker was there", async () => {
    const client = new GmqClient({ connection: { brokers: ["http://127.0.0.1:1"], timeoutMs: 200 } });
    for (let n = 0; n < 2; n++)
      await expect(lastValueFrom(client.emit("a", 1))).rejects.toMatchObject({ code: "unavailable" });
    await client.close();
  });
});

describe("send", () => {
  let calls: number;
  function sums(): Type {
    @Controller()
    class Sums {
      @MessagePattern("sum")
      add(@Payload() numbers: number[], @Ctx() context: GmqContext): number {
        calls++;
        expect(context.getTopic()).toBe("sum");
        return numbers.reduce((a, b) => a + b, 0);
      }
      @GmqMessagePattern("steps", { concurrency: 4 })
      steps(numbers: number[]) {
        return of(...numbers);
      }
      @MessagePattern("nothing")
      nothing(): void {
        calls++;
      }
      @MessagePattern("fails")
      fail(): never {
        calls++;
        throw new RpcException({ status: 404, message: "no such account" });
      }
      @MessagePattern("silent")
      silent(): Promise<never> {
        return new Promise(() => undefined);
      }
    }
    @Module({ controllers: [Sums] })
    class App {}
    return App;
  }
  let client: GmqClient;
  beforeEach(async () => {
    calls = 0;
    client = new GmqClient({ connection: { brokers: [stage.gmq.url] }, replyTopic: "svc.replies" });
    await stage.serve(sums(), { drainTimeoutMs: 100 });
  });
  afterEach(() => client.close());

  it("gets the handler's value, its stream of values, or none", async () => {
    expect(await lastValueFrom(client.send("sum", [1, 2, 3]))).toBe(6);
    expect(await lastValueFrom(client.send("steps", [1, 2, 3]).pipe(toArray()))).toEqual([1, 2, 3]);
    expect(await lastValueFrom(client.send("nothing", {}).pipe(toArray()))).toEqual([]);
    await stage.gmq.settled("svc");
  });

  it("waits for every partition of a reply topic that somebody made", async () => {
    await stage.gmq.admin.createTopic("wide.replies", { partitions: 8 });
    const wide = new GmqClient({ connection: stage.gmq, replyTopic: "wide.replies" });
    const answers = await Promise.all(Array.from({ length: 16 }, (_, n) => lastValueFrom(wide.send("sum", [n]))));
    expect(answers).toEqual(Array.from({ length: 16 }, (_, n) => n));
    await wide.close();
  });

  it("keeps requests of many callers apart", async () => {
    const other = new GmqClient({ connection: { brokers: [stage.gmq.url] }, replyTopic: "svc.replies" });
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) => lastValueFrom((n % 2 === 0 ? client : other).send<number>("sum", [n, 1]))),
    );
    expect(answers).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
    expect(calls).toBe(60);
    await other.close();
  });

  it("gets the handler's error, once: a request is not tried again", async () => {
    await expect(lastValueFrom(client.send("fails", {}))).rejects.toEqual({ status: 404, message: "no such account" });
    await stage.gmq.settled("svc");
    expect(calls).toBe(1);
  });

  it("gives up at its deadline, and when the client is closed", async () => {
    const hasty = new GmqClient({
      connection: { brokers: [stage.gmq.url] },
      replyTopic: "svc.replies",
      requestTimeoutMs: 2_000,
    });
    expect(await lastValueFrom(hasty.send("sum", [1]))).toBe(1);
    await expect(lastValueFrom(hasty.send("nobody-listens", {}))).rejects.toMatchObject({ code: "deadline_exceeded" });
    const waiting = expect(lastValueFrom(client.send("silent", {}))).rejects.toMatchObject({ code: "closed" });
    await expect.poll(async () => (await stage.gmq.admin.describeTopic("silent")).partitions).toBe(2);
    await client.close();
    await waiting;
    await hasty.close();
  });

  it("listens again when the subscription to its replies has died, and tells those who waited", async () => {
    const dying = Promise.withResolvers<never>();
    let subscriptions = 0;
    const connection: Gmq = {
      ...stage.gmq,
      subscribe(...args) {
        const subscription = stage.gmq.subscribe(...args);
        return ++subscriptions > 1
          ? subscription
          : { ...subscription, closed: Promise.race([subscription.closed, dying.promise]) };
      },
    };
    const own = new GmqClient({ connection, replyTopic: "svc.replies" });
    expect(await lastValueFrom(own.send("sum", [1, 2]))).toBe(3);
    const waiting = lastValueFrom(own.send("silent", {})).catch((error: unknown) => error);
    const stored = async () =>
      (await stage.gmq.admin.describeTopic("silent")).partitionStats.reduce((sum, one) => sum + one.endOffset, 0n);
    await expect.poll(stored, { timeout: 15_000 }).toBe(1n);
    dying.reject(new GmqError("permission_denied", "no more replies"));
    expect(await waiting).toMatchObject({ code: "permission_denied" });
    expect(await lastValueFrom(own.send("sum", [3, 4]))).toBe(7);
    expect(subscriptions).toBe(2);
    await own.close();
  });

  it("is given up when the client is closed before its reply topic is there", async () => {
    const { admin } = stage.gmq;
    const made = Promise.withResolvers<void>();
    // It has a partition fewer than is waited for.
    const connection: Gmq = {
      ...stage.gmq,
      admin: {
        ...admin,
        async createTopic(...args) {
          const topicMade = await admin.createTopic(...args);
          made.resolve();
          return { ...topicMade, partitions: topicMade.partitions + 1 };
        },
      },
    };
    const client = new GmqClient({ connection, replyTopic: "replies-late", requestTimeoutMs: 600_000 });
    const waiting = lastValueFrom(client.send("sum", [1])).catch((error: unknown) => error);
    await made.promise;
    await client.close();
    expect(await waiting).toMatchObject({ code: "closed" });
  });

  it("is refused without a reply topic, and says why", async () => {
    const plain = new GmqClient({ connection: stage.gmq });
    const error = await lastValueFrom(plain.send("sum", [1])).catch((reason: unknown) => reason);
    expect(GmqError.is(error, "unimplemented")).toBe(true);
    expect(error).toMatchObject({ field: "replyTopic" });
    await plain.close();
  });

  it("handles a request that wants no reply as an event", async () => {
    await stage.gmq.producer().send("sum", { value: "[1]" });
    await stage.gmq.settled("svc");
    expect(calls).toBe(1);
  });
});

describe("GmqModule", () => {
  @Injectable()
  class Shop {
    readonly gmq: Gmq;
    readonly client: GmqClient;
    constructor(@InjectGmq() gmq: Gmq, @Inject(GmqClient) client: GmqClient) {
      this.gmq = gmq;
      this.client = client;
    }
  }

  it("gives connection and client, and closes both with the app", async () => {
    @Module({ imports: [GmqModule.register({ connection: { brokers: [stage.gmq.url] } })], providers: [Shop] })
    class App {}
    const app = await NestFactory.createApplicationContext(App, { logger: keptLog() });
    const { gmq, client } = app.get(Shop);
    expect(client.unwrap === undefined).toBe(false);
    await firstValueFrom(client.emit("orders", 1));
    expect((await gmq.admin.listTopics()).map(({ name }) => name)).toContain("orders");
    await app.close();
    expect(() => gmq.producer()).toThrow(expect.objectContaining({ code: "closed" }));
  });

  it("takes its options from a factory, and keeps named connections apart", async () => {
    const urls = Symbol("urls");
    @Module({ providers: [{ provide: urls, useValue: [stage.gmq.url] }], exports: [urls] })
    class Config {}
    @Injectable()
    class Named {
      readonly gmq: Gmq;
      readonly client: GmqClient;
      constructor(@InjectGmq("eu") gmq: Gmq, @InjectGmqClient("eu") client: GmqClient) {
        this.gmq = gmq;
        this.client = client;
      }
    }
    const eu = GmqModule.registerAsync({
      name: "eu",
      imports: [Config],
      inject: [urls],
      useFactory: (brokers: string[]) => ({ connection: { brokers } }),
    });
    @Module({
      imports: [eu, GmqModule.register({ connection: { brokers: [stage.gmq.url] } })],
      providers: [Named, Shop],
    })
    class App {}
    const app = stage.keep(await NestFactory.createApplicationContext(App, { logger: keptLog() }));
    expect(app.get(Named).gmq).not.toBe(app.get(Shop).gmq);
    expect(app.get<GmqClient>(gmqClientToken("eu"))).toBe(app.get(Named).client);
  });

  it("ends the start of the app when no broker answers", async () => {
    @Module({ imports: [GmqModule.register({ connection: { brokers: ["http://127.0.0.1:1"], timeoutMs: 200 } })] })
    class App {}
    const start = NestFactory.createApplicationContext(App, { logger: keptLog(), abortOnError: false });
    await expect(start).rejects.toMatchObject({ code: "unavailable" });
  });

  it("drains its servers before its connection: a handler may emit while the app closes", async () => {
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    @Controller()
    class Forward {
      readonly client: GmqClient;
      constructor(@Inject(GmqClient) client: GmqClient) {
        this.client = client;
      }
      @GmqEventPattern("in")
      async handle(value: number): Promise<void> {
        begun++;
        await gate.promise;
        await lastValueFrom(this.client.emit("out", value));
      }
    }
    @Module({ imports: [GmqModule.register({ connection: { brokers: [stage.gmq.url] } })], controllers: [Forward] })
    class App {}
    const app = await stage.serve(App);
    await stage.gmq.producer().send("in", { value: "1" });
    await expect.poll(() => begun).toBe(1);
    const closed = app.close();
    gate.resolve();
    await closed;
    expect((await stage.gmq.admin.describeGroup("svc")).partitions.every(({ lag }) => lag === 0n)).toBe(true);
    const { partitionStats } = await stage.gmq.admin.describeTopic("out");
    expect(partitionStats.reduce((sum, { endOffset }) => sum + Number(endOffset), 0)).toBe(1);
  });

  it("works with Nest's ClientsModule", async () => {
    const connection = { brokers: [stage.gmq.url] };
    const clients = ClientsModule.register([{ name: "EVENTS", customClass: GmqClient, options: { connection } }]);
    @Module({ imports: [clients] })
    class App {}
    const app = stage.keep(await NestFactory.createApplicationContext(App, { logger: keptLog() }));
    expect(await lastValueFrom(app.get<GmqClient>("EVENTS").emit("orders", 1))).toMatchObject({ offset: 0n });
  });
});
