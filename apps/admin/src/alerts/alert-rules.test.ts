import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@gmq/log";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openAlertRules, ownRules } from "./alert-rules.js";
import { openSilences } from "./silences.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gmq-alerts-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(text: string): Promise<string> {
  const path = join(folder, "alerts.yaml");
  await writeFile(path, text);
  return path;
}

it("has rules of its own where no file has any, and takes a file's in their place", async () => {
  expect(openAlertRules(undefined, 1_000, silentLogger).list()).toBe(ownRules);
  const onlyHook = openAlertRules(await file("webhook: { url: 'https://example.test/x' }"), 60_000, silentLogger);
  expect(onlyHook.list()).toBe(ownRules);
  expect(onlyHook.webhook()?.url).toBe("https://example.test/x");
  onlyHook.close();
  const own = openAlertRules(
    await file("rules: [{ name: a, when: lag_seconds, above: 5, groups: ['bill.*', x] }]"),
    60_000,
    silentLogger,
  );
  const [rule] = own.list();
  expect(own.list()).toMatchObject([{ name: "a", above: 5, forSeconds: 30, severity: "warning" }]);
  expect(["bill.eu", "x", "billing", "xx"].map((name) => own.isAbout(rule!, name))).toEqual([true, true, false, false]);
  own.close();
});

it.each([
  ["rules: [{ name: a, when: nonsense }]", /rules\.0\.when/],
  ["rules: [{ name: a, when: no_members }, { name: a, when: dead_letters }]", /each name stands once/],
  ["rules: [{ name: a, when: no_members, forSecond: 5 }]", /forSecond/],
  ["rules: [{ name: 'a b', when: no_members }]", /rules\.0\.name/],
  ["webhook: { url: 'ftp://example.test' }", /webhook\.url/],
])("refuses %s and names the place", async (text, message) => {
  const path = await file(text);
  expect(() => openAlertRules(path, 60_000, silentLogger)).toThrow(message);
});

it("keeps silences on disk and forgets those that are over", async () => {
  const nowMs = Date.now();
  const asked = { rule: "a", subject: "", reason: "known", actor: "ann", createdAtMs: nowMs };
  const first = await openSilences(folder, silentLogger);
  await Promise.all([
    first.add({ ...asked, untilMs: nowMs + 60_000 }),
    first.add({ ...asked, rule: "b", untilMs: nowMs + 120_000 }),
  ]);
  const again = await openSilences(folder, silentLogger);
  expect(again.list(nowMs).map(({ rule }) => rule)).toEqual(["a", "b"]);
  expect(again.list(nowMs + 60_000).map(({ rule }) => rule)).toEqual(["b"]);
  expect(again.covering("b", "group x", nowMs)?.reason).toBe("known");
  expect(again.covering("c", "group x", nowMs)).toBeUndefined();
  await expect(again.end("nope")).rejects.toThrow(/there is no silence nope/);
});
