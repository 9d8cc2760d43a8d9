import { expect, it } from "vitest";
import { configChanges, configRows } from "./config-rows.js";

it("tells settings in words, which of them are as nobody set them, and what another set-up would change", () => {
  const before = { partitions: 3, retention: { ms: 3_600_000n, records: 5_000n } };
  expect(configRows(before).filter(({ isDefault }) => !isDefault)).toEqual([
    { name: "kept for", value: "60 min", isDefault: false },
    { name: "kept records per partition", value: "5,000", isDefault: false },
  ]);
  expect(configChanges(before, { ...before, bytesMax: 0n })).toEqual([]);
  expect(configChanges(before, { bytesMax: 1_000_000n, retention: { records: 5_000n, workQueue: true } })).toEqual([
    "kept for: 60 min → for good",
    "goes once settled: no → yes",
    "budget of the topic: no bound → 1 MB",
  ]);
  expect(configChanges(undefined, {})).toEqual([]);
});
