import { create } from "@bufbuild/protobuf";
import { HeartbeatSchema, WelcomeSchema } from "@gmq/protocol/messages";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type LinkHeartbeats, startHeartbeats } from "./link-heartbeats.js";

const welcome = create(WelcomeSchema, { heartbeatIntervalMs: 3_000, sessionSilenceMsMax: 9_000 });
let beats: boolean[];
let isAwaited: boolean;
let silentAfterMs: number | undefined;
let heartbeats: LinkHeartbeats;

beforeEach(() => {
  vi.useFakeTimers();
  beats = [];
  isAwaited = false;
  silentAfterMs = undefined;
  const startMs = performance.now();
  heartbeats = startHeartbeats(welcome, 1_000, {
    beat: (answer) => beats.push(answer),
    isAwaited: () => isAwaited,
    silent() {
      silentAfterMs ??= performance.now() - startMs;
    },
  });
});

afterEach(() => {
  heartbeats.stop();
  vi.useRealTimers();
});

function comes(init: { readonly nextMs?: number; readonly answer?: boolean }): void {
  heartbeats.heard();
  heartbeats.came(create(HeartbeatSchema, init));
}

it("sends by the clock to a broker that does not ask, and notices its silence", () => {
  comes({});
  vi.advanceTimersByTime(5_000);
  expect(beats).toEqual([false, false, false, false, false]);
  vi.advanceTimersByTime(5_001);
  expect(silentAfterMs).toBe(10_001);
});

it("answers a broker that asks, sends nothing else, and waits for as long as it announced", () => {
  comes({ nextMs: 30_000, answer: true });
  expect(beats).toEqual([false]);
  vi.advanceTimersByTime(36_000);
  expect(silentAfterMs).toBeUndefined();
  vi.advanceTimersByTime(1_001);
  expect(silentAfterMs).toBe(37_001);
  expect(beats).toEqual([false]);
});

it("asks when something is awaited, and notices a lost broker as soon as ever", () => {
  comes({ nextMs: 30_000, answer: true });
  isAwaited = true;
  vi.advanceTimersByTime(3_000);
  expect(beats).toEqual([false, true]);
  vi.advanceTimersByTime(7_001);
  expect(silentAfterMs).toBe(10_001);
});

it("goes on when what it asked for is answered", () => {
  comes({ nextMs: 30_000, answer: true });
  isAwaited = true;
  for (let round = 0; round < 5; round++) {
    vi.advanceTimersByTime(4_000);
    comes({});
  }
  expect(silentAfterMs).toBeUndefined();
  expect(beats.slice(1).every((answer) => answer)).toBe(true);
});
