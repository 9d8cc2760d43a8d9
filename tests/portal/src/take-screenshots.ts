/** Takes the pictures that the docs show: a seeded deployment, one picture a screen. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "@gmq/client";
import { root, temporaryFolder } from "@gmq/e2e/harness/workspace";
import { afterAll, beforeAll, it } from "vitest";
import { type Stage, setStage } from "./stage/stage.js";
import { type Posts, takePosts } from "./stage/take-posts.js";

const folder = process.env["GMQ_TEST_SHOTS"] ?? join(root, "docs/portal");
const shots: readonly {
  readonly name: string;
  readonly path: string;
  readonly waitFor: string;
  readonly dark?: boolean;
  readonly width?: number;
  /** Default 860, of a narrow one 640. */
  readonly height?: number;
  /** A button to press before the picture. */
  readonly press?: string;
}[] = [
  { name: "overview", path: "/", waitFor: "Groups that are behind", height: 1_290 },
  { name: "topics", path: "/topics", waitFor: "odd-values", height: 500 },
  { name: "topic", path: "/topics/orders", waitFor: "Groups that read it" },
  {
    name: "messages",
    path: "/topics/orders/messages?cel=value.cents+%3E+4000&sel=SEL",
    waitFor: "In the groups of this topic",
  },
  { name: "produce", path: "/topics/orders/produce", waitFor: "Goes to" },
  { name: "groups", path: "/groups", waitFor: "fraud-check", height: 440 },
  { name: "group", path: "/groups/fraud-check", waitFor: "Members" },
  { name: "pending", path: "/groups/parcels/pending/deliveries/0", waitFor: "handed out and not settled" },
  { name: "pending-shared", path: "/groups/loaders/pending/pallets/0", waitFor: "handed out and not settled" },
  { name: "dead-letter-queues", path: "/dead-letters", waitFor: "refunds", height: 300 },
  { name: "dead-letters", path: "/dead-letters/payments/refunds", waitFor: "no such order" },
  { name: "jobs", path: "/jobs", waitFor: "Re-publish records", height: 500 },
  { name: "job", path: "/jobs/JOB", waitFor: "Outcome of each item" },
  {
    name: "republish",
    path: "/topics/orders/messages?cel=value.cents+%3E+4000",
    waitFor: "matched",
    press: "Re-publish…",
  },
  { name: "audit", path: "/audit", waitFor: "Discard dead letters", height: 530 },
  { name: "alerts", path: "/alerts", waitFor: "unattended" },
  { name: "access", path: "/access", waitFor: "cards.*" },
  { name: "overview-dark", path: "/", waitFor: "Groups that are behind", dark: true },
  { name: "messages-narrow", path: "/topics/orders/messages", waitFor: "scanned", width: 320 },
];

let stage: Stage;
let hook: Posts<unknown>;
let settings: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  settings = await temporaryFolder();
  const masking = join(settings.path, "masking.yaml");
  const rule = { topics: ["cards.*"], fields: ["value.card.number", "headers.authorization"], except: ["admin"] };
  await writeFile(masking, JSON.stringify({ rules: [rule] }));
  const alerts = join(settings.path, "alerts.yaml");
  const rules = [
    { name: "broker-silent", when: "broker_silent", forSeconds: 10, severity: "critical" },
    { name: "store-not-ready", when: "store_not_ready", forSeconds: 10, severity: "critical" },
    { name: "unattended", when: "no_members", forSeconds: 1 },
    { name: "loaders-late", when: "lag_seconds", above: 1, forSeconds: 2, groups: ["loaders", "parcels"] },
    { name: "dead-letters", when: "dead_letters", forSeconds: 0 },
  ];
  hook = await takePosts();
  await writeFile(alerts, JSON.stringify({ rules, webhook: { url: hook.url } }));
  const environment = ["--environment", "staging", "--environment-color", "amber"];
  stage = await setStage({
    services: {
      brokers: 2,
      adminArgs: [...environment, "--portal-masking-file", masking, "--portal-alerts-file", alerts],
    },
    orders: 3_000,
    deadLetters: 12,
    browser: { width: 1280, height: 860, scale: 1 },
  });
});
afterAll(async () => {
  await stage?.stop();
  await hook?.close();
  await settings?.remove();
});

it("takes a picture of each screen", async () => {
  await mkdir(folder, { recursive: true });
  const { browser, seed } = stage;
  await post("AdminService/CreateTopic", { topic: "invoices", config: { partitions: 4 } });
  const page = await browser.open(stage.url("/"));
  const producer = seed.gmq.producer();
  // Something to see in the charts.
  const until = Date.now() + 40_000;
  for (let turn = 0; Date.now() < until; turn++) {
    const count = Math.round(30 + 20 * Math.sin(turn / 12));
    await Promise.all(
      Array.from({ length: count }, (_, index) =>
        producer.send("orders", {
          key: `customer-${index}`,
          value: JSON.stringify({ id: `n-${turn}-${index}`, cents: (turn * index * 13) % 5_000 }),
        }),
      ),
    );
    await page.waitForTimeout(200);
  }
  const jobId = await runJobs();
  const parcels = await holdParcels();
  const pallets = await sharePallets();
  const known = {
    rule: "dead-letters",
    subject: "",
    seconds: 14_400,
    reason: "orders of the outage, sorted out on Monday",
  };
  await post("PortalService/SilenceAlert", known);
  // Somebody who works on the lag, slowly.
  const fraud = seed.gmq.subscribe("orders", { group: "fraud-check", concurrency: 2 }, async () => {
    await new Promise((resolve) => setTimeout(resolve, 40));
  });
  for (const { name, path, waitFor, dark, width, height, press } of shots) {
    await page.setViewportSize({ width: width ?? 1280, height: height ?? (width === undefined ? 860 : 640) });
    await page.emulateMedia({ colorScheme: dark === true ? "dark" : "light" });
    const { partition, offset } = await chosenRecord();
    await page.goto(stage.url(path.replace("SEL", `${partition}-${offset}`).replace("JOB", jobId)));
    await page.getByText(waitFor).first().waitFor();
    await page.getByText("Scanning…").waitFor({ state: "detached" });
    if (press !== undefined) {
      await page.getByRole("button", { name: press }).click();
      await page.getByRole("button", { name: "Count first" }).click();
      await page.getByText(/records would be re-published/).waitFor();
    }
    await page.waitForTimeout(name.startsWith("overview") ? 2_500 : name === "group" ? 9_000 : 700);
    await page.screenshot({ path: join(folder, `${name}.png`) });
  }
  await fraud.close();
  await parcels.close();
  await pallets();
  await producer.close();
});

async function post<T>(method: string, request: unknown): Promise<T> {
  const response = await fetch(stage.url(`/gmq.v1.${method}`), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  if (!response.ok) throw new Error(`${method}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** Some that are done and one that runs; answers with one that has something to tell of each item. */
async function runJobs(): Promise<string> {
  const start = (work: unknown): Promise<{ job: { jobId: string } }> => post("PortalService/StartJob", work);
  const search = { topic: "orders", expression: 'value.cents > 4900 && headers.region == "eu-west"' };
  const { job } = await start({ republish: { search, toTopic: "invoices" } });
  await start({ export: { search, format: "EXPORT_FORMAT_CSV", recordsMax: 500 } });
  const lines = Array.from({ length: 40 }, (_, index) => JSON.stringify({ key: `k-${index}`, value: `line ${index}` }));
  await start({ produceLines: { topic: "invoices", lines: Buffer.from(lines.join("\n")).toString("base64") } });
  await start({ purge: { topic: "odd-values", toOffset: "2" } });
  await start({ reset: { group: "fraud-check", topic: "orders", to: { timestampMs: String(Date.now() - 20_000) } } });
  const { job: cancelled } = await start({
    republish: { search: { topic: "orders" }, toTopic: "empty", ratePerSecond: 50 },
  });
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  await post("PortalService/CancelJob", { jobId: cancelled.jobId });
  await start({ republish: { search: { topic: "orders" }, toTopic: "empty", ratePerSecond: 20 } });
  await start({ redrive: { topic: "payments", group: "refunds", action: "REDRIVE_ACTION_DISCARD" }, delayMs: 120_000 });
  return job.jobId;
}

/** A consumer that holds records, some of which failed before. */
async function holdParcels(): Promise<{ close(): Promise<void> }> {
  const { gmq } = stage.seed;
  await gmq.admin.createTopic("deliveries", { partitions: 1 });
  const producer = gmq.producer();
  for (let index = 0; index < 24; index++) await producer.send("deliveries", { value: `{"parcel":${index}}` });
  await producer.close();
  const consumer = gmq.consumer("deliveries", { group: "parcels", start: "earliest" });
  let held = (await consumer.receive({ max: 24, timeoutMs: 20_000 }))?.messages ?? [];
  for (let round = 0; round < 3; round++) {
    const failing = held.filter((_, index) => index % 3 === round || index % 4 === 0);
    for (const message of failing) await message.retry({ delayMs: 0 });
    const again = (await consumer.receive({ max: failing.length, timeoutMs: 20_000 }))?.messages ?? [];
    held = [...held.filter((message) => !failing.includes(message)), ...again];
  }
  for (const [index, message] of held.slice(0, 9).entries()) {
    await message.retry({ delayMs: 30_000 + index * index * 20_000 });
  }
  return consumer;
}

/** Three consumers of a shared group at two brokers, each with some records. */
async function sharePallets(): Promise<() => Promise<void>> {
  const { seed, services } = stage;
  await seed.gmq.admin.createTopic("pallets", { partitions: 1 });
  const producer = seed.gmq.producer();
  for (let index = 0; index < 18; index++) await producer.send("pallets", { value: `{"pallet":${index}}` });
  await producer.close();
  const closers: (() => Promise<void>)[] = [];
  for (const [index, clientId] of ["loader-1", "loader-2", "loader-3"].entries()) {
    const gmq = await connect({ brokers: [services.brokers[index % services.brokers.length] ?? ""], clientId });
    const maxInFlight = { records: 5 };
    const consumer = gmq.consumer("pallets", { group: "loaders", mode: "shared", start: "earliest", maxInFlight });
    closers.push(async () => {
      await consumer.close();
      await gmq.close();
    });
    for (let held = 0; held < 5; )
      held += (await consumer.receive({ max: 5, timeoutMs: 20_000 }))?.messages.length ?? 0;
  }
  return async () => {
    for (const close of closers) await close();
  };
}

async function chosenRecord(): Promise<{ partition: number; offset: string }> {
  const { records } = await post<{ records: { partition: number; offset: string }[] }>("PortalService/Search", {
    topic: "orders",
    expression: "value.cents > 4000 && has(value.lines)",
    order: "SCAN_ORDER_OLDEST_FIRST",
    limit: 1,
  });
  const [record] = records;
  if (record === undefined) throw new Error("no record to show");
  return record;
}
