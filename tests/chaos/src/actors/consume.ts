/** A consumer and its journal: what a consumer child runs once and a storm child many times. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, GmqError, type Message } from "@gmq/client";
import { nowMs, type Verb } from "../history/events.ts";
import { openJournal } from "../history/journal.ts";
import type { ConsumerSpec } from "./spec.ts";

/** A running consumer. */
export interface RunningConsumer {
  /** Drains, leaves the group, and writes down that it ended in order. */
  end(): Promise<void>;
  readonly closed: Promise<void>;
}

/** A number from 0 to 999 that belongs to the record: what is bad about it is so for every consumer. */
function lotOf(id: string): number {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + character.charCodeAt(0)) % 1_000_003;
  return hash % 1_000;
}

/** Connects, joins and handles; everything that happens is in the journal before it takes effect. */
export async function consume(spec: ConsumerSpec): Promise<RunningConsumer> {
  const journal = openJournal(spec.folder, spec.name);
  const gmq = await connect({ brokers: spec.brokers, clientId: spec.name, timeoutMs: 60_000 });
  const text = new TextDecoder();
  const released = new Set<string>();
  let handlers = 0;

  const subscription = gmq.subscribe<Uint8Array, Uint8Array>(
    spec.topic,
    {
      group: spec.group,
      mode: spec.mode,
      concurrency: spec.concurrency,
      sessionTimeoutMs: spec.sessionTimeoutMs,
      ...(spec.maxInFlight === undefined ? {} : { maxInFlight: { records: spec.maxInFlight } }),
      ...(spec.memberId === undefined ? {} : { memberId: spec.memberId }),
      ...(spec.processingTimeoutMs === undefined ? {} : { processingTimeoutMs: spec.processingTimeoutMs }),
      // Which of the run's failures are counted is judged: suspects would add their own.
      retry: { backoff: { initialMs: 20, maxMs: 200 }, maxHandBacks: false },
    },
    handle,
  );

  async function handle(message: Message<Uint8Array>): Promise<void> {
    const { topic, partition, key = "", attempt } = message;
    const place = { topic, partition, offset: Number(message.offset), run: ++handlers };
    const id = text.decode(message.value).split(" ", 1)[0] ?? "";
    const lot = lotOf(id);
    journal.note({ e: "delivered", at: nowMs(), id, key, epoch: Number(message.epoch), attempt, ...place });
    if (spec.workMs > 0) await sleep(spec.workMs);
    // Poison: some throw, some are put off, some are handed back, each a few times.
    if (lot < spec.failPerMille && attempt <= 3) {
      journal.note({ e: "failed", at: nowMs(), ...place });
      throw new Error("poison");
    }
    if (lot >= 500 && lot < 500 + spec.retryPerMille && attempt <= 2) return settle("retry");
    if (lot >= 700 && lot < 700 + spec.releasePerMille && !released.has(id)) {
      released.add(id);
      return settle("release");
    }
    if (lot >= 300 && lot < 300 + spec.rejectPerMille) return settle("reject");
    if (spec.processingTimeoutMs !== undefined && lot >= 400 && lot < 400 + spec.extendPerMille) {
      await sleep(spec.processingTimeoutMs * 0.6);
      message.extend();
      await sleep(spec.processingTimeoutMs * 0.6);
    }
    journal.note({ e: "handled", at: nowMs(), ...place });
    if (spec.settle === "implicit") return undefined;
    return settle("ack");

    async function settle(verb: Verb): Promise<void> {
      journal.note({ e: "settle", at: nowMs(), verb, ...place });
      try {
        if (verb === "ack") await message.ack();
        else if (verb === "retry") await message.retry({ delayMs: 50 });
        else if (verb === "reject") await message.reject("given up");
        else await message.release();
        journal.note({ e: "settled", at: nowMs(), ...place });
      } catch (error) {
        journal.note({ e: "unsettled", at: nowMs(), code: GmqError.from(error).code, ...place });
      }
    }
  }
  void (async () => {
    for await (const event of subscription.status()) {
      const at = nowMs();
      if (event.type === "assigned")
        journal.note({ e: "assigned", at, topic: event.topic, partition: event.partition, epoch: Number(event.epoch) });
      else if (event.type === "revoked")
        journal.note({ e: "revoked", at, topic: event.topic, partition: event.partition });
      else if (event.type === "reconnecting") journal.note({ e: "disconnected", at });
    }
  })();

  return {
    async end() {
      await subscription.drain({ timeoutMs: 20_000 });
      journal.note({ e: "ended", at: nowMs() });
      await gmq.close();
    },
    closed: subscription.closed,
  };
}
