/** Long acts: they say what they did to each item, can be stopped and taken back, and survive a reload and the end of the portal. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { entries, temporaryFolder } from "@gmq/e2e/harness/workspace";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityProblems } from "./checks/axe.js";
import { call } from "./checks/calls.js";
import { parseCsv } from "./checks/csv.js";
import { type Stage, setStage } from "./stage/stage.js";

let stage: Stage;
let page: Page;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  stage = await setStage({
    orders: 90,
    deadLetters: 6,
    services: { adminArgs: ["--data", join(folder.path, "data")] },
  });
  page = await stage.browser.context.newPage();
});
afterAll(async () => {
  await stage?.stop();
  await folder?.remove();
});

const admin = () => stage.seed.gmq.admin;
const base = (): string => stage.services.adminUrl;

async function recordsOf(topic: string) {
  const { partitions } = await admin().describeTopic(topic);
  const pages = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => admin().browse(topic, { partition, limit: 1_000 })),
  );
  return pages.flatMap(({ records }) => records);
}
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

interface Job {
  jobId: string;
  title: string;
  state: string;
  done?: string;
}
const jobs = async (): Promise<Job[]> => (await call<{ jobs: Job[] }>(base(), "PortalService/ListJobs", {})).jobs;

describe("re-publishing", () => {
  it("counts without writing, copies what the search means with key and headers, and guards against loops", async () => {
    await page.goto(stage.url(`/topics/orders/messages?cel=${encodeURIComponent('headers.region == "eu-west"')}`));
    await page.getByText("All of it: 30 matched").waitFor();
    await page.getByRole("button", { name: "Re-publish…" }).click();
    await page.getByLabel("To topic").fill("empty");
    await page.getByRole("button", { name: "Count first" }).click();
    await page.getByRole("dialog").getByText("30 records would be re-published").waitFor();
    expect(await recordsOf("empty")).toEqual([]);
    expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
    await page.getByRole("button", { name: "Re-publish 30" }).click();
    await page.getByRole("dialog").getByText("30 re-published").waitFor();
    await page.getByRole("button", { name: "Close", exact: true }).last().click();
    const copies = await recordsOf("empty");
    const originals = (await recordsOf("orders")).filter(({ headers }) =>
      headers.some(({ key, value }) => key === "region" && text(value) === "eu-west"),
    );
    const shown = (records: typeof copies): string[] =>
      records.map(({ key, value }) => `${text(key)} ${text(value)}`).sort();
    expect(shown(copies)).toEqual(shown(originals));
    const headers = copies[0]?.headers.map(({ key, value }) => [key, text(value)]);
    expect(headers).toContainEqual(["region", "eu-west"]);
    expect(headers).toContainEqual(["gmq-republishes", "1"]);

    await page.goto(stage.url("/topics/empty/messages"));
    await page.getByRole("button", { name: "Re-publish…" }).click();
    await page.getByLabel("Re-published at most").fill("1");
    await page.getByRole("button", { name: "Count first" }).click();
    await page.getByText("0 records would be re-published, 30 passed over").waitFor();
    expect(await page.getByRole("button", { name: "Re-publish 0" }).isDisabled()).toBe(true);
  });

  it("is cut off by the end of the portal, shown so, and goes on without doing anything twice", async () => {
    await admin().createTopic("copies", { partitions: 2 });
    const search = { topic: "orders" };
    const republish = { search, toTopic: "copies", ratePerSecond: 10 };
    const { job } = await call<{ job: Job }>(base(), "PortalService/StartJob", { republish });
    await page.goto(stage.url("/topics"));
    await page
      .getByRole("banner")
      .getByRole("link", { name: /^1 job/ })
      .click();
    await page.getByRole("progressbar", { name: "Progress" }).waitFor();
    await expect.poll(async () => (await recordsOf("copies")).length).toBeGreaterThan(5);
    const portal = stage.services.part("admin");
    await portal.kill();
    expect((await recordsOf("copies")).length).toBeLessThan(90);
    await portal.restart();
    await page.goto(stage.url(`/jobs/${job.jobId}`));
    await page.getByRole("main").getByText("interrupted", { exact: true }).waitFor();
    // How far it was is saved now and then: killed before the first time it shows none.
    expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("main").getByText("90 re-published").waitFor();
    await page.getByRole("main").getByText("done", { exact: true }).first().waitFor();
    const values = (await recordsOf("copies")).map(({ value }) => text(value));
    expect(values.length).toBe(90);
    expect(new Set(values)).toEqual(new Set((await recordsOf("orders")).map(({ value }) => text(value))));
    const outcomes = page.getByRole("table", { name: "Outcomes" });
    expect(await outcomes.getAttribute("aria-rowcount")).toBe("91");
  });

  it("stops when it is cancelled, and says what it had done", async () => {
    await admin().createTopic("stopped", { partitions: 1 });
    const republish = { search: { topic: "orders" }, toTopic: "stopped", ratePerSecond: 10 };
    const { job } = await call<{ job: Job }>(base(), "PortalService/StartJob", { republish });
    await page.goto(stage.url(`/jobs/${job.jobId}`));
    await expect.poll(async () => (await recordsOf("stopped")).length).toBeGreaterThan(2);
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByRole("main").getByText("cancelled", { exact: true }).waitFor();
    const ended = (await jobs()).find(({ jobId }) => jobId === job.jobId);
    expect(Number(ended?.done)).toBe((await recordsOf("stopped")).length);
  });
});

describe("a file", () => {
  const good = Array.from({ length: 1_000 }, (_, index) =>
    JSON.stringify({ key: `k-${index % 7}`, value: `v-${index}`, headers: { line: String(index + 1) } }),
  );

  it("is refused as a whole when lines are bad, each named with its number", async () => {
    await admin().createTopic("filed", { partitions: 3 });
    const bad = [...good];
    bad[4] = '{"key":"k"}';
    bad[499] = "no json";
    bad[998] = '{"value":"x","partition":3}';
    const path = join(folder.path, "bad.ndjson");
    await writeFile(path, bad.join("\n"));
    await page.goto(stage.url("/topics/filed/produce"));
    await page.getByLabel("File", { exact: true }).setInputFiles(path);
    const lines = page.getByRole("table", { name: "Bad lines" });
    await lines.waitFor();
    const named = await lines
      .locator("tbody tr")
      .evaluateAll((rows) => rows.map((row) => row.children[0]?.textContent));
    expect(named).toEqual(["5", "500", "999"]);
    expect(await accessibilityProblems(lines)).toEqual([]);
    expect(await page.getByRole("button", { name: "Produce the file" }).isDisabled()).toBe(true);
    const produceLines = { topic: "filed", lines: Buffer.from(bad.join("\n")).toString("base64") };
    await expect(call(base(), "PortalService/StartJob", { produceLines })).rejects.toThrow(/invalid_argument|line 5/);
    expect(await recordsOf("filed")).toEqual([]);
  });

  it("is produced record by record, in the order of each key", async () => {
    const path = join(folder.path, "good.ndjson");
    await writeFile(path, good.join("\n"));
    await page.getByLabel("File", { exact: true }).setInputFiles(path);
    await page.getByRole("button", { name: "Produce 1,000 records" }).click();
    await page.getByText("1,000 stored").waitFor();
    const records = await recordsOf("filed");
    expect(records.length).toBe(1_000);
    const ofKey = records.filter(({ key }) => text(key) === "k-3").map(({ value }) => Number(text(value).slice(2)));
    expect(ofKey).toEqual(ofKey.toSorted((left, right) => left - right));
    expect(ofKey.length).toBe(143);
  });

  it("is produced in the same way by the command that the page shows", async () => {
    await admin().createTopic("by-curl", { partitions: 1 });
    await page.goto(stage.url("/topics/by-curl/produce"));
    const path = join(folder.path, "good.ndjson");
    await page.getByLabel("File", { exact: true }).setInputFiles(path);
    await page.getByText("1,000 records").first().waitFor();
    await page.getByRole("button", { name: "CLI" }).last().click();
    const command = (await page.getByRole("region", { name: "Command of curl" }).textContent()) ?? "";
    expect(command).toContain("base64 < good.ndjson");
    const gmq = (await page.getByRole("region", { name: "Command of gmq" }).textContent()) ?? "";
    expect(gmq).toBe("gmq publish by-curl --format records --file good.ndjson");
    await admin().createTopic("by-gmq", { partitions: 1 });
    const args = [...gmq.replace("by-curl", "by-gmq").split(" ").slice(1), "--broker", stage.services.brokers[0] ?? ""];
    await promisify(execFile)(process.execPath, [entries.cli, ...args], { cwd: folder.path });
    const published = await recordsOf("by-gmq");
    expect(published.map(({ key, value }) => [text(key), text(value)])).toEqual(
      good.map((_, index) => [`k-${index % 7}`, `v-${index}`]),
    );
    expect(published[41]?.headers.map((header) => [header.key, text(header.value)])).toEqual([["line", "42"]]);
    await promisify(execFile)("sh", ["-c", command], { cwd: folder.path });
    await expect.poll(async () => (await recordsOf("by-curl")).length, { timeout: 60_000 }).toBe(1_000);
    await page.keyboard.press("Escape");
  });

  it("that an export has written is read back", async () => {
    await page.goto(stage.url("/topics/odd-values/messages?from=oldest"));
    await page.getByRole("button", { name: "Export…" }).click();
    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export", exact: true }).click();
    const exported = await readFile(await (await downloading).path());
    await admin().createTopic("read-back", { partitions: 1 });
    const produceLines = { topic: "read-back", lines: exported.toString("base64") };
    await call(base(), "PortalService/StartJob", { produceLines });
    await expect.poll(async () => (await recordsOf("read-back")).length).toBe(7);
    const bytes = async (topic: string): Promise<string[]> =>
      (await recordsOf(topic)).map(({ value }) => Buffer.from(value).toString("base64")).sort();
    expect(await bytes("read-back")).toEqual(await bytes("odd-values"));
  });
});

describe("outcomes", () => {
  it("are a file, all of them or one kind, however many pages they are", async () => {
    await admin().createTopic("told", { partitions: 2 });
    // Over the 1,000 of a page.
    const lines = Array.from({ length: 1_203 }, (_, index) =>
      JSON.stringify({ key: `k,"${index}"`, value: `v-${index}` }),
    );
    const produceLines = { topic: "told", lines: Buffer.from(lines.join("\n")).toString("base64") };
    const { job } = await call<{ job: Job }>(base(), "PortalService/StartJob", { produceLines });
    await page.goto(stage.url(`/jobs/${job.jobId}`));
    await page.getByText("1,203 stored").or(page.getByText("1,203 done")).first().waitFor();
    const exported = async (button: string): Promise<string> => {
      const downloading = page.waitForEvent("download");
      await page.getByRole("button", { name: button }).click();
      const download = await downloading;
      expect(download.suggestedFilename()).toContain(job.jobId);
      return await readFile(await download.path(), "utf8");
    };
    const [header, ...rows] = parseCsv(await exported("Export CSV"));
    expect(header).toEqual(["outcome", "item", "detail"]);
    expect(rows.map(([, item]) => item).sort()).toEqual(lines.map((_, index) => `line ${index + 1}`).sort());
    const places = rows.map(([, , detail]) => detail);
    const stored = (await recordsOf("told")).map(({ partition, offset }) => `told / ${partition} @ ${offset}`);
    expect(places.sort()).toEqual(stored.sort());
    await page.getByLabel("Which", { exact: true }).selectOption("failed");
    await page.getByText("Nothing to tell item by item").waitFor();
    expect(await exported("Export NDJSON")).toBe("");
    await page.getByLabel("Which", { exact: true }).selectOption("done");
    const told = (await exported("Export NDJSON")).trim().split("\n");
    expect(told).toHaveLength(1_203);
    expect(Object.keys(JSON.parse(told[0] ?? "") as object)).toEqual(["outcome", "item", "detail"]);
    expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
  });
});

describe("dead letters", () => {
  const open = async (): Promise<number> => {
    const { queues } = await call<{ queues: { group: string; open?: string }[] }>(
      base(),
      "AdminService/ListDeadLetters",
      {},
    );
    return Number(queues.find(({ group }) => group === "refunds")?.open ?? 0);
  };
  async function discardAll(): Promise<void> {
    await page.goto(stage.url("/dead-letters/payments/refunds"));
    await page.getByRole("button", { name: "Discard…" }).click();
    await page.getByRole("button", { name: "Count first" }).click();
    await page.getByLabel("Type refunds to confirm").fill("refunds");
    await page.getByRole("button", { name: /^Discard \d/ }).click();
    await page.getByRole("dialog").getByText("until then nothing is changed").waitFor();
  }

  it("are edited: the edit is stored, the letter is settled", async () => {
    await page.goto(stage.url("/dead-letters/payments/refunds"));
    await page
      .getByRole("button", { name: /^edit record/ })
      .first()
      .click();
    await page.getByLabel("Value", { exact: true }).fill('{"order":"edited"}');
    await page.getByRole("button", { name: "Add a header" }).click();
    await page
      .getByRole("textbox", { name: /^Name of header/ })
      .last()
      .fill("fixed-by");
    await page
      .getByRole("textbox", { name: /^Value of header/ })
      .last()
      .fill("operator");
    expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
    await page.getByRole("button", { name: "Redrive the edit" }).click();
    await page.getByRole("dialog").getByText("1 done").waitFor();
    await page.getByRole("button", { name: "Close", exact: true }).last().click();
    expect(await open()).toBe(5);
    const edits = (await recordsOf("payments")).filter(({ value }) => text(value) === '{"order":"edited"}');
    expect(edits.length).toBe(1);
    const headers = edits[0]?.headers.map(({ key, value }) => [key, text(value)]);
    expect(headers).toContainEqual(["fixed-by", "operator"]);
    expect(headers).toContainEqual(["gmq-redrives", "1"]);
  });

  it("are not discarded when it is taken back, even after a reload", async () => {
    await discardAll();
    await page.getByRole("dialog").getByRole("button", { name: "Undo" }).click();
    await page.getByRole("dialog").getByText("cancelled", { exact: true }).waitFor();
    await discardAll();
    await page.goto(stage.url("/jobs"));
    await page
      .getByRole("link", { name: /^Discard dead letters/ })
      .first()
      .click();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("main").getByText("cancelled", { exact: true }).waitFor();
    expect(await open()).toBe(5);
  });

  it("are redriven with one outcome each that names where it is now, also after a reload and the end of the portal", async () => {
    const { letters } = await admin().deadLetters("payments", { group: "refunds", limit: 3 });
    const selected = letters.map(({ place }) => ({ partition: place.partition, offset: String(place.offset) }));
    const redrive = { topic: "payments", group: "refunds", selected };
    const { job } = await call<{ job: Job }>(base(), "PortalService/StartJob", { redrive });
    await page.goto(stage.url(`/jobs/${job.jobId}`));
    await page.getByRole("main").getByText("3 redriven").waitFor();
    const redriven = (await recordsOf("payments")).filter(({ headers }) =>
      headers.some(({ key }) => key === "gmq-redrives"),
    );
    const expected = letters.map(({ place, value }) => {
      const copy = redriven.find((record) => text(record.value) === text(value));
      return [
        "done",
        `${place.partition} · ${place.offset}`,
        `stored at payments / ${copy?.partition} @ ${copy?.offset}`,
      ];
    });
    expect(new Set(expected.map(([, , stored]) => stored)).size).toBe(3);
    const shown = (): Promise<(string | null)[][]> =>
      page
        .getByRole("table", { name: "Outcomes" })
        .locator("tbody tr")
        .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
    await expect.poll(shown).toEqual(expected);
    await page.reload();
    await expect.poll(shown).toEqual(expected);
    const portal = stage.services.part("admin");
    await portal.kill();
    await portal.restart();
    await page.goto(stage.url(`/jobs/${job.jobId}`));
    await expect.poll(shown).toEqual(expected);
    expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
    expect(await open()).toBe(2);
  });

  it("are not redriven at a rate that is none: the job is not made", async () => {
    const redrive = { topic: "payments", group: "refunds", ratePerSecond: 2_000_000 };
    await expect(call(base(), "PortalService/StartJob", { redrive })).rejects.toThrow(/rate_per_second/);
    await expect(
      call(base(), "PortalService/StartJob", { redrive: { ...redrive, ratePerSecond: -1 } }),
    ).rejects.toThrow(/rate_per_second/);
  });

  it("are discarded once the time to take it back has passed, one outcome each", async () => {
    const { letters } = await admin().deadLetters("payments", { group: "refunds" });
    await discardAll();
    // Here, where nobody is in a hurry: to look takes a good part of the time to take it back.
    expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
    await page.getByRole("dialog").getByText("2 discarded").waitFor();
    expect(await open()).toBe(0);
    const ended = (await jobs()).find(({ title, state }) => title.startsWith("Discard") && state === "JOB_STATE_DONE");
    const { outcomes } = await call<{ outcomes: { item: string; outcome: string }[] }>(base(), "PortalService/GetJob", {
      jobId: ended?.jobId,
    });
    expect(outcomes.map(({ item, outcome }) => `${outcome} ${item}`)).toEqual(
      letters.map(({ place }) => `done ${place.partition} · ${place.offset}`),
    );
    // The audit tells it from a redrive, which is the same call.
    await page.goto(stage.url("/audit?q=discard+dead+letters&outcome=done"));
    await page.getByRole("table", { name: "Writes" }).getByText("Discard dead letters").first().waitFor();
  });
});

describe("many topics", () => {
  it("are purged, then deleted, with the number typed and one outcome each", async () => {
    await page.goto(stage.url("/topics"));
    await page.getByRole("checkbox", { name: "Select stopped" }).check();
    await page.getByRole("checkbox", { name: "Select copies" }).check();
    await page.getByText("2 selected").waitFor();
    await page.getByRole("button", { name: "Change them…" }).click();
    const act = page.getByRole("button", { name: "Purge 2 topics" });
    expect(await act.isDisabled()).toBe(true);
    await page.getByLabel("Type 2 topics to confirm").fill("2 topics");
    expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
    await act.click();
    await page.getByRole("dialog").getByText("2 done").waitFor();
    await page.getByRole("button", { name: "Close", exact: true }).last().click();
    expect((await recordsOf("copies")).length).toBeLessThan(90);

    await page.getByRole("checkbox", { name: "Select stopped" }).check();
    await page.getByRole("checkbox", { name: "Select copies" }).check();
    await page.getByRole("button", { name: "Change them…" }).click();
    await page.getByLabel("What to do").selectOption("delete");
    await page.getByRole("dialog").getByRole("button", { name: "CLI" }).click();
    const commands = (await page.getByRole("region", { name: "Command of gmq" }).textContent()) ?? "";
    expect(commands.split("\n").sort()).toEqual(["gmq topics delete copies", "gmq topics delete stopped"]);
    await page.keyboard.press("Escape");
    await page.getByRole("region", { name: "Command of gmq" }).waitFor({ state: "detached" });
    await page.getByLabel("Type 2 topics to confirm").fill("2 topics");
    await page.getByRole("button", { name: "Delete 2 topics" }).click();
    await page.getByRole("dialog").getByText("2 done").waitFor();
    const names = (await admin().listTopics()).map(({ name }) => name);
    expect(names).not.toContain("copies");
    expect(names).not.toContain("stopped");
  });
});

describe("the list of jobs", () => {
  it("has every job, and the audit how it ended", async () => {
    await page.goto(stage.url("/jobs"));
    await page.getByRole("table", { name: "Jobs" }).waitFor();
    expect(await accessibilityProblems(page.getByRole("table", { name: "Jobs" }))).toEqual([]);
    const { entries } = await call<{ entries: { action: string; outcome: string }[] }>(
      base(),
      "PortalService/ListAudit",
      {},
    );
    const acts = entries.map(({ action, outcome }) => `${action} ${outcome}`);
    // The one that the portal's end cut off, and the one that went on with it.
    expect(acts.filter((act) => act.startsWith("Republish ")).sort()).toEqual([
      "Republish cancelled",
      "Republish done",
      "Republish done",
      "Republish unknown",
    ]);
    expect(acts.filter((act) => act.startsWith("Redrive ")).sort()).toEqual([
      "Redrive cancelled",
      "Redrive cancelled",
      "Redrive done",
      "Redrive done",
    ]);
    await page.goto(stage.url("/audit?outcome=cancelled"));
    const rows = page.getByRole("table", { name: "Writes" }).locator("tbody tr");
    await expect.poll(() => rows.count()).toBe(3);
    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export NDJSON" }).click();
    const lines = (await readFile(await (await downloading).path(), "utf8")).trim().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { outcome: string }).outcome)).toEqual(Array(3).fill("cancelled"));
  });
});
