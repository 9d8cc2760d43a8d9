/** Random commands against the model, on both engines. A failure prints its seed and path; run it again with `fc.assert(…, { seed, path })`. */
import { randomUUID } from "node:crypto";
import { openTestStore, type TestStore } from "@gmq/e2e/harness/test-store";
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import { batchChecksum, codecNumbers, createBatchEncoder } from "@gmq/protocol";
import type { Engine, Ownership } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createRedisEngine } from "@gmq/storage/redis";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EngineModel } from "./engine-model.ts";

const place = { topic: "t", partition: 0 };
const group = "g";
const runsEach = 60;
const commandsMax = 60;

/** The engine under test, which may be closed and opened again over its store. */
interface Real {
  engine: Engine;
  reopen(): Promise<void>;
  close(): Promise<void>;
}

type Command = fc.AsyncCommand<EngineModel, Real>;

function batchOf(values: readonly string[], producer: number, epoch: number, sequence: number) {
  const encoder = createBatchEncoder();
  for (const value of values) encoder.add({ value: new TextEncoder().encode(value), timestampMs: 1 });
  const records = encoder.take();
  const identity = { producerId: BigInt(producer), producerEpoch: epoch, firstSequence: BigInt(sequence) };
  const codec = codecNumbers.none;
  return {
    recordCount: values.length,
    codec,
    crc32: batchChecksum(records),
    uncompressedBytes: records.length,
    records,
    ...identity,
  };
}

function command(name: string, run: (model: EngineModel, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => name };
}

function ownership(memberId: string, epoch: number): Ownership {
  return { ...place, group, memberId, epoch };
}

const append = fc
  .record({
    count: fc.integer({ min: 1, max: 4 }),
    producer: fc.integer({ min: 0, max: 2 }),
    epoch: fc.integer({ min: 0, max: 1 }),
    sequence: fc.integer({ min: 0, max: 12 }),
  })
  .map(({ count, producer, epoch, sequence }) =>
    command(`append(${count} of ${producer}, epoch ${epoch}, sequence ${sequence})`, async (model, { engine }) => {
      const values = Array.from({ length: count }, () => randomUUID().slice(0, 8));
      const [[outcome]] = (await engine.log.append([
        { ...place, batches: [batchOf(values, producer, epoch, sequence)] },
      ])) as [[Awaited<ReturnType<Engine["log"]["append"]>>[0][0]]];
      const told = outcome?.ok
        ? { first: Number(outcome.firstOffset), duplicate: outcome.duplicate }
        : { code: outcome?.error.code };
      expect(told).toEqual(model.append(values, producer, epoch, sequence));
    }),
  );

const claim = fc
  .record({ member: fc.constantFrom("a", "b", "c"), ahead: fc.integer({ min: -1, max: 2 }) })
  .map(({ member, ahead }) =>
    command(`claim(${member}, epoch ${ahead >= 0 ? "+" : ""}${ahead})`, async (model, { engine }) => {
      const epoch = Math.max(1, model.epoch + ahead);
      const isFree = model.claim(member, epoch);
      const claimed = engine.groups.claim(ownership(member, epoch));
      if (!isFree) {
        await expect(claimed).rejects.toMatchObject({ code: "fenced" });
        return;
      }
      const { position, endOffset, pending } = await claimed;
      expect({ position: Number(position), endOffset: Number(endOffset) }).toEqual({
        position: model.position,
        endOffset: model.end,
      });
      expect(
        pending.map(({ baseOffset, recordCount, states, attempts }) => ({
          base: Number(baseOffset),
          states: states === "" ? ".".repeat(recordCount) : states,
          attempts: attempts.map(({ index, attempts: count }) => [index, count]),
        })),
      ).toEqual(
        model.pending.map(({ base, states, attempts }) => ({
          base,
          states,
          attempts: attempts.flatMap((count, index) => (count > 0 && states?.[index] === "." ? [[index, count]] : [])),
        })),
      );
    }),
  );

const fetchSome = fc
  .record({ stale: fc.integer({ min: 0, max: 3 }), recordsMax: fc.integer({ min: 1, max: 10 }) })
  .map(({ stale, recordsMax }) =>
    command(`fetch(${recordsMax}${stale === 0 ? ", stale" : ""})`, async (model, { engine }) => {
      const who = ownership(model.owner === "" || stale === 0 ? "z" : model.owner, model.epoch);
      const [outcome] = await engine.groups.fetch([
        { ownership: who, position: BigInt(model.position), bytesMax: 100_000, recordsMax },
      ]);
      if (!model.owns(who.memberId, who.epoch)) {
        expect(outcome).toMatchObject({ ok: false, error: { code: "fenced" } });
        return;
      }
      if (outcome?.ok !== true) throw outcome?.error ?? new Error("no answer");
      const before = model.position;
      const expected = model.handOut(outcome.entries.length);
      expect(outcome.entries.map(({ baseOffset, recordCount }) => [Number(baseOffset), recordCount])).toEqual(
        expected.map(({ base, values }) => [base, values.length]),
      );
      if (before < model.end) expect(outcome.entries.length).toBeGreaterThan(0);
      const records = expected.reduce((sum, { values }) => sum + values.length, 0);
      if (expected.length > 1) expect(records).toBeLessThanOrEqual(recordsMax);
      expect(Number(outcome.position)).toBe(model.position);
    }),
  );

const settle = fc
  .record({
    stale: fc.integer({ min: 0, max: 5 }),
    entry: fc.nat(),
    from: fc.nat(),
    length: fc.nat(),
    verb: fc.constantFrom("ack" as const, "ack" as const, "retry" as const, "release" as const),
    inPlace: fc.boolean(),
  })
  .map(({ stale, entry, from, length, verb, inPlace }) =>
    command(
      `settle(${verb}, entry ${entry}, ${from} +${length}${stale === 0 ? ", stale" : ""})`,
      async (model, { engine }) => {
        const target = model.entries[entry % Math.max(1, model.entries.length)];
        if (target === undefined) return;
        const count = target.values.length;
        const first = from % count;
        const last = first + (length % (count - first));
        const who = ownership(stale === 0 || model.owner === "" ? "z" : model.owner, model.epoch);
        const base = BigInt(target.base);
        const range = { firstOffset: base + BigInt(first), lastOffset: base + BigInt(last), verb, inPlace, delayMs: 0 };
        const [outcome] = await engine.groups.settle([
          { ownership: who, entries: [{ baseOffset: base, recordCount: count, ranges: [range] }] },
        ]);
        if (!model.owns(who.memberId, who.epoch)) {
          expect(outcome).toMatchObject({ ok: false, error: { code: "fenced" } });
          return;
        }
        const refusal = model.settle(target, first, last, verb);
        expect(outcome).toMatchObject({ ok: true });
        const codes = outcome?.ok === true ? outcome.refusals.map(({ error }) => error.code) : [];
        expect(codes).toEqual(refusal === undefined ? [] : [refusal]);
      },
    ),
  );

const look = fc.nat().map((from) =>
  command(`look(${from})`, async (model, { engine }) => {
    const offset = from % (model.end + 1);
    const { entries, startOffset, endOffset } = await engine.log.read({
      ...place,
      from: { offset: BigInt(offset) },
      entriesMax: 1_000,
      bytesMax: 1_000_000,
    });
    expect([Number(startOffset), Number(endOffset)]).toEqual([0, model.end]);
    expect(entries.map(({ baseOffset }) => Number(baseOffset))).toEqual(
      model.entries.filter(({ base, values }) => base + values.length > offset).map(({ base }) => base),
    );
    const [progress] = await engine.groups.offsets(group);
    expect([progress?.lagRecords, Number(progress?.position)]).toEqual([model.lag, model.position]);
  }),
);

const reopen = fc.constant(command("reopen", (_model, real) => real.reopen()));

const commands = fc.commands([append, append, claim, fetchSome, settle, settle, look, reopen], {
  maxCommands: commandsMax,
  size: "max",
});

async function prepared(open: () => Promise<Engine>, remove: () => Promise<void>): Promise<Real> {
  const real: Real = {
    engine: await open(),
    async reopen() {
      await real.engine.close();
      real.engine = await open();
    },
    async close() {
      await real.engine.close();
      await remove();
    },
  };
  await real.engine.topics.create("t", { partitions: 1 });
  const member = {
    group,
    memberId: "first",
    incarnation: "first-1",
    clientId: "",
    clientVersion: "",
    brokerId: "b",
    topics: ["t"],
    sessionTimeoutMs: 600_000,
    staticMember: false,
  };
  // Only to fix where the group begins; epochs are the commands' from here on.
  await real.engine.groups.join(member, "earliest");
  return real;
}

async function holds(setUp: () => Promise<Real>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(commands, async (some) => {
      const real = await setUp();
      try {
        await fc.asyncModelRun(() => ({ model: new EngineModel(), real }), some);
      } finally {
        await real.close();
      }
    }),
    { numRuns: runsEach, endOnFailure: false },
  );
}

let store: TestStore;
beforeAll(async () => {
  store = await openTestStore();
});
afterAll(() => store.stop());

test("the Redis engine does what the model does", () => {
  return holds(() => {
    const prefix = `${store.prefix}-${randomUUID().slice(0, 8)}`;
    return prepared(
      () => createRedisEngine({ url: store.url, prefix }),
      () => Promise.resolve(),
    );
  });
}, 120_000);

test("the embedded engine does what the model does", () => {
  return holds(async () => {
    const folder = await temporaryFolder();
    return prepared(() => createEmbeddedEngine({ path: folder.path }), folder.remove);
  });
}, 120_000);
