/** What the pages offer to be copied runs in a shell as it stands, and does what the page does: `gmq` and curl. */
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { entries, temporaryFolder } from "@gmq/e2e/harness/workspace";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Stage, setStage } from "./stage/stage.js";

let stage: Stage;
let page: Page;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  stage = await setStage({ orders: 90, deadLetters: 6 });
  page = await stage.browser.context.newPage();
  await mkdir(join(folder.path, "bin"));
  const gmq = join(folder.path, "bin", "gmq");
  await writeFile(gmq, `#!/bin/sh\nexec '${process.execPath}' '${entries.cli}' "$@"\n`);
  await chmod(gmq, 0o755);
});
afterAll(async () => {
  await stage?.stop();
  await folder?.remove();
});

const admin = () => stage.seed.gmq.admin;
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

/** Runs a command as a person's shell would. Rejects when it ends with another code than 0. */
async function shell(command: string): Promise<string> {
  const env = {
    ...process.env,
    PATH: join(folder.path, "bin") + delimiter + (process.env["PATH"] ?? ""),
    GMQ_BROKERS: stage.services.brokers.join(","),
  };
  const { stdout } = await promisify(execFile)("sh", ["-c", command], { cwd: folder.path, env, timeout: 60_000 });
  return stdout;
}

/** What the last "CLI" button of the page offers. */
async function offered(): Promise<{ readonly gmq: string; readonly curl: string }> {
  await page.getByRole("button", { name: "CLI" }).last().click();
  const command = (name: string) => page.getByRole("region", { name: `Command of ${name}` });
  await command("curl").waitFor();
  const gmq = (await command("gmq").count()) === 0 ? "" : ((await command("gmq").textContent()) ?? "");
  const curl = (await command("curl").textContent()) ?? "";
  await page.keyboard.press("Escape");
  await command("curl").waitFor({ state: "detached" });
  return { gmq, curl };
}

async function recordsOf(topic: string) {
  const { partitions } = await admin().describeTopic(topic);
  const pages = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => admin().browse(topic, { partition, limit: 1_000 })),
  );
  return pages.flatMap(({ records }) => records);
}

it("exports the same records", async () => {
  for (const search of ["from=oldest", "q=SKU-3", "in=1,2", "key=customer-3&from=oldest"]) {
    await page.goto(stage.url(`/topics/orders/messages?${search}`));
    await page.getByRole("button", { name: "Export…" }).click();
    await page.getByLabel("At most").selectOption("100");
    const { gmq, curl } = await offered();
    expect(gmq).toMatch(/^gmq browse orders /);
    await shell(gmq);
    const byGmq = (await readFile(join(folder.path, "orders.ndjson"), "utf8")).trim().split("\n");
    await shell(curl);
    const byCurl = (await readFile(join(folder.path, "orders.ndjson"), "utf8")).trim().split("\n");
    const comparable = (lines: string[]) =>
      lines.map((line) => ({ ...JSON.parse(line), appendTimeMs: undefined, timestampMs: undefined }));
    const byPlace = (lines: string[]) =>
      comparable(lines).sort((one, other) => one.partition - other.partition || one.offset - other.offset);
    expect(byCurl.length).toBeGreaterThan(0);
    expect(byPlace(byGmq)).toEqual(byPlace(byCurl));
  }
  // An expression is the portal's own: then only curl is offered, and runs.
  await page.goto(stage.url(`/topics/orders/messages?cel=${encodeURIComponent("value.paid == true")}`));
  await page.getByRole("button", { name: "Export…" }).click();
  await page.getByLabel("Format").selectOption("csv");
  const { gmq, curl } = await offered();
  expect(gmq).toBe("");
  await shell(curl);
  const csv = await readFile(join(folder.path, "orders.csv"), "utf8");
  expect(csv.trim().split("\r\n").length).toBe(31);
});

it("re-publishes the same records, and guards against loops", async () => {
  await admin().createTopic("copied", { partitions: 2 });
  await page.goto(stage.url("/topics/orders/messages?q=eu-west"));
  await page.getByRole("button", { name: "Re-publish…" }).click();
  await page.getByLabel("To topic").fill("copied");
  await page.getByLabel("Re-published at most").fill("1");
  const { gmq, curl } = await offered();
  expect(gmq).toBe("gmq republish orders --to copied --contains eu-west --max-republishes 1");
  expect(await shell(gmq)).toContain("copied 30 of 30");
  const copies = await recordsOf("copied");
  expect(copies.length).toBe(30);
  for (const { headers } of copies) {
    expect(headers.map(({ key, value }) => [key, text(value)])).toContainEqual(["gmq-republishes", "1"]);
    expect(headers.map(({ key, value }) => [key, text(value)])).toContainEqual(["region", "eu-west"]);
  }
  await shell(curl);
  await expect.poll(async () => (await recordsOf("copied")).length, { timeout: 60_000 }).toBe(60);
  expect(await shell("gmq republish copied --to copied --max-republishes 1")).toContain("skipped 60 by the loop guard");
  expect((await recordsOf("copied")).length).toBe(60);
});

it("puts an edited dead letter back and settles it", async () => {
  const open = async (): Promise<number> =>
    Number((await admin().deadLetters("payments", { group: "refunds" })).letters.length);
  const edit = async (value: string) => {
    await page.goto(stage.url("/dead-letters/payments/refunds"));
    await page
      .getByRole("button", { name: /^edit record/ })
      .first()
      .click();
    await page.getByLabel("Value", { exact: true }).fill(value);
    return await offered();
  };
  const before = await open();
  await shell((await edit(`{"it's":"by gmq"}`)).gmq);
  expect(await open()).toBe(before - 1);
  await shell((await edit(`{"it's":"by curl"}`)).curl);
  await expect.poll(open, { timeout: 60_000 }).toBe(before - 2);
  const edits = (await recordsOf("payments")).filter(({ value }) => text(value).includes("it's"));
  expect(edits.map(({ value }) => text(value)).sort()).toEqual([`{"it's":"by curl"}`, `{"it's":"by gmq"}`]);
  for (const { headers } of edits)
    expect(headers.map(({ key, value }) => [key, text(value)])).toContainEqual(["gmq-redrives", "1"]);
});

it("produces a record of any bytes", async () => {
  await admin().createTopic("typed", { partitions: 2 });
  await page.goto(stage.url("/topics/typed/produce"));
  await page.getByLabel("Value", { exact: true }).fill("two\nlines, it's $HOME");
  const commands = async () => {
    // The first is the topic's, the second the form's, the third that of a file.
    await page.getByRole("button", { name: "CLI" }).nth(1).click();
    const gmq = (await page.getByRole("region", { name: "Command of gmq" }).textContent()) ?? "";
    const curl = (await page.getByRole("region", { name: "Command of curl" }).textContent()) ?? "";
    await page.keyboard.press("Escape");
    await page.getByRole("region", { name: "Command of gmq" }).waitFor({ state: "detached" });
    return [gmq, curl];
  };
  for (const command of await commands()) await shell(command);
  await page.getByLabel("The value is").selectOption("hex");
  await page.getByLabel("Value", { exact: true }).fill("00 ff 80 27");
  for (const command of await commands()) await shell(command);
  const values = (await recordsOf("typed")).map(({ value }) => Buffer.from(value).toString("hex")).sort();
  const lines = Buffer.from("two\nlines, it's $HOME").toString("hex");
  expect(values).toEqual(["00ff8027", "00ff8027", lines, lines].sort());
});

it("explains why a group is where it is", async () => {
  await page.goto(stage.url("/groups/fraud-check"));
  await page.getByRole("button", { name: /^why/ }).first().click();
  const command = async (name: string): Promise<string> =>
    (await page.getByRole("region", { name: `Command of ${name}` }).textContent()) ?? "";
  expect(await shell(await command("gmq"))).toContain("no_member");
  expect(await shell(await command("curl"))).toContain("no_member");
  await page.keyboard.press("Escape");
});

it("looks at what each page shows", async () => {
  const pages = [
    "/topics",
    "/topics/orders",
    "/topics/orders/records/0/0",
    "/groups",
    "/groups/billing",
    "/groups/fraud-check/pending/orders/0",
    "/dead-letters",
    "/dead-letters/payments/refunds",
    "/jobs",
    "/alerts",
    "/audit",
  ];
  for (const path of pages) {
    await page.goto(stage.url(path));
    await page.getByRole("button", { name: "CLI" }).last().waitFor();
    const { gmq, curl } = await offered();
    expect(JSON.parse(await shell(curl)), path).not.toHaveProperty("code");
    // The portal keeps its jobs, its alerts and its audit: brokers, which the command line asks, know nothing of them.
    if (["/jobs", "/alerts", "/audit"].includes(path)) expect(gmq).toBe("");
    else expect((await shell(gmq)).length, path).toBeGreaterThan(0);
  }
});
