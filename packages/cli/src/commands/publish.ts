import { createReadStream } from "node:fs";
import { access, constants, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { topic } from "@gmq/client";
import { GmqError, limits } from "@gmq/protocol";
import { type Command, Option } from "commander";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { collectHeaders, wholeNumber } from "../input/arguments.js";
import { paced } from "../input/paced.js";
import {
  type InputFormat,
  type InputRecord,
  inputFormats,
  recordsFromArguments,
  recordsFromStream,
} from "../input/record-source.js";
import { errorFields, errorText } from "../output/error-text.js";
import { describeRate, startProgress } from "../output/progress.js";
import { toJson, writeFlushed } from "../output/write.js";
import { endedBySignal, type Terminal } from "../terminal.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";
import { type PublishTally, publishRecords, type RecordOutcome } from "./publish-records.js";

interface PublishOptions extends GlobalOptions {
  readonly key?: string;
  readonly keyField?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly partition?: number;
  readonly ttl?: number;
  readonly file?: string;
  readonly rate?: number;
  readonly format?: InputFormat;
  readonly onError: "stop" | "skip";
}

/** How long a record may take to be stored when `--timeout` does not say: long enough for a broker to be started again. */
export const publishTimeoutMsDefault = 30_000;

const examples = `
Examples:
  gmq publish orders 'Order#1001'                              one value
  gmq publish orders --key user_id_123 --header source=web 'Order#1001'
  gunzip -c packages.ndjson.gz | gmq publish packages --key-field source
  gmq publish offers --ttl 60000 'half price for a minute'
  gmq publish logs --file app.log --on-error skip
  gmq publish orders --format records --file export.ndjson     key, value, headers, partition, time
  gmq publish images --format raw --file photo.jpg`;

/** Adds `gmq publish`. */
export function addPublishCommand(program: Command, context: CommandContext): void {
  program
    .command("publish")
    .summary("publish values, lines or JSON records")
    .description(
      "Publishes values given as arguments, or records read from stdin or a file, one a line (empty lines are skipped).\nOrder is kept per partition; without key and partition records are spread.",
    )
    .argument("<topic>", "topic; made on first use where the broker may")
    .argument("[values...]", "values to publish; without them stdin is read")
    .option("--key <key>", "key of every record; records of one key stay in order")
    .option("--key-field <name>", "take the key from this field of each JSON line")
    .option("--header <name=value>", "header of every record (repeatable)", collectHeaders)
    .option("--partition <number>", "partition of every record", wholeNumber(0, limits.partitionsMax - 1))
    .option("--ttl <ms>", "no consumer gets a record when so long has passed", wholeNumber(1, limits.ttlMsMax))
    .option("--file <path>", "read this file instead of stdin")
    .option("--rate <records>", "records a second (default: as they come)", wholeNumber(1, 1_000_000))
    .addOption(
      new Option(
        "--format <format>",
        "how input becomes records (default: ndjson with --key-field, else lines)",
      ).choices(inputFormats),
    )
    .addOption(
      new Option("--on-error <action>", "what a line that cannot be used or a refused record does")
        .choices(["stop", "skip"])
        .default("stop"),
    )
    .addHelpText("after", examples)
    .action(async (topicName: string, values: string[], _options: unknown, command: Command) => {
      const options = optionsOf<PublishOptions>(command);
      checkOptions(values, options, command);
      const { source, close } = await openSource(values, options, context.terminal);
      try {
        await withClient(context, options, async (gmq) => {
          const producer = gmq.producer({ timeoutMs: options.timeout ?? publishTimeoutMsDefault });
          const target = topic(topicName);
          await runPublish(topicName, options, context, {
            place: placeOf(values, options),
            source: paced(source, options.rate ?? 0, context.terminal.interrupted),
            send: ({ key, value, headers, partition, timestamp }) =>
              producer.send(target, {
                key: options.key ?? key,
                value,
                headers: headers === undefined ? options.header : { ...headers, ...options.header },
                partition: options.partition ?? partition,
                timestamp,
                ttlMs: options.ttl,
              }),
          });
          await producer.close();
        });
      } finally {
        close();
      }
    });
}

interface PublishPlan {
  /** What a record of this number is called in front of its error, for example "line 3: ". */
  readonly place: (line: number) => string;
  readonly source: AsyncIterable<readonly InputRecord[]>;
  readonly send: Parameters<typeof publishRecords>[0]["send"];
}

async function runPublish(
  topicName: string,
  options: PublishOptions,
  { terminal, exit }: CommandContext,
  plan: PublishPlan,
): Promise<void> {
  let stored = 0;
  const startedAt = performance.now();
  const progress = startProgress(terminal, "published", () => stored);
  try {
    const tally = await publishRecords({
      ...plan,
      onError: options.onError,
      async report(outcome) {
        if (outcome.ok) stored += 1;
        if (options.json === true) await writeFlushed(terminal.stdout, `${outcomeJson(topicName, outcome)}\n`);
        else if (!outcome.ok) terminal.stderr.write(`gmq: ${plan.place(outcome.line)}${errorText(outcome.error)}\n`);
      },
    });
    progress.stop();
    const elapsedMs = performance.now() - startedAt;
    if (options.json === true) terminal.stderr.write(`${summaryJson(tally, elapsedMs)}\n`);
    // A run that failed at its first record has told everything with the error.
    else if (tally.stored > 0 || !tally.stopped) terminal.stderr.write(`${summary(topicName, tally, elapsedMs)}\n`);
    exit(exitCodeOf(tally, terminal));
  } catch (error) {
    // Not all of it was published.
    exit(stored > 0 ? exitCodes.partial : exitCodes.failure);
    throw error;
  } finally {
    progress.stop();
  }
}

function checkOptions(values: readonly string[], options: PublishOptions, command: Command): void {
  if (values.length > 0 && options.file !== undefined) command.error("error: values and --file exclude each other");
  if (options.key !== undefined && options.keyField !== undefined) {
    command.error("error: --key and --key-field exclude each other");
  }
  if (options.keyField !== undefined && options.format !== undefined && options.format !== "ndjson") {
    command.error(`error: --key-field needs --format ndjson, not ${options.format}`);
  }
  if (values.length > 0 && options.format === "raw") {
    command.error("error: --format raw reads stdin or --file; values are taken as they stand anyway");
  }
}

function placeOf(values: readonly string[], { format }: PublishOptions): (line: number) => string {
  if (values.length === 1 || (values.length === 0 && format === "raw")) return () => "";
  const noun = values.length > 0 ? "value" : "line";
  return (line) => `${noun} ${line}: `;
}

async function openSource(
  values: readonly string[],
  options: PublishOptions,
  terminal: Terminal,
): Promise<{ source: AsyncIterable<readonly InputRecord[]>; close(): void }> {
  const format = {
    format: options.format ?? (options.keyField === undefined ? ("lines" as const) : ("ndjson" as const)),
    keyField: options.keyField,
  };
  if (values.length > 0) return { source: recordsFromArguments(values, format), close() {} };
  const stream: Readable = options.file === undefined ? terminal.stdin : await openFile(options.file);
  if (options.file === undefined && terminal.stdin.isTTY === true) {
    terminal.stderr.write("gmq: reading values from the terminal, one a line; Ctrl-D ends\n");
  }
  return { source: recordsFromStream(stream, format, terminal.interrupted), close: () => void stream.destroy() };
}

async function openFile(path: string): Promise<Readable> {
  let isFolder: boolean;
  try {
    await access(path, constants.R_OK);
    isFolder = (await stat(path)).isDirectory();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const problem = code === "ENOENT" ? "there is no such file" : `cannot be read (${code})`;
    throw new GmqError("invalid_argument", `${path}: ${problem}`, { field: "file", cause });
  }
  if (isFolder) throw new GmqError("invalid_argument", `${path}: is a folder`, { field: "file" });
  return createReadStream(path);
}

function outcomeJson(topicName: string, outcome: RecordOutcome): string {
  if (!outcome.ok) return toJson({ line: outcome.line, error: errorFields(outcome.error) });
  const { line, partition, offset, duplicate } = outcome;
  return toJson({ line, topic: topicName, partition, offset, duplicate });
}

function summary(topicName: string, { stored, failed, stopped }: PublishTally, elapsedMs: number): string {
  const failures = failed === 0 ? "" : `, ${failed} failed${stopped ? ", stopped" : ""}`;
  return `published to ${topicName}: ${describeRate(stored, elapsedMs)}${failures}`;
}

function summaryJson(tally: PublishTally, elapsedMs: number): string {
  return toJson({ ...tally, elapsedMs: Math.round(elapsedMs) });
}

function exitCodeOf({ stored, failed }: PublishTally, terminal: Terminal): ExitCode {
  if (endedBySignal(terminal)) return exitCodes.interrupted;
  // Nobody reads the output any more, and so the input was not read to its end.
  if (terminal.interrupted.aborted) return stored > 0 ? exitCodes.partial : exitCodes.failure;
  if (failed === 0) return exitCodes.ok;
  return stored > 0 ? exitCodes.partial : exitCodes.failure;
}
