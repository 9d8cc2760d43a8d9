/** Sessions that are lost: what was sent is stored once and in order, what was not settled comes again, and nobody waits longer than he has to. */
import { type AddressInfo, createConnection, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { connect, type Gmq, GmqError, type SubscriptionEvent } from "../src/index.js";
import { numbered, text } from "./harness/records.js";
import { connectTo, startDeployment, stopBoth, type TestDeployment } from "./harness/test-deployment.js";

let test: TestDeployment;
let gmq: Gmq;

async function start(brokers: number): Promise<void> {
  test = await startDeployment(brokers);
  gmq = await connectTo(test);
}

afterEach(() => stopBoth(gmq, test));

describe("a producer", () => {
  it.each([
    ["the same broker", 1],
    ["another broker", 2],
  ])("whose answer was lost sends again to %s, and the record is stored once", async (_name, brokers) => {
    await start(brokers);
    const producer = gmq.producer();
    await producer.send("t", { value: "before", partition: 0 });
    const release = test.holdAnswers();
    const sent = numbered(20).map((value) => producer.send("t", { value, partition: 0 }));
    await expect.poll(() => test.stored("t")).toEqual(["before", ...numbered(20)]);
    await test.brokers[0]?.kill();
    release();
    if (brokers === 1) await test.brokers[0]?.restart();
    const results = await Promise.all(sent);
    expect(results.map(({ offset }) => offset)).toEqual(numbered(20).map((_, index) => BigInt(index + 1)));
    expect(new Set(results.map(({ duplicate }) => duplicate))).toEqual(new Set([true]));
    await producer.send("t", { value: "after", partition: 0 });
    expect(await test.stored("t")).toEqual(["before", ...numbered(20), "after"]);
  });

  it("goes on over restarts: every record once, in the order of its sends", async () => {
    await start(1);
    const producer = gmq.producer();
    const sent: Promise<unknown>[] = [];
    let restarts = 0;
    for (let index = 0; index < 600; index++) {
      sent.push(producer.send("t", { value: `r${index}`, partition: 0 }));
      if (index % 10 === 0) await sleep(2);
      if (index % 200 === 100) {
        await test.brokers[0]?.kill();
        await sleep(30);
        await test.brokers[0]?.restart();
        restarts++;
      }
    }
    await Promise.all(sent);
    expect(restarts).toBe(3);
    expect(await test.stored("t")).toEqual(numbered(600));
  });

  it("hits its deadline while there is no broker, also with what has not been sent yet, and goes on afterwards", async () => {
    await start(1);
    const producer = gmq.producer({ timeoutMs: 300 });
    await producer.send("t", { value: "a", partition: 0 });
    await test.brokers[0]?.kill();
    const startedMs = performance.now();
    await expect(producer.send("t", { value: "lost", partition: 0 })).rejects.toMatchObject({
      code: "deadline_exceeded",
      field: "timeoutMs",
    });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    await expect(producer.send("new-topic", { value: "x" })).rejects.toSatisfy((error) => GmqError.is(error));
    await test.brokers[0]?.restart();
    await expect
      .poll(() =>
        producer.send("t", { value: "b", partition: 0 }).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    expect(await test.stored("t")).toEqual(["a", "b"]);
  });

  it("that never pauses does not hold up a broker that goes away, and loses nothing to it", async () => {
    await start(2);
    const producer = gmq.producer();
    let index = 0;
    let going = true;
    const failures: unknown[] = [];
    const pending: Promise<unknown>[] = [];
    const pump = (async () => {
      while (going) {
        pending.push(producer.send("t", { value: `r${index++}`, partition: 0 }).catch((error) => failures.push(error)));
        if (index % 20 === 0) await sleep(1);
      }
    })();
    await expect.poll(async () => (await test.stored("t")).length).toBeGreaterThan(50);
    const serving = test.brokers.find(({ broker }) => broker.sessionCount === 1);
    expect(await serving?.drain()).toBeLessThan(30_000);
    const stored = (await test.stored("t")).length;
    await expect.poll(async () => (await test.stored("t")).length).toBeGreaterThan(stored + 50);
    going = false;
    await pump;
    await Promise.all(pending);
    expect(failures).toEqual([]);
    expect(await test.stored("t")).toEqual(numbered(index));
  });
});

describe("a subscription", () => {
  it("goes on with another broker when its own is killed: every record is handled, in order", async () => {
    await start(2);
    const producer = gmq.producer();
    const handled: number[] = [];
    const subscription = gmq.subscribe(
      "t",
      { group: "g" },
      ({ value }) => void handled.push(Number(text(value).slice(1))),
    );
    const events: SubscriptionEvent[] = [];
    const watching = (async () => {
      for await (const event of subscription.status()) events.push(event);
    })();
    const send = (from: number, to: number) =>
      Promise.all(
        numbered(to)
          .slice(from)
          .map((value) => producer.send("t", { value, partition: 0 })),
      );
    await send(0, 100);
    await expect.poll(() => handled.length).toBe(100);
    const serving = test.brokers.find(({ broker }) => broker.sessionCount === 1);
    await serving?.kill();
    await send(100, 200);
    await expect.poll(() => new Set(handled).size).toBe(200);
    // At least once: what was not settled yet comes again, but nothing is passed over.
    let next = 0;
    for (const record of handled) {
      expect(record).toBeLessThanOrEqual(next);
      next = Math.max(next, record + 1);
    }
    await subscription.drain();
    await watching;
    const types = events.map(({ type }) => type);
    expect(types.filter((type) => type === "reconnecting").length).toBeGreaterThanOrEqual(1);
    expect(types.filter((type) => type === "subscribed").length).toBe(2);
    expect(types.filter((type) => type === "assigned").length).toBe(8);
    expect((await test.engine.groups.offsets("g")).every(({ lagRecords }) => lagRecords === 0)).toBe(true);
  });

  it("finishes the handler that runs before it leaves a broker that goes away; its record does not come again", async () => {
    await start(2);
    const handled: string[] = [];
    const release = Promise.withResolvers<void>();
    const aborted: boolean[] = [];
    gmq.subscribe("t", { group: "g" }, async ({ value }, { signal }) => {
      handled.push(text(value));
      if (text(value) === "slow") await release.promise;
      aborted.push(signal.aborted);
    });
    const producer = gmq.producer();
    await producer.send("t", { value: "slow", partition: 0 });
    await expect.poll(() => handled).toEqual(["slow"]);
    const serving = test.brokers.find(({ broker }) => broker.sessionCount === 1);
    const drained = serving?.drain();
    await sleep(300);
    release.resolve();
    expect(await drained).toBeLessThan(30_000);
    await producer.send("t", { value: "next", partition: 0 });
    await expect.poll(() => handled).toEqual(["slow", "next"]);
    expect(aborted).toEqual([false, false]);
  });

  it("does not make a broker that goes away wait for a record in its backoff", async () => {
    await start(2);
    const attempts: number[] = [];
    gmq.subscribe("t", { group: "g", retry: { backoff: { initialMs: 60_000, maxMs: 60_000 } } }, ({ attempt }) => {
      attempts.push(attempt);
      if (attempts.length === 1) throw new Error("not yet");
    });
    await gmq.producer().send("t", { value: "x", partition: 0 });
    await expect.poll(() => attempts).toEqual([1]);
    const serving = test.brokers.find(({ broker }) => broker.sessionCount === 1);
    expect(await serving?.drain()).toBeLessThan(30_000);
    await expect.poll(() => attempts).toEqual([1, 2]);
  });
});

describe("connect", () => {
  it("takes the first broker that answers, and tells by name when none does", async () => {
    await start(1);
    const dead = "http://127.0.0.1:9";
    await using other = await connect({ brokers: [dead, test.urls[0] as string], reconnect: { initialMs: 10 } });
    expect((await other.admin.listTopics()).length).toBe(0);
    await expect(connect({ brokers: [dead], timeoutMs: 300 })).rejects.toMatchObject({
      code: "unavailable",
      field: "brokers",
    });
    const abort = new AbortController();
    const connecting = connect({ brokers: [dead], signal: abort.signal });
    abort.abort();
    await expect(connecting).rejects.toMatchObject({ code: "cancelled" });
  });

  it("comes ever more seldom when it is welcomed and dropped at once", async () => {
    test = await startDeployment(1);
    const target = Number(new URL(test.urls[0] as string).port);
    const cameMs: number[] = [];
    // Ends each connection when its broker has said something: by then there is a welcome on its way.
    const server = createServer((incoming) => {
      cameMs.push(performance.now());
      const outgoing = createConnection(target, "127.0.0.1");
      for (const socket of [incoming, outgoing]) socket.on("error", () => socket.destroy());
      incoming.pipe(outgoing).pipe(incoming);
      void welcomed(cameMs.length).then(() => incoming.destroy());
      incoming.once("close", () => outgoing.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const welcomed = async (sessions: number): Promise<void> => {
      while (opened < sessions) await sleep(1);
    };
    let opened = 0;
    const broker = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    gmq = await connect({ brokers: [broker], reconnect: { initialMs: 40, maxMs: 60_000 } });
    const subscription = gmq.subscribe("t", { group: "g" }, () => undefined);
    for await (const { type } of subscription.status()) {
      if (type === "subscribed") opened++;
      if (opened === 7) break;
    }
    // Half of each delay at least: 20, 40, 80, 160, 320, 640 ms.
    const waitsMs = cameMs.slice(1).map((ms, index) => ms - (cameMs[index] as number));
    expect(waitsMs.length).toBeGreaterThanOrEqual(6);
    expect(waitsMs[5]).toBeGreaterThanOrEqual(640);
    await gmq.close();
    server.close();
  });

  it("asks for the token again on every session", async () => {
    await start(1);
    let asked = 0;
    await using other = await connect({
      brokers: test.urls,
      reconnect: { initialMs: 20 },
      auth: { token: async () => `token-${++asked}` },
    });
    expect(asked).toBe(1);
    await test.brokers[0]?.kill();
    await test.brokers[0]?.restart();
    await other.producer().send("t", { value: "x" });
    expect(asked).toBeGreaterThanOrEqual(2);
  });
});
