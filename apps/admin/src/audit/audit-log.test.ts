import { appendFile, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@gmq/log";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AskedWrite, openAuditLog } from "./audit-log.js";

const write = (requestId: string, requestJson = "{}"): AskedWrite => ({
  requestId,
  actor: "somebody",
  action: "DeleteTopic",
  target: "topic orders",
  requestJson,
  beforeJson: "",
});
const done = { outcome: "done", problem: "", afterJson: "{}" } as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gmq-audit-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("the audit log", () => {
  it("gives back, newest first, what was written before a restart", async () => {
    const first = await openAuditLog(folder, silentLogger);
    await (await first.begin(write("a")))(done);
    await (await first.begin(write("b")))({ ...done, outcome: "refused", problem: "topic_not_found: none" });
    const before = first.entries();
    await first.close();
    const second = await openAuditLog(folder, silentLogger);
    expect(second.entries()).toEqual(before);
    expect(before.map(({ requestId, outcome }) => `${requestId} ${outcome}`)).toEqual(["b refused", "a done"]);
    await (await second.begin(write("c")))(done);
    expect(second.entries()[0]?.sequence).toBe(3n);
    await second.close();
  });

  it("says unknown of a write whose end was lost, and reads past a line that a crash cut off", async () => {
    const first = await openAuditLog(folder, silentLogger);
    await first.begin(write("lost"));
    await first.close();
    await appendFile(join(folder, "audit.jsonl"), '{"sequence":2,"asked":{"reque');
    const second = await openAuditLog(folder, silentLogger);
    expect(second.entries().map(({ requestId, outcome }) => [requestId, outcome])).toEqual([["lost", "unknown"]]);
    await (await second.begin(write("next")))(done);
    await second.close();
    const third = await openAuditLog(folder, silentLogger);
    expect(third.entries().map(({ requestId }) => requestId)).toEqual(["next", "lost"]);
    await third.close();
  });

  it("keeps two files at most", async () => {
    const audit = await openAuditLog(folder, silentLogger);
    const large = JSON.stringify("x".repeat(8_000));
    for (let turn = 0; turn < 800; turn++) {
      const end = await audit.begin({ ...write(`w${turn}`, large), beforeJson: large });
      await end({ ...done, afterJson: large });
    }
    await audit.close();
    expect((await readdir(folder)).sort()).toEqual(["audit.1.jsonl", "audit.jsonl"]);
    expect((await stat(join(folder, "audit.1.jsonl"))).size).toBeLessThan(9 * 1024 * 1024);
  });

  it("keeps 2,000 entries in memory", async () => {
    const audit = await openAuditLog(undefined, silentLogger);
    for (let turn = 0; turn < 2_100; turn++) await (await audit.begin(write(`w${turn}`)))(done);
    expect(audit.kept).toBe(false);
    expect(audit.entries().length).toBe(2_000);
    expect(audit.entries()[0]?.requestId).toBe("w2099");
  });

  it("refuses a folder that is none, naming the setting", async () => {
    await appendFile(join(folder, "file"), "");
    await expect(openAuditLog(join(folder, "file"), silentLogger)).rejects.toMatchObject({
      code: "invalid_argument",
      field: "data",
    });
  });
});
