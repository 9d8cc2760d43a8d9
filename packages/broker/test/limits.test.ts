/** Each bound of a broker: what is at it goes through, what is over it is slowed down or refused by name, and others are not touched. */
import { AdminService, BrokerService } from "@gmq/protocol/messages";
import { afterEach, describe, expect, it } from "vitest";
import { type BrokerLimits, brokerLimitRanges, brokerLimits } from "../src/broker-limits.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker | undefined;
afterEach(async () => {
  await test?.stop();
  test = undefined;
});

async function start(limits: Partial<BrokerLimits>): Promise<TestBroker> {
  test = await startTestBroker({ limits });
  return test;
}

const value = (bytes: number): Uint8Array => new Uint8Array(bytes);

describe("framesPerSecondMax", () => {
  it("slows a session down, answers everything, and leaves the next session alone", async () => {
    const { session } = await start({ framesPerSecondMax: 50 });
    const busy = await session();
    const begun = performance.now();
    const ask = () => busy.askFor({ case: "resolveTopic", value: { topic: "t" } }, "resolvedTopic");
    const all = Promise.all(Array.from({ length: 200 }, ask));
    // Written when the first are there: what comes in one piece is taken whole and waited for afterwards.
    await ask();
    const later = ask();
    const other = await session();
    await other.askFor({ case: "resolveTopic", value: { topic: "t" } }, "resolvedTopic");
    const otherMs = performance.now() - begun;
    await Promise.all([all, later]);
    const busyMs = performance.now() - begun;
    // 200 frames at 50 a second, of which one second is free: three seconds have to pass, whatever the machine is at.
    expect(busyMs).toBeGreaterThan(1_900);
    expect(otherMs).toBeLessThan(busyMs);
  });
});

describe("publishBytesInFlightMax", () => {
  it("slows a session down that publishes faster than the store takes it, and loses nothing", async () => {
    const { session, engine } = await start({ publishBytesInFlightMax: 1_024 });
    const busy = await session();
    const texts = Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(900, "."));
    await Promise.all(texts.map((text) => busy.publish("t", 0, [text])));
    const { endOffset } = await engine.log.read({
      topic: "t",
      partition: 0,
      from: "earliest",
      entriesMax: 1,
      bytesMax: 1,
    });
    expect(endOffset).toBe(20n);
  });
});

describe("recordBytesMax and batchBytesMax", () => {
  it("are told in the welcome, and what is over them is refused with field and limit", async () => {
    const { session, client } = await start({ recordBytesMax: 2_000, batchBytesMax: 3_000 });
    const raw = await session({ hello: false });
    expect(await raw.hello()).toMatchObject({ recordBytesMax: 2_000, batchBytesMax: 3_000 });
    const broker = client(BrokerService);
    await broker.publish({ topic: "t", value: value(1_900) });
    await expect(broker.publish({ topic: "t", value: value(2_001) })).rejects.toMatchObject({
      code: "record_too_large",
      field: "value",
      limit: "2000 bytes",
    });
    await raw.publish("t", 0, ["x".repeat(2_900)]);
    await expect(raw.publish("t", 0, ["x".repeat(3_001)])).rejects.toThrow(/batch_too_large/);
  });
});

describe("batchUncompressedBytesMax", () => {
  it("refuses a batch that says it unpacks to more", async () => {
    const { session } = await start({ batchUncompressedBytesMax: 2_000 });
    const raw = await session();
    await raw.publish("t", 0, ["x".repeat(1_900)]);
    await expect(raw.publish("t", 0, ["x".repeat(2_001)])).rejects.toThrow(/batch_too_large/);
  });
});

describe("topicsAutoCreatedMax", () => {
  it("makes no more topics by use, and still makes those that are asked for", async () => {
    const { client, session } = await start({ topicsAutoCreatedMax: 2 });
    const [broker, admin] = [client(BrokerService), client(AdminService)];
    await broker.publish({ topic: "a" });
    await broker.publish({ topic: "b" });
    const refused = { code: "resource_exhausted", field: "topic", limit: "2 topics" };
    await expect(broker.publish({ topic: "c" })).rejects.toMatchObject(refused);
    const raw = await session();
    expect(await raw.askFor({ case: "resolveTopic", value: { topic: "d" } }, "error")).toMatchObject(refused);
    await admin.createTopic({ topic: "c" });
    await broker.publish({ topic: "c" });
    await broker.publish({ topic: "a" });
  });
});

describe("metadataCallsPerSecondMax", () => {
  it("refuses one more call in a second, retryably, and takes calls again in the next", async () => {
    const { client, session } = await start({ metadataCallsPerSecondMax: 20 });
    const [broker, admin] = [client(BrokerService), client(AdminService)];
    const answers = await Promise.allSettled(Array.from({ length: 100 }, () => admin.listTopics({})));
    const refusals = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []));
    expect(answers.length - refusals.length).toBeGreaterThanOrEqual(20);
    expect(refusals[0]).toMatchObject({
      code: "resource_exhausted",
      retryable: true,
      field: "metadata calls",
      limit: "20 calls a second",
    });
    // Publishing is no metadata call.
    await broker.publish({ topic: "t" });
    await expect
      .poll(() =>
        admin.listTopics({}).then(
          () => "ok",
          () => "refused",
        ),
      )
      .toBe("ok");
    const raw = await session();
    const asks = await Promise.all(
      Array.from({ length: 100 }, () => raw.ask({ case: "resolveTopic", value: { topic: "t" } })),
    );
    expect(asks.some((answer) => answer.case === "error" && answer.value.code === "resource_exhausted")).toBe(true);
  });
});

describe("every limit", () => {
  it.each(Object.entries(brokerLimitRanges))(
    "%s has a range, and is refused outside of it",
    (name, [min, max, unit]) => {
      expect(brokerLimits()[name as keyof BrokerLimits]).toBeGreaterThanOrEqual(min);
      for (const wrong of [min - 1, max + 1, Number.NaN, 1.5]) {
        const refused = { code: "invalid_argument", field: name, limit: `${min} to ${max} ${unit}` };
        expect(() => brokerLimits({ [name]: wrong })).toThrow(expect.objectContaining(refused));
      }
      expect(brokerLimits({ [name]: max })[name as keyof BrokerLimits]).toBe(max);
    },
  );
});
