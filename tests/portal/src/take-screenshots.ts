/** Takes the pictures that the docs show: a seeded deployment, one picture a screen. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { root } from "@gmq/e2e/harness/workspace";
import { afterAll, beforeAll, it } from "vitest";
import { type Stage, setStage } from "./stage/stage.js";

const folder = process.env["GMQ_TEST_SHOTS"] ?? join(root, "docs/portal");
const shots: readonly {
  readonly name: string;
  readonly path: string;
  readonly waitFor: string;
  readonly dark?: boolean;
  readonly width?: number;
}[] = [
  { name: "overview", path: "/", waitFor: "Groups that are behind" },
  { name: "topics", path: "/topics", waitFor: "odd-values" },
  { name: "topic", path: "/topics/orders", waitFor: "Groups that read it" },
  {
    name: "messages",
    path: "/topics/orders/messages?cel=value.cents+%3E+4000&sel=SEL",
    waitFor: "In the groups of this topic",
  },
  { name: "produce", path: "/topics/orders/produce", waitFor: "Goes to" },
  { name: "group", path: "/groups/fraud-check", waitFor: "Members" },
  { name: "pending", path: "/groups/fraud-check/pending/orders/0", waitFor: "handed out and not settled" },
  { name: "dead-letters", path: "/dead-letters/payments/refunds", waitFor: "no such order" },
  { name: "audit", path: "/audit", waitFor: "CreateTopic" },
  { name: "overview-dark", path: "/", waitFor: "Groups that are behind", dark: true },
  { name: "messages-narrow", path: "/topics/orders/messages", waitFor: "scanned", width: 320 },
];

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({
    services: { brokers: 2, adminArgs: ["--environment", "staging", "--environment-color", "amber"] },
    orders: 3_000,
    deadLetters: 12,
    browser: { width: 1280, height: 860, scale: 1 },
  });
});
afterAll(async () => await stage.stop());

it("takes a picture of each screen", async () => {
  await mkdir(folder, { recursive: true });
  const { browser, seed } = stage;
  await fetch(stage.url("/gmq.v1.AdminService/CreateTopic"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ topic: "invoices", config: { partitions: 4 } }),
  });
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
  for (const { name, path, waitFor, dark, width } of shots) {
    await page.setViewportSize({ width: width ?? 1280, height: width === undefined ? 860 : 640 });
    await page.emulateMedia({ colorScheme: dark === true ? "dark" : "light" });
    const { partition, offset } = await chosenRecord();
    await page.goto(stage.url(path.replace("SEL", `${partition}-${offset}`)));
    await page.getByText(waitFor).first().waitFor();
    await page.waitForTimeout(name.startsWith("overview") ? 2_500 : 700);
    await page.screenshot({ path: join(folder, `${name}.png`) });
  }
  await producer.close();
});

async function chosenRecord(): Promise<{ partition: number; offset: string }> {
  const response = await fetch(stage.url("/gmq.v1.PortalService/Search"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      topic: "orders",
      expression: "value.cents > 4000 && has(value.lines)",
      order: "SCAN_ORDER_OLDEST_FIRST",
      limit: 1,
    }),
  });
  const { records } = (await response.json()) as { records: { partition: number; offset: string }[] };
  const [record] = records;
  if (record === undefined) throw new Error("no record to show");
  return record;
}
