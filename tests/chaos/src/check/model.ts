/** A history put together: calls with their ends, records with their deliveries, partitions with their owners. Built in one pass; the validators read it. */
import type { HistoryEvent, Place, RunEvent, RunOfRecord, Verb } from "../history/events.ts";
import type { Witnessed } from "../history/journal.ts";

export type Fault = Extract<RunEvent, { e: "fault" }>;

/** A record's call and its place. */
export interface Sent {
  readonly id: string;
  readonly by: string;
  readonly at: number;
  readonly topic: string;
  readonly key: string;
  /** Grows by one with each send of the key. */
  readonly seq: number;
  readonly dueAt?: number;
  readonly expiresAt?: number;
  outcome: { readonly as: "stored" | "refused" | "unknown"; readonly at: number; readonly code: string } | undefined;
  place: Place | undefined;
  /** Answers that the call got; more than one is a broken promise. */
  answers: number;
}

/** One run of a handler. */
export interface Delivery extends Place {
  readonly by: string;
  readonly at: number;
  readonly id: string;
  readonly key: string;
  readonly epoch: number;
  readonly attempt: number;
  end: { readonly as: "handled" | "failed"; readonly at: number } | undefined;
  settle: { readonly verb: Verb; readonly at: number; answer: SettleAnswer | undefined } | undefined;
}

export interface SettleAnswer {
  readonly ok: boolean;
  readonly at: number;
  readonly code: string;
}

/** A stretch of time in which a process held a partition, as far as it knew. */
export interface Tenure {
  readonly by: string;
  readonly partition: string;
  readonly epoch: number;
  readonly from: number;
  to: number;
}

/** A record as the final read found it. */
export interface Kept extends Place {
  readonly id: string;
  readonly key: string;
}

export interface Model {
  /** The group reads in shared mode. */
  readonly shared: boolean;
  readonly sent: ReadonlyMap<string, Sent>;
  /** By place, in order of time. */
  readonly deliveries: ReadonlyMap<string, Delivery[]>;
  /** By partition, in order of time. */
  readonly tenures: ReadonlyMap<string, Tenure[]>;
  /** In order of offset within each partition. */
  readonly kept: readonly Kept[];
  readonly buried: readonly Extract<RunEvent, { e: "buried" }>[];
  readonly purges: readonly Extract<RunEvent, { e: "purged" }>[];
  /** By partition: records that the group lost, as the store has counted. */
  readonly lost: ReadonlyMap<string, number>;
  readonly lags: readonly Extract<RunEvent, { e: "lag" }>[];
  readonly faults: readonly Fault[];
  readonly memory: readonly Extract<RunEvent, { e: "memory" }>[];
  /** When the log was read at the end. */
  readonly endedAt: number;
  /** Processes that ended by themselves. */
  readonly ended: ReadonlySet<string>;
  /** Events that fit nothing, told as broken promises of the harness itself. */
  readonly stray: readonly string[];
}

export function partitionName({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}

export function placeName(place: Place): string {
  return `${place.topic}/${place.partition}/${place.offset}`;
}

/** Puts a history together. */
export function buildModel(history: Iterable<Witnessed>): Model {
  const sent = new Map<string, Sent>();
  const deliveries = new Map<string, Delivery[]>();
  const latest = new Map<string, Delivery>();
  const tenures = new Map<string, Tenure[]>();
  const held = new Map<string, Tenure>();
  const kept: Kept[] = [];
  const lags: Model["lags"][number][] = [];
  const buried: Model["buried"][number][] = [];
  const purges: Model["purges"][number][] = [];
  const lost = new Map<string, number>();
  const faults: Fault[] = [];
  const memory: Model["memory"][number][] = [];
  const ended = new Set<string>();
  let endedAt = 0;
  let shared = false;
  const stray: string[] = [];

  function answer(by: string, event: Extract<HistoryEvent, { e: "stored" | "refused" | "unknown" }>): void {
    const call = sent.get(event.id);
    if (call === undefined) {
      stray.push(`${by}: ${event.e} of ${event.id}, which was never sent`);
      return;
    }
    call.answers++;
    call.outcome = { as: event.e, at: event.at, code: event.e === "stored" ? "" : event.code };
    // A delayed record has no place yet.
    if (event.e === "stored" && event.offset >= 0) call.place = event;
  }

  function endTenure(by: string, partition: string, at: number): void {
    const tenure = held.get(`${by}|${partition}`);
    if (tenure === undefined) return;
    tenure.to = at;
    held.delete(`${by}|${partition}`);
  }

  function deliver(by: string, event: Extract<HistoryEvent, { e: "delivered" }>): void {
    const delivery: Delivery = { ...event, by, end: undefined, settle: undefined };
    const place = placeName(event);
    const list = deliveries.get(place);
    if (list === undefined) deliveries.set(place, [delivery]);
    else list.push(delivery);
    latest.set(`${by}|${place}`, delivery);
    if (event.run !== undefined) latest.set(`${by} ${event.run}`, delivery);
  }

  function onDelivery(
    by: string,
    event: RunOfRecord & { readonly e: string },
    then: (delivery: Delivery) => void,
  ): void {
    const delivery = latest.get(event.run === undefined ? `${by}|${placeName(event)}` : `${by} ${event.run}`);
    if (delivery === undefined) stray.push(`${by}: ${event.e} of ${placeName(event)}, which was never delivered`);
    else then(delivery);
  }

  for (const { by, event } of history) {
    switch (event.e) {
      case "send":
        sent.set(event.id, { ...event, by, outcome: undefined, place: undefined, answers: 0 });
        break;
      case "stored":
      case "refused":
      case "unknown":
        answer(by, event);
        break;
      case "assigned": {
        const partition = partitionName(event);
        endTenure(by, partition, event.at);
        const tenure = { by, partition, epoch: event.epoch, from: event.at, to: Number.POSITIVE_INFINITY };
        held.set(`${by}|${partition}`, tenure);
        const list = tenures.get(partition) ?? [];
        list.push(tenure);
        tenures.set(partition, list);
        break;
      }
      case "revoked":
        endTenure(by, partitionName(event), event.at);
        break;
      case "disconnected":
        for (const tenure of [...held.values()]) if (tenure.by === by) endTenure(by, tenure.partition, event.at);
        break;
      case "ended":
        for (const tenure of [...held.values()]) if (tenure.by === by) endTenure(by, tenure.partition, event.at);
        ended.add(by);
        break;
      case "delivered":
        deliver(by, event);
        break;
      case "handled":
      case "failed":
        onDelivery(by, event, (delivery) => {
          delivery.end = { as: event.e, at: event.at };
        });
        break;
      case "settle":
        onDelivery(by, event, (delivery) => {
          delivery.settle = { verb: event.verb, at: event.at, answer: undefined };
        });
        break;
      case "settled":
      case "unsettled":
        onDelivery(by, event, (delivery) => {
          if (delivery.settle === undefined)
            stray.push(`${by}: ${event.e} of ${placeName(event)}, which it did not settle`);
          else
            delivery.settle.answer = {
              ok: event.e === "settled",
              at: event.at,
              code: event.e === "settled" ? "" : event.code,
            };
        });
        break;
      case "kept":
        kept.push(event);
        endedAt = Math.max(endedAt, event.at);
        break;
      case "buried":
        buried.push(event);
        break;
      case "purged":
        purges.push(event);
        break;
      case "lost":
        lost.set(partitionName(event), event.records);
        break;
      case "lag":
        lags.push(event);
        break;
      case "fault":
        faults.push(event);
        break;
      case "group":
        shared = event.mode === "shared";
        break;
      case "memory":
        memory.push(event);
        break;
    }
  }
  for (const list of tenures.values()) list.sort((one, other) => one.from - other.from);
  for (const list of deliveries.values()) list.sort((one, other) => one.at - other.at);
  kept.sort((one, other) => one.partition - other.partition || one.offset - other.offset);
  faults.sort((one, other) => one.at - other.at);
  return { shared, sent, deliveries, tenures, kept, buried, purges, lost, lags, faults, memory, endedAt, ended, stray };
}

/** How long after a fault its effects still show: sessions run out, clients find another broker. */
export const graceMs = 30_000;

/** True when a fault was at work within the time. */
export function disturbed({ faults }: Model, from: number, to: number): boolean {
  return faults.some((fault) => fault.at <= to && fault.until + graceMs >= from);
}

/** True when the store may have forgotten what it had taken at `at`. */
export function mayBeForgotten({ faults }: Model, at: number): boolean {
  return faults.some(({ at: faultAt, until, lossMs }) => lossMs !== undefined && at >= faultAt - lossMs && at <= until);
}

/** The same for a record that was acknowledged: by its sending too, as the answer may have been on its way while the store that gave it was lost. */
export function ackMayBeForgotten(model: Model, { at, outcome }: Sent): boolean {
  return mayBeForgotten(model, at) || (outcome !== undefined && mayBeForgotten(model, outcome.at));
}

/** The offset below which purges took everything, 0 when there was none. */
export function purgedTo({ purges }: Model, place: { readonly topic: string; readonly partition: number }): number {
  return purges.reduce(
    (most, { topic, partition, offset }) =>
      topic === place.topic && partition === place.partition ? Math.max(most, offset) : most,
    0,
  );
}
