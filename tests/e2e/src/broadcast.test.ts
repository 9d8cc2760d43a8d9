/** Every consumer gets everything, in order, over reconnects, without a trace in the store. */
import { randomUUID } from "node:crypto";
import { connect, type Gmq, GmqError } from "@gmq/client";
import { afterEach, describe, expect, it } from "vitest";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";

describe.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["separate processes, Redis, two brokers", () => startServices({ brokers: 2 })],
])("%s", (_name, start) => {
  let topology: Topology;
  const clients: Gmq[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    await topology.stop();
  });

  it("broadcasts", async () => {
    topology = await start();
    for (const brokers of [topology.brokers, topology.brokers.toReversed()]) clients.push(await connect({ brokers }));
    const [gmq, other] = clients as [Gmq, Gmq];
    const target = `b-${randomUUID().slice(0, 8)}`;
    await gmq.admin.createTopic(target, { partitions: 2 });
    const producer = gmq.producer();
    const send = (from: number, count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, n) =>
          producer.send(target, { key: `k${n % 7}`, value: `${from + n}`, partition: n % 2 }),
        ),
      );
    await send(0, 200);
    const options = { group: "viewers", mode: "broadcast" as const, concurrency: 1 };
    const seen = [gmq, other].map((client) => {
      const list: { readonly place: number; readonly offset: bigint }[] = [];
      client.subscribe(target, options, ({ partition, offset }) => void list.push({ place: partition, offset }));
      return list;
    });
    const late: number[] = [];
    other.subscribe(target, { ...options, start: { offset: 90n } }, ({ partition }) => void late.push(partition));
    await expect.poll(() => seen.map(({ length }) => length), { timeout: 15_000 }).toEqual([200, 200]);
    await expect.poll(() => late.length, { timeout: 15_000 }).toBe(20);

    // The first broker dies: its consumer goes on where it was, on another (or the same, restarted).
    await topology.parts.find(({ url }) => url === topology.brokers[0])?.kill();
    await topology.parts.find(({ url }) => url === topology.brokers[0])?.restart();
    await send(200, 200);
    await expect.poll(() => seen.map(({ length }) => length), { timeout: 30_000 }).toEqual([400, 400]);
    for (const list of seen) {
      for (const partition of [0, 1]) {
        const offsets = list.filter(({ place }) => place === partition).map(({ offset }) => offset);
        expect(offsets).toEqual(Array.from({ length: 200 }, (_, n) => BigInt(n)));
      }
    }
    await expect(gmq.admin.describeGroup("viewers")).rejects.toSatisfy((error) =>
      GmqError.is(error, "group_not_found"),
    );
  }, 90_000);
});
