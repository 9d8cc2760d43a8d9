import { partitionForKey } from "@gmq/protocol";
import { describe, expect, it } from "vitest";
import { createPartitioner } from "./partitioner.js";

describe("partitioner", () => {
  it("keeps the records of a turn together, and gives every partition its turn", () => {
    const partitioner = createPartitioner();
    const turns = Array.from({ length: 8 }, () => {
      const chosen = Array.from({ length: 3 }, () => partitioner.choose("orders", 4, undefined, undefined));
      partitioner.endTurn();
      return chosen;
    });
    for (const chosen of turns) expect(new Set(chosen).size).toBe(1);
    const first = turns[0]?.[0] ?? 0;
    expect(turns.map(([partition]) => partition)).toEqual(turns.map((_, index) => (first + index) % 4));
  });

  it("goes on to the next partition after 512 records of one turn", () => {
    const partitioner = createPartitioner();
    const chosen = Array.from({ length: 1_200 }, () => partitioner.choose("orders", 3, undefined, undefined));
    const first = chosen[0] ?? 0;
    expect(chosen).toEqual(chosen.map((_, index) => (first + Math.floor(index / 512)) % 3));
  });

  it("takes a key's own partition, or the one that is asked for", () => {
    const partitioner = createPartitioner();
    const key = Buffer.from("user_id_123");
    expect(partitioner.choose("orders", 10, key, undefined)).toBe(partitionForKey(key, 10));
    expect(partitioner.choose("orders", 10, key, 7)).toBe(7);
    expect(() => partitioner.choose("orders", 10, undefined, 10)).toThrowError(
      expect.objectContaining({ code: "partition_not_found", limit: "0 to 9" }),
    );
  });
});
