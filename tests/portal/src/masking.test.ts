/** Fields that are masked by role are absent from every answer of the portal, whichever way they are asked for. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import { hashPassword, hashToken } from "@gmq/protocol/secrets";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessibilityProblems } from "./checks/axe.js";
import { call } from "./checks/calls.js";
import { type Stage, setStage } from "./stage/stage.js";

const password = "correct horse battery";
const roles = ["viewer", "operator", "admin"] as const;
type Role = (typeof roles)[number];
const tokenOf = (role: Role): string => `token-of-${role}-0123456789`;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let stage: Stage;
/** Where the record with secrets lies. */
let placed: { readonly partition: number; readonly offset: bigint };

beforeAll(async () => {
  folder = await temporaryFolder();
  const [access, masking] = [join(folder.path, "portal.yaml"), join(folder.path, "masking.yaml")];
  const hash = await hashPassword(password);
  const users = roles.map((role) => ({ name: role, password: hash, role }));
  const tokens = roles.map((role) => ({ name: `${role}'s program`, hash: hashToken(tokenOf(role)), role }));
  await writeFile(access, JSON.stringify({ users, tokens }));
  await writeFile(
    masking,
    `rules:
  - topics: [pay*]
    fields: [key, value.order, headers.authorization]
    except: [admin]
  - topics: [odd-values]
    fields: [value.id]
`,
  );
  const adminArgs = [
    "--portal-access-file",
    access,
    "--portal-masking-file",
    masking,
    "--data",
    join(folder.path, "data"),
  ];
  stage = await setStage({ services: { adminArgs }, orders: 20, deadLetters: 4 });
  const producer = stage.seed.gmq.producer();
  placed = await producer.send("payments", {
    key: "customer-secret",
    value: '{"order":"o-secret","cents":9007199254740993}',
    headers: { Authorization: "Bearer secret", trace: "t" },
  });
  await producer.close();
});
afterAll(async () => {
  await stage?.stop();
  await folder.remove();
});

const ask = <T>(role: Role, method: string, request: unknown): Promise<T> =>
  call<T>(stage.services.adminUrl, method, request, { authorization: `Bearer ${tokenOf(role)}` });

/** The whole answer with all base64 in it read, as one text. */
async function answerText(role: Role, method: string, request: unknown): Promise<string> {
  return JSON.stringify(await ask(role, method, request), (_name, value: unknown) =>
    typeof value === "string" && /^[A-Za-z0-9+/]{4,}={0,2}$/.test(value)
      ? `${value} ${Buffer.from(value, "base64").toString()}`
      : value,
  );
}

it("is masked for those whom the rule means, and in the clear for the others", async () => {
  const { partition } = placed;
  const last = String(placed.offset);
  const reads: [string, unknown][] = [
    ["PortalService/Search", { topic: "payments", limit: 200 }],
    ["PortalService/InspectRecord", { topic: "payments", partition, offset: last }],
    ["AdminService/BrowseRecords", { topic: "payments", partition, limit: 200 }],
    ["PortalService/SampleKeys", { topic: "payments" }],
    ["AdminService/ListDeadLetters", { topic: "payments", group: "refunds" }],
    ["PortalService/Search", { topic: "payments.refunds.dlq" }],
    ["AdminService/ExplainGroup", { group: "shipping", topic: "payments", partition }],
  ];
  for (const [method, request] of reads) {
    const told = await answerText("viewer", method, request);
    expect(told, method).not.toMatch(/customer-|o-\d|secret/);
  }
  for (const [method, request] of reads.slice(0, 6)) {
    expect(await answerText("admin", method, request), method).toMatch(/customer-|o-\d/);
  }
  const { record } = await ask<{ record: { key: string; value: string; headers: { key: string; value: string }[] } }>(
    "operator",
    "PortalService/InspectRecord",
    { topic: "payments", partition, offset: last },
  );
  const clear = (text: string): string => Buffer.from(text, "base64").toString();
  expect(clear(record.key)).toBe("***");
  // Digit by digit, but for what is masked.
  expect(clear(record.value)).toBe('{"order":"***","cents":9007199254740993}');
  expect(record.headers.map(({ key, value }) => [key, clear(value)])).toEqual([
    ["Authorization", "***"],
    ["trace", "t"],
  ]);
});

it("cannot be found by a filter, nor copied to where it is in the clear, nor stored as a mask", async () => {
  const matched = async (role: Role, search: object): Promise<number> =>
    Number(
      (await ask<{ matched?: string }>(role, "PortalService/Search", { topic: "payments", ...search })).matched ?? 0,
    );
  for (const search of [
    { text: "o-secret" },
    { expression: 'value.order == "o-secret"' },
    { key: "customer-secret" },
  ]) {
    expect(await matched("admin", search)).toBe(1);
    expect(await matched("viewer", search)).toBe(0);
  }
  const filter = { key: Buffer.from("customer-1").toString("base64") };
  const byKey = { topic: "payments", group: "refunds", filter };
  await expect(ask("viewer", "AdminService/ListDeadLetters", byKey)).rejects.toThrow(/permission_denied/);
  await expect(ask("operator", "PortalService/StartJob", { redrive: byKey })).rejects.toThrow(/permission_denied/);
  const republish = { republish: { search: { topic: "payments" }, toTopic: "empty", dryRun: true } };
  await expect(ask("operator", "PortalService/StartJob", republish)).rejects.toThrow(/permission_denied/);
  const editedLetter = { topic: "payments", group: "refunds", place: { partition: 0, offset: "0" }, value: "" };
  await expect(ask("operator", "PortalService/StartJob", { editedLetter })).rejects.toThrow(/permission_denied/);
  // A value whose fields cannot be told apart is masked whole, for everybody here.
  expect(await answerText("admin", "PortalService/Search", { topic: "odd-values" })).not.toMatch(
    /comma,|no key|9007199/,
  );
});

it("is masked in files that are exported, and a file of somebody who sees more is not given away", async () => {
  const fileOf = async (by: Role, reader: Role): Promise<string> => {
    const request = { export: { search: { topic: "payments" }, format: "EXPORT_FORMAT_NDJSON", recordsMax: 1_000 } };
    const { job } = await ask<{ job: { jobId: string } }>(by, "PortalService/StartJob", request);
    await expect
      .poll(async () => (await ask<{ job: { state: string } }>(by, "PortalService/GetJob", job)).job.state)
      .toBe("JOB_STATE_DONE");
    return Buffer.from(
      (await ask<{ piece: string }>(reader, "PortalService/ReadJobFile", { jobId: job.jobId })).piece,
      "base64",
    ).toString();
  };
  expect(await fileOf("viewer", "viewer")).not.toMatch(/customer-|o-\d|secret/);
  expect(await fileOf("viewer", "admin")).toContain("***");
  expect(await fileOf("admin", "admin")).toContain("o-secret");
  await expect(fileOf("admin", "viewer")).rejects.toThrow(/permission_denied/);
});

it("is not among the outcomes of a job of somebody who sees more", async () => {
  const republish = { search: { topic: "payments" }, toTopic: "empty" };
  const { job } = await ask<{ job: { jobId: string } }>("admin", "PortalService/StartJob", { republish });
  const outcomes = () =>
    ask<{ outcomes?: unknown[] }>("viewer", "PortalService/GetJob", { jobId: job.jobId, limit: 1_000 });
  await expect.poll(async () => (await outcomes()).outcomes?.length ?? 0).toBeGreaterThan(100);
  expect(JSON.stringify(await outcomes())).not.toMatch(/customer-|o-\d|secret/);
});

it("is not in the audit either", async () => {
  const value = Buffer.from('{"order":"o-produced"}').toString("base64");
  await ask("admin", "PortalService/Produce", {
    topic: "payments",
    value,
    key: Buffer.from("k-produced").toString("base64"),
  });
  expect(await answerText("viewer", "PortalService/ListAudit", {})).not.toMatch(/produced/);
});

it("is said on the page", async () => {
  const page = await stage.browser.open(stage.url("/topics/payments/records/0/0"));
  await page.getByLabel("Name").fill("operator");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("Some of it is masked for you").waitFor();
  expect(await page.getByRole("link", { name: "Produce again…" }).count()).toBe(0);
  expect(await page.locator("body").textContent()).not.toMatch(/customer-\d|o-\d/);
  expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
  await page.goto(stage.url("/dead-letters/payments/refunds"));
  await page.getByText("masked", { exact: true }).first().waitFor();
  expect(await page.locator("body").textContent()).not.toMatch(/customer-\d|o-\d/);
  await page.close();
});

it("stands on the Access page for admins, with who may log in; others see their own role and what it may do", async () => {
  await stage.browser.context.clearCookies();
  const told = async (role: Role) => {
    const page = await stage.browser.open(stage.url("/access"));
    await page.getByLabel("Name").fill(role);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText(`You are ${role}, ${role}`).waitFor();
    expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
    const text = (await page.getByRole("main").textContent()) ?? "";
    const redrive = await page
      .getByRole("row")
      .filter({ hasText: /^Redrive dead letters/ })
      .getByRole("cell")
      .allTextContents();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.close();
    return { text, redrive };
  };
  const viewer = await told("viewer");
  expect(viewer.redrive).toEqual(["Redrive dead letters", "no", "may", "may"]);
  expect(viewer.text).not.toMatch(/value\.order|operator's program/);
  const admin = await told("admin");
  expect(admin.text).toMatch(/operator's programtoken.*operator/);
  expect(admin.text).toContain("key, value.order, headers.authorization");
  expect(JSON.stringify(await ask("viewer", "PortalService/ListAccess", {}))).not.toMatch(
    /operator's program|value\.order|sha256|scrypt/,
  );
  expect(JSON.stringify(await ask("admin", "PortalService/ListAccess", {}))).not.toMatch(/sha256|scrypt/);
});
