/**
 * Heartbeats of all sessions, and who of them has fallen silent. A client that answers is asked, the more seldom the more sessions there are and as far as its session
 * timeout allows it; any other is sent one by the clock, and sends its own.
 */
import type { OutgoingResponse } from "./session-response.js";
import { createWheel, type WheelItem } from "./wheel.js";

/** How a session is spoken to. */
export interface HeartbeatPeer {
  /** The shortest session timeout of its consumers; Infinity without any. */
  sessionTimeoutMsMin(): number;
  beat(frame: OutgoingResponse): void;
  /** It has said nothing for too long; it is not watched any more. */
  silent(silenceMsMax: number): void;
}

/** One session's heartbeats. */
export interface Pulse {
  /** The client said something. */
  heard(nowMs: number): void;
  /** The client asks for a heartbeat. */
  answer(): void;
  /** The peer's shortest session timeout may be another one. */
  changed(): void;
  stop(): void;
}

export interface Heartbeats {
  /** Begins; `answers`: the client answers heartbeats that ask for it. */
  start(peer: HeartbeatPeer, answers: boolean): Pulse;
  readonly intervalMs: number;
  /** Silence that ends a session without consumers at the shortest interval. */
  readonly silenceMsMax: number;
  close(): void;
}

/** What the sessions' pulses share. */
interface Beats {
  readonly plain: OutgoingResponse;
  changed(beating: Beating): void;
  stop(beating: Beating): void;
}

/** A class: there is one for each idle session, and closures cost it more than its state. */
class Beating implements Pulse, WheelItem {
  readonly peer: HeartbeatPeer;
  readonly answers: boolean;
  readonly #beats: Beats;
  slot = -1;
  lastHeardMs: number;
  /** As the client was told, and as it was told before that. */
  intervalMs: number;
  earlierMs: number;
  /** The peer's, as of the last change. */
  timeoutMs: number;
  beatAtMs: number;

  constructor(beats: Beats, peer: HeartbeatPeer, answers: boolean, intervalMs: number) {
    const nowMs = performance.now();
    this.#beats = beats;
    this.peer = peer;
    this.answers = answers;
    this.lastHeardMs = nowMs;
    this.intervalMs = intervalMs;
    this.earlierMs = intervalMs;
    this.timeoutMs = peer.sessionTimeoutMsMin();
    this.beatAtMs = nowMs + intervalMs * (answers ? Math.random() : 1);
  }

  heard(atMs: number): void {
    this.lastHeardMs = atMs;
  }

  answer(): void {
    this.peer.beat(this.#beats.plain);
  }

  changed(): void {
    this.#beats.changed(this);
  }

  stop(): void {
    this.#beats.stop(this);
  }
}

/** Of all sessions together, as far as their timeouts allow it: an exchange costs some 80 µs of a core. */
const beatsPerSecondMax = 200;
/** Proxies end connections on which nothing happens for a minute. */
const intervalMsMax = 50_000;
/** A session timeout leaves time for two more heartbeats, or this time: an answer may take as long as silence may last at the shortest interval. */
const marginMs = 10_000;
/** Intervals are told in steps, so that sessions share them. */
const intervalStepMs = 500;

/** From which part of its interval on a session may be asked, so that all are asked evenly: one that keeps its interval, and one that gets another. */
const earliestKept = 0.9;
const earliestChanged = 0.5;

/** Heartbeats that are due within this time go out together; more would hold up what else there is to do. */
const gatheredMsMax = 300;

function earlyMs({ intervalMs }: Beating): number {
  return Math.min(gatheredMsMax, intervalMs / 8);
}

/** Makes the heartbeats of a broker, one each `intervalMs` while there are few sessions. */
export function createHeartbeats(intervalMs: number): Heartbeats {
  const silenceMsMax = intervalMs * 3;
  const beatings = new Set<Beating>();
  const plain: OutgoingResponse = { frame: { case: "heartbeat", value: {} } };
  const wheel = createWheel<Beating>((due) => {
    const nowMs = performance.now();
    for (const beating of due) turn(beating, nowMs);
  });
  let asking = askingEach(intervalMs);
  /** The last place that was given. */
  let placeMs = 0;

  function askingEach(nextMs: number): { readonly nextMs: number; readonly frame: OutgoingResponse } {
    return { nextMs, frame: { frame: { case: "heartbeat", value: { nextMs, answer: true } } } };
  }

  function intervalOf({ answers, timeoutMs }: Beating): number {
    if (!answers) return intervalMs;
    const pacedMs = Math.ceil((beatings.size * 1_000) / beatsPerSecondMax / intervalStepMs) * intervalStepMs;
    const longestMs = Math.min(intervalMsMax, Math.max(Math.floor(timeoutMs / 3), timeoutMs - marginMs));
    return Math.min(Math.max(intervalMs, pacedMs), Math.max(longestMs, 1));
  }

  /** With consumers their session timeout; without any a client that is asked seldom may be silent for so much longer. */
  function silenceOf({ timeoutMs, intervalMs: ownMs, earlierMs }: Beating): number {
    if (timeoutMs !== Number.POSITIVE_INFINITY) return timeoutMs;
    return silenceMsMax + Math.max(0, ownMs - intervalMs, earlierMs - intervalMs);
  }

  /** The next place in a row that has one for each session, within what the interval leaves: sessions that came together do not stay together. */
  function nextPlace(nowMs: number, nextMs: number, earliest: number): number {
    const next = Math.max(placeMs + nextMs / beatings.size, nowMs + nextMs * earliest);
    if (next > nowMs + nextMs) return nowMs + nextMs;
    placeMs = next;
    return next;
  }

  function wait(beating: Beating): void {
    const goneAtMs = beating.lastHeardMs + silenceOf(beating);
    if (goneAtMs < beating.beatAtMs) wheel.put(beating, goneAtMs);
    else wheel.put(beating, beating.beatAtMs, earlyMs(beating));
  }

  /** Ends who is silent, once everything that came was read: when this process stood still, it lies in the sockets. */
  function judge(beating: Beating): void {
    if (!beatings.has(beating)) return;
    const limitMs = silenceOf(beating);
    if (performance.now() - beating.lastHeardMs < limitMs) return wait(beating);
    beats.stop(beating);
    beating.peer.silent(limitMs);
  }

  function turn(beating: Beating, nowMs: number): void {
    const { peer, answers } = beating;
    if (nowMs - beating.lastHeardMs >= silenceOf(beating)) {
      setImmediate(judge, beating);
      return;
    }
    if (beating.beatAtMs - nowMs <= earlyMs(beating)) {
      const nextMs = intervalOf(beating);
      const earliest = nextMs === beating.intervalMs ? earliestKept : earliestChanged;
      beating.earlierMs = beating.intervalMs;
      beating.intervalMs = nextMs;
      beating.beatAtMs = answers ? nextPlace(nowMs, nextMs, earliest) : nowMs + nextMs;
      if (answers && asking.nextMs !== nextMs) asking = askingEach(nextMs);
      // In the wheel before the peer is spoken to: it may stop.
      wait(beating);
      peer.beat(answers ? asking.frame : plain);
    } else wait(beating);
  }

  const beats: Beats = {
    plain,
    changed(beating) {
      if (!beatings.has(beating)) return;
      beating.timeoutMs = beating.peer.sessionTimeoutMsMin();
      beating.beatAtMs = Math.min(beating.beatAtMs, performance.now() + intervalOf(beating));
      wait(beating);
    },
    stop(beating) {
      beatings.delete(beating);
      wheel.take(beating);
    },
  };

  return {
    intervalMs,
    silenceMsMax,
    start(peer, answers) {
      const beating = new Beating(beats, peer, answers, intervalMs);
      beatings.add(beating);
      wait(beating);
      return beating;
    },
    close: wheel.close,
  };
}
