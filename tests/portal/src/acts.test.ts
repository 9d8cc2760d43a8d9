/** Every act through the pages, checked against the store; all of it by keyboard where that is the point. */
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityProblems } from "./checks/axe.js";
import { call } from "./checks/calls.js";
import { type Stage, setStage } from "./stage/stage.js";

let stage: Stage;
let page: Page;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  stage = await setStage({ orders: 60, deadLetters: 4, services: { adminArgs: ["--data", folder.path] } });
  page = await stage.browser.context.newPage();
});
afterAll(async () => {
  await stage?.stop();
  await folder?.remove();
});

const topicNames = async (): Promise<string[]> => (await stage.seed.gmq.admin.listTopics()).map(({ name }) => name);

describe("topics", () => {
  it("are made; a bad name is refused at its field and what was typed stays", async () => {
    await page.goto(stage.url("/topics"));
    await page.getByRole("button", { name: "Create a topic" }).click();
    await page.getByLabel("Name", { exact: true }).fill("not a name!");
    await page.getByRole("button", { name: "Create", exact: true }).click();
    await page.locator("[aria-invalid=true]").waitFor();
    expect(await page.getByLabel("Name", { exact: true }).inputValue()).toBe("not a name!");
    await page.getByLabel("Name", { exact: true }).fill("made-here");
    await page.getByLabel("Partitions").fill("3");
    await page.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "made-here" }).waitFor();
    expect((await stage.seed.gmq.admin.describeTopic("made-here")).partitions).toBe(3);
  });

  it("are deleted only with the name typed", async () => {
    await page.goto(stage.url("/topics/made-here"));
    await page.getByRole("button", { name: "Delete…" }).click();
    const act = page.getByRole("button", { name: "Delete the topic" });
    expect(await act.isDisabled()).toBe(true);
    await page.getByLabel("Type made-here to confirm").fill("made-her");
    expect(await act.isDisabled()).toBe(true);
    await page.getByLabel("Type made-here to confirm").fill("made-here");
    await act.click();
    await page.waitForURL(/\/topics$/);
    expect(await topicNames()).not.toContain("made-here");
  });
});

describe("a topic's set-up", () => {
  it("is changed for the version that was shown, and not over somebody else's change", async () => {
    await page.goto(stage.url("/topics/payments"));
    await page.getByRole("button", { name: "Change…" }).click();
    await page.getByLabel("Kept records per partition").fill("1000000");
    await page.getByRole("button", { name: "Change", exact: true }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByText("1,000,000").waitFor();
    await page.getByRole("button", { name: "Change…" }).click();
    const described = await call<{ topic: { version: string; config: unknown } }>(
      stage.services.adminUrl,
      "AdminService/DescribeTopic",
      { topic: "payments" },
    );
    const { version, config } = described.topic;
    await call(stage.services.adminUrl, "AdminService/AlterTopic", { topic: "payments", version, config });
    await page.getByLabel("Kept records per partition").fill("2000000");
    await page.getByRole("button", { name: "Change", exact: true }).click();
    await page.getByRole("alert").getByText("conflict").waitFor();
    await page.keyboard.press("Escape");
  });

  it("gets partitions after the warning, and is purged as the preview said", async () => {
    await page.getByRole("button", { name: "Add partitions…" }).click();
    await page.getByLabel("Partitions there shall be").fill("5");
    await page.getByRole("button", { name: "Show what it means" }).click();
    expect(await accessibilityProblems(page.getByRole("button", { name: "Add them" }))).toEqual([]);
    await page.getByRole("button", { name: "Add them" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect((await stage.seed.gmq.admin.describeTopic("payments")).partitions).toBe(5);

    await page.goto(stage.url("/topics/odd-values"));
    await page.getByRole("button", { name: "Purge…" }).click();
    await page.getByLabel("First offset to keep").fill("2");
    await page.getByRole("button", { name: "Show what it means" }).click();
    await page.getByText("2 records would be deleted for good").waitFor();
    expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
    await page.getByLabel("Type odd-values to confirm").fill("odd-values");
    await page.getByRole("button", { name: "Purge", exact: true }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const { partitionStats } = await stage.seed.gmq.admin.describeTopic("odd-values");
    expect(partitionStats[0]?.startOffset).toBe(2n);
  });
});

describe("records", () => {
  it("are produced where the page says they go", async () => {
    await page.goto(stage.url("/topics/orders/produce"));
    await page.getByLabel("Key", { exact: true }).fill("by-hand");
    await page.getByLabel("Value", { exact: true }).fill('{"id":9007199254740993}');
    await page.getByRole("button", { name: "Add a header" }).click();
    await page.getByLabel("Name of header 1").fill("source");
    await page.getByLabel("Value of header 1").fill("portal");
    const goesTo = /partition (\d+), by its key/.exec((await page.getByText("Goes to").textContent()) ?? "")?.[1];
    await page.getByRole("button", { name: "Produce", exact: true }).click();
    const stored = /partition (\d+), offset (\d+)/.exec(
      (await page.getByRole("link", { name: /offset/ }).textContent()) ?? "",
    );
    expect(stored?.[1]).toBe(goesTo);
    const { records } = await stage.seed.gmq.admin.browse("orders", {
      partition: Number(stored?.[1]),
      from: { offset: BigInt(stored?.[2] ?? -1) },
      limit: 1,
    });
    expect(Buffer.from(records[0]?.value ?? []).toString()).toBe('{"id":9007199254740993}');
    expect(Buffer.from(records[0]?.key ?? []).toString()).toBe("by-hand");
    expect(records[0]?.headers.map(({ key, value }) => [key, Buffer.from(value).toString()])).toEqual([
      ["source", "portal"],
    ]);
  });

  it("have no key when the field is blank, and an empty one only when that is said", async () => {
    const produce = async (): Promise<Uint8Array | undefined> => {
      await page.getByRole("button", { name: "Produce", exact: true }).click();
      const link = await page.getByRole("link", { name: /^partition \d+, offset/ }).textContent();
      const [, partition, offset] = /partition (\d+), offset (\d+)/.exec(link ?? "") ?? [];
      const from = { offset: BigInt(offset ?? -1) };
      const { records } = await stage.seed.gmq.admin.browse("empty", { partition: Number(partition), from, limit: 1 });
      expect(Buffer.from(records[0]?.value ?? []).toString()).toBe("blank");
      return records[0]?.key;
    };
    const key = page.getByLabel("Key", { exact: true });
    const noKey = page.getByLabel("no key");
    await page.goto(stage.url("/topics/empty/produce"));
    await page.getByLabel("Value", { exact: true }).fill("blank");
    expect(await noKey.isChecked()).toBe(true);
    await page.getByText("one partition after the other").waitFor();
    expect(await produce()).toBeUndefined();

    await page.reload();
    await page.getByLabel("Value", { exact: true }).fill("blank");
    await key.fill("typed");
    expect(await noKey.isChecked()).toBe(false);
    await key.fill("");
    expect(await noKey.isChecked()).toBe(true);
    await noKey.uncheck();
    expect(await produce()).toHaveLength(0);
  });

  it("are produced again, byte by byte", async () => {
    await page.goto(stage.url("/topics/odd-values/messages?sel=0-3"));
    await page.getByRole("link", { name: "Produce again…" }).click();
    await page.getByText("like 0 @ 3").waitFor();
    await page.getByRole("button", { name: "Produce", exact: true }).click();
    await page.getByRole("link", { name: "partition 0, offset 7" }).waitFor();
    const { records } = await stage.seed.gmq.admin.browse("odd-values");
    const at = (offset: bigint) => records.find((record) => record.offset === offset);
    expect(at(7n)?.value).toEqual(at(3n)?.value);
    expect(at(7n)?.key).toEqual(at(3n)?.key);
  });
});

describe("groups", () => {
  it("are explained, paused and resumed", async () => {
    await page.goto(stage.url("/groups/fraud-check"));
    await page.getByRole("button", { name: "why is partition 0 of orders where it is" }).click();
    await page.getByRole("dialog").getByText("no member", { exact: true }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Pause…" }).click();
    await page.getByRole("button", { name: "Pause the group" }).click();
    await page.getByText("The group is paused").waitFor();
    const holds = async (): Promise<(string | undefined)[]> => {
      const { group } = await call<{ group: { partitions: { hold: string }[] } }>(
        stage.services.adminUrl,
        "AdminService/DescribeGroup",
        { group: "fraud-check" },
      );
      return group.partitions.map(({ hold }) => hold);
    };
    expect(new Set(await holds())).toEqual(new Set(["paused"]));
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await page.getByRole("button", { name: "Pause…" }).waitFor();
    expect(new Set(await holds())).toEqual(new Set([""]));
  });

  it("are reset as the preview said, and not when they changed since", async () => {
    await page.goto(stage.url("/groups/fraud-check"));
    await page.getByRole("button", { name: "Reset offsets…" }).click();
    await page.getByLabel("To", { exact: true }).selectOption("latest");
    await page.getByRole("button", { name: "Show what it means" }).click();
    await page.getByText("would never be delivered").waitFor();
    expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
    const act = page.getByRole("button", { name: "Reset the offsets" });
    expect(await act.isDisabled()).toBe(true);
    await page.getByLabel("Type fraud-check to confirm").fill("fraud-check");
    // Somebody else is quicker.
    await call(stage.services.adminUrl, "AdminService/PauseGroup", { group: "fraud-check" });
    await act.click();
    await page.getByRole("alert").getByText("conflict").waitFor();
    expect(await act.isDisabled()).toBe(true);
    await call(stage.services.adminUrl, "AdminService/ResumeGroup", { group: "fraud-check" });

    await page.getByRole("button", { name: "Ask again" }).click();
    await page.getByRole("alert").waitFor({ state: "detached" });
    const moves = page.getByRole("table", { name: "What the reset means" });
    await moves.waitFor();
    const preview = await moves
      .locator("tbody tr")
      .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
    await act.click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const { partitions } = await stage.seed.gmq.admin.describeGroup("fraud-check");
    expect(partitions.map(({ partition, position }) => [String(partition), String(position)])).toEqual(
      preview.map(([partition, , after]) => [partition, after]),
    );
    expect(partitions.every(({ lag }) => lag === 0n)).toBe(true);
  });

  it("are deleted when nobody consumes, and refused in words when somebody does", async () => {
    await page.goto(stage.url("/groups/billing"));
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByLabel("Type billing to confirm").fill("billing");
    await page.getByRole("button", { name: "Delete the group" }).click();
    await page.getByRole("alert").getByText("group_not_empty").waitFor();
    expect(await page.getByLabel("Type billing to confirm").inputValue()).toBe("billing");
    await page.keyboard.press("Escape");

    await page.goto(stage.url("/groups/fraud-check"));
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByLabel("Type fraud-check to confirm").fill("fraud-check");
    await page.getByRole("button", { name: "Delete the group" }).click();
    await page.waitForURL(/\/groups$/);
    const groups = await stage.seed.gmq.admin.listGroups();
    expect(groups.map(({ group }) => group)).not.toContain("fraud-check");
  });
});

describe("dead letters", () => {
  const open = async (): Promise<number> => {
    const { queues } = await call<{ queues: { group: string; open: string }[] }>(
      stage.services.adminUrl,
      "AdminService/ListDeadLetters",
      {},
    );
    return Number(queues.find(({ group }) => group === "refunds")?.open);
  };

  it("are discarded one by one and redriven together, as was counted", async () => {
    await page.goto(stage.url("/"));
    await page.getByRole("link", { name: /^Dead letters\s*4/ }).click();
    await page.getByRole("link", { name: /4 dead letters of refunds/ }).click();
    await page.getByRole("table", { name: "Reasons" }).getByText("no such order").waitFor();
    await page.getByRole("checkbox").first().check();
    await page.getByRole("button", { name: "Discard 1 selected…" }).click();
    await page.getByRole("button", { name: "Count first" }).click();
    await page.getByText("1 of 1 would be discarded").waitFor();
    await page.getByLabel("Type refunds to confirm").fill("refunds");
    expect(await accessibilityProblems(page.getByRole("dialog"))).toEqual([]);
    await page.getByRole("button", { name: "Discard 1", exact: true }).click();
    await page.getByRole("dialog").getByText("1 discarded").waitFor();
    await page.getByRole("button", { name: "Close", exact: true }).last().click();
    expect(await open()).toBe(3);

    const before = await stage.seed.gmq.admin.describeTopic("payments");
    await page.getByRole("button", { name: "Redrive…" }).click();
    await page.getByRole("button", { name: "Count first" }).click();
    await page.getByText("3 of 3 would be redriven").waitFor();
    await page.getByRole("button", { name: "Redrive 3" }).click();
    await page.getByRole("dialog").getByText("3 redriven").waitFor();
    await page.getByRole("button", { name: "Close", exact: true }).last().click();
    await page.getByText("Nothing is open").waitFor();
    expect(await open()).toBe(0);
    const after = await stage.seed.gmq.admin.describeTopic("payments");
    const endOf = ({ partitionStats }: typeof after): bigint =>
      partitionStats.reduce((sum, { endOffset }) => sum + endOffset, 0n);
    expect(endOf(after) - endOf(before)).toBe(3n);
  });
});

describe("the audit", () => {
  it("has every write with its outcome, before and after, also after the portal was killed", async () => {
    const before = await call<{ entries: { action: string; outcome: string; beforeJson: string }[] }>(
      stage.services.adminUrl,
      "PortalService/ListAudit",
      {},
    );
    const acts = before.entries.map(({ action, outcome }) => `${action} ${outcome}`);
    expect(acts).toEqual([
      "Redrive done",
      "Redrive done",
      "DeleteGroup done",
      "DeleteGroup refused",
      "ResetGroup done",
      "ResumeGroup done",
      "ResetGroup refused",
      "PauseGroup done",
      "ResumeGroup done",
      "PauseGroup done",
      "Produce done",
      "Produce done",
      "Produce done",
      "Produce done",
      "PurgeTopic done",
      "AddPartitions done",
      "AlterTopic refused",
      "AlterTopic done",
      "AlterTopic done",
      "DeleteTopic done",
      "CreateTopic done",
      "CreateTopic refused",
    ]);
    expect(before.entries.find(({ action }) => action === "DeleteTopic")?.beforeJson).toContain('"made-here"');
    const admin = stage.services.part("admin");
    await admin.kill();
    await admin.restart();
    const after = await call<{ entries: unknown[] }>(stage.services.adminUrl, "PortalService/ListAudit", {});
    expect(after.entries).toEqual(before.entries);
    await page.goto(stage.url("/audit?q=made-here"));
    await page.getByText("kept on disk").waitFor();
    await page.getByRole("button", { name: "look at Delete topic, topic made-here" }).click();
    await page.getByRole("dialog").getByRole("region", { name: "Before" }).getByText('"made-here"').waitFor();
    // Acts stand there in words, and are found by them; the call's name is still an address.
    for (const typed of ["reset offsets", "ResetGroup"]) {
      await page.goto(stage.url(`/audit?q=${encodeURIComponent(typed)}`));
      const acts = page.getByRole("table", { name: "Writes" }).locator("tbody tr td:nth-child(3)");
      await expect.poll(() => acts.allTextContents()).toEqual(["Reset offsets", "Reset offsets"]);
    }
  });
});

describe("the keyboard", () => {
  it("finds, jumps, filters and helps, and gives the focus back", async () => {
    await page.goto(stage.url("/"));
    await page.getByText("Records per second").first().waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /Find a topic/ }).waitFor();
    await page.keyboard.type("paym");
    await page.getByRole("option", { name: /payments$/ }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "payments" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("t");
    await page.getByRole("heading", { level: 1, name: /^Topics/ }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("odd");
    await page.waitForURL(/q=odd/);
    const rows = page.getByRole("table", { name: "Topics" }).locator("tbody tr");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    expect(await rows.count()).toBe(1);
    // Out of the filter: sort, then the row.
    for (let step = 0; step < 12; step++) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(() => document.activeElement?.textContent)) === "odd-values") break;
    }
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "odd-values" }).waitFor();

    const help = page.getByRole("button", { name: "Help" });
    await help.focus();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Help" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await help.evaluate((element) => element === document.activeElement)).toBe(true);
  });
});
