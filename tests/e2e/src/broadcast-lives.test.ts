/** A broadcast whose connection is lost comes back to a topic that was made again, grew, or came into being meanwhile: it passes over nothing that is stored now. */
import { randomUUID } from "node:crypto";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { connect, type Gmq, type SubscribeOptions } from "@gmq/client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";

const soon = { timeout: 15_000 };
const text = new TextDecoder();

/** The only way from a client to its broker: it can be closed and opened. */
interface Gate {
  readonly url: string;
  /** Ends the connections that are there, and takes no other. */
  shut(): void;
  open(): void;
  stop(): Promise<void>;
}

async function startGate(target: string): Promise<Gate> {
  const sockets = new Set<Socket>();
  let isOpen = true;
  const server: Server = createServer((client) => {
    if (!isOpen) return void client.destroy();
    const broker = dial(Number(new URL(target).port), "127.0.0.1");
    for (const [from, to] of [
      [client, broker],
      [broker, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => from.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the gate has no port");
  const cut = (): void => sockets.forEach((socket) => void socket.destroy());
  return {
    url: `http://127.0.0.1:${address.port}`,
    shut() {
      isOpen = false;
      cut();
    },
    open() {
      isOpen = true;
    },
    stop: () =>
      new Promise((closed) => {
        server.close(() => closed());
        cut();
      }),
  };
}

describe.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["separate processes, Redis", () => startServices()],
])("%s", (_name, start) => {
  let topology: Topology;
  let gmq: Gmq;
  const endings: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    topology = await start();
    gmq = await connect({ brokers: topology.brokers });
  }, 60_000);
  afterEach(async () => {
    for (const end of endings.splice(0).toReversed()) await end();
  });
  afterAll(async () => {
    await gmq.close();
    await topology.stop();
  });

  const make = (topic: string, partitions = 1) => gmq.admin.createTopic(topic, { partitions });

  async function send(topic: string, values: readonly string[]): Promise<void> {
    const producer = gmq.producer();
    for (const value of values) await producer.send(topic, { value, partition: 0 });
    await producer.close();
  }

  /** A broadcast behind a gate, and what it has seen; it is subscribed. */
  async function view(topics: string | string[], options: Pick<SubscribeOptions, "start"> = {}) {
    const gate = await startGate(topology.brokers[0] as string);
    endings.push(gate.stop);
    const client = await connect({ brokers: [gate.url], reconnect: { initialMs: 20, maxMs: 100 } });
    endings.push(() => client.close());
    const seen: string[] = [];
    const told: string[] = [];
    const subscription = client.subscribe(topics, { group: "g", mode: "broadcast", ...options }, (message) => {
      seen.push(`${text.decode(message.value as Uint8Array)} at ${message.offset}`);
    });
    void (async () => {
      for await (const event of subscription.status()) told.push(event.type);
    })();
    await expect.poll(() => told, soon).toContain("subscribed");
    return {
      seen,
      told,
      async leaves() {
        gate.shut();
        await expect.poll(() => told.at(-1), soon).toBe("reconnecting");
      },
      comesBack: () => gate.open(),
    };
  }

  const newName = (): string => `l${randomUUID().slice(0, 6)}.a`;

  it("reads a topic that was made again from its beginning, however far it had read the one before", async () => {
    const topic = newName();
    await make(topic);
    await send(topic, ["1", "2", "3"]);
    const { seen, leaves, comesBack } = await view(topic);
    await expect.poll(() => seen, soon).toEqual(["1 at 0", "2 at 1", "3 at 2"]);
    await leaves();
    await gmq.admin.deleteTopic(topic);
    await make(topic);
    await send(topic, ["4", "5", "6", "7", "8"]);
    comesBack();
    await expect.poll(() => seen.slice(3), soon).toEqual(["4 at 0", "5 at 1", "6 at 2", "7 at 3", "8 at 4"]);
    // And it goes on in the new one where it was.
    await leaves();
    await send(topic, ["9"]);
    comesBack();
    await expect.poll(() => seen.slice(8), soon).toEqual(["9 at 5"]);
  }, 60_000);

  it.each([
    ["the latest", "latest" as const],
    ["an offset", { offset: 4n }],
  ])(
    "that began at %s and had nothing yet reads a topic that was made again from its beginning",
    async (_how, from) => {
      const topic = newName();
      await make(topic);
      await send(topic, ["1", "2", "3", "4"]);
      const { seen, leaves, comesBack } = await view(topic, { start: from });
      await leaves();
      await gmq.admin.deleteTopic(topic);
      await make(topic);
      await send(topic, ["5", "6", "7", "8", "9"]);
      comesBack();
      await expect.poll(() => seen, soon).toEqual(["5 at 0", "6 at 1", "7 at 2", "8 at 3", "9 at 4"]);
    },
    60_000,
  );

  it("that was told of the deletion before it left reads the new topic from its beginning", async () => {
    const topic = newName();
    await make(topic);
    await send(topic, ["1", "2"]);
    const { seen, told, leaves, comesBack } = await view(topic, { start: "latest" });
    await send(topic, ["3"]);
    await expect.poll(() => seen, soon).toEqual(["3 at 2"]);
    await gmq.admin.deleteTopic(topic);
    await expect.poll(() => told, soon).toContain("revoked");
    await leaves();
    await make(topic);
    await send(topic, ["4", "5", "6", "7"]);
    comesBack();
    await expect.poll(() => seen.slice(1), soon).toEqual(["4 at 0", "5 at 1", "6 at 2", "7 at 3"]);
  }, 60_000);

  it("that began at the latest reads what was stored while it was away, though it had nothing before", async () => {
    const topic = newName();
    await make(topic);
    await send(topic, ["1", "2"]);
    const { seen, leaves, comesBack } = await view(topic, { start: "latest" });
    await leaves();
    await send(topic, ["3", "4"]);
    comesBack();
    await expect.poll(() => seen, soon).toEqual(["3 at 2", "4 at 3"]);
  }, 60_000);

  it("that began at the latest reads topics of its pattern that were made while it was away from their beginning", async () => {
    const topic = newName();
    await make(`${topic}b`);
    const { seen, leaves, comesBack } = await view([`${topic.slice(0, -1)}*`], { start: "latest" });
    await leaves();
    await make(topic);
    await send(topic, ["1", "2"]);
    comesBack();
    await expect.poll(() => seen, soon).toEqual(["1 at 0", "2 at 1"]);
  }, 60_000);
});
