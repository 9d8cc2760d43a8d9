/** The test kit as its users use it. */
import { afterEach, expect, it } from "vitest";
import { connect } from "../src/index.js";
import { startTestGmq, type TestGmq } from "../src/testing.js";

const running: TestGmq[] = [];

async function start(options?: Parameters<typeof startTestGmq>[0]): Promise<TestGmq> {
  const gmq = await startTestGmq(options);
  running.push(gmq);
  return gmq;
}

afterEach(async () => {
  for (const gmq of running.splice(0)) await gmq.close();
});

it("is a whole GMQ, with a store of its own, for further clients too", async () => {
  const [gmq, other] = await Promise.all([start({ partitions: 2 }), start()]);
  const handled: string[] = [];
  const second = await connect({ brokers: [gmq.url] });
  const subscription = second.subscribe("orders", { group: "g", concurrency: 4 }, ({ key }) => {
    handled.push(key ?? "");
  });
  const producer = gmq.producer();
  for (let n = 0; n < 20; n++) await producer.send("orders", { key: `k${n}`, value: "x" });
  await gmq.settled("g", { timeoutMs: 15_000 });
  expect(handled).toHaveLength(20);
  expect((await gmq.admin.describeTopic("orders")).partitions).toBe(2);
  expect(await other.admin.listTopics()).toEqual([]);
  await subscription.close();
  await second.close();
});

it("tells what is not settled, and that there is no such group", async () => {
  const gmq = await start();
  await expect(gmq.settled("none", { timeoutMs: 30 })).rejects.toMatchObject({
    code: "deadline_exceeded",
    message: "none has not settled everything: there is no such group yet",
  });
  await gmq.producer().send("t", { value: "x", partition: 1 });
  await gmq.consumer("t", { group: "lazy" }).receive({ timeoutMs: 15_000 });
  await expect(gmq.settled("lazy", { timeoutMs: 30 })).rejects.toThrow("lazy has not settled everything: 1 of t/1");
  const stop = new AbortController();
  const waiting = gmq.settled("lazy", { signal: stop.signal });
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
});

it("restarts its broker: clients come back and nothing is lost", async () => {
  const gmq = await start();
  const producer = gmq.producer();
  await producer.send("t", { key: "a", value: "before" });
  const handled: string[] = [];
  const subscription = gmq.subscribe("t", { group: "g" }, ({ value }) => {
    handled.push(new TextDecoder().decode(value));
  });
  await gmq.settled("g", { timeoutMs: 15_000 });
  await gmq.restartBroker();
  await producer.send("t", { key: "a", value: "after" });
  await gmq.settled("g", { timeoutMs: 15_000 });
  expect([...new Set(handled)]).toEqual(["before", "after"]);
  await subscription.close();
});

it("lets go of its port", async () => {
  const gmq = await start();
  await gmq.close();
  await gmq.close();
  await expect(fetch(`${gmq.url}/`)).rejects.toThrow();
});

it("leaves no port behind when it cannot be had", async () => {
  const servers = (): number => process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length;
  const before = servers();
  await expect(startTestGmq({ client: { timeoutMs: 0 } })).rejects.toMatchObject({ field: "timeoutMs" });
  await expect(startTestGmq({ partitions: 0 })).rejects.toMatchObject({ field: "defaultPartitions" });
  await expect.poll(servers, { timeout: 15_000 }).toBe(before);
});

it("waits as long as it is told, also while its broker is away", async () => {
  const gmq = await start();
  await expect(gmq.settled("g", { timeoutMs: Number.NaN })).rejects.toMatchObject({ field: "timeoutMs" });
  const restarted = gmq.restartBroker();
  await expect(gmq.settled("g", { timeoutMs: 200 })).rejects.toMatchObject({
    code: "deadline_exceeded",
    message: expect.stringMatching(/^g has not settled everything/),
  });
  await restarted;
  await gmq.close();
});
