import { randomUUID } from "node:crypto";
import { type CallOptions, type ConsumerOptions, type Gmq, type Topic, topic } from "@gmq/client";
import { GmqError } from "@gmq/protocol";
import { type Command, Option } from "commander";
import { exitCodes } from "../exit-codes.js";
import { type From, parseFrom, wholeNumber } from "../input/arguments.js";
import { describeRate, startProgress } from "../output/progress.js";
import { parseRecordFormat, type RecordPrinter } from "../output/record-format.js";
import { writeFlushed } from "../output/write.js";
import { endedBySignal } from "../terminal.js";
import { printRecords } from "./consume-records.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";

interface ConsumeOptions extends GlobalOptions {
  readonly group?: string;
  readonly from: From;
  readonly limit?: number;
  readonly follow: boolean;
  readonly format?: RecordPrinter;
  readonly member?: string;
  readonly mode: "exclusive" | "shared";
}

const examples = `
Examples:
  gmq consume orders --group billing                 goes on where the group stands, waits for more
  gmq consume orders --no-follow --json              everything there is, then ends
  gmq consume jobs --group workers --mode shared     a work queue: start as many as you like
  gmq consume orders --group late --from 2026-01-31T12:00:00Z
  gmq consume orders --group billing --limit 10 --format '{partition}@{offset} {key} {value}'`;

/** Adds `gmq consume`. */
export function addConsumeCommand(program: Command, context: CommandContext): void {
  program
    .command("consume")
    .summary("print records as they come")
    .description(
      "Prints records of a topic, in order per partition, and acks each after it was printed: what is killed in between comes again.",
    )
    .argument("<topic>", "topic; made on first use where the broker may")
    .option("--group <name>", "consumer group; without one a group of its own reads, and is deleted at the end")
    .option(
      "--from <place>",
      "where a NEW group begins: earliest, latest, an offset, or a time (ISO 8601)",
      parseFrom,
      "earliest" as const,
    )
    .option("--limit <count>", "end after so many records", wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option("--no-follow", "end when everything there is has been printed")
    .option(
      "--format <format>",
      "value (its bytes and a line end), json (bytes that are no text become valueBase64), or a template such as '{key}={value}' (default: value)",
      parseRecordFormat,
    )
    .addOption(
      new Option("--mode <mode>", "shared: any number of consumers take records of the same partitions, in no order")
        .choices(["exclusive", "shared"])
        .default("exclusive"),
    )
    .option("--member <id>", "name of this consumer: it keeps its partitions when it comes back in time")
    .addHelpText("after", examples)
    .action(async (topicName: string, _options: unknown, command: Command) => {
      const options = optionsOf<ConsumeOptions>(command);
      await withClient(context, options, (gmq, call) => runConsume(gmq, call, topicName, options, context));
    });
}

async function runConsume(
  gmq: Gmq,
  call: CallOptions,
  topicName: string,
  options: ConsumeOptions,
  { terminal, exit }: CommandContext,
): Promise<void> {
  const { stdout, stderr } = terminal;
  const group = options.group ?? `gmq-cli-${randomUUID().slice(0, 8)}`;
  const consumerOptions: ConsumerOptions = {
    group,
    start: options.from,
    mode: options.mode,
    ...(options.member === undefined ? {} : { memberId: options.member }),
  };
  const source: Topic<Uint8Array | string, Uint8Array> = topic(topicName);
  let printed = 0;
  const startedAt = performance.now();
  const consumer = gmq.consumer(source, consumerOptions);
  // Records on the same terminal are progress enough.
  const progress = stdout.isTTY === true ? undefined : startProgress(terminal, "consumed", () => printed);
  if (stderr.isTTY === true && options.follow) {
    stderr.write(`gmq: consuming ${topicName} as group ${group}; Ctrl-C ends\n`);
  }
  try {
    await printRecords(consumer, {
      limit: options.limit ?? Number.POSITIVE_INFINITY,
      isAtEnd: options.follow ? undefined : () => isAtEnd(gmq, call, group, topicName),
      async print(lines, records) {
        await writeFlushed(stdout, lines);
        printed += records;
      },
      format: options.format ?? parseRecordFormat(options.json === true ? "json" : "value"),
      note: (text) => void stderr.write(`gmq: ${text}\n`),
      stop: terminal.interrupted,
    });
  } finally {
    progress?.stop();
    await consumer.close();
    if (options.group === undefined) await gmq.admin.deleteGroup(group).catch(ignoreMissingGroup);
  }
  if (stderr.isTTY === true) stderr.write(`consumed ${describeRate(printed, performance.now() - startedAt)}\n`);
  if (endedBySignal(terminal)) exit(exitCodes.interrupted);
}

async function isAtEnd(gmq: Gmq, call: CallOptions, group: string, topicName: string): Promise<boolean> {
  const { partitions } = await gmq.admin.describeGroup(group, call);
  const own = partitions.filter((partition) => partition.topic === topicName);
  return own.length > 0 && own.every(({ lag }) => lag === 0n);
}

function ignoreMissingGroup(error: unknown): void {
  // It was never made, when the consumer could not join.
  if (!GmqError.is(error, "group_not_found") && !GmqError.is(error, "group_not_empty")) throw error;
}
