import type { PendingRecord } from "@gmq/protocol/messages";

/** Who has a pending record. */
export interface RecordHolder {
  /** Member id, "" when no consumer has it or it is not known which. */
  readonly name: string;
  /** As the consumer calls itself. */
  readonly client: string;
  /** No consumer has it; false where that is not known. */
  readonly isWaiting: boolean;
}

/** Reads what was said of a record; `silent` are the brokers that did not tell which of their consumers has what. */
export function holderOf({ memberId, clientId, brokerId }: PendingRecord, silent: readonly string[]): RecordHolder {
  return { name: memberId, client: clientId, isWaiting: memberId === "" && !silent.includes(brokerId) };
}

/** One consumer of those that have some of the records. */
export interface HolderCount {
  readonly name: string;
  readonly client: string;
  readonly records: number;
}

/** Who has how many, the most first. */
export function holdersOf(records: readonly PendingRecord[]): HolderCount[] {
  const counts = new Map<string, { name: string; client: string; records: number }>();
  for (const { memberId, clientId } of records) {
    const count = counts.get(memberId);
    if (count === undefined) counts.set(memberId, { name: memberId, client: clientId, records: 1 });
    else count.records++;
  }
  return [...counts.values()].sort((one, other) => other.records - one.records);
}
