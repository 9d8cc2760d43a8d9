import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterPlace,
  DiscardOptions,
  Gmq,
  RedriveOptions,
  RedriveProgress,
  RedriveResult,
} from "@gmq/client";
import type { Command } from "commander";
import { exitCodes } from "../exit-codes.js";
import { collectPlaces, parseOffset, wholeNumber } from "../input/arguments.js";
import { renderTable } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";

interface FilterOptions extends GlobalOptions {
  readonly reason?: string;
  readonly error?: string;
  readonly key?: string;
  readonly partition?: number;
  readonly fromOffset?: bigint;
  readonly toOffset?: bigint;
}

interface ShowOptions extends FilterOptions {
  readonly limit: number;
}

interface MoveOptions extends FilterOptions {
  readonly select?: readonly DeadLetterPlace[];
  readonly rate?: number;
  readonly maxRedrives?: number;
  readonly dryRun?: boolean;
}

const examples = `
Examples:
  gmq dlq list
  gmq dlq show orders billing --reason 'max attempts'
  gmq dlq redrive orders billing --dry-run
  gmq dlq redrive orders billing --key user_id_123 --rate 100
  gmq dlq discard orders billing --select 0/17 --select 3/4`;

/** Adds `gmq dlq list | show | redrive | discard`. */
export function addDlqCommand(program: Command, context: CommandContext): void {
  const print = (text: string): Promise<void> => writeFlushed(context.terminal.stdout, text);
  const dlq = program
    .command("dlq")
    .summary("show dead letters, put them back to their topic, or discard them")
    .description("Shows dead letters, puts them back to their topic, or discards them.")
    .addHelpText("after", examples);

  dlq
    .command("list")
    .description("Lists the groups that have dead letters, with how many are open: neither redriven nor discarded.")
    .addHelpText("after", "\nExample:\n  gmq dlq list --json")
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions>(command);
      const queues = await withClient(context, options, (gmq, call) => gmq.admin.deadLetterQueues(call));
      if (options.json === true) await print(queues.map((queue) => `${toJson(queue)}\n`).join(""));
      else {
        const rows = queues.map(({ topic, group, open, deadLetterTopic }) => [topic, group, open, deadLetterTopic]);
        await print(renderTable(["TOPIC", "GROUP", "OPEN", "DEAD-LETTER TOPIC"], rows));
      }
    });

  addFilter(dlq.command("show <topic> <group>"))
    .description("Shows a group's open dead letters of a topic, by reason and one by one.")
    .option("--limit <count>", "letters to show", wholeNumber(1, 1_000), 100)
    .addHelpText("after", "\nExample:\n  gmq dlq show orders order-processors --limit 20")
    .action(async (topic: string, group: string, _options: unknown, command: Command) => {
      const options = optionsOf<ShowOptions>(command);
      const { limit } = options;
      const list = await withClient(context, options, (gmq, call) =>
        gmq.admin.deadLetters(topic, { ...call, group, limit, filter: filterOf(options) }),
      );
      if (options.json === true) {
        await print(list.letters.map((letter) => `${toJson(jsonOf(letter))}\n`).join(""));
        return;
      }
      await print(
        renderTable(
          ["REASON", "OPEN", "FIRST", "LAST"],
          list.reasons.map(({ reason, count, firstAt, lastAt }) => [
            reason,
            count,
            firstAt.toISOString(),
            lastAt.toISOString(),
          ]),
        ),
      );
      await print(
        `\n${renderTable(
          ["PLACE", "ORIGIN", "KEY", "ATTEMPTS", "REDRIVES", "REASON", "ERROR"],
          list.letters.map((letter) => [
            placeText(letter.place),
            `${letter.partition}/${letter.offset}`,
            letter.key === undefined ? undefined : text.decode(letter.key),
            letter.attempts,
            letter.redrives,
            letter.reason,
            letter.errorText,
          ]),
        )}`,
      );
      if (list.more) await print(`more than ${list.letters.length}: narrow the filter, or raise --limit\n`);
      if (!list.complete) await print("not all open dead letters were looked at: the counts are of a part\n");
    });

  addFilter(dlq.command("redrive <topic> <group>"))
    .description("Puts dead letters back to the topic, where every group gets them again; each is stored once.")
    .option("--select <partition/offset>", "only this letter (repeatable)", collectPlaces)
    .option("--rate <records>", "records a second", wholeNumber(1, 1_000_000))
    .option(
      "--max-redrives <count>",
      "skip letters that were redriven so often (default: 3)",
      wholeNumber(1, 1_000_000),
    )
    .option("--dry-run", "count, and change nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  gmq dlq redrive orders order-processors --dry-run\n  gmq dlq redrive orders order-processors --reason 'max attempts' --rate 100",
    )
    .action(async (topic: string, group: string, _options: unknown, command: Command) => {
      const options = optionsOf<MoveOptions>(command);
      const redriveOptions: RedriveOptions = {
        ...moveOptions(group, options, context),
        ...(options.rate === undefined ? {} : { ratePerSecond: options.rate }),
        ...(options.maxRedrives === undefined ? {} : { maxRedrives: options.maxRedrives }),
      };
      const verb = options.dryRun === true ? "would redrive" : "redrove";
      await move(context, options, verb, (gmq) => gmq.admin.redrive(topic, redriveOptions));
    });

  addFilter(dlq.command("discard <topic> <group>"))
    .description("Settles dead letters without putting them back; they stay readable in the dead-letter topic.")
    .option("--select <partition/offset>", "only this letter (repeatable)", collectPlaces)
    .option("--dry-run", "count, and change nothing")
    .addHelpText("after", "\nExample:\n  gmq dlq discard orders order-processors --select 0/17 --dry-run")
    .action(async (topic: string, group: string, _options: unknown, command: Command) => {
      const options = optionsOf<MoveOptions>(command);
      const verb = options.dryRun === true ? "would discard" : "discarded";
      await move(context, options, verb, (gmq) =>
        gmq.admin.discardDeadLetters(topic, moveOptions(group, options, context)),
      );
    });
}

const text = new TextDecoder();

function addFilter(command: Command): Command {
  return command
    .option("--reason <text>", "only letters with this reason")
    .option("--error <text>", "only letters whose error text contains this")
    .option("--key <key>", "only letters with this key")
    .option("--partition <number>", "only this partition of the dead-letter topic", wholeNumber(0, 4_095))
    .option("--from-offset <offset>", "from this offset in the dead-letter topic", parseOffset)
    .option("--to-offset <offset>", "up to and with this offset in the dead-letter topic", parseOffset);
}

function filterOf({ reason, error, key, partition, fromOffset, toOffset }: FilterOptions): DeadLetterFilter {
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(error === undefined ? {} : { errorContains: error }),
    ...(key === undefined ? {} : { key }),
    ...(partition === undefined ? {} : { partition }),
    ...(fromOffset === undefined ? {} : { fromOffset }),
    ...(toOffset === undefined ? {} : { toOffset }),
  };
}

function moveOptions(group: string, options: MoveOptions, { terminal }: CommandContext): DiscardOptions {
  return {
    group,
    filter: filterOf(options),
    signal: terminal.interrupted,
    ...(options.select === undefined ? {} : { selected: options.select }),
    ...(options.dryRun === true ? { dryRun: true } : {}),
    ...(terminal.stderr.isTTY === true ? { onProgress: (progress) => showProgress(terminal, progress) } : {}),
  };
}

function showProgress(terminal: CommandContext["terminal"], { matched, redriven }: RedriveProgress): void {
  terminal.stderr.write(`\r\u001b[K${redriven} of ${matched} so far`);
}

/** Runs a redrive or discard; records that stayed are named on stderr and make the exit code "partial". */
async function move(
  context: CommandContext,
  options: MoveOptions,
  verb: string,
  run: (gmq: Gmq) => Promise<RedriveResult>,
): Promise<void> {
  const { terminal } = context;
  const result = await withClient(context, options, run).finally(() => {
    if (terminal.stderr.isTTY === true) terminal.stderr.write("\r\u001b[K");
  });
  const { matched, redriven, skipped, failed, failures } = result;
  for (const { place, error } of failures) {
    const failure = { place: placeText(place), code: error.code, message: error.message };
    terminal.stderr.write(
      options.json === true ? `${toJson(failure)}\n` : `gmq: ${failure.place}: ${error.message} (${error.code})\n`,
    );
  }
  const counts = { matched, moved: redriven, skipped, failed };
  await writeFlushed(
    terminal.stdout,
    options.json === true
      ? `${toJson(counts)}\n`
      : `${verb} ${redriven} of ${matched}, skipped ${skipped} by the loop guard, failed ${failed}\n`,
  );
  if (failed > 0) context.exit(exitCodes.partial);
}

function placeText({ partition, offset }: DeadLetterPlace): string {
  return `${partition}/${offset}`;
}

function jsonOf({ key, value, headers, ...letter }: DeadLetter) {
  return {
    ...letter,
    place: placeText(letter.place),
    ...(key === undefined ? {} : { key: text.decode(key) }),
    value: text.decode(value),
    headers: Object.fromEntries(headers.map((header) => [header.key, text.decode(header.value)])),
  };
}
