import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createWheel, type Wheel, type WheelItem } from "./wheel.js";

interface Item extends WheelItem {
  readonly name: string;
}

let told: string[];
let wheel: Wheel<Item>;

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  wheel = createWheel((items) => told.push(items.map(({ name }) => name).join()));
});

afterEach(() => {
  wheel.close();
  vi.useRealTimers();
});

const item = (name: string): Item => ({ slot: -1, name });
const inMs = (ms: number): number => performance.now() + ms;

it("tells each when its time has come, and what may be early with what is due before it", () => {
  wheel.put(item("late"), inMs(5_000));
  wheel.put(item("first"), inMs(1_000), 1_000);
  wheel.put(item("second"), inMs(1_900), 1_000);
  vi.advanceTimersByTime(1_800);
  expect(told.flatMap((names) => names.split(","))).toEqual(["first", "second"]);
  vi.advanceTimersByTime(3_100);
  expect(told).not.toContain("late");
  vi.advanceTimersByTime(300);
  expect(told.at(-1)).toBe("late");
  expect(vi.getTimerCount()).toBe(0);
});

it("forgets what is taken, what is put anew waits for its new time only", () => {
  const [taken, moved] = [item("taken"), item("moved")];
  wheel.put(taken, inMs(500));
  wheel.put(moved, inMs(500));
  wheel.take(taken);
  wheel.put(moved, inMs(2_000));
  vi.advanceTimersByTime(1_900);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(300);
  expect(told).toEqual(["moved"]);
});

it("tells nothing more once it is closed", () => {
  wheel.put(item("one"), inMs(200));
  wheel.close();
  wheel.put(item("two"), inMs(200));
  vi.advanceTimersByTime(1_000);
  expect(told).toEqual([]);
});
