/** What the pages show is what the store holds. */
import { readFile } from "node:fs/promises";
import { waitUntil } from "@gmq/e2e/harness/wait-until";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { call } from "./checks/calls.js";
import { parseCsv } from "./checks/csv.js";
import { bigNumber, hostileText } from "./stage/seed.js";
import { type Stage, setStage } from "./stage/stage.js";

let stage: Stage;
let page: Page;
beforeAll(async () => {
  stage = await setStage({ orders: 300 });
  page = await stage.browser.context.newPage();
});
afterAll(async () => await stage?.stop());
afterEach(() => {
  expect(stage.browser.problems()).toEqual([]);
});

const admin = () => stage.seed.gmq.admin;
/** The cells of a table, row by row. */
async function cellsOf(caption: string): Promise<string[][]> {
  const rows = page.getByRole("table", { name: caption }).locator("tbody tr:not([aria-hidden])");
  return await rows.evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent ?? "")));
}
const plain = (text: string | undefined): bigint => BigInt((text ?? "").replaceAll(",", ""));

it("shows every partition's offsets and every group's lag as the store has them", async () => {
  await page.goto(stage.url("/topics/orders"));
  await page.getByRole("table", { name: "Partitions of orders" }).waitFor();
  const { partitionStats } = await admin().describeTopic("orders");
  const shown = (await cellsOf("Partitions of orders")).map(([partition, start, end]) => [
    Number(partition),
    plain(start),
    plain(end),
  ]);
  expect(shown).toEqual(
    partitionStats.map(({ partition, startOffset, endOffset }) => [partition, startOffset, endOffset]),
  );

  await page.goto(stage.url("/groups/fraud-check"));
  await page.getByRole("table", { name: "Partitions of fraud-check" }).waitFor();
  const { partitions } = await admin().describeGroup("fraud-check");
  const lags = (await cellsOf("Partitions of fraud-check")).map(([place, lag]) => [
    place?.replaceAll(" ", ""),
    plain(lag),
  ]);
  expect(lags).toEqual(partitions.map(({ topic, partition, lag }) => [`${topic}/${partition}`, lag]));
  expect(partitions.reduce((sum, { lag }) => sum + lag, 0n)).toBe(BigInt(stage.seed.orders - 20));
});

it("sums up the cluster on the overview", async () => {
  await page.goto(stage.url("/"));
  const { partitions } = await admin().describeGroup("fraud-check");
  const lag = partitions.reduce((sum, partition) => sum + partition.lag, 0n);
  await page.getByRole("link", { name: new RegExp(`^Lag\\s*${lag}`) }).waitFor();
  await page.getByRole("link", { name: /^Topics\s*4/ }).waitFor();
  const behind = page.getByRole("table", { name: "Groups that are behind" });
  await behind.getByRole("link", { name: "fraud-check" }).waitFor();
  await page.getByRole("link", { name: /Behind without members\s*1/ }).click();
  await page.waitForURL(/\/groups\?only=unattended/);
  await page.getByRole("heading", { level: 1, name: /Groups/ }).waitFor();
});

it("tells when each member was last heard of, as the store knows it", async () => {
  await page.goto(stage.url("/groups/billing"));
  const table = page.getByRole("table", { name: "Members of billing" });
  await table.getByRole("columnheader", { name: "Heartbeat" }).waitFor();
  const headers = await table.getByRole("columnheader").allTextContents();
  const { members } = await admin().describeGroup("billing");
  const rows = await cellsOf("Members of billing");
  expect(rows).toHaveLength(members.length);
  for (const row of rows) expect(row[headers.indexOf("Heartbeat")]).toMatch(/^\d+ (ms|s) ago$/);
  for (const { heartbeatAgeMs } of members) expect(heartbeatAgeMs).toBeGreaterThanOrEqual(0);
});

it("tells records and bytes in and out per second, of the cluster and of each broker", async () => {
  const status = () =>
    call<{ publishedBytes?: string; deliveredRecords?: string; deliveredBytes?: string }>(
      stage.services.adminUrl,
      "AdminService/GetStatus",
      {},
    );
  const before = await status();
  await page.goto(stage.url("/"));
  const figure = (name: string) => page.getByRole("link", { name: new RegExp(`^${name}`) });
  const rates = async (name: string): Promise<readonly number[]> => {
    const text = (await figure(name).textContent()) ?? "";
    const [, records, bytes, unit] = /([\d.,]+)records\/s · ([\d.,]+) ([KM]?B)\/s/.exec(text) ?? [];
    const scales: Readonly<Record<string, number>> = { B: 1, KB: 1_000, MB: 1_000_000 };
    const scale = scales[unit ?? "B"] ?? 1;
    return [Number(records?.replaceAll(",", "")), Number(bytes?.replaceAll(",", "")) * scale];
  };
  const producer = stage.seed.gmq.producer();
  const value = "b".repeat(20_000);
  let sent = 0;
  try {
    // Each record has 20,000 bytes, and group "shipping" consumes it at once.
    await waitUntil(
      "records and bytes, in and out",
      async () => {
        await producer.send("payments", { key: `rate-${sent}`, value: `${value}${sent++}` });
        const [[recordsIn = 0, bytesIn = 0], [recordsOut = 0, bytesOut = 0]] = [
          await rates("Published"),
          await rates("Delivered"),
        ];
        return recordsIn > 0 && bytesIn > 0 && recordsOut > 0 && bytesOut > 0;
      },
      60_000,
    );
    await waitUntil(
      "a broker's own bytes",
      async () => {
        await producer.send("payments", { key: `rate-${sent}`, value: `${value}${sent++}` });
        const cells = await cellsOf("Brokers");
        // The columns "In" and "Out".
        return cells.some((row) => [row[5], row[6]].every((cell) => /^[1-9].*B\/s$/.test(cell ?? "")));
      },
      60_000,
    );
  } finally {
    await producer.close();
  }
  await waitUntil(
    "the broker counted them",
    async () => {
      const now = await status();
      return Number(now.deliveredRecords ?? 0) - Number(before.deliveredRecords ?? 0) >= sent;
    },
    60_000,
  );
  const now = await status();
  expect(Number(now.publishedBytes) - Number(before.publishedBytes ?? 0)).toBeGreaterThan(0);
  expect(Number(now.deliveredBytes) - Number(before.deliveredBytes ?? 0)).toBeGreaterThan(0);
  await figure("Delivered").click();
  await page.waitForURL(/#brokers$/);
});

it("shows 64-bit numbers exactly, as JSON, as MessagePack and in a filter", async () => {
  await page.goto(stage.url("/topics/odd-values/records/0/0"));
  await page.getByText(bigNumber, { exact: true }).waitFor();
  // As it stands in the record, not as a number would be written.
  await page.getByText("1.10", { exact: true }).waitFor();
  await page.goto(stage.url("/topics/odd-values/records/0/2?as=msgpack"));
  await page.getByText(bigNumber, { exact: true }).waitFor();
  await page.goto(stage.url(`/topics/odd-values/messages?cel=${encodeURIComponent(`value.id == ${bigNumber}`)}`));
  await page.getByText(/All of it: 1 matched, 7 scanned/).waitFor();
});

it("shows hostile texts as text", async () => {
  await page.goto(stage.url("/topics/odd-values/messages?sel=0-1"));
  await page.getByRole("button", { name: "Record 0 · 1" }).waitFor();
  await page.getByLabel("Record", { exact: true }).getByText(hostileText).first().waitFor();
  const headers = await page.getByLabel("Record", { exact: true }).locator("dd").allTextContents();
  expect(headers).toContain(hostileText);
  await page.goto(stage.url(`/topics/${encodeURIComponent(hostileText)}`));
  await page.getByRole("heading", { level: 1, name: hostileText }).waitFor();
  await page.goto(stage.url(`/topics?q=${encodeURIComponent(hostileText)}`));
  await page.getByText("No topic is called like that").waitFor();
  expect(await page.evaluate(() => "hacked" in globalThis)).toBe(false);
  // The topic of that name is refused by the broker; the browser logs the refusals.
  expect(stage.browser.problems().every((problem) => problem.includes("400"))).toBe(true);
  stage.browser.forgetProblems();
});

it("seeks to an offset, a time, a key and both ends", async () => {
  const { records } = await admin().browse("orders", { partition: 2, limit: 1_000 });
  const middle = records[Math.floor(records.length / 2)]!;
  const offsets = async (): Promise<string[]> => {
    await page.getByText(/(All of it|A part): /).waitFor();
    await page
      .getByRole("button", { name: /^Record \d/ })
      .first()
      .waitFor();
    return await page.getByRole("button", { name: /^Record \d/ }).allTextContents();
  };
  const places = (from: readonly (typeof middle)[]): string[] => from.map(({ offset }) => `2 · ${offset}`);

  await page.goto(stage.url(`/topics/orders/messages?in=2&from=offset&at=${middle.offset}`));
  const after = records.filter(({ offset }) => offset >= middle.offset);
  const shownAfter = await offsets();
  expect(shownAfter.length).toBeGreaterThan(5);
  expect(shownAfter).toEqual(places(after).slice(0, shownAfter.length));

  await page.goto(stage.url("/topics/orders/messages?in=2"));
  const newest = await offsets();
  expect(newest).toEqual(places(records.toReversed()).slice(0, newest.length));

  await page.goto(stage.url("/topics/orders/messages?in=2&from=oldest"));
  const oldest = await offsets();
  expect(oldest).toEqual(places(records).slice(0, oldest.length));

  await page.goto(stage.url("/topics/orders/messages?in=2&from=time&at=1"));
  expect((await offsets())[0]).toBe(places(records)[0]);
  await page.goto(stage.url(`/topics/orders/messages?in=2&from=time&at=${Date.now() + 60_000}`));
  await page.getByText("No records here").waitFor();

  await page.goto(stage.url("/topics/orders/messages?key=customer-7"));
  await page.getByText(`All of it: ${Math.ceil((stage.seed.orders - 7) / 40)} matched`).waitFor();
});

it("filters with CEL and text, and says when it saw only a part", async () => {
  const matching = Array.from({ length: stage.seed.orders }, (_, index) => (index * 37) % 5_000).filter(
    (cents) => cents > 4_500,
  );
  await page.goto(stage.url("/topics/orders/messages?cel=value.cents+%3E+4500"));
  await page.getByText(`All of it: ${matching.length} matched, ${stage.seed.orders} scanned`).waitFor();
  await page.getByLabel("CEL expression").fill("");
  await page.getByLabel("Text in key, value or headers").fill("EU-WEST");
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForURL(/q=EU-WEST/);
  await page.getByText("A part: 50 matched").waitFor();
  await page.getByRole("button", { name: "Scan on from here" }).click();
  await page
    .getByText(`All of it: ${Math.ceil(stage.seed.orders / 3)} matched, ${stage.seed.orders} scanned`)
    .waitFor();
  await page.goBack();
  await page.getByText(`${matching.length} matched`).waitFor();
});

it("exports CSV that gives every byte back", async () => {
  await page.goto(stage.url("/topics/odd-values/messages?from=oldest"));
  await page.getByRole("button", { name: "Export…" }).click();
  await page.getByLabel("Format").selectOption("csv");
  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export", exact: true }).click();
  const file = await (await downloading).path();
  const [header, ...rows] = parseCsv(await readFile(file, "utf8"));
  const { records } = await admin().browse("odd-values");
  expect(rows.length).toBe(records.length);
  const column = (name: string): number => header?.indexOf(name) ?? -1;
  const bytesOf = (row: readonly string[], name: string): Buffer =>
    Buffer.from(row[column(name)] ?? "", row[column(`${name}_encoding`)] === "base64" ? "base64" : "utf8");
  for (const [index, record] of records.entries()) {
    const row = rows[index]!;
    expect(row[column("offset")]).toBe(String(record.offset));
    expect(bytesOf(row, "value").equals(record.value)).toBe(true);
    expect(bytesOf(row, "key").equals(record.key ?? new Uint8Array())).toBe(true);
    expect(row[column("key_encoding")] === "").toBe(record.key === undefined);
  }
});

it("cuts a large value in lists and shows it whole under its own address", async () => {
  await page.goto(stage.url("/topics/odd-values/messages?sel=0-6"));
  const details = page.getByLabel("Record", { exact: true });
  await details.getByText("100 KB").waitFor();
  const text = await details.getByRole("region", { name: "Value" }).textContent();
  expect(text?.endsWith('"end": true\n}')).toBe(true);
  await page.getByRole("link", { name: "Permalink" }).click();
  await page.waitForURL(/\/topics\/odd-values\/records\/0\/6/);
  await page.getByRole("heading", { name: /Record 6/ }).waitFor();
});

it("tails what is appended, filtered, and counts it", async () => {
  await page.goto(stage.url("/topics/payments/messages?live=1&cel=value.ok+%3D%3D+false"));
  await page.getByText("Waiting for the next record").waitFor();
  const producer = stage.seed.gmq.producer();
  for (const ok of [true, false, true, false])
    await producer.send("payments", { key: "tail", value: JSON.stringify({ ok }) });
  await producer.close();
  await page.getByText("4 appended · 2 shown · 0 dropped").waitFor();
  await waitUntil("two rows", async () => (await page.getByRole("button", { name: /^Record \d/ }).count()) === 2);
});
