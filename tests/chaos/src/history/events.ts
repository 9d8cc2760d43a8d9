/** What happened, as every process of a run wrote it down: one JSON object a line. `at` is in ms of the machine's monotonic clock, the same in all its processes. */

/** Where a record lies. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** One run of a handler: the same record may come to a process twice. `run` tells them apart; without it the last one at the place is meant. */
export interface RunOfRecord extends Place {
  readonly run?: number;
}

/** A call of a producer and how it ended. `refused`: told as not stored by a typed error; `unknown`: told as not known. */
export type ProducerEvent =
  | {
      readonly e: "send";
      readonly at: number;
      readonly id: string;
      readonly topic: string;
      readonly key: string;
      readonly seq: number;
      /** Not before this time. */
      readonly dueAt?: number;
      /** Not after this time. */
      readonly expiresAt?: number;
    }
  | ({ readonly e: "stored"; readonly at: number; readonly id: string; readonly duplicate: boolean } & Place)
  | { readonly e: "refused" | "unknown"; readonly at: number; readonly id: string; readonly code: string };

/** What a consumer saw and did. `delivered`: its handler begins; `handled` / `failed`: the handler's work ended; then it settles. */
export type ConsumerEvent =
  | {
      readonly e: "assigned";
      readonly at: number;
      readonly topic: string;
      readonly partition: number;
      readonly epoch: number;
    }
  | { readonly e: "revoked"; readonly at: number; readonly topic: string; readonly partition: number }
  | { readonly e: "disconnected"; readonly at: number }
  | ({
      readonly e: "delivered";
      readonly at: number;
      readonly id: string;
      readonly key: string;
      readonly epoch: number;
      readonly attempt: number;
    } & RunOfRecord)
  | ({ readonly e: "handled" | "failed"; readonly at: number } & RunOfRecord)
  | ({ readonly e: "settle"; readonly at: number; readonly verb: Verb } & RunOfRecord)
  | ({ readonly e: "settled"; readonly at: number } & RunOfRecord)
  | ({ readonly e: "unsettled"; readonly at: number; readonly code: string } & RunOfRecord);

/** How a consumer settles; verbs are added here. `retry`: again after a delay, later records may overtake. */
export type Verb = "ack" | "retry" | "release" | "reject";

/** Of any process: it ended by itself, with nothing left undone. */
export type ProcessEvent = { readonly e: "ended"; readonly at: number };

/** What the run itself did and saw. */
export type RunEvent =
  /** In a shared group consumers read a partition together: no order, and no owner. */
  | { readonly e: "group"; readonly at: number; readonly mode: "exclusive" | "shared" }
  | {
      readonly e: "fault";
      readonly at: number;
      /** When it was over; until then, and a grace time after, its effects are excused where a promise allows them. */
      readonly until: number;
      readonly kind: string;
      /** Name of the process or path that it hit. */
      readonly target: string;
      /** Set when the store may lose what it took within so many ms before `at`. */
      readonly lossMs?: number;
    }
  | { readonly e: "memory"; readonly at: number; readonly process: string; readonly bytes: number }
  /** From the final read of a whole log. */
  | ({ readonly e: "kept"; readonly at: number; readonly id: string; readonly key: string } & Place)
  /** A dead letter of the final read; the place is its origin. */
  | ({ readonly e: "buried"; readonly at: number; readonly id: string; readonly attempts: number } & Place)
  /** A purge: what lies below the offset is gone, since some moment between the two times. */
  | ({ readonly e: "purged"; readonly at: number; readonly until: number } & Place)
  /** From the final look at a group: what it lost to purges, as the store has counted. */
  | {
      readonly e: "lost";
      readonly at: number;
      readonly topic: string;
      readonly partition: number;
      readonly records: number;
    }
  /** From the final look at a group. */
  | {
      readonly e: "lag";
      readonly at: number;
      readonly topic: string;
      readonly partition: number;
      readonly records: number;
    };

export type HistoryEvent = ProducerEvent | ConsumerEvent | ProcessEvent | RunEvent;

/** Ms of the machine's monotonic clock. Source: clock_gettime(2), CLOCK_MONOTONIC. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
