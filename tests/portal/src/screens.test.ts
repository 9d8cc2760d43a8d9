/** Every screen: is there, free of accessibility problems in light, dark and 320 px, and silent in the console. */
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityProblems } from "./checks/axe.js";
import { type Stage, setStage } from "./stage/stage.js";

const screens: readonly {
  readonly name: string;
  readonly path: string;
  readonly heading: string;
  readonly waitFor: string;
}[] = [
  { name: "overview", path: "/", heading: "Overview", waitFor: "Brokers" },
  { name: "topics", path: "/topics", heading: "Topics", waitFor: "odd-values" },
  { name: "topics, none found", path: "/topics?q=nope", heading: "Topics", waitFor: "No topic is called like that" },
  { name: "create dialog", path: "/topics?create=1", heading: "Topics", waitFor: "Letters, digits" },
  { name: "topic", path: "/topics/orders", heading: "orders", waitFor: "Groups that read it" },
  { name: "messages", path: "/topics/orders/messages", heading: "orders", waitFor: "scanned" },
  { name: "messages of an empty topic", path: "/topics/empty/messages", heading: "empty", waitFor: "No records here" },
  { name: "message chosen", path: "/topics/odd-values/messages?sel=0-1", heading: "odd-values", waitFor: "Permalink" },
  {
    name: "bad expression",
    path: "/topics/orders/messages?cel=value.%2B",
    heading: "orders",
    waitFor: "invalid_argument",
  },
  {
    name: "live tail",
    path: "/topics/orders/messages?live=1",
    heading: "orders",
    waitFor: "Waiting for the next record",
  },
  { name: "record", path: "/topics/odd-values/records/0/0", heading: "odd-values", waitFor: "Record 0" },
  { name: "produce", path: "/topics/orders/produce", heading: "orders", waitFor: "Goes to" },
  { name: "groups", path: "/groups", heading: "Groups", waitFor: "fraud-check" },
  { name: "group", path: "/groups/billing", heading: "billing", waitFor: "order-service" },
  {
    name: "pending",
    path: "/groups/fraud-check/pending/orders/0",
    heading: "Pending in orders / 0",
    waitFor: "handed out and not settled",
  },
  { name: "dead letters", path: "/dead-letters", heading: "Dead letters", waitFor: "refunds" },
  {
    name: "dead letters of a group",
    path: "/dead-letters/payments/refunds",
    heading: "Dead letters of refunds from payments",
    waitFor: "no such order",
  },
  { name: "jobs, none", path: "/jobs", heading: "Jobs", waitFor: "No job has run yet" },
  { name: "missing job", path: "/jobs/nope", heading: "Job", waitFor: "there is no job nope" },
  {
    name: "messages as protobuf",
    path: "/topics/orders/messages?as=protobuf&keyas=hex",
    heading: "orders",
    waitFor: "the topic has no descriptors",
  },
  { name: "audit, filtered", path: "/audit?outcome=failed", heading: "Audit", waitFor: "No write is like that" },
  { name: "audit", path: "/audit", heading: "Audit", waitFor: "Nothing was written" },
  { name: "alerts", path: "/alerts", heading: "Alerts", waitFor: "3 dead letters wait for a decision" },
  { name: "access, off", path: "/access", heading: "Access", waitFor: "Nobody has to log in here" },
  { name: "no such page", path: "/nope", heading: "", waitFor: "There is no such page" },
];

let stage: Stage;
let page: Page;
beforeAll(async () => {
  stage = await setStage({
    orders: 120,
    deadLetters: 3,
    services: { adminArgs: ["--environment", "test", "--environment-color", "green"] },
  });
  page = await stage.browser.context.newPage();
});
afterAll(async () => await stage?.stop());
afterEach(() => stage.browser.forgetProblems());

describe.each(screens)("$name", ({ path, heading, waitFor }) => {
  it("shows and has no accessibility problem, light and wide or dark and 320 px", async () => {
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.goto(stage.url(path));
    await page.getByText(waitFor).first().waitFor();
    if (heading !== "") await page.getByRole("heading", { level: 1, name: heading }).waitFor();
    expect(await accessibilityProblems(page.getByText(waitFor).first())).toEqual([]);
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 320, height: 640 });
    expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(widths[0], "the page must not scroll sideways").toBeLessThanOrEqual(widths[1] ?? 0);
    // A refused call is logged by the browser itself: on these screens it is the subject.
    const isRefusal = (problem: string): boolean => / (400|404|409|412) /.test(`${problem} `);
    expect(stage.browser.problems().filter((problem) => !isRefusal(problem))).toEqual([]);
  });
});

describe("what is not there", () => {
  const missing: readonly (readonly [path: string, heading: string, back: string])[] = [
    ["/topics/nope", "There is no topic nope", "All topics"],
    ["/topics/nope/messages", "There is no topic nope", "All topics"],
    ["/topics/nope/produce", "There is no topic nope", "All topics"],
    ["/topics/nope/records/0/0", "There is no topic nope", "All topics"],
    ["/groups/nope", "There is no group nope", "All groups"],
    ["/groups/nope/pending/orders/0", "The group nope has nothing of orders / 0", "All groups"],
    ["/dead-letters/orders/nope", "The group nope has no dead letters of orders", "All dead letters"],
  ];

  it.each(missing)("%s says so and leads back, and offers nothing else", async (path, heading, back) => {
    await page.goto(stage.url(path));
    await page.getByRole("heading", { level: 1, name: heading }).waitFor();
    const main = page.getByRole("main");
    expect(await main.getByRole("button").count()).toBe(0);
    expect(await main.getByRole("link").allTextContents()).toEqual([back]);
    expect(await main.getByRole("alert").count()).toBe(0);
    expect(await accessibilityProblems(main)).toEqual([]);
    await main.getByRole("link", { name: back }).click();
    await page.getByRole("heading", { level: 1, name: back.replace("All ", ""), exact: false }).waitFor();
  });

  it("is shown once it is made, and what is deleted is there no more", async () => {
    await page.goto(stage.url("/topics/comes-and-goes"));
    const missing = page.getByRole("heading", { level: 1, name: "There is no topic comes-and-goes" });
    await missing.waitFor();
    await stage.seed.gmq.admin.createTopic("comes-and-goes", { partitions: 1 });
    await page.getByRole("table", { name: "Partitions of comes-and-goes" }).waitFor();
    await page.getByRole("button", { name: "Delete…" }).waitFor();
    await stage.seed.gmq.admin.deleteTopic("comes-and-goes");
    await missing.waitFor();
    expect(await page.getByRole("main").getByRole("button").count()).toBe(0);
  });
});

describe("a page that waits", () => {
  const waiting: readonly (readonly [path: string, what: string])[] = [
    ["/", "the portal"],
    ["/topics/orders", "the topic"],
    ["/topics/orders/messages", "records"],
    ["/topics/odd-values/records/0/0", "the record"],
    ["/groups/billing", "the group"],
    ["/groups/fraud-check/pending/orders/0", "pending records"],
    ["/dead-letters", "dead letters"],
    ["/alerts", "alerts"],
    ["/audit", "the audit"],
    ["/access", "who may do what"],
  ];

  it.each(waiting)("%s says so and has no accessibility problem", async (path, what) => {
    const tab = await stage.browser.context.newPage();
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const calls = what === "the portal" ? "**/access/me" : "**/gmq.*/*";
    await tab.route(calls, async (route) => {
      await answered;
      await route.continue();
    });
    await tab.goto(stage.url(path));
    expect(await accessibilityProblems(tab.getByText(`Loading ${what}`))).toEqual([]);
    answer();
    await tab.getByText(/^Loading/).waitFor({ state: "detached" });
    await tab.close();
  });
});

describe("a topic", () => {
  it("tells what its groups have given up and how old each partition's records are", async () => {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.goto(stage.url("/topics/payments"));
    const groups = page.getByRole("table", { name: "Groups that read payments" });
    const link = groups.getByRole("link", { name: "3 dead letters of refunds" });
    await link.waitFor();
    const partitions = page.getByRole("table", { name: "Partitions of payments" });
    expect(await partitions.getByRole("columnheader").allTextContents()).toContain("Oldest");
    await partitions
      .getByText(/^\d+ (?:s|min) ago$/)
      .first()
      .waitFor();
    await link.click();
    await page.getByRole("heading", { level: 1, name: "Dead letters of refunds from payments" }).waitFor();
  });
});

describe("a record", () => {
  it("that a group gave up is its dead letter, with the reason, and not just settled", async () => {
    const { letters } = await stage.seed.gmq.admin.deadLetters("payments", { group: "refunds" });
    const [letter] = letters;
    if (letter === undefined) throw new Error("no dead letter");
    await page.goto(stage.url(`/topics/payments/records/${letter.partition}/${letter.offset}`));
    const groups = page.getByRole("listitem");
    const refunds = groups.filter({ hasText: "refunds" });
    await refunds.getByText("dead letter", { exact: true }).waitFor();
    await refunds.getByText("given up after 1 attempt: no such order").waitFor();
    // Another group is done with the same record.
    await groups.filter({ hasText: "shipping" }).getByText("settled", { exact: true }).waitFor();
    expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
    await refunds.getByRole("link", { name: "redrive or discard" }).click();
    await page.getByRole("heading", { level: 1, name: "Dead letters of refunds from payments" }).waitFor();
  });
});

describe("the first load", () => {
  it("stays under 200 KB gzip, asks no other host and runs under the policy", async () => {
    const page = await stage.browser.context.newPage();
    const asked = new Set<string>();
    page.on("request", (request) => asked.add(request.url()));
    const response = await page.goto(stage.url("/"));
    await page.getByText("Records per second").first().waitFor();
    const hosts = new Set([...asked].map((url) => new URL(url).host));
    expect([...hosts]).toEqual([new URL(stage.services.adminUrl).host]);
    const files = [...asked].filter((url) => /\.(js|css)$/.test(new URL(url).pathname));
    expect(files.length).toBeGreaterThan(2);
    let bytes = 0;
    for (const url of files) {
      const { headers } = await fetch(url, { headers: { "accept-encoding": "gzip" } });
      if (new URL(url).pathname.startsWith("/assets/")) expect(headers.get("cache-control")).toContain("immutable");
      // The chart comes after the first picture.
      if (!url.includes("line-chart-canvas")) bytes += Number(headers.get("content-length"));
    }
    expect(bytes / 1024).toBeLessThan(200);
    expect(response?.headers()["cache-control"]).toBe("no-cache");
    const policy = response?.headers()["content-security-policy"] ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    const html = (await response?.text()) ?? "";
    expect(html).not.toMatch(/<script(?![^>]*src=)/);
    await page.close();
  });
});
