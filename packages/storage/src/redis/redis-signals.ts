import { randomUUID } from "node:crypto";
import type { Logger } from "@gmq/log";
import type { Signal, SignalHub, TopicPartition } from "../engine.js";
import { createSignalHub } from "../signal-hub.js";
import type { RedisConnection } from "./connection.js";
import type { Keys } from "./keys.js";
import { isReply } from "./redis-errors.js";

export interface RedisSignals extends SignalHub {
  /** Tells every storage process; a hint, so a failure is no error. */
  send(signal: Exclude<Signal, { kind: "resync" }>): void;
  /** Tells this process' listeners what it appended itself, before Redis passes the signal on; when Redis does, `echoes`, that is dropped. */
  appended(partition: TopicPartition, endOffset: bigint, echoes: boolean): void;
  /** A channel that this process listens to, and nobody else, while it listens to signals. */
  readonly ownChannel: string;
  /** Why nothing is heard though Redis answers; undefined: all is well. Readers then go by their safety timers, which is slow. */
  readonly problem: string | undefined;
  close(): void;
}

/** By then a cluster client listens at another server. */
const resubscribedMs = 1_000;
/** A user that may not listen may be allowed to later. */
const refusedRetryMs = 5_000;

/**
 * One PSUBSCRIBE on a connection of its own for the whole process, whoever listens. After every (re)connect the listeners are told to look at everything:
 * signals may have been missed. Source: redis.io, PSUBSCRIBE and PUBLISH.
 */
export function createRedisSignals(
  subscriber: RedisConnection,
  publisher: RedisConnection,
  keys: Keys,
  logger: Logger,
): RedisSignals {
  const { subscribe, tell, close } = createSignalHub();
  const prefixLength = keys.signals.length - 1;
  const { redis } = subscriber;
  /** By channel: the end that was told here before its echo. As many as there are partitions that this process appends to. */
  const toldEnds = new Map<string, bigint>();
  const ownChannel = keys.listener(randomUUID());

  const resync = (): void => tell({ kind: "resync" });
  let problem: string | undefined;
  let retry: NodeJS.Timeout | undefined;
  const listen = (): void => {
    // In this order: who hears signals is counted before.
    Promise.all([redis.subscribe(keys.listeners, ownChannel), redis.psubscribe(keys.signals)]).then(() => {
      problem = undefined;
      resync();
    }, refused);
  };
  const refused = (error: unknown): void => {
    // A connection that broke: the next one subscribes again.
    if (!isReply(error)) return redis.disconnect(true);
    if (problem === undefined) {
      logger.error("Redis lets nobody listen for signals: deliveries are slow", { pattern: keys.signals, error });
    }
    problem = `signals are not heard, so deliveries are slow: the Redis user needs &${keys.signals}`;
    clearTimeout(retry);
    retry = setTimeout(listen, refusedRetryMs);
  };
  let laterResync: NodeJS.Timeout | undefined;
  // In a cluster the client subscribes at another server by itself when the one that it listened to is lost: what was said in between is not heard.
  const lost = (): void => {
    if (!subscriber.isCluster) return;
    clearTimeout(laterResync);
    laterResync = setTimeout(resync, resubscribedMs);
  };
  const receive = (_pattern: string, channel: string, message: string): void => {
    const signal = parseSignal(channel.slice(prefixLength), message);
    if (signal === undefined) return;
    if (signal.kind === "partition" && signal.endOffset === toldEnds.get(channel)) toldEnds.delete(channel);
    else tell(signal);
  };
  subscriber.whenLost(lost);
  redis.on("ready", listen);
  redis.on("pmessage", receive);

  return {
    subscribe,
    ownChannel,
    appended({ topic, partition }, endOffset, echoes) {
      if (echoes) toldEnds.set(keys.partitionSignal({ topic, partition }), endOffset);
      tell({ kind: "partition", topic, partition, endOffset });
    },
    send(signal) {
      if (!publisher.ready) return;
      publisher.redis.publish(...channelOf(signal, keys)).catch(() => undefined); // the safety timer of every reader covers a lost hint
    },
    get problem() {
      return problem;
    },
    close() {
      clearTimeout(laterResync);
      clearTimeout(retry);
      redis.off("ready", listen);
      redis.off("pmessage", receive);
      close();
    },
  };
}

function channelOf(signal: Exclude<Signal, { kind: "resync" }>, keys: Keys): [channel: string, message: string] {
  if (signal.kind === "partition") return [keys.partitionSignal(signal), signal.endOffset.toString()];
  return signal.kind === "group" ? [keys.groupSignal(signal.group), ""] : [keys.topicSignal(signal.topic), ""];
}

/** `p:<topic>/<partition>`, `g:<group>` or `t:<topic>`. Undefined for what another version may have sent. */
function parseSignal(name: string, message: string): Signal | undefined {
  const about = name.slice(2);
  if (name.startsWith("g:")) return { kind: "group", group: about };
  if (name.startsWith("t:")) return { kind: "topic", topic: about };
  const slash = about.lastIndexOf("/");
  if (!name.startsWith("p:") || slash < 0 || !/^\d{1,19}$/.test(message)) return undefined;
  return {
    kind: "partition",
    topic: about.slice(0, slash),
    partition: Number(about.slice(slash + 1)),
    endOffset: BigInt(message),
  };
}
