/** A store's file that an older GMQ wrote: what it did not note is told as far as it is known. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, it } from "vitest";
import { memberOf, startConsumer } from "../src/conformance/consumer.js";
import { waysInto } from "../src/conformance/context.js";
import { createEmbeddedEngine } from "../src/embedded.js";

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "gmq-upgrade-"));
});
afterEach(() => rm(path, { recursive: true, force: true }));

it("counts from its first start how long an entry is with its consumer, and keeps that", async () => {
  const first = await createEmbeddedEngine({ path });
  const { topic, store } = waysInto(first);
  const name = await topic();
  await store(name, [["a", "b"]]);
  const consumer = await startConsumer(first, memberOf("group", [name]), "earliest");
  await consumer.fetch();
  await first.close();
  const file = new DatabaseSync(join(path, "gmq.sqlite"));
  file.exec("alter table pending drop column held_since_ms");
  file.close();

  const openedAtMs = performance.now();
  const second = await createEmbeddedEngine({ path });
  const [held] = (await second.groups.pending("group", { topic: name, partition: 0 })).pending;
  expect(held).toMatchObject({ baseOffset: 0n, recordCount: 2 });
  expect(held?.idleMs).toBeLessThanOrEqual(performance.now() - openedAtMs + 100);
  await second.close();
  const third = await createEmbeddedEngine({ path });
  const [still] = (await third.groups.pending("group", { topic: name, partition: 0 })).pending;
  await third.close();
  expect(still?.idleMs).toBeGreaterThanOrEqual(held?.idleMs ?? Number.POSITIVE_INFINITY);
});
