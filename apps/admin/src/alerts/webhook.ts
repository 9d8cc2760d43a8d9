/** Tells somebody's HTTP server of alerts: in order, each until it is taken, refused for good, or too old. What waits is kept first, then told. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type { WebhookTarget } from "./alert-rules.js";

/** How it went so far. */
export interface WebhookStatus {
  readonly delivered: number;
  /** Refused, too old, or pushed out by later ones. */
  readonly failed: number;
  readonly waiting: number;
  /** Why the last try came to nothing, "" when it did not. */
  readonly lastProblem: string;
  /** When the last try ended, 0: none was made. */
  readonly lastAtMs: number;
}

export interface Webhook {
  /** Puts it behind those that wait; nothing happens without a target. */
  send(event: object): void;
  /** Makes one try now. @throws GmqError `invalid_argument` without a target, `unavailable` when it is not taken */
  test(event: object): Promise<void>;
  status(): WebhookStatus;
  /** What nobody has taken yet, oldest first. */
  waiting(): readonly WaitingEvent[];
  /** Goes on with what waited when the portal ended; from then on `keep` is called with each change and awaited before an event is told. */
  resume(waiting: readonly WaitingEvent[], keep: () => Promise<void>): void;
  /** Stops; what waits stays in `waiting`. */
  close(): Promise<void>;
}

/** Bounds, in milliseconds and events. */
export interface WebhookBounds {
  readonly requestMs: number;
  /** An event that is not taken by then is given up. */
  readonly deadlineMs: number;
  readonly firstPauseMs: number;
  readonly waitingMax: number;
}

const usualBounds: WebhookBounds = { requestMs: 5_000, deadlineMs: 300_000, firstPauseMs: 1_000, waitingMax: 1_000 };
const pauseMsMax = 30_000;

/** An event on its way. */
export interface WaitingEvent {
  /** The same with every try, after a restart too. */
  readonly id: string;
  readonly body: string;
  readonly untilMs: number;
}

/** Makes it; `target` is asked with every try, as its file may change. */
export function createWebhook(
  target: () => WebhookTarget | undefined,
  logger: Logger,
  bounds: WebhookBounds = usualBounds,
): Webhook {
  const closing = new AbortController();
  const queue: WaitingEvent[] = [];
  let keep: () => Promise<void> = () => Promise.resolve();
  let status = { delivered: 0, failed: 0, lastProblem: "", lastAtMs: 0 };
  let running: Promise<void> | undefined;

  /** Undefined when it was taken. */
  async function attempt({ id, body }: Pick<WaitingEvent, "id" | "body">, to: WebhookTarget) {
    const outcome = await post(to, id, body, AbortSignal.any([closing.signal, AbortSignal.timeout(bounds.requestMs)]));
    status = { ...status, lastProblem: outcome?.problem ?? "", lastAtMs: Date.now() };
    return outcome;
  }

  /** Whether it was taken. */
  async function deliver(event: WaitingEvent): Promise<boolean> {
    for (let pauseMs = bounds.firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
      const to = target();
      if (to === undefined || closing.signal.aborted) return false;
      const outcome = await attempt(event, to);
      if (outcome === undefined) return true;
      if (outcome.final || Date.now() + pauseMs > event.untilMs || closing.signal.aborted) {
        logger.warn("an alert could not be told", { problem: outcome.problem });
        return false;
      }
      await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  async function run(): Promise<void> {
    for (let event = queue[0]; event !== undefined; event = queue[0]) {
      await keep();
      const taken = await deliver(event);
      // What came to nothing because the portal ends is told by the next.
      if (!taken && closing.signal.aborted) return;
      // Meanwhile later ones may have pushed it out, and then it is counted already.
      if (queue[0] === event) {
        queue.shift();
        if (!taken) status = { ...status, failed: status.failed + 1 };
      }
      if (taken) status = { ...status, delivered: status.delivered + 1 };
    }
    await keep();
  }

  function start(): void {
    if (queue.length === 0 || closing.signal.aborted) return;
    running ??= run().finally(() => {
      running = undefined;
      start();
    });
  }

  return {
    send(event) {
      if (target() === undefined || closing.signal.aborted) return;
      if (queue.length >= bounds.waitingMax) {
        queue.shift();
        status = { ...status, failed: status.failed + 1 };
      }
      queue.push({ id: randomUUID(), body: JSON.stringify(event), untilMs: Date.now() + bounds.deadlineMs });
      start();
    },
    async test(event) {
      const to = target();
      if (to === undefined) throw new GmqError("invalid_argument", "the alerts file names no webhook");
      const outcome = await attempt({ id: randomUUID(), body: JSON.stringify(event) }, to);
      if (outcome !== undefined) throw new GmqError("unavailable", `the webhook did not take it: ${outcome.problem}`);
    },
    status: () => ({ ...status, waiting: queue.length }),
    waiting: () => [...queue],
    resume(waiting, keepWith) {
      keep = keepWith;
      queue.unshift(...waiting.slice(-bounds.waitingMax));
      start();
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}

interface Refusal {
  readonly problem: string;
  /** Another try would be refused too. */
  readonly final: boolean;
}

async function post(to: WebhookTarget, id: string, body: string, signal: AbortSignal): Promise<Refusal | undefined> {
  try {
    const response = await fetch(to.url, {
      method: "POST",
      headers: { ...to.headers, "content-type": "application/json", "gmq-delivery": id },
      body,
      redirect: "manual",
      signal,
    });
    await response.body?.cancel();
    if (response.ok) return undefined;
    const { status } = response;
    return { problem: `it answered ${status}`, final: status < 500 && status !== 408 && status !== 429 };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { problem: cause instanceof Error ? cause.message : String(cause), final: false };
  }
}
