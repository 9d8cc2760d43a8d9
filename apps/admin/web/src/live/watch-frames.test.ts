import { expect, it } from "vitest";
import { createWatchMemory } from "./watch-frames.js";

const none = { topics: [], groups: [], removedTopics: [], removedGroups: [], points: [], lastWrites: [] };

it("gives a late tab one snapshot of what came before", () => {
  const memory = createWatchMemory();
  expect(memory.frames()).toEqual([]);
  memory.note({ hello: { version: "1" } });
  memory.note({ snapshot: { ...none, topics: [{ name: "a" }, { name: "b" }], points: [1], lastWrites: ["w"] } });
  memory.note({ heartbeat: {} });
  const changed = { name: "a", records: "2" };
  memory.note({ delta: { ...none, topics: [changed, { name: "c" }], removedTopics: ["b"], points: [2] } });
  expect(memory.frames()).toEqual([
    { hello: { version: "1" } },
    { snapshot: { ...none, topics: [changed, { name: "c" }], points: [1, 2], lastWrites: ["w"] } },
  ]);
});
