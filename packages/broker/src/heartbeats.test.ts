import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createHeartbeats, type Heartbeats, type Pulse } from "./heartbeats.js";
import type { OutgoingResponse } from "./session-response.js";

const intervalMs = 3_000;
let heartbeats: Heartbeats;

beforeEach(() => {
  vi.useFakeTimers();
  heartbeats = createHeartbeats(intervalMs);
});

afterEach(() => {
  heartbeats.close();
  vi.useRealTimers();
});

/** A client that answers what asks, until it falls silent. */
function startPeer({ answers = true, sessionTimeoutMs = Number.POSITIVE_INFINITY } = {}) {
  const peer = {
    timeoutMs: sessionTimeoutMs,
    sessionTimeoutMsMin: () => peer.timeoutMs,
    beats: [] as { readonly atMs: number; readonly nextMs: number }[],
    goneAtMs: undefined as number | undefined,
    isAlive: true,
    pulse: undefined as unknown as Pulse,
    beat({ frame }: OutgoingResponse) {
      const { nextMs = 0, answer } = frame?.case === "heartbeat" ? frame.value : {};
      peer.beats.push({ atMs: performance.now(), nextMs });
      if (answer && peer.isAlive) peer.pulse.heard(performance.now());
    },
    silent() {
      peer.goneAtMs = performance.now();
    },
  };
  peer.pulse = heartbeats.start(peer, answers);
  return peer;
}

/** How many beats there were within a time. */
function beatsWithin(peer: ReturnType<typeof startPeer>, ms: number): number {
  const before = peer.beats.length;
  vi.advanceTimersByTime(ms);
  return peer.beats.length - before;
}

describe("few sessions", () => {
  it("are asked at the shortest interval, and gone after three of them", () => {
    const peer = startPeer();
    vi.advanceTimersByTime(60_000);
    expect(beatsWithin(peer, 30_000)).toBeGreaterThanOrEqual(9);
    expect(peer.beats.every(({ nextMs }) => nextMs === intervalMs)).toBe(true);
    peer.isAlive = false;
    const heardAtMs = peer.beats.at(-1)?.atMs as number;
    vi.advanceTimersByTime(10_000);
    expect((peer.goneAtMs as number) - heardAtMs).toBeGreaterThanOrEqual(9_000);
    expect((peer.goneAtMs as number) - heardAtMs).toBeLessThan(9_300);
    expect(beatsWithin(peer, 30_000)).toBe(0);
  });

  it("are asked three times within a short session timeout, also one that comes later", () => {
    const peer = startPeer();
    vi.advanceTimersByTime(10_000);
    peer.timeoutMs = 1_500;
    peer.pulse.heard(performance.now());
    peer.pulse.changed();
    vi.advanceTimersByTime(30_000);
    expect(peer.goneAtMs).toBeUndefined();
    peer.isAlive = false;
    const heardAtMs = performance.now();
    vi.advanceTimersByTime(2_000);
    expect((peer.goneAtMs as number) - heardAtMs).toBeLessThanOrEqual(1_700);
  });

  it("are told nothing new by the clock where they do not answer, and gone when they say nothing themselves", () => {
    const peer = startPeer({ answers: false });
    vi.advanceTimersByTime(8_000);
    expect(peer.beats.map(({ nextMs }) => nextMs)).toEqual([0, 0]);
    peer.pulse.heard(performance.now());
    vi.advanceTimersByTime(8_900);
    expect(peer.goneAtMs).toBeUndefined();
    vi.advanceTimersByTime(300);
    expect(peer.goneAtMs).toBeDefined();
  });
});

describe("thousands of sessions", () => {
  const sessions = 4_000;
  let peers: ReturnType<typeof startPeer>[];

  beforeEach(() => {
    peers = Array.from({ length: sessions }, () => startPeer({ sessionTimeoutMs: 60_000 }));
    vi.advanceTimersByTime(60_000);
  });

  it("are asked no more than 200 times a second together, evenly though they came together, and all live", () => {
    const beats = (): number => peers.reduce((sum, peer) => sum + peer.beats.length, 0);
    vi.advanceTimersByTime(180_000);
    const seconds = Array.from({ length: 40 }, () => {
      const before = beats();
      vi.advanceTimersByTime(1_000);
      return beats() - before;
    });
    expect(seconds.reduce((sum, count) => sum + count, 0) / 40).toBeLessThanOrEqual(210);
    expect(Math.max(...seconds)).toBeLessThan(300);
    expect(Math.min(...seconds)).toBeGreaterThan(100);
    expect(peers.filter(({ goneAtMs }) => goneAtMs !== undefined)).toEqual([]);
  });

  it("may be silent for their session timeout, those without consumers for so much longer as they are asked less often", () => {
    const [silent, idle] = [peers[0] as (typeof peers)[number], startPeer()];
    vi.advanceTimersByTime(60_000);
    const heardAtMs = [silent, idle].map((peer) => {
      peer.isAlive = false;
      return peer.beats.at(-1)?.atMs as number;
    }) as [number, number];
    vi.advanceTimersByTime(61_000);
    expect((silent.goneAtMs as number) - heardAtMs[0]).toBeGreaterThanOrEqual(60_000);
    expect((silent.goneAtMs as number) - heardAtMs[0]).toBeLessThan(60_300);
    // 4,000 at 200 a second: 20 s each.
    expect((idle.goneAtMs as number) - heardAtMs[1]).toBeGreaterThanOrEqual(9_000 + 17_000);
    expect((idle.goneAtMs as number) - heardAtMs[1]).toBeLessThan(9_000 + 17_500 + 300);
    expect(peers.filter(({ goneAtMs }) => goneAtMs !== undefined)).toEqual([silent]);
  });

  it("are asked as often as their session timeout wants it, and by the clock where they do not answer", () => {
    const [short, old] = [startPeer({ sessionTimeoutMs: 12_000 }), startPeer({ answers: false })];
    expect(beatsWithin(short, 40_000)).toBeGreaterThanOrEqual(9);
    expect(old.goneAtMs).toBeDefined();
    expect(old.beats.length).toBe(2);
  });

  it("are asked often again once there are few, and nobody is taken for gone meanwhile", () => {
    for (const peer of peers.slice(10)) peer.pulse.stop();
    vi.advanceTimersByTime(40_000);
    expect(peers.slice(0, 10).every((peer) => peer.goneAtMs === undefined && peer.beats.at(-1)?.nextMs === 3_000)).toBe(
      true,
    );
  });
});
