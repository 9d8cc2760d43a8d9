/** What is wrong is found whether anybody looks or not, shown, told to a real HTTP server, silenced, and over by itself. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessibilityProblems } from "./checks/axe.js";
import { call } from "./checks/calls.js";
import { keyboardOf } from "./checks/keyboard.js";
import { type Stage, setStage } from "./stage/stage.js";
import { type Posts, takePosts } from "./stage/take-posts.js";

interface Told {
  readonly status: string;
  readonly rule: string;
  readonly subject: string;
  readonly environment: string;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let posts: Posts<Told>;
let stage: Stage;
let page: Page;
beforeAll(async () => {
  folder = await temporaryFolder();
  posts = await takePosts();
  const path = join(folder.path, "alerts.yaml");
  const rules = [
    { name: "unattended", when: "no_members", forSeconds: 1, groups: ["fraud-*"] },
    { name: "silent", when: "broker_silent", forSeconds: 1, severity: "critical" },
  ];
  await writeFile(path, JSON.stringify({ rules, webhook: { url: posts.url } }));
  stage = await setStage({
    orders: 60,
    services: {
      adminArgs: ["--portal-alerts-file", path, "--environment", "test", "--data", join(folder.path, "data")],
    },
  });
});
afterAll(async () => {
  await stage?.stop();
  await posts?.close();
  await folder?.remove();
});

const told = (): string[] => posts.taken.map(({ status, rule, subject }) => `${status} ${rule} ${subject}`);
/** What fires, since when, as the portal's API has it. */
async function firing() {
  const { alerts = [] } = await call<{ alerts?: { subject: string; sinceMs: string; firedAtMs?: string }[] }>(
    stage.services.adminUrl,
    "PortalService/ListAlerts",
    {},
  );
  return alerts.map(({ subject, sinceMs, firedAtMs }) => ({ subject, sinceMs, firedAtMs }));
}
const openNow = () => page.getByRole("table", { name: "Alerts now" });

it("is told while nobody looks, stands before everything on the overview, and leads to its group", async () => {
  await expect.poll(told, { timeout: 30_000 }).toEqual(["firing unattended group fraud-check"]);
  expect(posts.taken[0]?.environment).toBe("test");
  page = await stage.browser.open(stage.url("/"));
  const strip = page.getByRole("region", { name: "Alerts" });
  await strip.getByText("warning", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Alerts 1 firing" }).waitFor();
  expect(await accessibilityProblems(strip)).toEqual([]);
  await strip.getByRole("link", { name: /^Group fraud-check has no members and \d+ records to settle$/ }).click();
  await page.getByRole("heading", { level: 1, name: "fraud-check" }).waitFor();
});

it("is listed with the rules and the webhook, whose secret is nowhere, light and wide or dark and 320 px", async () => {
  await page.goto(stage.url("/alerts"));
  await openNow().getByText("Group fraud-check has no members").waitFor();
  await page.getByRole("table", { name: "Rules" }).getByText("a group is behind and has no members").waitFor();
  await page.getByText("1 delivered, 0 waiting").waitFor();
  expect(await accessibilityProblems(openNow())).toEqual([]);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 320, height: 640 });
  expect(await accessibilityProblems(openNow())).toEqual([]);
  const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(widths[0], "the page must not scroll sideways").toBeLessThanOrEqual(widths[1] ?? 0);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
  expect(JSON.stringify(await call(stage.services.adminUrl, "PortalService/ListAlerts", {}))).not.toContain(
    "in-the-path",
  );
});

it("is silenced without a mouse, with a reason that stays when the portal is killed, and goes on as it was", async () => {
  const keys = keyboardOf(page);
  await keys.press(page.getByRole("button", { name: "silence… unattended of group fraud-check" }));
  await keys.type(page.getByLabel("Reason"), "moves on Monday");
  expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await openNow().getByText("silenced", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Alerts", exact: true }).waitFor();
  const silences = page.getByRole("table", { name: "Silences" });
  await silences.getByText("moves on Monday").waitFor();

  const before = await firing();
  const portal = stage.services.part("admin");
  await portal.kill();
  await portal.restart();
  expect(await firing()).toEqual(before);
  await page.goto(stage.url("/alerts"));
  await openNow().getByText("silenced", { exact: true }).waitFor();
  await page.getByText("0 delivered, 0 waiting").waitFor();
  expect(told()).toEqual(["firing unattended group fraud-check"]);
  await keys.press(page.getByRole("button", { name: "end the silence of unattended group fraud-check" }));
  await silences.waitFor({ state: "detached" });
  await openNow().getByText("warning", { exact: true }).waitFor();
  const { entries } = await call<{ entries: { action: string; target: string; outcome: string }[] }>(
    stage.services.adminUrl,
    "PortalService/ListAudit",
    {},
  );
  expect(entries.map(({ action, target, outcome }) => `${action} ${target} ${outcome}`)).toEqual([
    "EndSilence alert unattended, group fraud-check done",
    "SilenceAlert alert unattended, group fraud-check done",
  ]);
});

it("is over when somebody consumes", async () => {
  const reader = stage.seed.gmq.subscribe("orders", { group: "fraud-check" }, () => Promise.resolve());
  await page.getByRole("table", { name: "Alerts before" }).getByText("Group fraud-check has no members").waitFor();
  await page.getByText("Nothing is wrong").waitFor();
  await expect.poll(told).toEqual(["firing unattended group fraud-check", "resolved unattended group fraud-check"]);
  await reader.close();
});

it("is about a broker that dies: critical, can be silenced while no broker answers, and over when it is back", async () => {
  const broker = stage.services.part("broker 1");
  await broker.kill();
  await openNow().getByText("critical", { exact: true }).waitFor();
  await expect.poll(() => told().at(-1)).toBe(`firing silent broker ${broker.url}`);
  const asked = { subject: `broker ${broker.url}`, seconds: 60, reason: "known" };
  const { silenceId } = await call<{ silenceId: string }>(stage.services.adminUrl, "PortalService/SilenceAlert", asked);
  await openNow().getByText("silenced", { exact: true }).waitFor();
  await call(stage.services.adminUrl, "PortalService/EndSilence", { silenceId });
  await broker.restart();
  await page.getByText("Nothing is wrong").waitFor();
  await expect.poll(() => told().at(-1)).toBe(`resolved silent broker ${broker.url}`);
});

it("that the webhook had not taken when the portal was killed is told by the next, and is over there", async () => {
  const [broker, portal] = [stage.services.part("broker 1"), stage.services.part("admin")];
  const from = posts.taken.length;
  posts.answer(503);
  await broker.kill();
  await expect.poll(() => posts.taken.length, { timeout: 20_000 }).toBeGreaterThan(from);
  await portal.kill();
  posts.answer(200);
  await broker.restart();
  await portal.restart();
  const subject = `silent broker ${broker.url}`;
  await expect.poll(() => told().at(-1)).toBe(`resolved ${subject}`);
  const firings = told().slice(from, -1);
  expect(new Set(firings)).toEqual(new Set([`firing ${subject}`]));
  expect(new Set(posts.deliveries.slice(from, -1)).size).toBe(1);
  // What was over before is over still.
  await page.goto(stage.url("/alerts"));
  await page.getByText("2 delivered, 0 waiting").waitFor();
  const past = page.getByRole("table", { name: "Alerts before" });
  await past.getByText(`Broker ${broker.url} does not answer`).first().waitFor();
  await past.getByText("Group fraud-check has no members").waitFor();
  await page.getByText("the last 200").waitFor();
});

it("can be tried out, and the page says when the webhook does not take it", async () => {
  const test = page.getByRole("button", { name: "Send a test" });
  await test.click();
  await expect.poll(() => told().at(-1)).toBe("test test test");
  posts.answer(503);
  await test.click();
  await page.getByRole("alert").getByText("the webhook did not take it: it answered 503").waitFor();
  posts.answer(200);
});

it.each([
  [{ seconds: 60 }, /field|name a rule/],
  [{ rule: "silent", seconds: 0 }, /seconds/],
  [{ rule: "silent", seconds: 2_592_001 }, /seconds/],
  [{ rule: "silent", seconds: 60, reason: "x".repeat(501) }, /reason is too long/],
])("is not silenced by %j", async (request, message) => {
  await expect(call(stage.services.adminUrl, "PortalService/SilenceAlert", request)).rejects.toThrow(message);
});
