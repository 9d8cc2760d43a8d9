import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { createFakeLink } from "../test/harness/fake-link.js";
import { type BusyTopic, createOutbox } from "./outbox.js";
import { createPartitionAccumulator, type PartitionAccumulator } from "./partition-accumulator.js";
import { createSpareBuffers } from "./spare-buffers.js";

/** An outbox over topics of some partitions, and how often each accumulator was asked for a batch. */
function start(topicNames: readonly string[], partitions: number) {
  const fake = createFakeLink();
  const busyTopics = new Set<BusyTopic>();
  const asked = new Map<string, number>();
  const accumulators = new Map<string, PartitionAccumulator>();
  const spares = createSpareBuffers(1024 * 1024);
  for (const topicName of topicNames) {
    const topic: BusyTopic = { topicName, busy: new Map() };
    for (let partition = 0; partition < partitions; partition++) {
      const place = `${topicName}/${partition}`;
      const made = createPartitionAccumulator({
        producerId: 7n,
        batchBytesMax: 1_024,
        batchRecordsMax: 100,
        lingerMs: 0,
        codec: "none",
        inFlightMax: 5,
        spares,
        ready: () => undefined,
        began() {
          topic.busy.set(partition, made);
          busyTopics.add(topic);
        },
        freed: () => undefined,
      });
      const next = made.next.bind(made);
      made.next = (now) => {
        asked.set(place, (asked.get(place) ?? 0) + 1);
        return next(now);
      };
      accumulators.set(place, made);
    }
  }
  const outbox = createOutbox(fake.link, { forget: () => undefined }, busyTopics, () => outbox.pump(false));
  const stored: string[] = [];
  const send = (place: string): void =>
    accumulators.get(place)?.add({ value: new Uint8Array([1]), timestampMs: 0 }, 4, undefined, {
      deadlineMs: Number.POSITIVE_INFINITY,
      stored: () => stored.push(place),
      failed: () => undefined,
    });
  return { fake, outbox, busyTopics, asked, send, stored };
}

it("asks those who have something, however many partitions were ever sent to", async () => {
  const { fake, outbox, busyTopics, asked, send, stored } = start(["t", "u"], 50);
  for (let partition = 0; partition < 50; partition++) for (const name of ["t", "u"]) send(`${name}/${partition}`);
  outbox.pump(false);
  for (const request of fake.requests) request.stored();
  await turn();
  expect(stored).toHaveLength(100);
  expect(busyTopics.size).toBe(0);
  asked.clear();
  send("u/7");
  outbox.pump(false);
  expect([...asked.keys()]).toEqual(["u/7"]);
  fake.requests.at(-1)?.stored();
  await turn();
  expect(stored.at(-1)).toBe("u/7");
});

it("keeps asking who has something in flight or behind it", async () => {
  const { fake, outbox, busyTopics, send, stored } = start(["t"], 1);
  for (let number = 0; number < 7; number++) {
    send("t/0");
    outbox.pump(false);
  }
  // Five may be in flight; two wait.
  expect(fake.requests).toHaveLength(5);
  for (let answered = 0; answered < fake.requests.length; answered++) {
    expect(busyTopics.size).toBe(1);
    fake.requests[answered]?.stored();
    await turn();
  }
  expect(stored).toHaveLength(7);
  expect(busyTopics.size).toBe(0);
});
