import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Dispatcher } from "./dispatcher-handle.js";
import { createDispatchers, type Dispatchers } from "./dispatchers.js";

const safetyIntervalMs = 32_000;
const place = { topic: "t", partition: 0 };
let dispatchers: Dispatchers;

beforeEach(() => {
  vi.useFakeTimers();
  dispatchers = createDispatchers(safetyIntervalMs);
});

afterEach(() => {
  dispatchers.close();
  vi.useRealTimers();
});

/** The end of the log, which no signal told of. */
let end = 0n;

function addReader(options: { readonly hasCredit?: boolean; readonly looksFail?: boolean } = {}) {
  const reader = { looks: 0, position: 0n, endOffset: 0n };
  const remove = dispatchers.add(place, {
    get position() {
      return reader.position;
    },
    get endOffset() {
      return reader.endOffset;
    },
    look() {
      reader.looks++;
      if (options.hasCredit === false) return false;
      reader.position = end;
      reader.endOffset = end;
      return true;
    },
  } as Dispatcher);
  return Object.assign(reader, { remove });
}

it("one reader of a partition looks for all, each in its turn, whoever has no credit passed over", () => {
  end = 0n;
  const readers = [addReader(), addReader({ hasCredit: false }), addReader()] as const;
  vi.advanceTimersByTime(safetyIntervalMs * 4);
  expect(readers[0].looks).toBe(2);
  expect(readers[2].looks).toBe(2);
});

it("what one finds, the others look for at once", () => {
  end = 0n;
  const readers = [addReader(), addReader(), addReader()];
  end = 5n;
  vi.advanceTimersByTime(safetyIntervalMs + safetyIntervalMs / 32);
  expect(readers.map(({ position }) => position)).toEqual([5n, 5n, 5n]);
});

it("stops looking when nobody reads", () => {
  for (const { remove } of [addReader(), addReader()]) remove();
  expect(vi.getTimerCount()).toBe(0);
});
