import { hasSeededBug } from "@gmq/protocol";
import type { Signal, TopicPartition } from "@gmq/storage";
import type { Dispatcher } from "./dispatcher.js";

/** Every dispatcher of the broker, by partition: one signal of the store wakes all that read the partition, and nobody else. */
export interface Dispatchers {
  /** Adds one; the returned function takes it out. */
  add(partition: TopicPartition, dispatcher: Dispatcher): () => void;
  signal(signal: Signal): void;
  /** The reader of a group in a partition, undefined when another broker has it or nobody. */
  find(group: string, partition: TopicPartition): Dispatcher | undefined;
  close(): void;
}

/** Parts of the safety interval: each dispatcher looks in one of them, so that thousands do not look at once. */
const slots = 64;
const looksOnlyOnSignals = hasSeededBug("no-safety-look");

/**
 * Makes the index. Signals are hints and may be lost without a trace: while there are dispatchers, each looks at the log once per
 * `safetyIntervalMs`, spread over that time.
 */
export function createDispatchers(safetyIntervalMs: number): Dispatchers {
  const byPartition = new Map<string, Set<Dispatcher>>();
  const bySlot = Array.from({ length: slots }, () => new Set<Dispatcher>());
  let timer: NodeJS.Timeout | undefined;
  let nextSlot = 0;
  let added = 0;

  function lookSome(): void {
    nextSlot = (nextSlot + 1) % slots;
    for (const dispatcher of bySlot[nextSlot] as Set<Dispatcher>) dispatcher.look();
  }

  /** Signals may be missing, and with a fail-over what the store had answered. */
  function resync(): void {
    for (const readers of byPartition.values()) {
      for (const dispatcher of readers) {
        dispatcher.inherit();
        dispatcher.look();
      }
    }
  }

  function stopTimer(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    add(partition, dispatcher) {
      const place = placeOf(partition);
      const readers = byPartition.get(place) ?? new Set();
      readers.add(dispatcher);
      byPartition.set(place, readers);
      const slot = bySlot[(nextSlot + added++) % slots] as Set<Dispatcher>;
      slot.add(dispatcher);
      if (!looksOnlyOnSignals) timer ??= setInterval(lookSome, safetyIntervalMs / slots);
      return () => {
        slot.delete(dispatcher);
        readers.delete(dispatcher);
        if (readers.size === 0 && byPartition.get(place) === readers) byPartition.delete(place);
        if (byPartition.size === 0) stopTimer();
      };
    },
    signal(signal) {
      if (signal.kind === "resync") resync();
      if (signal.kind !== "partition") return;
      for (const dispatcher of byPartition.get(placeOf(signal)) ?? []) dispatcher.signal(signal.endOffset);
    },
    find(group, partition) {
      for (const dispatcher of byPartition.get(placeOf(partition)) ?? []) {
        if (dispatcher.ownership.group === group) return dispatcher;
      }
      return undefined;
    },
    close() {
      stopTimer();
      byPartition.clear();
    },
  };
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
