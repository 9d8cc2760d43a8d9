import assert from "node:assert/strict";
import type { ConformanceSubject } from "./subject.js";

export const statusCases: ConformanceSubject = {
  name: "status",
  cases: {
    "tells that the store is ready, and what a crash can lose": async ({ engine }) => {
      const { engine: kind, ready, reason, durability, details, storages } = await engine.status();
      assert.equal(kind, engine.kind);
      assert.equal(ready, true);
      assert.equal(reason, "");
      assert.ok(["disk", "about 1 s", "memory"].includes(durability), durability);
      for (const value of Object.values(details)) assert.equal(typeof value, "string");
      assert.ok(Object.keys(details).length > 0);
      assert.equal(storages !== undefined, kind === "remote");
      for (const { storageId, ...storage } of storages ?? []) {
        assert.notEqual(storageId, "");
        assert.deepEqual([storage.ready, storage.reason], [true, ""]);
      }
    },
  },
};
