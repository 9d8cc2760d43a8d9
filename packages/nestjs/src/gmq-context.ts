import type { Message } from "@gmq/client";
import { BaseRpcContext } from "@nestjs/microservices";

/** What a handler gets with `@Ctx()`: the record behind the payload, and what may be done with it. */
export class GmqContext extends BaseRpcContext<[message: Message<unknown>, signal: AbortSignal]> {
  /**
   * The record. Its verbs (`ack`, `retry`, `release`, `reject`, `extend`) settle it by hand: the first verdict counts, and one that was given by hand is not followed by the transport's.
   */
  getMessage(): Message<unknown> {
    return this.args[0];
  }

  /** The record's topic: with a handler for `orders.*` the one that matched. */
  getTopic(): string {
    return this.args[0].topic;
  }

  getPartition(): number {
    return this.args[0].partition;
  }

  getOffset(): bigint {
    return this.args[0].offset;
  }

  /** Undefined: the record has none. */
  getKey(): string | undefined {
    return this.args[0].key;
  }

  getHeaders(): Readonly<Record<string, string>> {
    return this.args[0].headers;
  }

  /** 1 for the first try; grows with each failed one. */
  getAttempt(): number {
    return this.args[0].attempt;
  }

  /** Fires when the partition is lost, the server closes or `processingTimeoutMs` pass: what the handler does then comes again. */
  getSignal(): AbortSignal {
    return this.args[1];
  }
}
