/** Figures and marks that stand on a page from its first moment, and what is there on a phone. */
import { Reject } from "@gmq/client";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { call } from "./checks/calls.js";
import { type Stage, setStage } from "./stage/stage.js";

/** More than the portal describes in one look. */
const topicsMade = 280;
const phone = { width: 390, height: 844 };
const desk = { width: 1280, height: 900 };

let stage: Stage;
let page: Page;
beforeAll(async () => {
  stage = await setStage({ orders: 200 });
  const { admin } = stage.seed.gmq;
  for (let index = 0; index < topicsMade; index++) await admin.createTopic(`many-${index}`, { partitions: 1 });
  page = await stage.browser.context.newPage();
});
afterAll(async () => await stage?.stop());

/** A group that holds 6 records, 2 of which wait for a retry. */
async function holdSome(): Promise<() => Promise<void>> {
  const { gmq } = stage.seed;
  await gmq.admin.createTopic("held", { partitions: 1 });
  const producer = gmq.producer();
  for (let index = 0; index < 6; index++) await producer.send("held", { value: `v-${index}` });
  await producer.close();
  const consumer = gmq.consumer("held", { group: "holder", start: "earliest" });
  const held = [];
  while (held.length < 6) held.push(...((await consumer.receive({ max: 6, timeoutMs: 20_000 }))?.messages ?? []));
  for (const message of held.slice(0, 2)) await message.retry({ delayMs: 900_000 });
  return () => consumer.close();
}

it("draws no sum before every topic and group was looked at", async () => {
  const portal = stage.services.part("admin");
  await portal.kill();
  await portal.restart();
  await page.goto(stage.url("/"));
  const lag = page.locator("figure").filter({ hasText: "Lag of all groups" });
  await lag.getByText("Show as a table").click();
  const rows = lag.getByRole("table").locator("tbody tr");
  await expect.poll(() => rows.count(), { timeout: 15_000 }).toBeGreaterThan(2);
  const values = await rows.evaluateAll((all) => all.map((row) => row.children[1]?.textContent));
  expect(new Set(values)).toEqual(new Set(["180"]));
});

it("marks a paused group wherever groups are listed, and lists the paused alone", async () => {
  await stage.seed.gmq.admin.pauseGroup("fraud-check");
  await page.goto(stage.url("/groups"));
  const groups = page.getByRole("table", { name: "Groups", exact: true });
  const row = groups.getByRole("row").filter({ hasText: "fraud-check" });
  await row.getByText("paused", { exact: true }).first().waitFor();
  expect(await groups.getByText("paused", { exact: true }).count()).toBe(2);
  await page.getByLabel("Which groups").selectOption("paused");
  await expect.poll(() => groups.locator("tbody tr").count()).toBe(1);
  await page.goto(stage.url("/"));
  const behind = page.getByRole("table", { name: "Groups that are behind" });
  await behind.getByRole("row").filter({ hasText: "fraud-check" }).getByText("paused").waitFor();
  await stage.seed.gmq.admin.resumeGroup("fraud-check");
});

it("counts only what waits for a retry among what comes again, and leads there on a phone too", async () => {
  const release = await holdSome();
  await page.setViewportSize(phone);
  await page.goto(stage.url("/groups/holder"));
  await page.getByRole("link", { name: "6 pending in partition 0" }).click();
  await page.getByText("6 handed out and not settled").waitFor();
  const classes = page.getByRole("table", { name: "Again in, those that wait for a retry" }).locator("tbody tr");
  const counts = await classes.evaluateAll((all) => all.map((row) => Number(row.lastElementChild?.textContent)));
  expect(counts).toEqual([0, 0, 0, 0, 2]);
  await page.setViewportSize(desk);
  await release();
});

it("shows a key that is no text in hexadecimal, in the list and beside it, and an empty value as such", async () => {
  const { gmq } = stage.seed;
  await gmq.admin.createTopic("keys", { partitions: 1 });
  const producer = gmq.producer();
  await producer.send("keys", { key: Uint8Array.from([0, 255, 1]), value: "" });
  await producer.close();
  await page.goto(stage.url("/topics/keys/messages?sel=0-0"));
  const row = page.getByRole("table", { name: "Records" }).locator("tbody tr");
  await row.getByText("00 ff 01", { exact: true }).waitFor();
  await row.getByText("empty", { exact: true }).waitFor();
  await page
    .getByRole("complementary")
    .or(page.getByLabel("Record", { exact: true }))
    .getByText("00 ff 01")
    .waitFor();
});

it("tells a tail's rate of the last seconds, not of the last quarter of one", async () => {
  const { gmq } = stage.seed;
  await gmq.admin.createTopic("bursts", { partitions: 1 });
  await page.goto(stage.url("/topics/bursts/messages?live=1"));
  await page.getByText(/0 appended/).waitFor();
  const producer = gmq.producer();
  await Promise.all(Array.from({ length: 40 }, (_, index) => producer.send("bursts", { value: `b-${index}` })));
  await producer.close();
  const line = page.getByText(/\/s · 40 appended/);
  await line.waitFor();
  // 40 records in a quarter of a second are 160 in one; a second is the least that a rate is told of.
  const rate = Number(/([\d.,]+)\/s/.exec((await line.textContent()) ?? "")?.[1]);
  expect(rate).toBeGreaterThan(0);
  expect(rate).toBeLessThanOrEqual(40);
});

it("says that there is no such job, and asks no more", async () => {
  let asked = 0;
  page.on("request", (request) => {
    if (request.url().endsWith("/GetJob")) asked++;
  });
  await page.goto(stage.url("/jobs/00000000-0000-0000-0000-000000000000"));
  await page
    .getByRole("alert")
    .getByText(/no job/)
    .waitFor();
  const before = asked;
  // Three rounds of what a page asks of a job that runs.
  await page.waitForTimeout(2_500);
  expect(asked).toBe(before);
});

it("shows the record that is chosen on a phone, where its panel stands below the list", async () => {
  const narrow = await stage.browser.context.newPage();
  await narrow.setViewportSize(phone);
  await narrow.goto(stage.url("/topics/orders/messages"));
  await narrow
    .getByRole("button", { name: /^Record / })
    .first()
    .click();
  const record = narrow.getByLabel("Record", { exact: true });
  await record.getByText("Appended").waitFor();
  await expect.poll(() => record.evaluate((panel) => panel.getBoundingClientRect().top < innerHeight / 2)).toBe(true);
  await narrow.close();
});

it("counts dead letters as such and not as a group that is behind, and leads from their topic to them", async () => {
  const { gmq } = stage.seed;
  const refunds = gmq.subscribe("payments", { group: "refunds", start: "earliest" }, () => {
    throw new Reject("no such order");
  });
  interface Listed {
    readonly queues?: readonly { readonly open?: string }[];
    readonly letters?: readonly { readonly place: unknown }[];
  }
  const list = (request: object): Promise<Listed> =>
    call<Listed>(stage.services.adminUrl, "AdminService/ListDeadLetters", request);
  await expect.poll(async () => (await list({})).queues?.[0]?.open, { timeout: 30_000 }).toBe("120");
  await refunds.close();
  // Once one is discarded, the brokers' own group is there.
  const queue = { topic: "payments", group: "refunds" };
  const selected = (await list({ ...queue, limit: 1 })).letters?.map(({ place }) => place);
  const redrive = { ...queue, selected, action: "REDRIVE_ACTION_DISCARD" };
  await call(stage.services.adminUrl, "PortalService/StartJob", { redrive });
  await expect.poll(async () => (await gmq.admin.listGroups()).map(({ group }) => group)).toContain("gmq.redrive");
  await page.goto(stage.url("/topics/payments.refunds.dlq"));
  await page.getByText("No group reads this topic").waitFor();
  await page.getByRole("link", { name: "By reason, redrive or discard" }).click();
  await page.getByRole("heading", { level: 1, name: "Dead letters of refunds from payments" }).waitFor();
  await page.goto(stage.url("/groups"));
  const groups = page.getByRole("table", { name: "Groups", exact: true });
  await groups.getByText("refunds", { exact: true }).waitFor();
  expect(await groups.getByText("gmq.redrive").count()).toBe(0);
  await page.goto(stage.url("/topics?q=payments.refunds"));
  const row = page.getByRole("table", { name: "Topics", exact: true }).locator("tbody tr");
  await row.getByText("payments.refunds.dlq").waitFor();
  expect(await row.getByText("119").count()).toBe(0);
});

it("keeps the open page in view of a phone's navigation, finds things there, and cuts no alert", async () => {
  const narrow = await stage.browser.context.newPage();
  await narrow.setViewportSize(phone);
  await narrow.goto(stage.url("/access"));
  const nav = narrow.getByRole("navigation", { name: "Main" });
  const open = nav.getByRole("link", { name: "Access" });
  await expect
    .poll(async () => {
      const [outer, inner] = [await nav.boundingBox(), await open.boundingBox()];
      return inner !== null && outer !== null && inner.x + inner.width <= outer.x + outer.width + 1;
    })
    .toBe(true);
  await narrow.getByRole("button", { name: "Find" }).click();
  await narrow.getByRole("dialog").getByRole("combobox").waitFor();
  await narrow.keyboard.press("Escape");
  await narrow.goto(stage.url("/alerts"));
  const rules = narrow.getByRole("table", { name: "Rules" });
  const condition = rules.getByRole("cell", { name: "records were trimmed before a group had settled them" });
  await condition.waitFor();
  expect(await condition.evaluate((cell) => cell.scrollWidth <= cell.clientWidth)).toBe(true);
  await narrow.close();
});
