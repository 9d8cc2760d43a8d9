/** A topic has types: a Standard Schema (here zod) is checked on both sides, and what consumers get may differ from what producers give. */
import assert from "node:assert/strict";
import { connect, GmqError, topic } from "@gmq/client";
import { z } from "zod";

const run = Date.now();
const orders = topic(`example-typed-${run}`, {
  // A time travels as text; consumers get a Date.
  value: z.object({
    id: z.string(),
    cents: z.number().int(),
    at: z.iso.datetime().transform((text) => new Date(text)),
  }),
});
// Without a schema: a codec of your own, for other formats than JSON.
const temperatures = topic<number, number>(`example-celsius-${run}`, {
  value: {
    encode(celsius) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setFloat64(0, celsius);
      return bytes;
    },
    decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat64(0),
  },
});

const gmq = await connect({ brokers: (process.env["GMQ_BROKERS"] ?? "http://localhost:50051").split(",") });
const producer = gmq.producer();

await producer.send(orders, { key: "anna", value: { id: "o1", cents: 995, at: "2026-11-24T08:00:00Z" } });
await producer.send(temperatures, { value: 21.5 });

// What does not fit is refused here, before it is sent. (The compiler refuses most of it even earlier.)
const refusal = await producer
  .send(orders, { value: { id: "o2", cents: 9.95, at: "2026-11-24T08:00:00Z" } })
  .catch((error: unknown) => error);
assert.ok(GmqError.is(refusal, "schema_invalid"));
console.log(`refused: ${refusal.field}: ${refusal.message}`);
assert.equal(refusal.field, "value.cents");

for await (const message of gmq.messages(orders, { group: `typed-${run}` })) {
  const { id, cents, at } = message.value;
  console.log(`order ${id}: ${cents} cents, made in ${at.getUTCFullYear()}`);
  assert.ok(at instanceof Date);
  await message.ack();
  // Ends the loop, and with it the membership in the group.
  break;
}
for await (const message of gmq.messages(temperatures, { group: `typed-${run}` })) {
  console.log(`${message.value} °C`);
  assert.equal(message.value, 21.5);
  await message.ack();
  break;
}

await gmq.admin.deleteGroup(`typed-${run}`);
await gmq.admin.deleteTopic(orders.name);
await gmq.admin.deleteTopic(temperatures.name);
await gmq.close();
