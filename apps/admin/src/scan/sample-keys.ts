/** How records spread over keys: a sample of the newest of each partition. */
import { create } from "@bufbuild/protobuf";
import { type PortalServiceSampleKeysResponse, PortalServiceSampleKeysResponseSchema } from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { inTurns } from "../calls/in-turns.js";
import { createBrowse } from "./partition-scan.js";

const partitionsMax = 64;
const recordsPerPartition = 1_000n;
const readsAtOnce = 8;
const heaviestShown = 20;
const keyBytesShown = 256;

interface Counted {
  readonly key: Uint8Array;
  readonly partition: number;
  records: number;
}

/** Samples a topic. @throws GmqError `topic_not_found` */
export async function sampleKeys(
  brokers: Brokers,
  topic: string,
  signal: AbortSignal,
): Promise<PortalServiceSampleKeysResponse> {
  const { partitions } = await brokers.read(({ admin }) => admin.describeTopic({ topic }, { signal }), signal);
  const browse = createBrowse(brokers, topic, signal);
  const keys = new Map<string, Counted>();
  let sampled = 0n;
  let withoutKey = 0n;
  await inTurns(partitions.slice(0, partitionsMax), readsAtOnce, async ({ partition, startOffset, endOffset }) => {
    const wanted = endOffset - recordsPerPartition;
    const from = wanted > startOffset ? wanted : startOffset;
    const { records } = await browse(partition, { case: "offset", value: from }, Number(recordsPerPartition));
    for (const { record } of records) {
      sampled++;
      if (record?.key === undefined) {
        withoutKey++;
        continue;
      }
      const name = Buffer.from(record.key).toString("base64");
      const counted = keys.get(name) ?? { key: record.key, partition, records: 0 };
      counted.records++;
      keys.set(name, counted);
    }
  });
  const heaviest = [...keys.values()].sort((left, right) => right.records - left.records).slice(0, heaviestShown);
  return create(PortalServiceSampleKeysResponseSchema, {
    sampled,
    withoutKey,
    records: partitions.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0n),
    distinctKeys: BigInt(keys.size),
    heaviest: heaviest.map(({ key, partition, records }) => ({
      key: key.subarray(0, keyBytesShown),
      partition,
      records: BigInt(records),
    })),
  });
}
