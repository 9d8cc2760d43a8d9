/** What a group was given and has not settled: an operator acks it, retries it or gives it up through the pages, whichever broker has it. */
import { type Consumer, connect, type Message } from "@gmq/client";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessibilityProblems } from "./checks/axe.js";
import { call } from "./checks/calls.js";
import { type Stage, setStage } from "./stage/stage.js";

let stage: Stage;
let page: Page;
beforeAll(async () => {
  stage = await setStage({ orders: 30, services: { brokers: 2 } });
  const { gmq } = stage.seed;
  await gmq.admin.createTopic("held", { partitions: 1 });
  const producer = gmq.producer();
  for (let index = 0; index < 12; index++) await producer.send("held", { value: `v-${index}` });
  await producer.close();
  page = await stage.browser.context.newPage();
});
afterAll(async () => await stage?.stop());

const pendingOffsets = async (group: string): Promise<string[]> => {
  const { records = [] } = await call<{ records?: { offset?: string }[] }>(
    stage.services.adminUrl,
    "AdminService/ListPending",
    { group, topic: "held", partition: 0, limit: 1_000 },
  );
  return records.map(({ offset = "0" }) => offset);
};
/** So many different records: one that comes again, as after a lost session, counts once. */
async function hold(consumer: Consumer<Uint8Array>, count: number): Promise<Map<string, Message<Uint8Array>>> {
  const held = new Map<string, Message<Uint8Array>>();
  while (held.size < count) {
    const batch = await consumer.receive({ max: count, timeoutMs: 20_000 });
    for (const message of batch?.messages ?? []) held.set(String(message.offset), message);
  }
  return held;
}
const address = (group: string): string => stage.url(`/groups/${group}/pending/held/0`);

it("acks, retries and gives up what a consumer of another broker holds, and says what it left alone", async () => {
  // Not the broker that the portal asks first.
  const other = await connect({ brokers: [stage.services.brokers[1] ?? ""], clientId: "slow-worker" });
  const consumer = other.consumer("held", { group: "slow", start: "earliest" });
  const held = [];
  while (held.length < 12) held.push(...((await consumer.receive({ max: 12, timeoutMs: 20_000 }))?.messages ?? []));
  await held[10]?.retry({ delayMs: 600_000 });

  await page.goto(address("slow"));
  await page.getByText("12 handed out and not settled").waitFor();
  expect(await accessibilityProblems(page.getByRole("table", { name: "Pending records" }))).toEqual([]);
  // A look beside the list, which takes nothing from the consumer; the selection stays.
  await page.getByRole("checkbox", { name: "Select offset 0", exact: true }).check();
  await page.getByRole("button", { name: "peek at offset 5" }).click();
  const record = page.getByLabel("Record", { exact: true });
  await record.getByText("v-5", { exact: true }).waitFor();
  await record.getByText("held / 0 @ 5").waitFor();
  expect(new URL(page.url()).pathname).toBe("/groups/slow/pending/held/0");
  expect(await accessibilityProblems(record)).toEqual([]);
  await page.getByRole("button", { name: "peek at offset 6" }).click();
  await record.getByText("v-6", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Close the record" }).click();
  await record.waitFor({ state: "detached" });
  await page.getByText("1 selected").waitFor();
  expect(await pendingOffsets("slow")).toHaveLength(12);

  await page.getByRole("checkbox", { name: "Select offset 3", exact: true }).click({ modifiers: ["Shift"] });
  await page.getByText("4 selected").waitFor();
  await page.getByRole("button", { name: "Ack…" }).click();
  await page.getByRole("button", { name: "Show what it means" }).click();
  await page.getByText("4 of 4 would be acked").waitFor();
  // Between the look and the act the consumer is done with one of them.
  await held[2]?.ack();
  await expect.poll(() => pendingOffsets("slow")).not.toContain("2");
  await page.getByRole("button", { name: "Ack 4" }).click();
  await page.getByRole("dialog").getByText("3 acked, 1 refused").waitFor();
  await page.getByRole("table", { name: "Result" }).getByText("already_settled").waitFor();
  expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  expect(await pendingOffsets("slow")).toEqual(["4", "5", "6", "7", "8", "9", "10", "11"]);

  await page.getByText("8 handed out and not settled").waitFor();
  await page.getByRole("button", { name: "Select all listed" }).click();
  await page.getByRole("button", { name: "Retry now…" }).click();
  await page.getByRole("button", { name: "Show what it means" }).click();
  await page.getByRole("button", { name: "Retry now 8" }).click();
  await page.getByRole("dialog").getByText("1 delivered again, 7 refused").waitFor();
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  const again = await consumer.receive({ max: 1, timeoutMs: 20_000 });
  expect(again?.messages[0]?.offset).toBe(10n);
  await again?.ack();

  await page.getByText("7 handed out and not settled").waitFor();
  await page.getByRole("checkbox", { name: "Select offset 11", exact: true }).check();
  await page.getByRole("button", { name: "Dead-letter…" }).click();
  await page.getByLabel("Reason").fill("poison");
  await page.getByRole("button", { name: "Show what it means" }).click();
  await page.getByRole("button", { name: "Dead-letter 1" }).click();
  await page.getByRole("dialog").getByText("1 dead-lettered").waitFor();
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  const { letters } = await call<{ letters: { offset: string; reason: string }[] }>(
    stage.services.adminUrl,
    "AdminService/ListDeadLetters",
    { topic: "held", group: "slow" },
  );
  expect(letters.map(({ offset, reason }) => [offset, reason])).toEqual([["11", "poison"]]);
  // The consumer's own verdicts are accepted, also for what the operator settled.
  for (const message of held.slice(0, 10)) await message.ack();
  await expect.poll(() => pendingOffsets("slow")).toEqual([]);
  await consumer.close();
  await other.close();

  // It was seen who came and went.
  await page.goto(stage.url("/groups/slow"));
  await page.getByRole("table", { name: "Rebalances of slow" }).getByText("left", { exact: true }).waitFor();
  expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
});

it("is worked by keyboard alone, and the focus goes back where it was", async () => {
  const { gmq } = stage.seed;
  const consumer = gmq.consumer("held", { group: "by-keyboard", start: "earliest" });
  const batch = await consumer.receive({ max: 4, timeoutMs: 20_000 });
  await page.goto(address("by-keyboard"));
  const box = page.getByRole("checkbox", { name: "Select offset 2", exact: true });
  await box.focus();
  await page.keyboard.press("Space");
  await page.getByText("1 selected").waitFor();
  const act = page.getByRole("button", { name: "Ack…" });
  await act.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  for (const name of ["Show what it means", "Ack 1"]) {
    const button = page.getByRole("button", { name, exact: true });
    await button.waitFor();
    for (let step = 0; step < 12; step++) {
      if (await button.evaluate((element) => element === document.activeElement)) break;
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
  }
  await page.getByRole("dialog").getByText("1 acked").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await pendingOffsets("by-keyboard")).not.toContain("2");
  await batch?.ack();
  await consumer.close();
});

it("settles what nobody owns, and notes it in the audit", async () => {
  const gone = await connect({ brokers: [...stage.services.brokers], clientId: "gone" });
  const consumer = gone.consumer("held", { group: "left-behind", start: "earliest" });
  await hold(consumer, 3);
  await consumer.close();
  await gone.close();
  await page.goto(address("left-behind"));
  await page.getByText("nobody owns the partition").waitFor();
  expect(await page.getByRole("button", { name: "Retry now…" }).isDisabled()).toBe(true);
  const before = await pendingOffsets("left-behind");
  await page.getByRole("checkbox", { name: "Select offset 1", exact: true }).check();
  await page.getByRole("button", { name: "Ack…" }).click();
  await page.getByRole("button", { name: "Show what it means" }).click();
  await page.getByRole("button", { name: "Ack 1" }).click();
  await page.getByRole("dialog").getByText("1 acked").waitFor();
  expect(await pendingOffsets("left-behind")).toEqual(before.filter((offset) => offset !== "1"));
  const { entries } = await call<{ entries: { action: string; target: string; outcome: string }[] }>(
    stage.services.adminUrl,
    "PortalService/ListAudit",
    { limit: 1 },
  );
  expect(entries[0]).toMatchObject({
    action: "SettlePending",
    target: "group left-behind, topic held",
    outcome: "done",
  });
});

it("says which consumer of a shared group has each record, whichever broker it is at, and shows one consumer's alone", async () => {
  const { gmq } = stage.seed;
  await gmq.admin.createTopic("shared-work", { partitions: 1 });
  const [near, far] = await Promise.all(
    stage.services.brokers.map((broker, index) =>
      connect({ brokers: [broker], clientId: index === 0 ? "near" : "far" }),
    ),
  );
  if (near === undefined || far === undefined) throw new Error("two brokers are needed");
  const consumers = [near, far].map((at) =>
    at.consumer("shared-work", { group: "crew", mode: "shared", start: "earliest", maxInFlight: { records: 3 } }),
  );
  const producer = gmq.producer();
  for (let index = 0; index < 6; index++) await producer.send("shared-work", { value: `v-${index}` });
  await producer.close();
  const [nearMessages, farMessages] = await Promise.all(consumers.map((consumer) => hold(consumer, 3)));
  const [nearHeld, farHeld] = [nearMessages, farMessages].map((held) => [...(held?.keys() ?? [])].sort());
  await page.goto(stage.url("/groups/crew/pending/shared-work/0"));
  await page.getByText("6 handed out and not settled").waitFor();
  const table = page.getByRole("table", { name: "Pending records" });
  const offsetsWith = async (client: string): Promise<string[]> => {
    const rows = await table.getByRole("row").filter({ hasText: client }).getByRole("link").allTextContents();
    return rows.sort();
  };
  await expect.poll(() => offsetsWith("near")).toEqual(nearHeld);
  await expect.poll(() => offsetsWith("far")).toEqual(farHeld);
  const choice = page.getByLabel("Consumer", { exact: true });
  const far3 = (await choice.locator("option").allTextContents()).find((text) => text.startsWith("far"));
  expect(far3).toMatch(/^far · .+ \(3\)$/);
  await choice.selectOption({ label: far3 ?? "" });
  await expect.poll(() => table.getByRole("link").count()).toBe(3);
  await expect.poll(() => offsetsWith("far")).toEqual(farHeld);
  expect(await accessibilityProblems(table)).toEqual([]);
  // The choice is in the address.
  await page.reload();
  await expect.poll(() => table.getByRole("link").count()).toBe(3);
  // The record itself says so too, and what becomes of it while it is looked at.
  await page.getByRole("button", { name: `peek at offset ${farHeld?.[0]}` }).click();
  const record = page.getByLabel("Record", { exact: true });
  await record.getByText(/^at far \(/).waitFor();
  await farMessages?.get(farHeld?.[0] ?? "")?.ack();
  await record.getByText("settled", { exact: true }).waitFor();
  // And the group's page, how many each has.
  await page.goto(stage.url("/groups/crew"));
  const members = page.getByRole("table", { name: "Members of crew" });
  const inFlight = async (client: string): Promise<string | undefined> =>
    (await members.getByRole("row").filter({ hasText: client }).getByRole("cell").allTextContents())[5];
  await expect.poll(() => inFlight("near")).toBe("3");
  await expect.poll(() => inFlight("far")).toBe("2");
  for (const consumer of consumers) await consumer.close();
  await near.close();
  await far.close();
});
