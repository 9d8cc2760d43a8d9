/** Where a broadcast goes on after a lost session: the oldest record of each partition that is not done. The store does not know it, so the client does. */
import type { Assignment, RawMessage, Settlement } from "./message.js";

/** How far a partition was read, in one life of its topic. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  /** When the topic was made; 0: the broker does not tell. */
  readonly life: bigint;
  readonly open: Set<bigint>;
  next: bigint;
}

/** Remembers resume points. */
export interface ResumePoints {
  /** Reading begins at `position`. A broker that does not tell the life may begin before it: there only what is delivered counts. */
  assigned(topic: string, partition: number, life: bigint, position: bigint): Place;
  delivered(messages: readonly RawMessage[]): void;
  /** Its topic is gone: one of the same name begins anew. */
  forget(assignment: Assignment): void;
  /** One for each partition whose life is known, or that anything was delivered of. */
  positions(): { topic: string; partition: number; life: bigint; offset: bigint }[];
}

/** Makes resume points for a consumer; holds no more than what is in flight. */
export function createResumePoints(): ResumePoints {
  const places = new Map<string, Place>();
  return {
    assigned(topic, partition, life, position) {
      const name = `${topic}/${partition}`;
      const place = (!life && places.get(name)) || { topic, partition, life, open: new Set(), next: life && position };
      places.set(name, place);
      return place;
    },
    delivered(messages) {
      for (const { assignment, offset } of messages) {
        const place = assignment.place as Place;
        place.open.add(offset);
        if (offset >= place.next) place.next = offset + 1n;
      }
    },
    forget: ({ topic, partition }) => void places.delete(`${topic}/${partition}`),
    positions: () =>
      [...places.values()]
        .filter(({ life, next }) => life || next)
        .map(({ topic, partition, life, open, next }) => {
          let offset = next;
          for (const one of open) if (one < offset) offset = one;
          return { topic, partition, life, offset };
        }),
  };
}

/** What was acked or given up does not come again. What is dropped undone (its session is gone) stays open. */
export function noteDone({ assignment, offset }: RawMessage, { verb }: Settlement): void {
  if (verb === "ack" || verb === "reject") assignment.place?.open.delete(offset);
}
