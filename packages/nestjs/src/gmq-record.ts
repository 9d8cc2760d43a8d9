import type { ProducerRecord } from "@gmq/client";

/** What goes with a value: key, headers, partition, `dedupeId`, `deliverAt`, `ttlMs`, timestamp. */
export type GmqRecordOptions = Omit<ProducerRecord<unknown>, "value">;

/** A value with what goes with it, for `client.emit(topic, new GmqRecord(value, { key }))`. Anything else that is emitted is a value alone. */
export class GmqRecord<Value> {
  readonly value: Value;
  readonly options: GmqRecordOptions;

  constructor(value: Value, options: GmqRecordOptions = {}) {
    this.value = value;
    this.options = options;
  }
}
