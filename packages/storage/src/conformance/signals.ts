import assert from "node:assert/strict";
import type { Engine, Signal } from "../engine.js";
import { memberOf } from "./consumer.js";
import type { ConformanceContext } from "./context.js";
import { eventually } from "./eventually.js";
import type { ConformanceSubject } from "./subject.js";

/** Subscribes for the time of `body`. A signal may be lost until the engine listens itself, so `body` has to repeat what it waits for. */
async function listening(engine: Engine, body: (heard: readonly Signal[]) => Promise<void>): Promise<void> {
  const heard: Signal[] = [];
  const unsubscribe = engine.signals.subscribe((signal) => heard.push(signal));
  try {
    await body(heard);
  } finally {
    unsubscribe();
  }
}

async function appended({ engine, topic, append }: ConformanceContext): Promise<void> {
  const name = await topic(2);
  await listening(engine, async (heard) => {
    await eventually(async () => {
      const outcome = await append(name, ["a", "b"]);
      assert.ok(outcome.ok);
      const end = outcome.firstOffset + 2n;
      await eventually(() => {
        const ends = heard.flatMap((signal) =>
          signal.kind === "partition" && signal.topic === name && signal.partition === 0 ? [signal.endOffset] : [],
        );
        assert.ok(ends.includes(end), `end ${end} was not signalled, but ${ends.join(", ")}`);
      });
    });
  });
}

export const signalsCases: ConformanceSubject = {
  name: "signals",
  cases: {
    "an append signals the partition and its end": appended,

    "a topic's making and deletion are signalled": async ({ engine, unique }) => {
      const name = unique("topic");
      await listening(engine, async (heard) => {
        const count = (): number => heard.filter((signal) => signal.kind === "topic" && signal.topic === name).length;
        await engine.topics.create(name, { partitions: 1 });
        await eventually(() => assert.ok(count() >= 1));
        const before = count();
        await engine.topics.delete(name);
        await eventually(() => assert.ok(count() > before));
      });
    },

    "every change of a group is signalled": async ({ engine, topic, unique }) => {
      const { groups } = engine;
      const [name, group] = [await topic(2), unique("group")];
      const [one, other] = [memberOf(group, [name]), memberOf(group, [name], { memberId: "m2" })];
      await listening(engine, async (heard) => {
        const changes: readonly (() => Promise<unknown>)[] = [
          () => groups.join(one, "earliest"),
          () => groups.join(other, "earliest"),
          async () => groups.release(one, (await groups.get(group))?.partitions ?? []),
          () => groups.leave(one),
          () => groups.leave(other),
          () => groups.delete(group),
        ];
        for (const change of changes) {
          const before = heard.length;
          await change();
          await eventually(() =>
            assert.ok(heard.slice(before).some((signal) => signal.kind === "group" && signal.group === group)),
          );
        }
      });
    },

    "a listener hears nothing after it was taken away": async ({ engine, topic, append }) => {
      const name = await topic();
      let calls = 0;
      const listener = (): void => void calls++;
      const first = engine.signals.subscribe(listener);
      const second = engine.signals.subscribe(listener);
      first();
      second();
      first();
      await listening(engine, async (heard) => {
        await append(name, ["a"]);
        await eventually(() => assert.ok(heard.some((signal) => signal.kind === "partition" && signal.topic === name)));
      });
      assert.equal(calls, 0);
    },

    "a listener that is there twice hears twice, until it is taken away once": async ({ engine, topic, append }) => {
      const name = await topic();
      const ends: bigint[] = [];
      const listener = (signal: Signal): void => {
        if (signal.kind === "partition" && signal.topic === name) ends.push(signal.endOffset);
      };
      const [first, second] = [engine.signals.subscribe(listener), engine.signals.subscribe(listener)];
      await append(name, ["a"]);
      await eventually(() => assert.ok(ends.filter((end) => end === 1n).length >= 2));
      first();
      await append(name, ["b"]);
      await eventually(() => assert.ok(ends.includes(2n)));
      second();
    },
  },
};
