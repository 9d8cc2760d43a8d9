import { expect, it } from "vitest";
import { createRecentSpans } from "./recent-spans.js";

const span = (id: number) => ({ traceId: "t", spanId: String(id), traceFlags: 1 });

it("gives each span once, in order, and forgets the oldest first", () => {
  const recent = createRecentSpans(3);
  for (let offset = 0; offset < 4; offset++) recent.add("g", "t", 0, BigInt(offset), span(offset));
  expect(recent.take("g", "t", 0, 0n, 2n, 10).map(({ spanId }) => spanId)).toEqual(["1", "2"]);
  expect(recent.take("g", "t", 0, 0n, 2n, 10)).toEqual([]);
  expect(recent.take("g", "t", 1, 0n, 9n, 10)).toEqual([]);
  expect(recent.take("g", "t", 0, 0n, 1_000_000_000_000n, 10).map(({ spanId }) => spanId)).toEqual(["3"]);
});

it("gives no more than asked for, and keeps the last attempt of a message", () => {
  const recent = createRecentSpans(10);
  recent.add("g", "t", 0, 1n, span(1));
  recent.add("g", "t", 0, 1n, span(9));
  recent.add("g", "t", 0, 2n, span(2));
  expect(recent.take("g", "t", 0, 0n, 5n, 1).map(({ spanId }) => spanId)).toEqual(["9"]);
});
