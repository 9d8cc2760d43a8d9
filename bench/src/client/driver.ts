/** What every system offers to the load loops. A driver uses its system the way its own documentation recommends for throughput. */
import type { Task } from "./task.ts";

export interface DriverProducer {
  /** Resolves when every record is stored. */
  sendBatch(payloads: readonly Uint8Array[]): Promise<void>;
  /** Resolves when the record is stored. */
  send(payload: Uint8Array): Promise<void>;
}

/** Called once for each record, in place of a user's handler. */
export type RecordHandler = (payload: Uint8Array) => void;

export interface Driver {
  createProducer(): Promise<DriverProducer>;
  /** Starts one consumer, number `index` of `count` in its group. Every record is settled after its handler. */
  consume(group: string, index: number, count: number, handler: RecordHandler): Promise<void>;
  /** Ends everything and deletes what the round has stored. */
  close(): Promise<void>;
}

/** Connects and makes what the task stores its records in. */
export type OpenDriver = (task: Task) => Promise<Driver>;
