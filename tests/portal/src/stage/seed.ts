/** What a portal has to show: topics with records of many kinds, groups that work, lag and sleep. */

import { connect, type Gmq, Reject } from "@gmq/client";
import { waitUntil } from "@gmq/e2e/harness/wait-until";
import { encode } from "@msgpack/msgpack";

/** Texts that would run if a page took them for markup. */
export const hostileText = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'><svg onload=window.hacked=1>`;
/** One more than the largest whole number that a JavaScript number holds. */
export const bigNumber = "9007199254740993";

/** A seeded deployment with consumers at work. */
export interface Seed {
  readonly gmq: Gmq;
  /** Records of topic `orders`. */
  readonly orders: number;
  stop(): Promise<void>;
}

const regions = ["eu-west", "us-east", "ap-south"];

/** Fills the deployment behind these brokers. */
export async function seed(
  brokers: readonly string[],
  options: { readonly orders?: number; readonly deadLetters?: number } = {},
): Promise<Seed> {
  const orders = options.orders ?? 600;
  const gmq = await connect({ brokers: [...brokers], clientId: "order-service" });
  await gmq.admin.createTopic("orders", { partitions: 6 });
  await gmq.admin.createTopic("payments", { partitions: 3 });
  await gmq.admin.createTopic("odd-values", { partitions: 1 });
  await gmq.admin.createTopic("empty", { partitions: 2 });
  const producer = gmq.producer();
  const sent = Array.from({ length: orders }, (_, index) =>
    producer.send("orders", {
      key: `customer-${index % 40}`,
      value: JSON.stringify({
        id: `o-${index}`,
        cents: (index * 37) % 5_000,
        paid: index % 3 === 0,
        lines: [{ sku: `sku-${index % 9}`, count: 1 + (index % 4) }],
      }),
      headers: { region: regions[index % 3] ?? "", trace: `t-${index}` },
    }),
  );
  const paid = Array.from({ length: 120 }, (_, index) =>
    producer.send("payments", {
      key: `customer-${index % 40}`,
      value: JSON.stringify({ order: `o-${index}`, ok: true }),
    }),
  );
  await Promise.all([...sent, ...paid]);
  // In this order, in one partition: tests name their offsets.
  for (const { key, value, headers = {} } of oddRecords()) {
    await producer.send("odd-values", { ...(key === undefined ? {} : { key }), value, headers });
  }
  const billing = gmq.subscribe("orders", { group: "billing", concurrency: 4 }, () => Promise.resolve());
  const shipping = gmq.subscribe("payments", { group: "shipping" }, () => Promise.resolve());
  // A group that has read once and then went away: it has lag and no members.
  const reader = gmq.consumer("orders", { group: "fraud-check", start: "earliest" });
  const batch = await reader.receive({ max: 20, timeoutMs: 10_000 });
  await batch?.ack();
  await reader.close();
  await giveUp(gmq, options.deadLetters ?? 0);
  return {
    gmq,
    orders,
    async stop() {
      await billing.close();
      await shipping.close();
      await producer.close();
      await gmq.close();
    },
  };
}

/** Lets a group give so many records of `payments` up. */
async function giveUp(gmq: Gmq, count: number): Promise<void> {
  if (count === 0) return;
  let left = count;
  const refunds = gmq.subscribe("payments", { group: "refunds", start: "earliest" }, () => {
    if (left-- > 0) throw new Reject("no such order");
    return Promise.resolve();
  });
  await waitUntil("dead letters", async () => {
    const topics = await gmq.admin.listTopics();
    if (!topics.some(({ name }) => name === "payments.refunds.dlq")) return false;
    const { partitionStats } = await gmq.admin.describeTopic("payments.refunds.dlq");
    return partitionStats.reduce((sum, { endOffset }) => sum + endOffset, 0n) === BigInt(count);
  });
  await refunds.close();
}

function oddRecords(): { key?: string; value: string | Uint8Array; headers?: Record<string, string> }[] {
  return [
    { key: "big", value: `{"id":${bigNumber},"price":1.10}` },
    { key: hostileText, value: JSON.stringify({ text: hostileText }), headers: { hostile: hostileText } },
    { key: "packed", value: encode({ id: 9007199254740993n, name: "packed" }, { useBigInt64: true }) },
    { key: "bytes", value: Uint8Array.from([0, 1, 2, 253, 254, 255]) },
    { key: "csv", value: 'comma, "quotes"\r\nand a new line' },
    { value: "no key" },
    { key: "large", value: `{"filler":"${"x".repeat(100_000)}","end":true}` },
  ];
}
