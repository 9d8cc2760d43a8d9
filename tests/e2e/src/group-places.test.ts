/** Moving, pausing and explaining groups, beside consumers that live. The same on every deployment. */
import { randomUUID } from "node:crypto";
import { connect, type Gmq, GmqError, type Subscription } from "@gmq/client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";

describe.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["separate processes, Redis", () => startServices()],
])("%s", (_name, start) => {
  let topology: Topology;
  let gmq: Gmq;
  const subscriptions: Subscription[] = [];
  let target: string;
  let group: string;

  beforeAll(async () => {
    topology = await start();
    gmq = await connect({ brokers: topology.brokers });
  }, 60_000);
  afterAll(async () => {
    await gmq.close();
    await topology.stop();
  });
  afterEach(async () => {
    for (const subscription of subscriptions.splice(0)) await subscription.close();
  });

  /** A topic with 100 records in each of two partitions, and a group name. */
  async function prepare(): Promise<void> {
    target = `t-${randomUUID().slice(0, 8)}`;
    group = `${target}-group`;
    await gmq.admin.createTopic(target, { partitions: 2 });
    await send(100);
  }

  async function send(perPartition: number): Promise<void> {
    const producer = gmq.producer();
    await Promise.all(
      [0, 1].flatMap((partition) =>
        Array.from({ length: perPartition }, (_, n) => producer.send(target, { partition, value: `${n}` })),
      ),
    );
    await producer.close();
  }

  function consume(handle: (signal: AbortSignal) => Promise<void> | void = () => undefined): string[] {
    const seen: string[] = [];
    subscriptions.push(
      gmq.subscribe(
        target,
        { group, concurrency: 4, orderBy: "partition" },
        async ({ partition, offset }, { signal }) => {
          seen.push(`${partition}/${offset}`);
          await handle(signal);
        },
      ),
    );
    return seen;
  }

  const lagOf = async (): Promise<bigint> =>
    (await gmq.admin.describeGroup(group)).partitions.reduce((sum, { lag }) => sum + lag, 0n);

  it("moves a living group back and forth, and says what that means before", async () => {
    await prepare();
    const seen = consume();
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(200);
    await expect.poll(lagOf, { timeout: 15_000 }).toBe(0n);

    const plan = await gmq.admin.resetGroup(group, { topic: target, to: { offset: 40n }, dryRun: true });
    expect(plan.partitions).toEqual(
      [0, 1].map((partition) => ({
        topic: target,
        partition,
        before: 100n,
        after: 40n,
        rereadRecords: 60n,
        skippedRecords: 0n,
      })),
    );
    expect(seen.length).toBe(200);

    const done = await gmq.admin.resetGroup(group, {
      topic: target,
      to: { offset: 40n },
      expectedVersion: plan.version,
    });
    expect(done.partitions.map(({ before, after }) => [before, after])).toEqual([
      [100n, 40n],
      [100n, 40n],
    ]);
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(320);
    expect(seen.slice(200).filter((place) => place.startsWith("0/"))).toEqual(
      Array.from({ length: 60 }, (_, n) => `0/${n + 40}`),
    );
    await expect.poll(lagOf, { timeout: 15_000 }).toBe(0n);
    // The plan was made for another state of the group.
    await expect(
      gmq.admin.resetGroup(group, { topic: target, to: "earliest", expectedVersion: plan.version }),
    ).rejects.toMatchObject({ code: "conflict", field: "expected_version" });

    const one = await gmq.admin.resetGroup(group, { topic: target, partitions: [1], to: "earliest" });
    expect(one.partitions.map(({ partition, rereadRecords }) => [partition, rereadRecords])).toEqual([[1, 100n]]);
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(420);
  }, 60_000);

  it("skips ahead of what is in flight, whose verdicts then come too late", async () => {
    await prepare();
    const held = Promise.withResolvers<void>();
    const signals: AbortSignal[] = [];
    const seen = consume((signal) => {
      signals.push(signal);
      return held.promise;
    });
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(2);
    const move = await gmq.admin.resetGroup(group, { topic: target, to: "latest" });
    expect(move.partitions.map(({ skippedRecords }) => skippedRecords)).toEqual([100n, 100n]);
    // Its consumer hears of it a moment later.
    await expect.poll(() => signals.every(({ aborted }) => aborted), { timeout: 15_000 }).toBe(true);
    held.resolve();
    expect(await lagOf()).toBe(0n);
    await send(1);
    await expect.poll(() => seen.slice(2).toSorted(), { timeout: 15_000 }).toEqual(["0/100", "1/100"]);
  }, 60_000);

  it("pauses and resumes, over a consumer's restart", async () => {
    await prepare();
    const seen = consume();
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(200);
    await expect.poll(lagOf, { timeout: 15_000 }).toBe(0n);
    await gmq.admin.pauseGroup(group, { topic: target });
    await expect
      .poll(async () => (await gmq.admin.describeGroup(group)).partitions.map(({ owner, paused }) => [owner, paused]), {
        timeout: 15_000,
      })
      .toEqual([
        [undefined, true],
        [undefined, true],
      ]);
    await subscriptions.shift()?.close();
    const after = consume();
    await send(10);
    expect((await gmq.admin.explain(group, target, 0)).map(({ code }) => code)).toContain("paused");
    expect(after).toEqual([]);
    await gmq.admin.resumeGroup(group);
    await expect.poll(() => after.length, { timeout: 15_000 }).toBe(20);
  }, 60_000);

  it("explains why nothing moves, and lists what is in flight", async () => {
    await prepare();
    const held = Promise.withResolvers<void>();
    const seen = consume(() => held.promise);
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(2);
    const codes = async (partition = 0): Promise<string[]> =>
      (await gmq.admin.explain(group, target, partition)).map(({ code }) => code);
    await expect.poll(() => codes(), { timeout: 15_000 }).toContain("in_flight");
    const pending = await gmq.admin.listPending(group, target, 0, { limit: 3 });
    expect(pending.records.map(({ offset }) => offset)).toEqual([0n, 1n, 2n]);
    expect(pending.unsettledRecords).toBe(100n);
    expect(pending.owner).toMatch(/^member-/);
    held.resolve();
    await expect.poll(() => codes(), { timeout: 15_000 }).toEqual(["caught_up"]);
    await subscriptions.shift()?.close();
    await send(1);
    await expect.poll(() => codes(), { timeout: 15_000 }).toContain("no_member");
    let attempts = 0;
    consume(() => {
      attempts++;
      throw new Error("not yet");
    });
    await expect.poll(() => attempts, { timeout: 15_000 }).toBeGreaterThan(2);
    await expect.poll(() => codes(), { timeout: 15_000 }).toContain("retry_waiting");
    const text = async (code: string): Promise<string> =>
      (await gmq.admin.explain(group, target, 0)).find((condition) => condition.code === code)?.text ?? "";
    await using producer = gmq.producer();
    await producer.send(target, { partition: 0, value: "later", deliverAt: Date.now() + 3_600_000 });
    expect(await text("scheduled")).toMatch(/^1 record waits for its deliverAt/);
    await gmq.admin.resetGroup(group, { topic: target, to: "earliest" });
    expect(await text("fenced")).toMatch(/^member-.* was fenced .*the group was reset/);
  }, 60_000);

  it("refuses what it must, by name", async () => {
    await prepare();
    const seen = consume();
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(200);
    const refused = (code: string, field: string) => (error: unknown) =>
      GmqError.is(error) && error.code === code && error.field === field;
    const reset = { topic: target, to: "earliest" as const };
    await expect(gmq.admin.resetGroup("missing", reset)).rejects.toSatisfy(refused("group_not_found", "group"));
    await expect(gmq.admin.resetGroup(group, { ...reset, topic: "missing" })).rejects.toSatisfy(
      refused("topic_not_found", "topic"),
    );
    await expect(gmq.admin.resetGroup(group, { ...reset, partitions: [7] })).rejects.toSatisfy(
      refused("partition_not_found", "partitions"),
    );
    await expect(gmq.admin.resetGroup(group, { ...reset, to: { offset: 101n } })).rejects.toSatisfy(
      refused("invalid_argument", "to.offset"),
    );
    await expect(gmq.admin.pauseGroup(group, { topic: "missing" })).rejects.toSatisfy(
      refused("topic_not_found", "topic"),
    );
    await expect(gmq.admin.explain(group, target, 9)).rejects.toSatisfy(refused("partition_not_found", "partition"));
    await expect(gmq.admin.listPending("missing", target, 0)).rejects.toSatisfy(refused("group_not_found", "group"));
  }, 60_000);
});
