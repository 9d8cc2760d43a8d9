/** Making and changing topics, the same on both engines. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { engineKinds, ownPartition } from "../../test/engines.js";
import { batchOf } from "../conformance/batches.js";

describe.each(engineKinds())("$name", (kind) => {
  beforeAll(kind.start);
  afterEach(kind.close);
  afterAll(kind.stop);

  it("keeps what a topic was made with", async () => {
    const engine = await kind.open();
    const config = {
      partitions: 2,
      retention: { ms: 604_800_000, bytes: 1 << 30, records: 5, workQueue: true },
      bytesMax: 2 ** 40,
    };
    const made = await engine.topics.create("t", config);
    expect(made.config).toEqual(config);
    expect(await engine.topics.get("t")).toEqual(made);
    expect(await engine.topics.list()).toEqual([made]);
    const plain = await engine.topics.create("plain", {
      partitions: 1,
      retention: { ms: 0, workQueue: false },
      bytesMax: 0,
    });
    expect(plain.config).toEqual({ partitions: 1 });
  });

  it("refuses bounds by field and limit, and makes nothing", async () => {
    const engine = await kind.open();
    const wrong = [
      [{ retention: { ms: -1 } }, "config.retention.ms"],
      [{ retention: { ms: 1.5 } }, "config.retention.ms"],
      [{ retention: { bytes: 2 ** 60 } }, "config.retention.bytes"],
      [{ retention: { records: Number.NaN } }, "config.retention.records"],
      [{ bytesMax: 1_023 }, "config.bytes_max"],
    ] as const;
    for (const [settings, field] of wrong) {
      const refused = { code: "invalid_argument", field, limit: expect.stringMatching(/ to .* (ms|bytes|records)$/) };
      await expect(engine.topics.create("t", { partitions: 1, ...settings })).rejects.toMatchObject(refused);
    }
    await expect(engine.topics.create("t", { partitions: 0 })).rejects.toMatchObject({ field: "config.partitions" });
    expect(await engine.topics.list()).toEqual([]);
  });

  it("changes a topic only from the version that was read", async () => {
    const engine = await kind.open();
    const made = await engine.topics.create("t", { partitions: 1, retention: { ms: 1_000 } });
    const altered = await engine.topics.alter("t", { retention: { records: 10 } }, made.version);
    expect(altered).toMatchObject({ config: { partitions: 1, retention: { records: 10 } } });
    expect(altered.version).toBeGreaterThan(made.version);
    await expect(engine.topics.alter("t", {}, made.version)).rejects.toMatchObject({
      code: "conflict",
      field: "version",
    });
    const races = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => engine.topics.alter("t", { retention: { ms: n + 1 } }, altered.version)),
    );
    expect(races.filter(({ status }) => status === "fulfilled").length).toBe(1);
    await expect(engine.topics.alter("x", {}, 1)).rejects.toMatchObject({ code: "topic_not_found" });
    await expect(engine.topics.alter("t", { bytesMax: 1 }, 1)).rejects.toMatchObject({ code: "invalid_argument" });
  });

  it("adds partitions upwards, keeps what is stored, and a running group takes them over", async () => {
    const engine = await kind.open();
    const topicSignals: string[] = [];
    engine.signals.subscribe((signal) => {
      if (signal.kind === "topic") topicSignals.push(signal.topic);
    });
    const made = await engine.topics.create("t", { partitions: 1, retention: { ms: 60_000 } });
    await engine.log.append([{ topic: "t", partition: 0, batches: [batchOf(["a"])] }]);
    await ownPartition(engine, "g", "t");
    topicSignals.length = 0;
    const grown = await engine.topics.addPartitions("t", 3);
    expect(grown).toMatchObject({ config: { partitions: 3, retention: { ms: 60_000 } } });
    expect(grown.version).toBeGreaterThan(made.version);
    const [[outcome] = []] = await engine.log.append([{ topic: "t", partition: 2, batches: [batchOf(["b"])] }]);
    expect(outcome).toMatchObject({ ok: true, firstOffset: 0n });
    expect((await engine.topics.stats("t")).map(({ endOffset }) => endOffset)).toEqual([1n, 0n, 1n]);
    await expect.poll(() => topicSignals).toContain("t");
    await expect
      .poll(async () => {
        const beat = { group: "g", memberId: "g-m", incarnation: "g-m-1", sessionTimeoutMs: 60_000 };
        await engine.groups.heartbeat([beat]);
        return (await engine.groups.get("g"))?.partitions.map(({ memberId }) => memberId);
      })
      .toEqual(["g-m", "g-m", "g-m"]);
    // From the beginning: what was stored before the group looked is not missed.
    expect(await engine.groups.offsets("g")).toMatchObject([{ lagRecords: 1 }, { lagRecords: 0 }, { lagRecords: 1 }]);
    for (const partitions of [3, 2, 5_000, 3.5]) {
      await expect(engine.topics.addPartitions("t", partitions)).rejects.toMatchObject({
        code: "invalid_argument",
        field: "config.partitions",
        limit: "4 to 4096",
      });
    }
    await expect(engine.topics.addPartitions("x", 2)).rejects.toMatchObject({ code: "topic_not_found" });
  });
});
