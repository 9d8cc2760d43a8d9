import { GmqError } from "@gmq/protocol";
import { checkObject, inRange, oneOf } from "./checked-values.js";
import type { ConsumerOptions } from "./consumer-options.js";
import { processingTimeoutMsMax } from "./processing-deadline.js";

/** What a subscription with a handler takes. */
export interface SubscribeOptions extends ConsumerOptions {
  /** Handlers that run at once; 1 to 10,000, default 1. */
  readonly concurrency?: number;
  /** What keeps its order under concurrency: records of a key (default), of a partition, or nothing (the default, and all there is, in shared mode). */
  readonly orderBy?: "key" | "partition" | "none";
  /**
   * One attempt at a record may take so long; 1 to 2,147,483,647 ms, default: no limit. Past it the handler's signal fires and the attempt has failed; `message.extend()`
   * moves the deadline. The next attempt does not wait for a handler that ignores its signal, and may overlap with it.
   */
  readonly processingTimeoutMs?: number;
  /** How a record whose handler throws comes again. */
  readonly retry?: {
    /** A record that has failed so often is rejected with the reason "max attempts"; 1 to 1,000,000, default 8. Releases and take-overs do not count. */
    readonly maxAttempts?: number;
    /**
     * A record that was handed back so often (released, or taken over from a consumer that went away, with its whole entry) may be what ends its consumers; 1 to 1,000,000,
     * default 20, `false`: never. From then on it is run alone, and its attempt is counted before it begins, once in each process. One that has used up `maxAttempts` so is
     * rejected with the reason "hand backs exceeded" before its handler runs.
     */
    readonly maxHandBacks?: number | false;
    /** Exponential with jitter; default 200 ms up to 30,000 ms. */
    readonly backoff?: { readonly initialMs?: number; readonly maxMs?: number };
    /** `in-order` (default): the record waits in its lane. `delayed` (default in shared mode): the store brings it again, later records of the key overtake it. */
    readonly place?: "in-order" | "delayed";
  };
  /** Closes the subscription when it fires. */
  readonly signal?: AbortSignal;
}

export interface SubscribeSettings {
  readonly isShared: boolean;
  readonly concurrency: number;
  readonly orderBy: "key" | "partition" | "none";
  readonly place: "in-order" | "delayed";
  readonly maxAttempts: number;
  /** Infinity: off. */
  readonly maxHandBacks: number;
  readonly initialMs: number;
  readonly maxMs: number;
}

/** Checks what the user gave. @throws GmqError `invalid_argument` */
export function checkSubscribe(options: SubscribeOptions): SubscribeSettings {
  const isShared = options.mode === "shared";
  const { concurrency = 1, orderBy = isShared ? "none" : "key", retry = {}, processingTimeoutMs } = options;
  checkObject("retry", retry);
  const { backoff = {} } = retry;
  checkObject("retry.backoff", backoff);
  const { initialMs = 200, maxMs = 30_000 } = backoff;
  const { place = isShared ? "delayed" : "in-order", maxAttempts = 8, maxHandBacks = 20 } = retry;
  inRange("concurrency", concurrency, 1, 10_000);
  oneOf("orderBy", orderBy, ["key", "partition", "none"]);
  oneOf("retry.place", place, ["in-order", "delayed"]);
  inRange("retry.backoff.initialMs", initialMs, 1, 86_400_000);
  inRange("retry.backoff.maxMs", maxMs, initialMs, 86_400_000);
  inRange("retry.maxAttempts", maxAttempts, 1, 1_000_000);
  if (maxHandBacks !== false) inRange("retry.maxHandBacks", maxHandBacks, 1, 1_000_000);
  if (processingTimeoutMs !== undefined) inRange("processingTimeoutMs", processingTimeoutMs, 1, processingTimeoutMsMax);
  if (isShared && orderBy !== "none") {
    throw new GmqError("invalid_argument", `orderBy is ${JSON.stringify(orderBy)} in shared mode`, {
      field: "orderBy",
      limit: "none: other consumers have records of the same keys",
    });
  }
  return {
    isShared,
    concurrency,
    orderBy,
    place,
    maxAttempts,
    maxHandBacks: maxHandBacks === false ? Number.POSITIVE_INFINITY : maxHandBacks,
    initialMs,
    maxMs,
  };
}
