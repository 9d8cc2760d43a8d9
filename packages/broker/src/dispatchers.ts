import { hasSeededBug } from "@gmq/protocol";
import type { Signal, TopicPartition } from "@gmq/storage";
import type { Dispatcher } from "./dispatcher-handle.js";

/** Every dispatcher of the broker, by partition: one signal of the store wakes all that read the partition, and nobody else. */
export interface Dispatchers {
  /** Adds one; the returned function takes it out. */
  add(partition: TopicPartition, dispatcher: Dispatcher): () => void;
  signal(signal: Signal): void;
  /** The reader of a group in a partition, undefined when another broker has it or nobody. */
  find(group: string, partition: TopicPartition): Dispatcher | undefined;
  close(): void;
}

/** Those who read one partition, who looks next first. */
interface Readers {
  readonly all: Set<Dispatcher>;
  readonly slot: Set<Readers>;
}

/** Parts of the safety interval: each partition is looked at in one of them, so that thousands are not at once. */
const slots = 64;
const looksOnlyOnSignals = hasSeededBug("no-safety-look");

/**
 * Makes the index. Signals are hints and may be lost without a trace: once per `safetyIntervalMs`, spread over that time, one reader of each partition looks at the log,
 * and those who have not read what it found look too.
 */
export function createDispatchers(safetyIntervalMs: number): Dispatchers {
  const byPartition = new Map<string, Readers>();
  const bySlot = Array.from({ length: slots }, () => new Set<Readers>());
  let timer: NodeJS.Timeout | undefined;
  let nextSlot = 0;
  let added = 0;

  function lookSome(): void {
    for (const readers of bySlot[nextSlot] as Set<Readers>) catchUp(readers);
    nextSlot = (nextSlot + 1) % slots;
    for (const readers of bySlot[nextSlot] as Set<Readers>) lookAt(readers);
  }

  /** Who reads now looks; each in its turn. */
  function lookAt({ all }: Readers): void {
    for (const dispatcher of [...all]) {
      all.delete(dispatcher);
      all.add(dispatcher);
      if (dispatcher.look()) return;
    }
  }

  function catchUp({ all }: Readers): void {
    let end = 0n;
    for (const { endOffset } of all) if (endOffset > end) end = endOffset;
    for (const dispatcher of all) if (dispatcher.position < end) dispatcher.look();
  }

  /** Signals may be missing, and with a fail-over what the store had answered. */
  function resync(): void {
    for (const readers of byPartition.values()) {
      for (const dispatcher of readers.all) {
        dispatcher.inherit();
        dispatcher.look();
      }
    }
  }

  function readersOf(place: string): Readers {
    const slot = bySlot[(nextSlot + added++) % slots] as Set<Readers>;
    const readers = { all: new Set<Dispatcher>(), slot };
    slot.add(readers);
    byPartition.set(place, readers);
    return readers;
  }

  function stopTimer(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    add(partition, dispatcher) {
      const place = placeOf(partition);
      const readers = byPartition.get(place) ?? readersOf(place);
      readers.all.add(dispatcher);
      if (!looksOnlyOnSignals) timer ??= setInterval(lookSome, safetyIntervalMs / slots);
      return () => {
        readers.all.delete(dispatcher);
        if (readers.all.size === 0 && byPartition.get(place) === readers) {
          byPartition.delete(place);
          readers.slot.delete(readers);
        }
        if (byPartition.size === 0) stopTimer();
      };
    },
    signal(signal) {
      if (signal.kind === "resync") resync();
      if (signal.kind !== "partition") return;
      for (const dispatcher of byPartition.get(placeOf(signal))?.all ?? []) dispatcher.signal(signal.endOffset);
    },
    find(group, partition) {
      for (const dispatcher of byPartition.get(placeOf(partition))?.all ?? []) {
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
