/** Services die while a page is open; a portal that may not write; pages of other origins. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "./checks/calls.js";
import { type Stage, setStage } from "./stage/stage.js";

let stage: Stage;
let page: Page;
beforeAll(async () => {
  stage = await setStage({ orders: 60, services: { redis: { appendonly: "always" }, adminArgs: ["--read-only"] } });
  page = await stage.browser.open(stage.url("/"));
});
afterAll(async () => await stage?.stop());

const status = (word: string) => page.getByRole("banner").getByRole("status").getByText(word, { exact: true });

describe("a broker that dies", () => {
  it("is named, and the page recovers by itself", async () => {
    await status("live").waitFor();
    const broker = stage.services.part("broker 1");
    await broker.kill();
    await page.getByRole("alert").getByText("no broker answers").waitFor();
    await page.getByRole("table", { name: "Brokers" }).getByText("no answer").waitFor();
    // What was known stays readable, and the other pages say why they cannot.
    await page.getByRole("link", { name: "Topics", exact: true }).click();
    await page.getByRole("link", { name: "orders" }).click();
    await page.getByRole("main").getByRole("alert").getByText("unavailable").waitFor();
    await broker.restart();
    await page.getByRole("table", { name: "Partitions of orders" }).waitFor();
    await status("live").waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("table", { name: "Brokers" }).getByText("answers").waitFor();
  });
});

describe("a store that dies", () => {
  it("is named, and the page recovers by itself", async () => {
    await stage.services.redis?.kill();
    await page.getByText("the store is not ready").waitFor();
    await page.getByRole("alert").first().waitFor();
    await stage.services.redis?.restart();
    await page.getByText("all answer, store ready").waitFor({ timeout: 45_000 });
  });
});

describe("a storage that dies", () => {
  it("is listed as not ready, with why, and then as ready again", async () => {
    const storage = stage.services.part("storage");
    const row = page.getByRole("table", { name: "Storages" }).locator("tbody tr").first();
    await row.getByText("ready", { exact: true }).waitFor();
    await row.getByText("redis", { exact: true }).waitFor();
    await row.getByText(storage.url, { exact: true }).waitFor();
    await storage.kill();
    await row.getByText("not ready", { exact: true }).waitFor();
    // The row still tells who it was.
    await row.getByText("redis", { exact: true }).waitFor();
    await storage.restart();
    await row.getByText("ready", { exact: true }).waitFor({ timeout: 45_000 });
  });
});

describe("a portal that dies", () => {
  it("leaves the page readable and is found again", async () => {
    const admin = stage.services.part("admin");
    await admin.kill();
    await status("reconnecting").waitFor();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await admin.restart();
    await status("live").waitFor();
  });
});

describe("a read-only portal", () => {
  it("offers no write, and refuses one that comes anyway", async () => {
    await page.goto(stage.url("/topics"));
    await page.getByText("read-only").waitFor();
    expect(await page.getByRole("button", { name: "Create a topic" }).count()).toBe(0);
    for (const [method, request] of [
      ["AdminService/CreateTopic", { topic: "sneaked-in", config: { partitions: 1 } }],
      ["AdminService/DeleteTopic", { topic: "orders" }],
      ["AdminService/DeleteGroup", { group: "billing" }],
      ["PortalService/Produce", { topic: "orders", value: "" }],
      ["PortalService/StartJob", { purge: { topic: "orders", toOffset: "10" } }],
      ["PortalService/StartJob", { republish: { search: { topic: "orders" } } }],
      ["PortalService/StartJob", { produceLines: { topic: "orders", lines: btoa('{"value":"x"}') } }],
      ["PortalService/StartJob", { changeTopics: { topics: ["orders"], act: "TOPICS_ACT_DELETE" } }],
      ["PortalService/SetDescriptors", { topic: "orders" }],
      ["PortalService/SilenceAlert", { rule: "dead-letters", seconds: 60 }],
      ["PortalService/EndSilence", { silenceId: "any" }],
      ["PortalService/TestAlertWebhook", {}],
      [
        "PortalService/SettlePending",
        { settle: { group: "billing", topic: "orders", offsets: ["0"], action: "PENDING_ACTION_ACK" } },
      ],
    ] as const) {
      await expect(call(stage.services.adminUrl, method, request)).rejects.toThrow(/403 permission_denied/);
    }
    expect(
      (await call<{ entries: unknown[] }>(stage.services.adminUrl, "PortalService/ListAudit", {})).entries,
    ).toEqual([]);
    // To count changes nothing, and an export writes to the portal's own folder.
    for (const work of [
      { republish: { search: { topic: "orders" }, dryRun: true } },
      { export: { search: { topic: "orders" }, format: "EXPORT_FORMAT_CSV" } },
    ]) {
      await expect(call(stage.services.adminUrl, "PortalService/StartJob", work)).resolves.toBeDefined();
    }
  });
});

describe("pages of other origins", () => {
  it("may not call", async () => {
    const foreign = { origin: "http://evil.example" };
    await expect(call(stage.services.adminUrl, "AdminService/ListTopics", {}, foreign)).rejects.toThrow(
      /403 permission_denied/,
    );
    const own = { origin: stage.services.adminUrl };
    await expect(call(stage.services.adminUrl, "AdminService/ListTopics", {}, own)).resolves.toBeDefined();
  });
});

describe("several tabs", () => {
  it("share one stream, and stay usable", async () => {
    const pages = await Promise.all(Array.from({ length: 8 }, () => stage.browser.open(stage.url("/topics"))));
    for (const tab of pages) {
      await tab.bringToFront();
      await tab.getByRole("link", { name: "orders" }).click();
      await tab.getByRole("table", { name: "Partitions of orders" }).waitFor();
    }
    for (const tab of pages) await tab.close();
  });
});
