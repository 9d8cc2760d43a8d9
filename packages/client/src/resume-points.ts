/** Where a broadcast goes on after a lost session: the oldest record of each partition that is not done. The store does not know it, so the client does. */
import type { Assignment, RawMessage } from "./message.js";

/** Remembers resume points. */
export interface ResumePoints {
  delivered(messages: readonly RawMessage[]): void;
  /** It was acked or given up: it does not come again. What is dropped undone (its session is gone) stays open. */
  acked(message: RawMessage): void;
  /** Its topic is gone: one of the same name begins anew. */
  forget(assignment: Assignment): void;
  /** One for each partition that anything was delivered of. */
  positions(): { topic: string; partition: number; offset: bigint }[];
}

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly open: Set<bigint>;
  next: bigint;
}

/** Makes resume points for a consumer; holds no more than what is in flight. */
export function createResumePoints(): ResumePoints {
  const places = new Map<string, Place>();
  return {
    delivered(messages) {
      for (const { assignment, offset } of messages) {
        const { topic, partition } = assignment;
        const name = `${topic}/${partition}`;
        const place = places.get(name) ?? { topic, partition, open: new Set<bigint>(), next: 0n };
        places.set(name, place);
        place.open.add(offset);
        if (offset >= place.next) place.next = offset + 1n;
      }
    },
    acked: ({ assignment, offset }) =>
      void places.get(`${assignment.topic}/${assignment.partition}`)?.open.delete(offset),
    forget: ({ topic, partition }) => void places.delete(`${topic}/${partition}`),
    positions: () =>
      Array.from(places.values(), ({ topic, partition, open, next }) => {
        let offset = next;
        for (const one of open) if (one < offset) offset = one;
        return { topic, partition, offset };
      }),
  };
}
