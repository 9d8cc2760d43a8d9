/** The audit as a file: every entry that passes the page's filter. */
import type { PortalAuditEntry, PortalServiceListAuditRequest } from "@gmq/protocol/messages";
import { actWords } from "../../../src/audit/act-words.js";
import { csvLine } from "../parts/csv-line.js";
import { portal } from "../rpc.js";

/** What the page asks for. */
export type AuditFilter = Pick<PortalServiceListAuditRequest, "text" | "outcome" | "fromMs" | "toMs">;

const pageEntries = 500;
const columns = [
  "sequence",
  "at",
  "actor",
  "act",
  "action",
  "target",
  "outcome",
  "problem",
  "requestId",
  "requestJson",
  "beforeJson",
  "afterJson",
] as const;

/** Reads all of it, page by page, newest first. */
export async function exportAudit(filter: AuditFilter, format: "csv" | "ndjson"): Promise<Blob> {
  const lines: string[] = format === "csv" ? [csvLine(columns)] : [];
  for (let before = 0n, more = true; more; ) {
    const page = await portal.listAudit({ ...filter, limit: pageEntries, before });
    for (const entry of page.entries) {
      const row = rowOf(entry);
      lines.push(format === "csv" ? csvLine(columns.map((name) => row[name])) : `${JSON.stringify(row)}\n`);
    }
    ({ more } = page);
    before = page.entries.at(-1)?.sequence ?? 0n;
  }
  return new Blob(lines, { type: format === "csv" ? "text/csv" : "application/x-ndjson" });
}

function rowOf(entry: PortalAuditEntry): Record<(typeof columns)[number], string> {
  const { sequence, atMs, actor, action, target, outcome, problem, requestId, requestJson, beforeJson, afterJson } =
    entry;
  const at = new Date(Number(atMs)).toISOString();
  return {
    sequence: String(sequence),
    at,
    actor,
    act: actWords(action, requestJson),
    action,
    target,
    outcome,
    problem,
    requestId,
    requestJson,
    beforeJson,
    afterJson,
  };
}
