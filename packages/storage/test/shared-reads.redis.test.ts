import { expect, it } from "vitest";
import { batchOf, valuesOf } from "../src/conformance/batches.js";
import type { Engine, LogEntry, Ownership } from "../src/engine.js";
import { appendEach, fetchFrom, ownPartition } from "./engines.js";
import { useRedisEngines } from "./redis-engines.js";

const redis = useRedisEngines();

async function fill(engine: Engine, values: readonly string[]): Promise<void> {
  const batches = values.map((value) => batchOf([value]));
  await appendEach(engine, "t", batches);
}

async function own(engine: Engine, group: string): Promise<Ownership> {
  return (await ownPartition(engine, group, "t")).ownership;
}

/** Every entry of the log, fetched a few at a time. */
async function drain(engine: Engine, ownership: Ownership): Promise<LogEntry[]> {
  const all: LogEntry[] = [];
  for (let position = 0n; ; ) {
    const got = await fetchFrom(engine, ownership, position, 7);
    all.push(...got.entries);
    position = got.position;
    if (position >= got.endOffset) return all;
  }
}

async function readings(): Promise<number> {
  const stats = await redis.control.info("commandstats");
  return Number(/cmdstat_xrange:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

it("reads what another process appended once for all groups that read it beside each other", async () => {
  const writer = await redis.open();
  const values = Array.from({ length: 50 }, (_, index) => `value ${index}`);
  await writer.topics.create("t", { partitions: 1 });
  await fill(writer, values);
  const reader = await redis.open();
  const groups = await Promise.all(["a", "b", "c", "d", "e"].map((group) => own(reader, group)));
  const [first, second, ...others] = groups as [Ownership, Ownership, ...Ownership[]];
  await drain(reader, first);
  expect(await drain(reader, second)).toHaveLength(50);
  const before = await readings();
  for (const ownership of others) {
    const entries = await drain(reader, ownership);
    expect(entries.map(({ baseOffset }) => baseOffset)).toEqual(values.map((_, index) => BigInt(index)));
    expect(entries.flatMap(valuesOf)).toEqual(values);
  }
  expect(await readings()).toBe(before);
  // What comes behind it is read by whoever asks first.
  await fill(writer, ["later"]);
  expect(await fetchFrom(reader, first, 50n)).toMatchObject({ position: 51n });
});

it("gives nothing of a topic that was deleted to the readers of the one made again", async () => {
  const engine = await redis.open();
  await engine.topics.create("t", { partitions: 1 });
  await fill(engine, ["old 0", "old 1"]);
  const before: Ownership[] = [];
  for (const group of ["a", "b", "c"]) before.push(await own(engine, group));
  for (const ownership of before) await drain(engine, ownership);
  for (const { group, memberId } of before)
    await engine.groups.leave({ group, memberId, incarnation: `${memberId}-1` });
  await engine.topics.delete("t");
  await engine.topics.create("t", { partitions: 1 });
  await fill(await redis.open(), ["new 0"]);
  expect((await drain(engine, await own(engine, "d"))).flatMap(valuesOf)).toEqual(["new 0"]);
});
