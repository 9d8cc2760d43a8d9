import type { SpanContext } from "@opentelemetry/api";

/** The spans of messages whose verdict is not sent yet, by group and place; bounded: the oldest is forgotten first and its settle span has no link to it. */
export interface RecentSpans {
  add(group: string, topic: string, partition: number, offset: bigint, span: SpanContext): void;
  /** Takes out what lies in the range, up to `max`. */
  take(group: string, topic: string, partition: number, first: bigint, last: bigint, max: number): SpanContext[];
}

/** Makes the list for up to `spansMax` messages. */
export function createRecentSpans(spansMax: number): RecentSpans {
  const byPlace = new Map<string, SpanContext>();
  return {
    add(group, topic, partition, offset, span) {
      const place = `${group}/${topic}/${partition}/${offset}`;
      byPlace.delete(place);
      byPlace.set(place, span);
      if (byPlace.size <= spansMax) return;
      for (const oldest of byPlace.keys()) {
        byPlace.delete(oldest);
        return;
      }
    },
    take(group, topic, partition, first, last, max) {
      const found: SpanContext[] = [];
      for (let offset = first; offset <= last && found.length < max && byPlace.size > 0; offset++) {
        const place = `${group}/${topic}/${partition}/${offset}`;
        const span = byPlace.get(place);
        if (span === undefined) continue;
        byPlace.delete(place);
        found.push(span);
      }
      return found;
    },
  };
}
