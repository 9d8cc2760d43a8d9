import { GmqError, limits } from "@gmq/protocol";

/** What a broker takes at most; whoever asks for more is slowed down or refused by name. Each may be lower than its default, few may be higher. */
export interface BrokerLimits {
  /** Frames a second of one session; over it the session is read no further until the second is over. Default 100,000. */
  readonly framesPerSecondMax: number;
  /** Bytes of batches of one session that are not stored yet; over it the session is read no further until there is room. Default 64 MiB. */
  readonly publishBytesInFlightMax: number;
  /** Bytes of one record; clients hear it in the welcome. Default and most: 2 MiB. */
  readonly recordBytesMax: number;
  /** Bytes of one batch as sent; clients hear it in the welcome. Default and most: 4 MiB. */
  readonly batchBytesMax: number;
  /** Bytes that a compressed batch says it unpacks to. Default and most: 16 MiB. */
  readonly batchUncompressedBytesMax: number;
  /** Topics in the store from which on none is made by use any more. Default 10,000. */
  readonly topicsAutoCreatedMax: number;
  /** Calls of AdminService, look-ups of topics and subscriptions, a second of one caller (one address where nobody has to say who he is). Default 10,000. */
  readonly metadataCallsPerSecondMax: number;
}

const defaults: BrokerLimits = {
  framesPerSecondMax: 100_000,
  publishBytesInFlightMax: limits.inFlightPublishBytesMax,
  recordBytesMax: limits.recordBytesMax,
  batchBytesMax: limits.batchBytesMax,
  batchUncompressedBytesMax: limits.batchUncompressedBytesMax,
  topicsAutoCreatedMax: 10_000,
  metadataCallsPerSecondMax: 10_000,
};

/** The least and the most that each may be, with its unit. */
export const brokerLimitRanges: Readonly<
  Record<keyof BrokerLimits, readonly [min: number, max: number, unit: string]>
> = {
  framesPerSecondMax: [10, 10_000_000, "frames a second"],
  publishBytesInFlightMax: [1_024, 1024 ** 3, "bytes"],
  recordBytesMax: [1_024, limits.recordBytesMax, "bytes"],
  batchBytesMax: [1_024, limits.batchBytesMax, "bytes"],
  batchUncompressedBytesMax: [1_024, limits.batchUncompressedBytesMax, "bytes"],
  topicsAutoCreatedMax: [0, 1_000_000, "topics"],
  metadataCallsPerSecondMax: [1, 1_000_000, "calls a second"],
};

/** The limits of a broker: these, and the defaults. @throws GmqError `invalid_argument` naming the limit and its range */
export function brokerLimits(given: Partial<BrokerLimits> = {}): BrokerLimits {
  const all = { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
  for (const [name, [min, max, unit]] of Object.entries(brokerLimitRanges)) {
    const value = all[name as keyof BrokerLimits];
    if (Number.isInteger(value) && value >= min && value <= max) continue;
    throw new GmqError("invalid_argument", `${name} is ${value}`, { field: name, limit: `${min} to ${max} ${unit}` });
  }
  return all;
}
