/** Every flow of the portal without a mouse, as somebody who has logged in by keyboard too, each checked against the store and with axe where a dialog is open. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type Gmq } from "@gmq/client";
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import { hashPassword } from "@gmq/protocol/secrets";
import type { Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityProblems } from "./checks/axe.js";
import { type Keyboard, keyboardOf } from "./checks/keyboard.js";
import { type Stage, setStage } from "./stage/stage.js";

const password = "correct horse battery";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let stage: Stage;
let page: Page;
let keys: Keyboard;

beforeAll(async () => {
  folder = await temporaryFolder();
  const path = join(folder.path, "portal.yaml");
  const users = [{ name: "ann", password: await hashPassword(password), role: "admin" }];
  await writeFile(path, JSON.stringify({ users }));
  stage = await setStage({
    orders: 30,
    deadLetters: 4,
    services: { adminArgs: ["--portal-access-file", path, "--data", join(folder.path, "data")] },
  });
  page = await stage.browser.open(stage.url("/topics"));
  keys = keyboardOf(page);
});
afterAll(async () => {
  await stage?.stop();
  await folder?.remove();
});

const gmq = (): Gmq => stage.seed.gmq;
const button = (name: string | RegExp): Locator => page.getByRole("button", { name, exact: true }).last();
const dialog = (): Locator => page.getByRole("dialog");
const closed = async (): Promise<void> => await dialog().waitFor({ state: "detached" });
const stored = async (topic: string): Promise<bigint> =>
  (await gmq().admin.describeTopic(topic)).partitionStats.reduce((sum, { endOffset }) => sum + endOffset, 0n);
/** Once this is there: dialogs are looked at while they are open. */
const isAccessible = async (shown: Locator = dialog().last()): Promise<void> =>
  expect(await accessibilityProblems(shown)).toEqual([]);

it("logs in", async () => {
  await isAccessible(page.getByLabel("Password"));
  await keys.type(page.getByLabel("Name"), "ann");
  await keys.type(page.getByLabel("Password"), password);
  await page.keyboard.press("Enter");
  await button("Create a topic").waitFor();
});

describe("a topic", () => {
  it("is created, and a bad name is told at its field", async () => {
    await keys.press(button("Create a topic"));
    await keys.type(page.getByLabel("Name", { exact: true }), "no name!");
    await page.keyboard.press("Enter");
    await page.locator("[aria-invalid=true]").waitFor();
    await isAccessible();
    await keys.type(page.getByLabel("Name", { exact: true }), "typed");
    await keys.type(page.getByLabel("Partitions"), "1");
    await keys.press(button("Create"));
    await page.getByRole("heading", { level: 1, name: "typed" }).waitFor();
    expect((await gmq().admin.describeTopic("typed")).partitions).toBe(1);
  });

  it("is altered, and the focus goes back where it was", async () => {
    await keys.press(button("Change…"));
    await keys.type(page.getByLabel("Kept records per partition"), "5000");
    const changes = dialog().getByRole("list", { name: "What changes" }).getByRole("listitem");
    expect(await changes.allTextContents()).toEqual(["kept records per partition: no bound → 5,000"]);
    await isAccessible();
    await keys.press(button("Change"));
    await closed();
    await expect.poll(async () => (await gmq().admin.describeTopic("typed")).retention?.records).toBe(5_000);
    expect(await button("Change…").evaluate((element) => element === document.activeElement)).toBe(true);
  });

  it("gets records, then is purged as the preview said", async () => {
    await keys.press(page.getByRole("link", { name: "Produce", exact: true }));
    for (const value of ["one", "two", "three"]) {
      await keys.type(page.getByLabel("Key", { exact: true }), "k");
      await keys.type(page.getByLabel("Value", { exact: true }), value);
      const before = await stored("typed");
      await keys.press(page.getByRole("button", { name: "Produce", exact: true }));
      await expect.poll(() => stored("typed")).toBe(before + 1n);
      await page.getByRole("button", { name: "Produce", exact: true }).waitFor();
    }
    const { records } = await gmq().admin.browse("typed");
    expect(records.map(({ value }) => Buffer.from(value).toString())).toEqual(["one", "two", "three"]);

    await keys.press(page.getByRole("link", { name: "Partitions and groups" }));
    await keys.press(button("Purge…"));
    await keys.type(page.getByLabel("First offset to keep"), "2");
    await page.keyboard.press("Enter");
    await page.getByText("2 records would be deleted for good").waitFor();
    await keys.type(page.getByLabel("Type typed to confirm"), "typed");
    await isAccessible();
    await keys.press(button("Purge"));
    await closed();
    expect((await gmq().admin.describeTopic("typed")).partitionStats[0]?.startOffset).toBe(2n);
  });

  it("is deleted with its name typed", async () => {
    await keys.press(button("Delete…"));
    await keys.type(page.getByLabel("Type typed to confirm"), "typed");
    await isAccessible();
    await keys.press(button("Delete the topic"));
    await page.waitForURL(/\/topics$/);
    expect((await gmq().admin.listTopics()).map(({ name }) => name)).not.toContain("typed");
  });
});

it("re-publishes what a search means, after counting it", async () => {
  await page.goto(stage.url("/topics/orders/messages"));
  await keys.press(button("Re-publish…"));
  await keys.type(page.getByLabel("To topic"), "empty");
  await keys.type(page.getByLabel("At most, records per second"), "2000000");
  await page.getByText("A whole number from 1 to 1,000,000").waitFor();
  await isAccessible();
  await keys.type(page.getByLabel("At most, records per second"), "5000");
  await keys.press(button("Count first"));
  await page.getByText("30 records would be re-published").waitFor();
  await keys.press(button("Re-publish 30"));
  await dialog().getByText("30 re-published").waitFor();
  await page.keyboard.press("Escape");
  await closed();
  expect(await stored("empty")).toBe(30n);
});

describe("a group", () => {
  it("is paused and resumed", async () => {
    await page.goto(stage.url("/groups/fraud-check"));
    await keys.press(button("Pause…"));
    await isAccessible();
    await keys.press(button("Pause the group"));
    await page.getByText("The group is paused").waitFor();
    await keys.press(button("Resume"));
    await button("Pause…").waitFor();
    const { partitions } = await gmq().admin.describeGroup("fraud-check");
    expect(partitions.some(({ paused }) => paused)).toBe(false);
  });

  it("is reset as the preview said", async () => {
    await keys.press(button("Reset offsets…"));
    const target = page.getByLabel("To", { exact: true });
    await keys.goTo(target);
    for (let step = 0; step < 6 && (await target.inputValue()) !== "latest"; step++)
      await page.keyboard.press("ArrowDown");
    expect(await target.inputValue()).toBe("latest");
    await keys.press(button("Show what it means"));
    await page.getByText("would never be delivered").waitFor();
    await keys.type(page.getByLabel("Type fraud-check to confirm"), "fraud-check");
    await isAccessible();
    await keys.press(button("Reset the offsets"));
    await closed();
    const { partitions } = await gmq().admin.describeGroup("fraud-check");
    expect(partitions.every(({ lag }) => lag === 0n)).toBe(true);
  });
});

describe("pending records", () => {
  const clients: Gmq[] = [];
  afterAll(async () => {
    for (const client of clients) await client.close();
  });

  async function hold(group: string, mode: "exclusive" | "shared") {
    const client = await connect({ brokers: [...stage.services.brokers] });
    clients.push(client);
    const consumer = client.consumer("held", { group, mode, start: "earliest" });
    const held = [];
    while (held.length < 8) held.push(...((await consumer.receive({ max: 8, timeoutMs: 20_000 }))?.messages ?? []));
    return { client, consumer, held };
  }
  const pending = async (group: string): Promise<bigint[]> =>
    (await gmq().admin.listPending(group, "held", 0)).records.map(({ offset }) => offset);
  const box = (offset: number): Locator => page.getByRole("checkbox", { name: `Select offset ${offset}`, exact: true });

  it("are acked, tried again and given up, with what could not be told", async () => {
    await gmq().admin.createTopic("held", { partitions: 1 });
    const producer = gmq().producer();
    for (let index = 0; index < 8; index++) await producer.send("held", { value: `v-${index}` });
    await producer.close();
    const { held } = await hold("slow", "exclusive");
    await held[6]?.retry({ delayMs: 600_000 });
    await page.goto(stage.url("/groups/slow/pending/held/0"));
    await page.getByText("8 handed out and not settled").waitFor();
    await page.getByRole("columnheader", { name: "Idle" }).waitFor();
    await page.getByRole("table", { name: "Idle, since handed out" }).waitFor();
    expect(await button("Claim…").count()).toBe(0);
    await isAccessible(page.getByRole("table", { name: "Pending records" }));

    await keys.tick(box(0));
    await keys.tick(box(1));
    await keys.press(button("Ack…"));
    await keys.press(button("CLI"));
    await page
      .getByText("gmq groups settle slow --topic held --partition 0 --offsets 0-1 --as ack", { exact: true })
      .waitFor();
    await isAccessible();
    await page.keyboard.press("Escape");
    await keys.press(button("Show what it means"));
    await keys.press(button("Ack 2"));
    await dialog().getByText("2 acked").waitFor();
    await isAccessible();
    await page.keyboard.press("Escape");
    await closed();
    expect(await pending("slow")).toEqual([2n, 3n, 4n, 5n, 6n, 7n]);

    await keys.tick(box(6));
    await keys.tick(box(7));
    await keys.press(button("Retry now…"));
    await keys.press(button("Show what it means"));
    await keys.press(button(/^Retry now \d/));
    await dialog().getByText("1 delivered again, 1 refused").waitFor();
    await page.keyboard.press("Escape");
    await closed();

    await keys.tick(box(3));
    await keys.press(button("Dead-letter…"));
    await keys.type(page.getByLabel("Reason"), "poison");
    await keys.press(button("Show what it means"));
    await keys.press(button("Dead-letter 1"));
    await dialog().getByText("1 dead-lettered").waitFor();
    await page.keyboard.press("Escape");
    await closed();
    const { letters } = await gmq().admin.deadLetters("held", { group: "slow" });
    expect(letters.map(({ offset, reason }) => [offset, reason])).toEqual([[3n, "poison"]]);
  });

  it("are claimed from a stuck consumer of a shared group, and another one gets them", async () => {
    await hold("workers", "shared");
    const second = await connect({ brokers: [...stage.services.brokers] });
    clients.push(second);
    const consumer = second.consumer("held", { group: "workers", mode: "shared", start: "earliest" });
    const receiving = consumer.receive({ max: 8, timeoutMs: 60_000 });
    await page.goto(stage.url("/groups/workers/pending/held/0"));
    await page.getByText("8 handed out and not settled").waitFor();
    await keys.tick(box(2));
    await keys.press(button("Claim…"));
    await keys.press(button("Show what it means"));
    await page.getByText("1 of 1 would be claimed").waitFor();
    await isAccessible();
    await keys.press(button("Claim 1"));
    await dialog().getByText("1 claimed").waitFor();
    await page.keyboard.press("Escape");
    await closed();
    const batch = await receiving;
    expect(batch?.messages.map(({ offset, attempt, handBacks }) => [offset, attempt, handBacks])).toEqual([[2n, 1, 1]]);
    await batch?.ack();
    expect(await pending("workers")).toEqual([0n, 1n, 3n, 4n, 5n, 6n, 7n]);
    await page.goto(stage.url("/audit"));
    await page.getByText("Ack pending records").first().waitFor();
  });
});

describe("dead letters", () => {
  it("are discarded, which is taken back, and redriven", async () => {
    await page.goto(stage.url("/dead-letters/payments/refunds"));
    await keys.press(button("Discard…"));
    await keys.press(button("Count first"));
    await page.getByText("4 of 4 would be discarded").waitFor();
    await keys.type(page.getByLabel("Type refunds to confirm"), "refunds");
    await keys.press(button("Discard 4"));
    await dialog().getByText("until then nothing is changed").waitFor();
    await keys.press(button("Undo"));
    await dialog().getByText("cancelled", { exact: true }).waitFor();
    await isAccessible();
    await page.keyboard.press("Escape");
    await closed();

    const before = await stored("payments");
    await keys.press(button("Redrive…"));
    await keys.type(page.getByLabel("At most, records per second"), "500");
    await keys.press(button("Count first"));
    await page.getByText("4 of 4 would be redriven").waitFor();
    await keys.press(button("Redrive 4"));
    await dialog().getByText("4 redriven").waitFor();
    await page.keyboard.press("Escape");
    await closed();
    expect((await stored("payments")) - before).toBe(4n);
  });
});

it("cancels a job", async () => {
  await gmq().admin.createTopic("slowly", { partitions: 1 });
  await page.goto(stage.url("/topics/orders/messages"));
  await keys.press(button("Re-publish…"));
  await keys.type(page.getByLabel("To topic"), "slowly");
  await keys.type(page.getByLabel("At most, records per second"), "1");
  await keys.press(button("Count first"));
  await keys.press(button("Re-publish 30"));
  await keys.press(button("Go on in the background"));
  await closed();
  // By its shortcut, not on foot.
  await page.keyboard.press("g");
  await page.keyboard.press("j");
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  await keys.press(page.getByRole("link", { name: /^Re-publish/ }).first());
  // The list has buttons of that name too.
  await page.waitForURL(/\/jobs\/./);
  await page.getByRole("heading", { level: 1, name: /^Re-publish/ }).waitFor();
  await keys.press(button("Cancel"));
  const cancelled = page.getByRole("main").getByText("cancelled", { exact: true });
  await isAccessible(cancelled);
  expect(await stored("slowly")).toBeLessThan(30n);
});

it("logs out", async () => {
  await keys.press(button("Log out"));
  await page.getByRole("heading", { name: "Log in again" }).waitFor();
  await isAccessible();
});
