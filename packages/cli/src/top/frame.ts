import { renderTable } from "../output/table.js";
import type { Rates } from "./rates.js";
import type { Sample } from "./sample.js";

/** What a frame has room for; Infinity: everything. */
export interface FrameSize {
  readonly rows: number;
  readonly columns: number;
}

/** Lines of a frame beside the rows of its tables: two lines of summary, two heads, two empty ones, a note. */
const fixedLines = 8;

/** Draws one look as text, at most as large as the terminal. */
export function drawFrame({ status, cut }: Sample, rates: Rates, time: Date, size: FrameSize): string {
  const room = Math.max(2, size.rows - fixedLines);
  const groupRows = Math.min(rates.groups.length, Math.max(Math.ceil(room / 2), room - rates.topics.length));
  const topicRows = Math.min(rates.topics.length, room - groupRows);
  const lines = [
    `${time.toISOString()}  broker ${status.brokerId} up ${Math.floor(status.uptimeMs / 1_000)} s  sessions ${status.sessions}  store ${storeText(status)}`,
    `published ${rate(rates.publishedPerSecond)}/s  settled ${rate(rates.settledPerSecond)}/s  topics ${rates.topics.length}  groups ${rates.groups.length}`,
    "",
    ...table(
      ["GROUP", "MEMBERS", "LAG", "LAG SECONDS", "UNSETTLED", "SETTLED/S"],
      rates.groups
        .slice(0, groupRows)
        .map((one) => [
          one.group,
          one.members,
          one.lag,
          (one.lagMs / 1_000).toFixed(1),
          one.unsettled,
          rate(one.settledPerSecond),
        ]),
    ),
    "",
    ...table(
      ["TOPIC", "PARTITIONS", "RECORDS", "BYTES", "STORED/S"],
      rates.topics
        .slice(0, topicRows)
        .map((one) => [one.topic, one.partitions, one.records, one.bytes, rate(one.storedPerSecond)]),
    ),
    ...(cut ? ["only the first 500 topics and groups by name are looked at"] : []),
  ];
  return lines.map((line) => `${line.slice(0, size.columns)}\n`).join("");
}

function table(header: readonly string[], rows: Parameters<typeof renderTable>[1]): string[] {
  return renderTable(header, rows).trimEnd().split("\n");
}

function storeText({ ready, reason, engine, durability }: Sample["status"]): string {
  if (!ready) return `not ready: ${reason}`;
  return `${engine}, ready${reason === "" ? "" : ` (${reason})`}, durability ${durability}`;
}

function rate(perSecond: number | undefined): string {
  if (perSecond === undefined) return "-";
  return perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toString();
}
