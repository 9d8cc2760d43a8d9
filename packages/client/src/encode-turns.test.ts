import { setImmediate as nextPhase } from "node:timers/promises";
import { expect, it } from "vitest";
import { createEncodeTurns } from "./encode-turns.js";

it("runs work at once until the turn's part is encoded, and the rest in order, a part after each turn", async () => {
  const turns = createEncodeTurns(100);
  const ran: string[] = [];
  const encode = (name: string, bytes: number): void =>
    turns.run(() => {
      ran.push(name);
      turns.count(bytes);
    });
  encode("a", 60);
  encode("b", 60);
  encode("c", 60);
  encode("d", 60);
  encode("e", 1);
  expect(ran).toEqual(["a", "b"]);
  // What was encoded is made a frame in one phase and written in the next.
  await nextPhase();
  expect(ran).toEqual(["a", "b"]);
  await nextPhase();
  expect(ran).toEqual(["a", "b", "c", "d"]);
  await nextPhase();
  await nextPhase();
  expect(ran).toEqual(["a", "b", "c", "d", "e"]);
});

it("goes on with what is counted by others than those who wait", async () => {
  const turns = createEncodeTurns(100);
  turns.count(250);
  const { promise, resolve } = Promise.withResolvers<void>();
  turns.run(resolve);
  await promise;
});
