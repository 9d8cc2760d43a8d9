/** What the final read of the log is judged by: acked-is-kept, stored-once, and the order of what is stored. */
import { ackMayBeForgotten, type Kept, type Model, placeName, purgedTo, type Sent } from "./model.ts";
import type { Violation } from "./violation.ts";

/** acked-is-kept: what `send` resolved for is in the log, where it was said to be. */
export function ackedIsKept({ sent, kept, ...rest }: Model): Violation[] {
  const model = { sent, kept, ...rest };
  const places = new Map(kept.map((record) => [placeName(record), record.id]));
  const ids = new Set(kept.map(({ id }) => id));
  const broken: Violation[] = [];
  for (const call of sent.values()) {
    if (call.outcome?.as !== "stored") continue;
    if (call.place === undefined) {
      // Its place is not known: a purge may have had it.
      if (!ids.has(call.id) && model.purges.length === 0 && !ackMayBeForgotten(model, call))
        broken.push({ promise: "acked-is-kept", text: `${call.id} was taken for later and never came into the log` });
      continue;
    }
    if (call.place.offset < purgedTo(model, call.place)) continue;
    const found = places.get(placeName(call.place));
    if (found === call.id || ackMayBeForgotten(model, call)) continue;
    broken.push({
      promise: "acked-is-kept",
      text: `${call.id} was acknowledged at ${placeName(call.place)}, where ${found === undefined ? "nothing" : found} is`,
    });
  }
  return broken;
}

/** stored-once: a record lies at one place, and a place holds one record. */
export function storedOnce({ kept, sent, ...rest }: Model): Violation[] {
  const model = { kept, sent, ...rest };
  const broken: Violation[] = [];
  const byId = new Map<string, Kept>();
  for (const record of kept) {
    const first = byId.get(record.id);
    if (first !== undefined)
      broken.push({
        promise: "stored-once",
        text: `${record.id} lies at ${placeName(first)} and at ${placeName(record)}`,
      });
    byId.set(record.id, record);
  }
  const acked = new Map<string, Sent>();
  for (const call of sent.values()) {
    const { id, place, outcome } = call;
    if (place === undefined || outcome === undefined) continue;
    const name = placeName(place);
    const other = acked.get(name);
    if (other !== undefined && !ackMayBeForgotten(model, other) && !ackMayBeForgotten(model, call))
      broken.push({ promise: "stored-once", text: `${other.id} and ${id} were both acknowledged at ${name}` });
    acked.set(name, call);
  }
  return broken;
}

/** ordered, in the log: a key lies in one partition, in the order of its sends; offsets have no gap and no overlap unless the store lost its tail. */
export function orderedInLog(model: Model): Violation[] {
  const broken: Violation[] = [];
  const lossy = model.faults.some(({ lossMs }) => lossMs !== undefined);
  const lastOfKey = new Map<string, Kept>();
  const seen = new Set<string>();
  let before: Kept | undefined;
  for (const record of model.kept) {
    if (before !== undefined && before.topic === record.topic && before.partition === record.partition) {
      if (record.offset === before.offset)
        broken.push({ promise: "ordered", text: `two records at ${placeName(record)}: ${before.id}, ${record.id}` });
      else if (record.offset !== before.offset + 1 && !lossy)
        broken.push({ promise: "ordered", text: `after ${placeName(before)} comes ${placeName(record)}` });
    }
    before = record;
    if (seen.has(record.id)) continue;
    seen.add(record.id);
    const key = `${record.topic} ${record.key}`;
    const last = lastOfKey.get(key);
    lastOfKey.set(key, record);
    if (last === undefined) continue;
    if (last.partition !== record.partition)
      broken.push({
        promise: "ordered",
        text: `key ${key} lies in partitions ${last.partition} and ${record.partition}`,
      });
    const [lastSeq, seq] = [model.sent.get(last.id)?.seq, model.sent.get(record.id)?.seq];
    if (lastSeq !== undefined && seq !== undefined && seq < lastSeq)
      broken.push({
        promise: "ordered",
        text: `${record.id} (send ${seq} of its key) lies behind ${last.id} (send ${lastSeq})`,
      });
  }
  return broken;
}
