/** Traces of a real client over a real broker, as the SDK's own exporter for tests gets them. */
import { createBroker } from "@gmq/broker";
import { connect, type Gmq, type Handler, type Message, Reject } from "@gmq/client";
import { silentLogger } from "@gmq/log";
import { type Listener, listen } from "@gmq/service";
import type { Engine } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { openTelemetry, processMessage } from "../src/index.js";

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
let engine: Engine;
let listener: Listener;
let stopBroker: () => Promise<void>;
let gmq: Gmq;

beforeAll(async () => {
  provider.register();
  engine = await createEmbeddedEngine({ memory: true });
  const broker = createBroker({ engine });
  const { routes, frameHandlers } = broker;
  listener = await listen({ host: "127.0.0.1", port: 0, routes, frameHandlers, logger: silentLogger });
  stopBroker = broker.close;
  gmq = await connect({ brokers: [listener.url], instrumentation: openTelemetry() });
});

afterEach(() => exporter.reset());

afterAll(async () => {
  await gmq.close();
  await stopBroker();
  await listener.close({ drainMs: 0 });
  await engine.close();
  await provider.shutdown();
  trace.disable();
  context.disable();
  propagation.disable();
});

function spans(name: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name);
}

async function only(name: string): Promise<ReadableSpan> {
  await expect.poll(() => spans(name).length).toBe(1);
  return spans(name)[0] as ReadableSpan;
}

it("ties send, handler and ack together, over the record's headers", async () => {
  const seen: Record<string, string>[] = [];
  const subscription = gmq.subscribe("orders", { group: "billing" }, async ({ headers }) => {
    seen.push({ ...headers });
    trace.getTracer("app").startSpan("charge").end();
  });
  await trace.getTracer("app").startActiveSpan("request", async (request) => {
    await gmq.producer().send("orders", { key: "k1", value: "x", headers: { source: "web" }, partition: 2 });
    request.end();
  });
  const [request, send, process, charge, ack] = await Promise.all(
    ["request", "send orders", "process orders", "charge", "ack orders"].map(only),
  );
  expect(seen).toEqual([{ source: "web", traceparent: expect.stringContaining(send?.spanContext().spanId ?? "?") }]);
  expect(send?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
  expect(send?.kind).toBe(SpanKind.PRODUCER);
  expect(send?.attributes).toEqual({
    "messaging.system": "gmq",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": "orders",
    "messaging.destination.partition.id": "2",
    "messaging.message.id": "orders/2/0",
    "messaging.gmq.message.key": "k1",
    "messaging.gmq.offset": "0",
  });
  expect(process?.kind).toBe(SpanKind.CONSUMER);
  expect(process?.spanContext().traceId).toBe(send?.spanContext().traceId);
  expect(process?.parentSpanContext?.spanId).toBe(send?.spanContext().spanId);
  expect(process?.links.map(({ context: of }) => of.spanId)).toEqual([send?.spanContext().spanId]);
  expect(process?.attributes).toMatchObject({
    "messaging.operation.type": "process",
    "messaging.consumer.group.name": "billing",
    "messaging.destination.partition.id": "2",
    "messaging.message.id": "orders/2/0",
    "messaging.gmq.message.attempt": 1,
  });
  // What the handler does is inside its span.
  expect(charge?.parentSpanContext?.spanId).toBe(process?.spanContext().spanId);
  expect(ack?.kind).toBe(SpanKind.CLIENT);
  expect(ack?.attributes).toMatchObject({ "messaging.operation.type": "settle", "messaging.batch.message_count": 1 });
  expect(ack?.links.map(({ context: of }) => of.spanId)).toEqual([process?.spanContext().spanId]);
  await subscription.close();
});

it("shows each attempt, what it threw, and the verdict", async () => {
  const subscription = gmq.subscribe(
    "tries",
    { group: "g", retry: { backoff: { initialMs: 1, maxMs: 1 } } },
    ({ attempt }) => {
      if (attempt === 1) throw new TypeError("not yet");
      throw new Reject("never");
    },
  );
  await gmq.producer().send("tries", { value: "x" });
  // Verdicts of one turn leave in one frame: how many there are is the client's affair.
  const verdicts = (): string[] =>
    exporter
      .getFinishedSpans()
      .filter(({ name }) => /^(retry|reject|settle) tries$/.test(name))
      .flatMap(({ attributes }) => attributes["messaging.gmq.settle.verbs"] as string[]);
  await expect.poll(() => new Set(verdicts())).toEqual(new Set(["retry", "reject"]));
  const attempts = spans("process tries");
  expect(attempts.map(({ attributes }) => attributes["messaging.gmq.message.attempt"])).toEqual([1, 2]);
  expect(attempts.map(({ status }) => status)).toEqual([
    { code: SpanStatusCode.ERROR, message: "not yet" },
    { code: SpanStatusCode.ERROR, message: "never" },
  ]);
  expect(attempts[0]?.attributes["error.type"]).toBe("TypeError");
  expect(attempts[0]?.events[0]?.name).toBe("exception");
  await subscription.close();
});

it("makes one span for a batch, whose context all its records carry", async () => {
  const producer = gmq.producer();
  const results = await producer.sendBatch("bulk", [{ value: "1" }, { value: "2" }, { value: "3", partition: 99 }]);
  expect(results.map(({ ok }) => ok)).toEqual([true, true, false]);
  const send = await only("send bulk");
  expect(send.attributes).toMatchObject({ "messaging.batch.message_count": 3, "error.type": "partition_not_found" });
  expect(send.status.code).toBe(SpanStatusCode.ERROR);
  const consumer = gmq.consumer("bulk", { group: "by-hand" });
  const read: string[] = [];
  while (read.length < 2) {
    const batch = await consumer.receive({ timeoutMs: 15_000 });
    for (const message of batch?.messages ?? []) {
      read.push(await processMessage(message, "by-hand", async () => message.headers["traceparent"] ?? ""));
      await message.ack();
    }
  }
  await consumer.close();
  expect(new Set(read).size).toBe(1);
  expect(spans("process bulk").map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
    send.spanContext().spanId,
    send.spanContext().spanId,
  ]);
});

it("keeps a trace of its own where that is asked for, and no settle spans", async () => {
  const own = await connect({
    brokers: [listener.url],
    instrumentation: openTelemetry({ relation: "link", settleSpans: false, tracerProvider: provider }),
  });
  const subscription = own.subscribe("apart", { group: "g" }, () => undefined);
  await own.producer().send("apart", { value: "x" });
  const [send, process] = await Promise.all(["send apart", "process apart"].map(only));
  expect(process?.spanContext().traceId).not.toBe(send?.spanContext().traceId);
  expect(process?.links[0]?.context.spanId).toBe(send?.spanContext().spanId);
  await own.close();
  await subscription.closed;
  expect(spans("ack apart")).toEqual([]);
});

it("links each group's verdict to its own handler, when several handle a record at once", async () => {
  const bothRun = Promise.withResolvers<void>();
  let running = 0;
  const subscriptions = ["billing", "shipping"].map((group) =>
    gmq.subscribe("parcels", { group }, async () => {
      if (++running === 2) bothRun.resolve();
      await bothRun.promise;
    }),
  );
  await gmq.producer().send("parcels", { value: "x" });
  await expect.poll(() => spans("ack parcels").length, { timeout: 15_000 }).toBe(2);
  const byGroup = (name: string, idOf: (span: ReadableSpan) => string | undefined) =>
    new Map(spans(name).map((span) => [span.attributes["messaging.consumer.group.name"], idOf(span)]));
  expect(byGroup("ack parcels", ({ links }) => links[0]?.context.spanId)).toEqual(
    byGroup("process parcels", (span) => span.spanContext().spanId),
  );
  await Promise.all(subscriptions.map((subscription) => subscription.close()));
});

it("ends the span of a send that fails", async () => {
  await expect(gmq.producer().send("orders", { value: "x", partition: 99 })).rejects.toThrow();
  const send = await only("send orders");
  expect(send.status.code).toBe(SpanStatusCode.ERROR);
  expect(send.attributes["error.type"]).toBe("partition_not_found");
});

it("takes a handler that returns something other than a promise for what it is: done", async () => {
  const values: string[] = [];
  const subscription = gmq.subscribe("pushed", { group: "pushed" }, ({ key = "" }) => void values.push(key));
  // As a program in JavaScript may have it.
  const push = (({ key = "" }: Message<Uint8Array>) => values.push(key)) as unknown as Handler<Uint8Array>;
  const counted = gmq.subscribe("pushed", { group: "counted" }, push);
  await gmq.producer().send("pushed", { key: "k", value: "x", partition: 0 });
  await expect.poll(() => spans("ack pushed").length, { timeout: 15_000 }).toBe(2);
  expect(spans("process pushed").map(({ status }) => status.code)).toEqual([
    SpanStatusCode.UNSET,
    SpanStatusCode.UNSET,
  ]);
  expect(values).toEqual(["k", "k"]);
  await subscription.drain();
  await counted.drain();
});

it("ends the span of work that throws before it returns a promise", async () => {
  const producer = gmq.producer();
  await producer.send("by-hand", { value: "x", partition: 0 });
  const consumer = gmq.consumer("by-hand", { group: "by-hand" });
  const batch = await consumer.receive({ timeoutMs: 15_000 });
  const message = batch?.messages[0];
  if (message === undefined) throw new Error("there is no message");
  await expect(
    processMessage(message, "by-hand", () => {
      throw new Error("at once");
    }),
  ).rejects.toThrow("at once");
  expect((await only("process by-hand")).status.code).toBe(SpanStatusCode.ERROR);
  await consumer.close();
});
