import type { SignalHub, TopicPartition } from "../engine.js";

/** The end of every partition as this process last heard of it: a lower bound that costs no round trip. */
export interface EndOffsets {
  /** Told by an append, a signal or a read. */
  note(partition: TopicPartition, endOffset: bigint): void;
  /** Undefined when nothing was heard since it was last forgotten: there may be records. */
  get(partition: TopicPartition): bigint | undefined;
}

/** Makes the memory, fed by signals too. A topic that changes is forgotten: its offsets may begin again. */
export function createEndOffsets(signals: SignalHub): EndOffsets {
  const known = new Map<string, Map<number, bigint>>();

  function note({ topic, partition }: TopicPartition, endOffset: bigint): void {
    let ofTopic = known.get(topic);
    if (ofTopic === undefined) {
      ofTopic = new Map();
      known.set(topic, ofTopic);
    }
    if (endOffset > (ofTopic.get(partition) ?? -1n)) ofTopic.set(partition, endOffset);
  }

  signals.subscribe((signal) => {
    if (signal.kind === "partition") note(signal, signal.endOffset);
    else if (signal.kind === "topic") known.delete(signal.topic);
    else if (signal.kind === "resync") known.clear();
  });

  return {
    note,
    get: ({ topic, partition }) => known.get(topic)?.get(partition),
  };
}
