import type { BrowsedRecord } from "@gmq/client";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type From, parseFrom, wholeNumber } from "../input/arguments.js";
import { type BrowsePlan, browsedRecords } from "../input/browsed-records.js";
import { valueLine } from "../output/record-format.js";
import { toJson, writeFlushed } from "../output/write.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";

/** What of a topic is meant, for commands that look at its records. */
export interface BrowseFlags extends GlobalOptions {
  readonly partition?: readonly number[];
  readonly from: From;
  readonly key?: string;
  readonly contains?: string;
}

interface PrintFlags extends BrowseFlags {
  readonly newest?: boolean;
  readonly limit?: number;
  readonly format: "value" | "records";
}

/** Lines are written together. */
const pieceBytes = 64 * 1024;

/** Adds `gmq browse`. */
export function addBrowseCommand(program: Command, context: CommandContext): void {
  addBrowseOptions(program.command("browse"))
    .summary("look at records without consuming them")
    .description("Prints the records that a topic holds, by time, and ends. No group is given them.")
    .argument("<topic>", "topic to look at")
    .option("--newest", "the newest first, in place of --from")
    .option("--limit <count>", "end after so many records", wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .addOption(
      new Option(
        "--format <format>",
        "value, or records: one JSON object a line, as `gmq publish --format records` takes",
      )
        .choices(["value", "records"])
        .default("value"),
    )
    .addHelpText(
      "after",
      `
Examples:
  gmq browse orders --newest --limit 20
  gmq browse orders --partition 3 --from 1200 --limit 1 --format records
  gmq browse orders --contains refund --format records > refunds.ndjson`,
    )
    .action(async (topicName: string, _options: unknown, command: Command) => {
      const options = optionsOf<PrintFlags>(command);
      const { limit = Number.POSITIVE_INFINITY, newest = false } = options;
      const print = options.format === "records" || options.json === true ? recordLine : printValue;
      const { stdout, interrupted } = context.terminal;
      await withClient(context, options, async (gmq, call) => {
        let left = limit;
        let lines: Uint8Array[] = [];
        let bytes = 0;
        for await (const record of browsedRecords(gmq, topicName, planOf(options, newest), call)) {
          const line = print(topicName, record);
          lines.push(line);
          bytes += line.length;
          if (bytes >= pieceBytes) {
            await writeFlushed(stdout, Buffer.concat(lines));
            lines = [];
            bytes = 0;
          }
          if (--left <= 0 || interrupted.aborted) break;
        }
        await writeFlushed(stdout, Buffer.concat(lines));
      });
    });
}

/** Adds the options that say which records are meant. */
export function addBrowseOptions(command: Command): Command {
  return command
    .option("--partition <n>", "only this partition (repeatable)", collectPartitions)
    .option("--from <place>", "earliest, an offset, or a time (ISO 8601)", parsePlace, "earliest" as const)
    .option("--key <key>", "only records with this key")
    .option("--contains <text>", "only records with this text in key, value or a header, in any case of letters");
}

/** What the options mean. */
export function planOf({ partition, from, key, contains }: BrowseFlags, newest: boolean): BrowsePlan {
  return { partitions: partition, from, newest, key, contains };
}

function collectPartitions(text: string, previous: readonly number[] | undefined): number[] {
  return [...new Set([...(previous ?? []), wholeNumber(0, 4_095)(text)])];
}

function parsePlace(text: string): From {
  const place = parseFrom(text);
  if (place === "latest") throw new InvalidArgumentError("nothing lies behind the end");
  return place;
}

function printValue(_topic: string, { value }: BrowsedRecord): Uint8Array {
  return valueLine(value);
}

function recordLine(topic: string, { partition, offset, timestamp, key, value, headers }: BrowsedRecord): Uint8Array {
  const [keyText, keyEncoding] = key === undefined ? [null, undefined] : encoded(key);
  const [valueText, valueEncoding] = encoded(value);
  const line = toJson({
    topic,
    partition,
    offset,
    timestampMs: String(timestamp.getTime()),
    key: keyText,
    keyEncoding,
    value: valueText,
    valueEncoding,
    headers: headers.map((header) => {
      const [headerText, encoding] = encoded(header.value);
      return { key: header.key, value: headerText, encoding };
    }),
  });
  return Buffer.from(`${line}\n`);
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function encoded(bytes: Uint8Array): [text: string, encoding: "utf8" | "base64"] {
  try {
    return [strict.decode(bytes), "utf8"];
  } catch {
    // Not UTF-8: the bytes themselves, so that nothing is lost.
    return [Buffer.from(bytes).toString("base64"), "base64"];
  }
}
