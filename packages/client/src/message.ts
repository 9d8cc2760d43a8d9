import { type DecodedHeader, GmqError, limits } from "@gmq/protocol";
import type { CallOptions } from "./call-options.js";
import { inRange } from "./checked-values.js";
import { type Rejection, rejection } from "./reject-text.js";
import type { Place } from "./resume-points.js";

/** A record that was delivered. Settle each once; what is not settled comes again, to this consumer or another. */
export interface Message<Value> {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Undefined: the record has none. Keys that are not UTF-8 are in `keyBytes`. */
  readonly key: string | undefined;
  readonly keyBytes: Uint8Array | undefined;
  readonly value: Value;
  readonly headers: Readonly<Record<string, string>>;
  /** The producer's time. */
  readonly timestamp: Date;
  /** Undefined: it never expires. */
  readonly expiresAt: Date | undefined;
  /** 1 for the first try; grows with each failed one. */
  readonly attempt: number;
  /** How often it was handed back without an attempt: released, or taken over from another consumer. 0 for most; high for a record that ends its consumers. */
  readonly handBacks: number;
  /** Fencing token of this delivery: grows with each change of the partition's owner. Hand it to your own store to refuse late writes. */
  readonly epoch: bigint;
  /** Done. Resolves when the store has it. @throws GmqError `fenced` when another consumer took over */
  ack(options?: CallOptions): Promise<void>;
  /** Failed: counts an attempt, the record comes again after `delayMs` (0 to 49 days, default 0). @throws GmqError `invalid_argument` */
  retry(options?: CallOptions & { readonly delayMs?: number }): Promise<void>;
  /** Handed back untouched, no attempt counted; it comes again at once. */
  release(options?: CallOptions): Promise<void>;
  /**
   * Given up: goes to the group's dead-letter topic. Resolves when it is there. `reason` is what dead letters are grouped by (cut at 256 bytes), `cause` becomes the
   * error text (cut at 1,024). A broadcast has no group and so no dead-letter topic: there the record is dropped. @throws GmqError `fenced`; `store_full`, `store_unavailable` when the copy could not be stored in time: GMQ goes on trying, the record does not come again
   */
  reject(reason: string, options?: CallOptions & { readonly cause?: unknown }): Promise<void>;
  /**
   * Moves the record's processing deadline to `ms` from now (default: the subscription's `processingTimeoutMs`). It is the client's own affair: partitions are held
   * by the session, which is renewed in the background whatever handlers do, so nothing is sent. Without a deadline there is nothing to move.
   * @throws GmqError `deadline_exceeded` when it has passed, `invalid_argument`
   */
  extend(ms?: number): void;
}

/** What becomes of a record. */
export type Settlement =
  | Rejection
  | { readonly verb: "ack" | "release" }
  | { readonly verb: "retry"; readonly delayMs: number; readonly inPlace: boolean };

/** A partition that is this consumer's, while it is. */
export interface Assignment {
  readonly assignmentId: number;
  readonly topic: string;
  readonly partition: number;
  readonly epoch: bigint;
  /** Fires when the partition is lost or given back. */
  readonly lost: AbortController;
  /** Messages that were delivered and are not settled. */
  unsettled: number;
  /** Fires when it is asked back: no new work is begun for it, and what waits for a retry does not wait on. */
  readonly revoking: AbortController;
  endOffset: bigint;
  /** A broadcast's: how far it is read. */
  readonly place: Place | undefined;
}

/** A delivered record inside the client; its fields are made when they are asked for. */
export interface RawMessage {
  readonly assignment: Assignment;
  readonly offset: bigint;
  readonly keyBytes: Uint8Array | undefined;
  readonly valueBytes: Uint8Array;
  readonly rawHeaders: readonly DecodedHeader[];
  readonly timestampMs: number;
  /** 0: it never expires. */
  readonly expiresAtMs: number;
  attempts: number;
  readonly handBacks: number;
  /** Bytes that it holds of the consumer's credit. */
  readonly bytes: number;
  settled: boolean;
  /** Its number among those in the hands of handlers, 0 before. */
  runningAs: number;
  /** The store has counted this try as failed already; see suspects.ts. */
  counted: boolean;
  /** What was said of it first and is not known to have failed; another verdict comes too late. */
  verdict: Settlement | undefined;
}

const text = new TextDecoder();

/** Settles a message for the user. */
type Settle = (raw: RawMessage, settlement: Settlement, options: CallOptions) => Promise<void>;

/** Makes what users see of a message. `value` is decoded already. */
export function messageOf<Value>(
  raw: RawMessage,
  value: Value,
  settle: Settle,
  extend: Message<Value>["extend"],
): Message<Value> {
  return new DeliveredMessage(raw, value, settle, extend);
}

/** A class for the hot path: one is made for each record, and what is asked for rarely is made when it is. */
class DeliveredMessage<Value> implements Message<Value> {
  readonly topic: string;
  readonly partition: number;
  readonly epoch: bigint;
  readonly offset: bigint;
  readonly keyBytes: Uint8Array | undefined;
  readonly value: Value;
  readonly attempt: number;
  readonly #raw: RawMessage;
  readonly #settle: Settle;
  readonly extend: Message<Value>["extend"];

  constructor(raw: RawMessage, value: Value, settle: Settle, extend: Message<Value>["extend"]) {
    const { assignment } = raw;
    this.topic = assignment.topic;
    this.partition = assignment.partition;
    this.epoch = assignment.epoch;
    this.offset = raw.offset;
    this.keyBytes = raw.keyBytes;
    this.value = value;
    this.attempt = raw.attempts + 1;
    this.#raw = raw;
    this.#settle = settle;
    this.extend = extend;
  }

  get key(): string | undefined {
    return this.keyBytes === undefined ? undefined : text.decode(this.keyBytes);
  }

  get handBacks(): number {
    return this.#raw.handBacks;
  }

  get headers(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#raw.rawHeaders.map((header) => [header.key, text.decode(header.value)]));
  }

  get timestamp(): Date {
    return new Date(this.#raw.timestampMs);
  }

  get expiresAt(): Date | undefined {
    return this.#raw.expiresAtMs === 0 ? undefined : new Date(this.#raw.expiresAtMs);
  }

  // Getters, so that `({ value, ack }) => …` works.
  get ack(): Message<Value>["ack"] {
    return (options = {}) => this.#settle(this.#raw, { verb: "ack" }, options);
  }

  get retry(): Message<Value>["retry"] {
    return async ({ delayMs = 0, ...options } = {}) => {
      inRange("delayMs", delayMs, 0, limits.retryDelayMsMax);
      return this.#settle(this.#raw, { verb: "retry", delayMs, inPlace: false }, options);
    };
  }

  get release(): Message<Value>["release"] {
    return (options = {}) => this.#settle(this.#raw, { verb: "release" }, options);
  }

  get reject(): Message<Value>["reject"] {
    return async (reason, { cause, ...options } = {}) => {
      if (typeof reason !== "string") {
        throw new GmqError("invalid_argument", `the reason is of type ${typeof reason}`, {
          field: "reason",
          limit: "a text",
        });
      }
      return this.#settle(this.#raw, rejection(reason, cause), options);
    };
  }
}
