import { GmqError, type Message, type Producer } from "@gmq/client";
import { concatMap, lastValueFrom, type Observable } from "rxjs";
import { topicOfPattern } from "./json-values.js";
import { replyHeaders } from "./reply-headers.js";

/** Where replies to a request go; undefined: nobody waits for any. */
export interface ReplyAddress {
  readonly topic: string;
  readonly correlationId: string;
}

/** What a request says of its replies. */
export function replyAddressOf({ headers }: Message<unknown>): ReplyAddress | undefined {
  const topic = headers[replyHeaders.replyTo];
  const correlationId = headers[replyHeaders.correlationId];
  return topic === undefined || correlationId === undefined ? undefined : { topic, correlationId };
}

/** Nobody waits for a reply for longer. */
const replyTtlMs = 3_600_000;

/**
 * Sends a handler's values to whoever asked, each when it comes, and its error as the last one. Resolves when all are stored, so that a request is acked only then.
 * @throws GmqError when a reply cannot be stored; the request is tried again
 */
export async function answerRequest(
  producer: Producer,
  { topic, correlationId }: ReplyAddress,
  values$: Observable<unknown>,
): Promise<void> {
  const reply = async (value: unknown, marks: readonly string[]): Promise<void> => {
    const headers: Record<string, string> = { [replyHeaders.correlationId]: correlationId };
    for (const mark of marks) headers[mark] = "1";
    if (value === undefined) headers[replyHeaders.isEmpty] = "1";
    const record = { value: value ?? null, key: correlationId, headers, ttlMs: replyTtlMs };
    await producer.send(topicOfPattern(topic), record);
  };
  // The last value and the end travel in one record, so a value waits for what comes after it.
  let held: { readonly value: unknown } | undefined;
  try {
    await lastValueFrom(
      values$.pipe(
        concatMap(async (value) => {
          const before = held;
          held = { value };
          if (before !== undefined) await reply(before.value, []).catch(asReplyFailure);
        }),
      ),
      { defaultValue: undefined },
    );
  } catch (error) {
    if (error instanceof ReplyFailure) throw error.cause;
    if (held !== undefined) await reply(held.value, []);
    await reply(errorValue(error), [replyHeaders.isError, replyHeaders.isLast]);
    return;
  }
  await reply(held?.value, [replyHeaders.isLast]);
}

/** A reply that could not be stored, told apart from what the handler threw. */
class ReplyFailure extends Error {}

function asReplyFailure(cause: unknown): never {
  throw new ReplyFailure("a reply could not be stored", { cause: GmqError.from(cause) });
}

/** Errors have no JSON form of their own. */
function errorValue(error: unknown): unknown {
  return error instanceof Error ? { status: "error", message: error.message } : (error ?? null);
}
