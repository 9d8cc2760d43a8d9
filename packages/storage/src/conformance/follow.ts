import assert from "node:assert/strict";
import type { Fetched, GroupStore, PartitionFetch } from "../engine.js";
import { assertError, present } from "./assertions.js";
import { valuesOf } from "./batches.js";
import { memberOf, startConsumer, unbounded } from "./consumer.js";
import type { ConformanceContext } from "./context.js";
import { eventually } from "./eventually.js";
import type { ConformanceSubject } from "./subject.js";

/** A follow and what it told. */
interface Heard {
  readonly values: string[];
  readonly positions: bigint[];
  /** Set when it has ended. */
  outcome: { readonly error: unknown } | undefined;
  stop(): void;
}

function startFollow(groups: GroupStore, fetch: PartitionFetch): Heard {
  const follow = present(groups.follow, "follow");
  const heard: Heard = { values: [], positions: [], outcome: undefined, stop: () => undefined };
  const fetched = ({ entries, position }: Fetched): void => {
    assert.equal(heard.outcome, undefined);
    for (const entry of entries) heard.values.push(...valuesOf(entry));
    heard.positions.push(position);
  };
  const ended = (error: unknown): void => {
    heard.outcome = { error };
  };
  heard.stop = present(follow(fetch, { fetched, ended }), "a follow");
  return heard;
}

async function consumer({ engine, topic, consume }: ConformanceContext) {
  const name = await topic();
  const { ownership, claim, group } = await consume(name);
  const start = (fetch: Partial<PartitionFetch> = {}): Heard =>
    startFollow(engine.groups, { ownership, position: 0n, ...unbounded, ...fetch });
  return { name, group, claim, start };
}

export const followCases: ConformanceSubject = {
  name: "follow",
  cases: {
    "tells what is appended, in order and once, and registers it": async (context) => {
      const { name, claim, start } = await consumer(context);
      const heard = start();
      const wanted = Array.from({ length: 40 }, (_, index) => `r${index}`);
      for (const value of wanted) await context.store(name, [[value]]);
      await eventually(() => assert.deepEqual(heard.values, wanted));
      const now = await claim();
      assert.equal(now.position, 40n);
      assert.equal(now.pending.length, 40);
      heard.stop();
      await eventually(() => assert.deepEqual(heard.outcome, { error: undefined }));
    },

    "tells large entries and what came before it began": async (context) => {
      const { name, start } = await consumer(context);
      const large = "x".repeat(100_000);
      await context.store(name, [["before"]]);
      const heard = start();
      await context.store(name, [[large], ["small"], [large]]);
      await eventually(() => assert.deepEqual(heard.values, ["before", large, "small", large]));
      heard.stop();
    },

    "tells nothing after it was stopped": async (context) => {
      const { name, claim, start } = await consumer(context);
      const heard = start();
      await context.store(name, [["a"]]);
      await eventually(() => assert.deepEqual(heard.values, ["a"]));
      heard.stop();
      await eventually(() => assert.deepEqual(heard.outcome, { error: undefined }));
      await context.store(name, [["b"]]);
      assert.equal((await claim()).position, 1n);
      assert.deepEqual(heard.values, ["a"]);
    },

    "ends when its records are used up, and goes on with the next one": async (context) => {
      const { name, start } = await consumer(context);
      const first = start({ recordsMax: 2 });
      await context.store(name, [["a"], ["b"], ["c"]]);
      await eventually(() => assert.deepEqual(first.outcome, { error: undefined }));
      assert.deepEqual(first.values, ["a", "b"]);
      const second = start({ position: present(first.positions.at(-1)) });
      await eventually(() => assert.deepEqual(second.values, ["c"]));
      second.stop();
    },

    "that begins after its topic was altered is told what was there before": async (context) => {
      const { engine, store } = context;
      const { name, start } = await consumer(context);
      await store(name, [["a"]]);
      const { version } = present(await engine.topics.get(name));
      let isSignalled = false;
      const unsubscribe = engine.signals.subscribe((signal) => {
        if (signal.kind === "topic" && signal.topic === name) isSignalled = true;
      });
      await engine.topics.alter(name, { retention: { records: 1_000 } }, version);
      await eventually(() => assert.ok(isSignalled));
      unsubscribe();
      const heard = start();
      await eventually(() => assert.deepEqual(heard.values, ["a"]));
      heard.stop();
    },

    "of an owner that was replaced ends as fenced, and moves nothing": async (context) => {
      const { engine, store } = context;
      const { name, group, start } = await consumer(context);
      const heard = start();
      await engine.groups.leave(memberOf(group, [name]));
      const next = await startConsumer(engine, memberOf(group, [name], { memberId: "m2" }), "earliest");
      await store(name, [["a"]]);
      await eventually(() => assertError(present(heard.outcome).error, { code: "fenced" }));
      assert.deepEqual(heard.values, []);
      assert.deepEqual((await next.fetch()).map(valuesOf), [["a"]]);
    },

    "tells two groups the same": async (context) => {
      const { engine, topic, consume, store } = context;
      const name = await topic();
      const owners = [await consume(name), await consume(name)];
      const heard = owners.map(({ ownership }) =>
        startFollow(engine.groups, { ownership, position: 0n, ...unbounded }),
      );
      await store(name, [["a"], ["b"]]);
      for (const one of heard) await eventually(() => assert.deepEqual(one.values, ["a", "b"]));
      for (const one of heard) one.stop();
    },
  },
};
