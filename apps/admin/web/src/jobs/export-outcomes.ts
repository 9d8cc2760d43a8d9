/** What became of a job's items as a file: one line each, in the order in which it was told. */
import { csvLine } from "../parts/csv-line.js";
import { portal } from "../rpc.js";

const pageOutcomes = 1_000;
const columns = ["outcome", "item", "detail"] as const;

/** Reads all of them, page by page; `outcome`: only this one, "" for any. Of a job that runs it has what was told by then. */
export async function exportOutcomes(jobId: string, outcome: string, format: "csv" | "ndjson"): Promise<Blob> {
  const lines: string[] = format === "csv" ? [csvLine(columns)] : [];
  for (let after = 0, more = true; more; after += pageOutcomes) {
    const page = await portal.getJob({ jobId, outcome, after, limit: pageOutcomes });
    for (const { outcome, item, detail } of page.outcomes) {
      const row = { outcome, item, detail };
      lines.push(format === "csv" ? csvLine(columns.map((name) => row[name])) : `${JSON.stringify(row)}\n`);
    }
    ({ more } = page);
  }
  return new Blob(lines, { type: format === "csv" ? "text/csv" : "application/x-ndjson" });
}
