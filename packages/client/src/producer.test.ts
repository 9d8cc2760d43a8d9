import { setImmediate as turn } from "node:timers/promises";
import type { GmqError } from "@gmq/protocol";
import { afterEach, expect, it, vi } from "vitest";
import { createFakeLink } from "../test/harness/fake-link.js";
import { createEncodeTurns } from "./encode-turns.js";
import { createProducer, type Producer } from "./producer.js";
import type { ProducerOptions } from "./producer-options.js";
import { createSpareBuffers } from "./spare-buffers.js";
import { topic } from "./topic.js";

let producer: Producer;

afterEach(async () => {
  vi.useRealTimers();
  await producer.close({ timeoutMs: 0 });
});

/** A producer for one partition; the test answers what it sends. */
function start(options: ProducerOptions = {}, welcome: Parameters<typeof createFakeLink>[0] = {}) {
  const fake = createFakeLink(welcome);
  const topics = { peek: () => 1, partitions: async () => 1, forget: () => undefined };
  const turns = createEncodeTurns(128 * 1024);
  producer = createProducer(fake.link, topics, createSpareBuffers(1024 * 1024), turns, options, () => undefined);
  const failures: GmqError[] = [];
  const send = (value: string | Uint8Array): void =>
    void producer.send("t", { value }).catch((error: GmqError) => failures.push(error));
  return { fake, send, failures };
}

it("flush resolves when what was sent before is answered, whatever is sent meanwhile", async () => {
  const { fake, send } = start();
  send("before");
  await turn();
  await turn();
  const flushed = producer.flush({ timeoutMs: 5_000 });
  send("later");
  await turn();
  await turn();
  expect(fake.requests.length).toBe(2);
  fake.requests[0]?.stored();
  await flushed;
});

it("flush waits for what gathers and for what has no room yet, and neither lingers", async () => {
  const { fake, send } = start({ lingerMs: 60_000, bufferedBytesMax: 1_000 });
  for (const letter of "abc") send(letter.repeat(900));
  let isFlushed = false;
  const flushed = producer.flush({ timeoutMs: 15_000 }).then(() => {
    isFlushed = true;
  });
  for (let answered = 0; answered < 3; answered++) {
    await expect.poll(() => fake.requests.length, { timeout: 10_000 }).toBe(answered + 1);
    expect(isFlushed).toBe(false);
    fake.requests[answered]?.stored();
  }
  await flushed;
});

it("flush leaves what is sent after it its linger", async () => {
  const { fake, send } = start({ lingerMs: 60_000 });
  send("before");
  const flushed = producer.flush({ timeoutMs: 5_000 });
  await turn();
  await turn();
  send("later");
  await turn();
  await turn();
  expect(fake.requests.length).toBe(1);
  fake.requests[0]?.stored();
  await flushed;
});

it("a send whose signal has fired already is not sent", async () => {
  const { fake } = start();
  await expect(producer.send("t", { value: "x" }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "cancelled",
  });
  await turn();
  await turn();
  expect(fake.requests).toEqual([]);
});

it("records are refused, and batches cut, at what the broker takes", async () => {
  const { fake, send, failures } = start({}, { recordBytesMax: 3_000, batchBytesMax: 5_000 });
  for (let index = 0; index < 4; index++) send(new Uint8Array(2_000));
  send(new Uint8Array(3_000));
  await turn();
  await turn();
  const frames = fake.requests.map(({ frame }) => (frame.case === "publish" ? frame.value.batches : undefined));
  expect(frames.map((batches) => batches?.map(({ batch }) => batch?.recordCount))).toEqual([[2, 2]]);
  expect(failures).toMatchObject([{ code: "record_too_large", limit: "3000 bytes" }]);
});

it("what waits counts as its encoded bytes", async () => {
  const { failures } = start({ bufferedBytesMax: 100_000, waitingBytesMax: 10_000_000 });
  const large = topic("t", { value: { encode: (_: object) => new Uint8Array(100_000), decode: () => ({}) } });
  for (let index = 0; index < 150; index++)
    producer.send(large, { value: {} }).catch((error: GmqError) => failures.push(error));
  await turn();
  // One has room, 98 wait with 100 KB and 1 KiB each.
  expect(failures.map(({ code }) => code)).toEqual(Array.from({ length: 51 }, () => "resource_exhausted"));
});

it("what is due and waits for an answer keeps no timer busy", async () => {
  vi.useFakeTimers();
  const { fake, send } = start({ lingerMs: 5 });
  for (let index = 0; index < 6; index++) {
    send("x");
    await vi.advanceTimersByTimeAsync(20);
  }
  expect(fake.requests.length).toBe(5);
  const before = fake.looks;
  await vi.advanceTimersByTimeAsync(500);
  // Every 50 ms it is looked what has expired.
  expect(fake.looks - before).toBeLessThanOrEqual(11);
  fake.requests[0]?.stored();
  await vi.advanceTimersByTimeAsync(20);
  expect(fake.requests.length).toBe(6);
});
