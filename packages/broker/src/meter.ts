/** A subscription, as far as it is counted. */
interface MeteredSubscription {
  readonly creditRecords: number;
  readonly creditBytes: number;
  heldRecords(): number;
}

/** What the stages of a broker count: plain numbers that they add to, once per frame, delivery or error. */
export interface Meter {
  /** Of batches that the store took, as they came. */
  publishedBytes: number;
  deliveredRecords: number;
  deliveredBytes: number;
  publishBytesInFlight: number;
  requestsInFlight: number;
  readonly subscriptions: Set<MeteredSubscription>;
  /** Requests and batches answered with an error, by code. */
  readonly errors: Map<string, number>;
}

/** What a broker is doing now, and has done since it started. */
export interface BrokerLoad {
  readonly sessions: number;
  /** Those of sessions and of thin clients. */
  readonly subscriptions: number;
  /** What consumers still allow to be delivered. Bytes may be below zero: the last record may overdraw them. */
  readonly creditRecords: number;
  readonly creditBytes: number;
  /** With consumers, delivered and not settled. */
  readonly heldRecords: number;
  /** Of batches that wait for the store. */
  readonly publishBytesInFlight: number;
  readonly requestsInFlight: number;
  /** Since the start: of batches that the store took, as they came. */
  readonly publishedBytes: number;
  /** Since the start, redeliveries included. */
  readonly deliveredRecords: number;
  readonly deliveredBytes: number;
  /** Requests and batches of sessions that were answered with an error since the start, by code. */
  readonly errors: ReadonlyMap<string, number>;
}

/** Makes a meter at zero. */
export function createMeter(): Meter {
  return {
    publishedBytes: 0,
    deliveredRecords: 0,
    deliveredBytes: 0,
    publishBytesInFlight: 0,
    requestsInFlight: 0,
    subscriptions: new Set(),
    errors: new Map(),
  };
}

/** Adds an error to the meter. */
export function countError({ errors }: Meter, code: string): void {
  errors.set(code, (errors.get(code) ?? 0) + 1);
}

/** Reads a meter. */
export function readMeter(meter: Meter, sessions: number): BrokerLoad {
  let creditRecords = 0;
  let creditBytes = 0;
  let heldRecords = 0;
  for (const subscription of meter.subscriptions) {
    creditRecords += subscription.creditRecords;
    creditBytes += subscription.creditBytes;
    heldRecords += subscription.heldRecords();
  }
  const { publishedBytes, deliveredRecords, deliveredBytes, publishBytesInFlight, requestsInFlight } = meter;
  return {
    sessions,
    subscriptions: meter.subscriptions.size,
    creditRecords,
    creditBytes,
    heldRecords,
    publishBytesInFlight,
    requestsInFlight,
    publishedBytes,
    deliveredRecords,
    deliveredBytes,
    errors: new Map(meter.errors),
  };
}
