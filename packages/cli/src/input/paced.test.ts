import { expect, it } from "vitest";
import { paced } from "./paced.js";

async function* blocks(...sizes: number[]): AsyncGenerator<readonly number[]> {
  let next = 0;
  for (const size of sizes) yield Array.from({ length: size }, () => next++);
}

async function collect(source: AsyncIterable<readonly number[]>): Promise<number[]> {
  const items: number[] = [];
  for await (const block of source) items.push(...block);
  return items;
}

const never = new AbortController().signal;
const twenty = Array.from({ length: 20 }, (_, index) => index);

it("hands everything on in order, no faster than it may", async () => {
  const startedAt = performance.now();
  expect(await collect(paced(blocks(15, 5), 40, never))).toEqual(twenty);
  // The last block of four goes out when sixteen have had their time.
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(395);
});

it("is not in the way without a rate, and ends when it is told to", async () => {
  expect(await collect(paced(blocks(15, 5), 0, never))).toEqual(twenty);
  const stop = new AbortController();
  const items: number[] = [];
  for await (const block of paced(blocks(20), 10, stop.signal)) {
    items.push(...block);
    if (items.length === 2) stop.abort();
  }
  expect(items).toEqual([0, 1]);
});
