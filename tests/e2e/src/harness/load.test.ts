import { expect, test } from "vitest";
import { type Acknowledged, type Delivered, judge } from "./load.ts";

const acknowledged = (sequence: number, offset: bigint, key = "a"): Acknowledged => ({
  partition: 0,
  offset,
  key,
  sequence,
});
const delivered = (sequence: number, offset: bigint, key = "a"): Delivered => ({ place: `0/${offset}`, key, sequence });
const fine = { lost: 0, reordered: 0, collided: 0, doubled: 0 };
const load = (...all: Acknowledged[]) => ({ acknowledged: all, refused: new Map() });

test("the judge finds nothing wrong with redeliveries", () => {
  const sent = load(acknowledged(0, 0n), acknowledged(1, 1n), acknowledged(2, 2n));
  expect(
    judge(
      sent,
      [0, 1, 1, 0, 1, 2].map((n) => delivered(n, BigInt(n))),
    ),
  ).toEqual(fine);
});

test("the judge finds what was lost, reordered, doubled or put in one place", () => {
  const sent = load(acknowledged(0, 0n), acknowledged(1, 1n));
  expect(judge(sent, [delivered(0, 0n)])).toEqual({ ...fine, lost: 1 });
  expect(judge(sent, [delivered(1, 1n), delivered(0, 0n)])).toEqual({ ...fine, reordered: 1 });
  expect(judge(sent, [delivered(0, 0n), delivered(1, 1n), delivered(1, 2n)])).toEqual({ ...fine, doubled: 1 });
  expect(judge(load(acknowledged(0, 0n), acknowledged(1, 0n)), [delivered(0, 0n)])).toEqual({ ...fine, collided: 1 });
});
