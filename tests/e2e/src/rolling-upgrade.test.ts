/**
 * From one protocol version to the next, process by process, under traffic: storage services, brokers, consumers. Also back again, and with peers that have no version in
 * common.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type Gmq } from "@gmq/client";
import { afterEach, expect, it } from "vitest";
import { runProcess, startProcess, type TestProcess } from "./harness/child-process.js";
import { expectKept } from "./harness/journalled-load.js";
import { sendLoad } from "./harness/load.js";
import { openTestStore, type TestStore } from "./harness/test-store.js";
import { freePorts, startPart, type TopologyPart } from "./harness/topologies.js";
import { entries, temporaryFolder } from "./harness/workspace.js";

/** Oldest and newest version of a build. */
type Versions = "1 1" | "1 2" | "2 2";

const preload = fileURLToPath(new URL("./harness/speak-versions.ts", import.meta.url));
const endings: (() => Promise<unknown>)[] = [];
let store: TestStore;
let ports: number[];

afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

function speaking(versions: Versions) {
  return {
    NODE_OPTIONS: `--import=${preload} --disable-warning=ExperimentalWarning`,
    GMQ_TEST_PROTOCOL_VERSIONS: versions,
  };
}

const url = (port: number | undefined): string => `http://127.0.0.1:${port}`;

async function start(app: "storage" | "broker", index: number, versions: Versions): Promise<TopologyPart> {
  const port = ports[(app === "storage" ? 0 : 2) + index];
  const own = ["--addr", `127.0.0.1:${port}`];
  const args =
    app === "storage"
      ? [...own, "--redis-url", store.url, "--key-prefix", store.prefix]
      : [
          ...own,
          "--storage",
          `${url(ports[0])},${url(ports[1])}`,
          "--broker-id",
          `broker-${index}`,
          "--log-level",
          "debug",
        ];
  const part = await startPart(`${app} ${index} of ${versions}`, entries[app], url(port), args, speaking(versions));
  endings.push(() => part.kill());
  return part;
}

async function prepare(): Promise<string> {
  store = await openTestStore();
  endings.push(() => store.stop());
  ports = await freePorts(4);
  const folder = await temporaryFolder();
  endings.push(folder.remove);
  return folder.path;
}

async function consumer(topic: string, journal: string, versions: Versions): Promise<TestProcess> {
  const started = startProcess({
    name: `consumer of ${versions}`,
    command: process.execPath,
    args: [
      join(import.meta.dirname, "harness/consumer-child.ts"),
      `${url(ports[2])},${url(ports[3])}`,
      topic,
      "g",
      journal,
    ],
    env: speaking(versions),
  });
  endings.push(() => started.kill());
  await started.waitForOutput(/consuming/, 30_000);
  return started;
}

it("goes on while every process is replaced by one of the next version, and nothing is lost", async () => {
  const folder = await prepare();
  const journal = join(folder, "journal");
  const topic = `upgrade-${randomUUID().slice(0, 8)}`;
  const storages = [await start("storage", 0, "1 1"), await start("storage", 1, "1 1")];
  const brokers = [await start("broker", 0, "1 1"), await start("broker", 1, "1 1")];
  // This process' client speaks version 1, as all of today do.
  const gmq: Gmq = await connect({ brokers: [url(ports[2]), url(ports[3])], timeoutMs: 30_000 });
  endings.push(() => gmq.close());
  await consumer(topic, journal, "1 1");

  async function replace(parts: TopologyPart[], app: "storage" | "broker", index: number, versions: Versions) {
    await parts[index]?.stop();
    parts[index] = await start(app, index, versions);
  }
  let over = false;
  const upgrade = (async (): Promise<void> => {
    for (const index of [0, 1]) await replace(storages, "storage", index, "1 2");
    for (const index of [0, 1]) await replace(brokers, "broker", index, "1 2");
    await consumer(topic, journal, "1 2");
    // Somebody has second thoughts.
    await replace(brokers, "broker", 1, "1 1");
    await replace(brokers, "broker", 1, "1 2");
  })().finally(() => {
    over = true;
  });
  // Told below; until then nobody waits for it.
  upgrade.catch(() => undefined);
  const load = await sendLoad(gmq, topic, { count: 60_000, keys: 200, perTurn: 20 }, async () => {
    // Traffic for as long as the upgrade takes; the rest at once.
    await new Promise((resolve) => setTimeout(resolve, over ? 0 : 10));
  });
  await upgrade;
  await expectKept(load, journal);
  // They did agree on the newer version where both have it, and on the older one with the client of this process.
  for (const broker of brokers) {
    expect(broker.process.output()).toContain('"protocolVersion":2,"msg":"linked to storage"');
  }
  const sessions = brokers.map(({ process }) => process.output()).join("\n");
  expect(sessions).toContain('"protocolVersion":1,"msg":"session opened"');
  expect(sessions).toContain('"protocolVersion":2,"msg":"session opened"');
}, 240_000);

it("names both sides' versions where they have none in common, and a client goes on to a broker that speaks its own", async () => {
  await prepare();
  await start("storage", 0, "1 2");
  await start("storage", 1, "1 2");
  await start("broker", 0, "2 2");
  await expect(connect({ brokers: [url(ports[2])], timeoutMs: 10_000 })).rejects.toMatchObject({
    code: "unsupported_version",
    message: expect.stringContaining("version 1: its peer is too old"),
    limit: "2 to 2",
  });
  await start("broker", 1, "1 1");
  const gmq = await connect({ brokers: [url(ports[2]), url(ports[3])], timeoutMs: 30_000 });
  endings.push(() => gmq.close());
  const producer = gmq.producer();
  expect((await producer.send("orders", { value: "1" })).offset).toBe(0n);
}, 120_000);

it.each([
  { what: "a newer client at an older broker", client: "1 2", broker: "1 1", storage: "1 1", session: 1, link: 1 },
  { what: "an older client at a newer broker", client: "1 1", broker: "1 2", storage: "1 2", session: 1, link: 2 },
  { what: "a newer broker at an older storage", client: "1 2", broker: "1 2", storage: "1 1", session: 2, link: 1 },
  { what: "an older broker at a newer storage", client: "1 2", broker: "1 1", storage: "1 2", session: 1, link: 1 },
] as const)(
  "$what: they agree on the older version, and records go in and out",
  async (sides) => {
    await prepare();
    for (const index of [0, 1]) await start("storage", index, sides.storage);
    const broker = await start("broker", 0, sides.broker);
    const gmq = async (...args: string[]): Promise<string> => {
      const { code, output } = await runProcess({
        name: `gmq ${args[0]}`,
        command: process.execPath,
        args: [entries.cli, ...args, "--broker", url(ports[2])],
        env: speaking(sides.client),
      });
      expect([code, output]).toEqual([0, expect.any(String)]);
      return output;
    };
    await gmq("publish", "orders", "hello");
    expect(await gmq("consume", "orders", "--group", "g", "--no-follow")).toContain("hello");
    expect(await gmq("groups", "list")).toContain("g");
    const log = broker.process.output();
    expect([...new Set(log.match(/(?<="protocolVersion":)\d(?=,"msg":"session opened")/g))]).toEqual([
      `${sides.session}`,
    ]);
    expect([...new Set(log.match(/(?<="protocolVersion":)\d(?=,"msg":"linked to storage")/g))]).toEqual([
      `${sides.link}`,
    ]);
  },
  120_000,
);
