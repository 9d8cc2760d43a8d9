/** Send records. Records of one key go to one partition and keep their order; `send` resolves when the record is stored. */
import assert from "node:assert/strict";
import { connect } from "@gmq/client";

const orders = `example-orders-${Date.now()}`;
const gmq = await connect({ brokers: (process.env["GMQ_BROKERS"] ?? "http://localhost:50051").split(",") });
await gmq.admin.createTopic(orders, { partitions: 4 });
const producer = gmq.producer();

// Sends are not awaited one by one: what is sent in one turn travels together, and every promise tells where its record came to lie.
const users = ["anna", "bert", "carl", "dora"];
const stored = await Promise.all(
  Array.from({ length: 20 }, async (_, number) => {
    const key = users[number % users.length] ?? "";
    const { partition, offset } = await producer.send(orders, {
      key,
      value: `order ${number} of ${key}`,
      headers: { source: "example" },
    });
    return { key, partition, offset };
  }),
);

for (const user of users) {
  const own = stored.filter(({ key }) => key === user);
  const partitions = new Set(own.map(({ partition }) => partition));
  const offsets = own.map(({ offset }) => offset);
  console.log(`${user}: partition ${[...partitions].join()}, offsets ${offsets.join(" ")}`);
  assert.equal(partitions.size, 1, "a key has one partition");
  assert.deepEqual(
    offsets,
    offsets.toSorted((left, right) => Number(left - right)),
    "a key's records keep their order",
  );
}

// A batch answers record by record: one that is refused does not take the others with it.
const results = await producer.sendBatch(orders, [
  { key: "anna", value: "one more" },
  { partition: 99, value: "to a partition that is not there" },
]);
for (const result of results) {
  console.log(result.ok ? `stored at offset ${result.offset}` : `refused: ${result.error.code}`);
}
assert.deepEqual(
  results.map((result) => (result.ok ? "stored" : result.error.code)),
  ["stored", "partition_not_found"],
);

await gmq.admin.deleteTopic(orders);
await gmq.close();
