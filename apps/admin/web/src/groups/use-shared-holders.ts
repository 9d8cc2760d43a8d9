import { useQuery } from "@tanstack/react-query";
import { admin } from "../rpc.js";
import type { PartitionRow } from "./group-tables.js";

/** Partitions that are asked for what each consumer has; a look at more would cost the brokers too much. */
const partitionsMax = 16;
const recordsMax = 1_000;
const refreshMs = 5_000;

/** How many records each consumer of a shared group has; `isPart`: there are more, of which it is not known. */
export interface SharedHolders {
  readonly counts: ReadonlyMap<string, number>;
  readonly isPart: boolean;
}

/** Counts what each consumer of a shared group has. Undefined until it is known, and for an exclusive group, where owners have what is in their partitions. */
export function useSharedHolders(
  group: string,
  shared: boolean,
  rows: readonly PartitionRow[],
): SharedHolders | undefined {
  const busy = rows.filter(({ unsettledRecords }) => unsettledRecords > 0n);
  const asked = busy.slice(0, partitionsMax);
  const counted = useQuery({
    queryKey: ["holders", group, asked.map(({ topic, partition }) => `${topic}/${partition}`)],
    queryFn: async ({ signal }): Promise<SharedHolders> => {
      const lists = await Promise.all(
        asked.map(({ topic, partition }) =>
          admin.listPending({ group, topic, partition, limit: recordsMax }, { signal }),
        ),
      );
      const counts = new Map<string, number>();
      for (const { memberId } of lists.flatMap(({ records }) => records))
        counts.set(memberId, (counts.get(memberId) ?? 0) + 1);
      const isCut = lists.some(
        ({ records, unsettledRecords, otherBrokerIds }) =>
          unsettledRecords > BigInt(records.length) || otherBrokerIds.length > 0,
      );
      return { counts, isPart: isCut };
    },
    enabled: shared && asked.length > 0,
    refetchInterval: refreshMs,
    placeholderData: (before) => before,
  });
  if (!shared) return undefined;
  if (asked.length === 0) return { counts: new Map(), isPart: false };
  const { data } = counted;
  return data && { counts: data.counts, isPart: data.isPart || busy.length > asked.length };
}
