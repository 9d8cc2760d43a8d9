/** `stalled` and `resumed`: told when there is work and nothing gets done, with the reason; never on an idle topic. Against a real broker. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { SubscriptionEvent } from "../src/index.js";
import { useDeployment } from "./harness/test-deployment.js";

const test = useDeployment();

const stallMs = 1_000;
type Told = Extract<SubscriptionEvent, { type: "stalled" | "resumed" }>;

/** What is told of stalls. */
function stallsOf(source: { status(): AsyncIterableIterator<SubscriptionEvent> }): Told[] {
  const told: Told[] = [];
  void (async () => {
    for await (const event of source.status())
      if (event.type === "stalled" || event.type === "resumed") told.push(event);
  })();
  return told;
}

async function send(count: number): Promise<void> {
  await using producer = test.gmq.producer();
  for (let n = 0; n < count; n++) await producer.send("t", { partition: 0, value: `r${n}` });
}

describe("a stall", () => {
  it("names the record whose handler runs, tells that the credit is used up, is told once, and its end", async () => {
    await send(5);
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    await using subscription = test.gmq.subscribe(
      "t",
      { group: "g", stallMs, maxInFlight: { records: 3 } },
      async () => {
        if (++begun === 2) await gate.promise;
      },
    );
    const told = stallsOf(subscription);
    await expect.poll(() => told.length).toBe(1);
    expect(told[0]).toMatchObject({
      type: "stalled",
      heldRecords: 3,
      creditUsedUp: true,
      reason: { kind: "handler", topic: "t", partition: 0, offset: 1n },
    });
    const { reason } = told[0] as Extract<Told, { type: "stalled" }>;
    expect(reason.kind === "handler" && reason.runningMs).toBeGreaterThan(0);
    await sleep(2 * stallMs);
    expect(told.length).toBe(1);
    gate.resolve();
    await expect.poll(() => told.length).toBe(2);
    expect(told[1]).toMatchObject({ type: "resumed" });
    expect((told[1] as { stalledMs: number }).stalledMs).toBeGreaterThanOrEqual(2 * stallMs);
  });

  it("is a record that waits for its retry, too", async () => {
    await send(1);
    await using subscription = test.gmq.subscribe(
      "t",
      { group: "g", stallMs, retry: { backoff: { initialMs: 60_000, maxMs: 60_000 } } },
      () => {
        throw new Error("no");
      },
    );
    const told = stallsOf(subscription);
    await expect
      .poll(() => told.map((event) => event.type === "stalled" && event.reason))
      .toEqual([{ kind: "retryWait" }]);
  });

  it("is a broker that is away, and is over when it is back", async () => {
    await send(1);
    await using subscription = test.gmq.subscribe("t", { group: "g", stallMs }, () => undefined);
    const told = stallsOf(subscription);
    await sleep(2 * stallMs);
    expect(told).toEqual([]);
    await test.brokers[0]?.kill();
    await expect
      .poll(() => told.map((event) => event.type === "stalled" && event.reason))
      .toEqual([{ kind: "disconnected" }]);
    await test.brokers[0]?.restart();
    await expect.poll(() => told.map(({ type }) => type)).toEqual(["stalled", "resumed"]);
  });

  it("of a reader by hand: what it does not ask for, then what it does not settle", async () => {
    await send(3);
    await using consumer = test.gmq.consumer("t", { group: "g", stallMs });
    const told = stallsOf(consumer);
    await expect
      .poll(() => told.map((event) => event.type === "stalled" && event.reason))
      .toEqual([{ kind: "notRead" }]);
    const batch = await consumer.receive({ max: 2 });
    await batch?.messages[0]?.ack();
    await expect.poll(() => told.length).toBe(3);
    expect(told[1]).toMatchObject({ type: "resumed" });
    expect(told[2]).toMatchObject({ type: "stalled", reason: { kind: "notSettled", partition: 0, offset: 1n } });
  });

  it("is none on an idle topic, and none while slow work goes on", async () => {
    await using idle = test.gmq.subscribe("t", { group: "idle", stallMs }, () => undefined);
    const ofIdle = stallsOf(idle);
    await send(40);
    await using slow = test.gmq.subscribe("t", { group: "slow", stallMs }, () => sleep(100));
    const ofSlow = stallsOf(slow);
    await sleep(3 * stallMs);
    expect([...ofIdle, ...ofSlow]).toEqual([]);
  });

  it("is not watched for with false, and out of bounds refused", async () => {
    await send(1);
    const gate = Promise.withResolvers<void>();
    const subscription = test.gmq.subscribe("t", { group: "g", stallMs: false }, () => gate.promise);
    const told = stallsOf(subscription);
    await sleep(2 * stallMs);
    expect(told).toEqual([]);
    gate.resolve();
    await subscription.close();
    expect(() => test.gmq.subscribe("t", { group: "g", stallMs: 999 }, () => undefined)).toThrowError(
      expect.objectContaining({ code: "invalid_argument", field: "stallMs", limit: "1000 to 86400000" }),
    );
  });
});
