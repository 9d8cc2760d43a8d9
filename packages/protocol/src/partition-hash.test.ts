import { describe, expect, it } from "vitest";
import { fnv1a32, partitionForKey } from "./partition-hash.js";

const utf8 = new TextEncoder();

describe("partition hash", () => {
  // Vectors of the FNV authors' test suite (fnv32a).
  it.each([
    ["", 0x811c9dc5],
    ["a", 0xe40c292c],
    ["b", 0xe70c2de5],
    ["foobar", 0xbf9cf968],
  ])("fnv1a32(%j)", (text, hash) => {
    expect(fnv1a32(utf8.encode(text))).toBe(hash);
  });

  it("maps a key to the same partition always, within the range", () => {
    expect(partitionForKey(utf8.encode("foobar"), 4)).toBe(0xbf9cf968 % 4);
    for (let index = 0; index < 1_000; index++) {
      const partition = partitionForKey(utf8.encode(`key-${index}`), 7);
      expect(partition).toBeGreaterThanOrEqual(0);
      expect(partition).toBeLessThan(7);
    }
  });
});
