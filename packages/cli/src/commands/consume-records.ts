import type { Consumer, MessageBatch } from "@gmq/client";
import { GmqError } from "@gmq/protocol";
import type { RecordPrinter } from "../output/record-format.js";

/** What `printRecords` needs. */
export interface PrintPlan {
  readonly limit: number;
  /** Asked when nothing came for a while; undefined: never ends. */
  readonly isAtEnd: (() => Promise<boolean>) | undefined;
  /** Resolves when the reader has taken the lines of so many records. */
  print(lines: Uint8Array, records: number): Promise<void>;
  readonly format: RecordPrinter;
  /** Tells people about a connection that was lost and found again. */
  note(text: string): void;
  readonly stop: AbortSignal;
}

/** Records printed and acked together. */
const batchMax = 500;
/** With `isAtEnd`: how long nothing has to come before it is asked. */
const quietMs = 250;

/**
 * Prints, then acks: a record is lost in neither place. A broker that goes away is waited for; what was printed and could not be acked comes again.
 * Ends at the limit, at the end, or when `stop` fires, after finishing the batch in hand. @throws GmqError when the consumer has ended
 */
export async function printRecords(consumer: Consumer<Uint8Array>, plan: PrintPlan): Promise<void> {
  const watching = watchConnection(consumer, plan);
  let left = plan.limit;
  while (left > 0 && !plan.stop.aborted) {
    const batch = await receive(consumer, plan, Math.min(batchMax, left));
    if (batch === "stopped") break;
    if (batch === null) {
      if ((await plan.isAtEnd?.()) === true) break;
      continue;
    }
    await plan.print(Buffer.concat(batch.messages.map(plan.format)), batch.messages.length);
    await ack(batch, plan);
    left -= batch.messages.length;
  }
  await consumer.close();
  await watching;
}

async function receive(
  consumer: Consumer<Uint8Array>,
  { isAtEnd, stop }: PrintPlan,
  max: number,
): Promise<MessageBatch<Uint8Array> | null | "stopped"> {
  try {
    return await consumer.receive({ max, signal: stop, ...(isAtEnd === undefined ? {} : { timeoutMs: quietMs }) });
  } catch (error) {
    if (stop.aborted && GmqError.is(error, "cancelled")) return "stopped";
    throw error;
  }
}

async function ack(batch: MessageBatch<Uint8Array>, { note }: PrintPlan): Promise<void> {
  try {
    await batch.ack();
  } catch (error) {
    // The partition has another owner, or the broker went away before it answered.
    if (!GmqError.is(error) || !(error.retryable || error.code === "fenced" || error.code === "cancelled")) throw error;
    note(`up to ${batch.messages.length} printed records could not be acked and may come again (${error.code})`);
  }
}

/** Says once that the connection is lost, and once that it is back. */
async function watchConnection(consumer: Consumer<Uint8Array>, { note, stop }: PrintPlan): Promise<void> {
  let lost = false;
  for await (const event of consumer.status()) {
    if (event.type === "reconnecting" && !lost && !stop.aborted) {
      lost = true;
      note(`the connection is lost, trying again: ${event.error.message}`);
    } else if (event.type === "subscribed" && lost) {
      lost = false;
      note("connected again");
    }
  }
}
