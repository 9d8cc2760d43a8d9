/**
 * A session's heartbeats on the client's side: sends them by the clock, or once the broker has asked for answers only those, and notices a broker that says nothing.
 * A broker that is asked for something is asked for a heartbeat too, so that a lost one is noticed as soon as ever, however seldom it speaks by itself.
 */
import type { Heartbeat, Welcome } from "@gmq/protocol/messages";

export interface LinkHeartbeats {
  /** The broker said something. */
  heard(): void;
  /** It sent a heartbeat. */
  came(heartbeat: Heartbeat): void;
  /** By the clock, at least this often. */
  every(intervalMs: number): void;
  stop(): void;
}

/** What the heartbeats need of their link. */
export interface HeartbeatPeer {
  /** Sends one; `answer`: the broker answers it. */
  beat(answer: boolean): void;
  /** Something that was asked is not answered yet. */
  isAwaited(): boolean;
  /** The broker said nothing for too long. */
  silent(silenceMsMax: number): void;
}

/** Starts them with the session. */
export function startHeartbeats(
  { heartbeatIntervalMs, sessionSilenceMsMax }: Welcome,
  intervalMs: number,
  peer: HeartbeatPeer,
): LinkHeartbeats {
  let timer = setInterval(turn, intervalMs);
  let judging: NodeJS.Immediate | undefined;
  let lastHeardMs = performance.now();
  /** When the broker was asked for a heartbeat, and has said nothing since. */
  let askedAtMs: number | undefined;
  /** The broker asks, and next within this time; undefined: it does not. */
  let nextMs: number | undefined;

  /** The limit that the broker's silence has passed. */
  function passedMs(nowMs: number): number | undefined {
    const silenceMsMax = sessionSilenceMsMax + Math.max(0, (nextMs ?? 0) - heartbeatIntervalMs);
    if (nowMs - lastHeardMs > silenceMsMax) return silenceMsMax;
    const unansweredMs = askedAtMs === undefined ? 0 : nowMs - askedAtMs + heartbeatIntervalMs;
    return unansweredMs > sessionSilenceMsMax ? sessionSilenceMsMax : undefined;
  }

  /** Once everything that came was read: when this process stood still, it lies in the socket. */
  function judge(): void {
    const limitMs = passedMs(performance.now());
    if (limitMs !== undefined) peer.silent(limitMs);
  }

  function turn(): void {
    const nowMs = performance.now();
    if (passedMs(nowMs) !== undefined) judging = setImmediate(judge);
    else if (nextMs === undefined) peer.beat(false);
    else if (askedAtMs === undefined && nowMs - lastHeardMs >= heartbeatIntervalMs && peer.isAwaited()) {
      askedAtMs = nowMs;
      peer.beat(true);
    }
  }

  return {
    heard() {
      lastHeardMs = performance.now();
      askedAtMs = undefined;
    },
    came(heartbeat) {
      if (!heartbeat.answer) return;
      nextMs = heartbeat.nextMs;
      peer.beat(false);
    },
    every(shorterMs) {
      clearInterval(timer);
      timer = setInterval(turn, shorterMs);
    },
    stop() {
      clearInterval(timer);
      clearImmediate(judging);
    },
  };
}
