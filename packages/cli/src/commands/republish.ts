import { type BrowsedRecord, type CallOptions, type Gmq, topic } from "@gmq/client";
import { GmqError } from "@gmq/protocol";
import type { Command } from "commander";
import { exitCodes } from "../exit-codes.js";
import { wholeNumber } from "../input/arguments.js";
import { browsedRecords } from "../input/browsed-records.js";
import { paced } from "../input/paced.js";
import type { InputRecord } from "../input/record-source.js";
import { errorText } from "../output/error-text.js";
import { toJson, writeFlushed } from "../output/write.js";
import { endedBySignal } from "../terminal.js";
import { addBrowseOptions, type BrowseFlags, planOf } from "./browse.js";
import { type CommandContext, optionsOf, withClient } from "./context.js";
import { publishTimeoutMsDefault } from "./publish.js";
import { publishRecords } from "./publish-records.js";

interface RepublishFlags extends BrowseFlags {
  readonly to: string;
  readonly rate?: number;
  readonly maxRepublishes: number;
  readonly dryRun?: boolean;
}

/** Counts how often a record was re-published; the portal keeps the same count. */
const republishesHeader = "gmq-republishes";

/** Adds `gmq republish`. */
export function addRepublishCommand(program: Command, context: CommandContext): void {
  addBrowseOptions(program.command("republish"))
    .summary("copy records of a topic to the end of a topic")
    .description(
      `Copies records to the end of a topic, oldest first, those of one key in order; what is appended meanwhile is not copied. Key, value and headers are the same bytes.
The header ${republishesHeader} counts how often a record was copied, so that a copy into its own topic does not go round for ever.`,
    )
    .argument("<topic>", "topic to copy from")
    .requiredOption("--to <topic>", "topic to copy to; it has to be there")
    .option("--rate <records>", "records a second", wholeNumber(1, 1_000_000))
    .option("--max-republishes <count>", "pass over what was copied so often", wholeNumber(1, 100), 3)
    .option("--dry-run", "count, and send nothing")
    .addHelpText(
      "after",
      `
Examples:
  gmq republish orders --to orders-test --from 2026-01-31T12:00:00Z --dry-run
  gmq republish orders --to orders --key user_id_123 --rate 100`,
    )
    .action(async (topicName: string, _options: unknown, command: Command) => {
      const options = optionsOf<RepublishFlags>(command);
      await withClient(context, options, (gmq, call) => republish(gmq, call, topicName, options, context));
    });
}

async function republish(
  gmq: Gmq,
  call: CallOptions,
  topicName: string,
  options: RepublishFlags,
  { terminal, exit }: CommandContext,
): Promise<void> {
  const { to, rate = 0, dryRun = false, maxRepublishes } = options;
  // Refused at once, and never made by use.
  await gmq.admin.describeTopic(to, call);
  let found = 0;
  let skipped = 0;
  async function* source(): AsyncGenerator<readonly InputRecord[]> {
    try {
      for await (const record of browsedRecords(gmq, topicName, planOf(options, false), call)) {
        if (terminal.interrupted.aborted) return;
        const times = republishesOf(record);
        if (times >= maxRepublishes) skipped++;
        else yield [copyOf(record, ++found, times)];
      }
    } catch (error) {
      // The end of a run that is interrupted while it reads: how far it came is told as ever.
      if (!terminal.interrupted.aborted) throw error;
    }
  }
  let copied = 0;
  let failed = 0;
  if (dryRun) for await (const _ of source());
  else {
    const producer = gmq.producer({ timeoutMs: options.timeout ?? publishTimeoutMsDefault });
    const target = topic(to);
    const tally = await publishRecords({
      source: paced(source(), rate, terminal.interrupted),
      onError: "skip",
      send: ({ key, value, headers }) => producer.send(target, { key, value, headers }),
      report(outcome) {
        if (!outcome.ok) terminal.stderr.write(`gmq: record ${outcome.line}: ${errorText(outcome.error)}\n`);
      },
    });
    await producer.close();
    copied = tally.stored;
    failed = tally.failed;
  }
  const counts = { topic: topicName, to, dryRun, matched: found, copied, skipped, failed };
  const done = dryRun ? `would copy ${found}` : `copied ${copied} of ${found}`;
  await writeFlushed(
    terminal.stdout,
    options.json === true
      ? `${toJson(counts)}\n`
      : `${done} to ${to}, skipped ${skipped} by the loop guard, failed ${failed}\n`,
  );
  if (endedBySignal(terminal)) exit(exitCodes.interrupted);
  else if (failed > 0) exit(copied === 0 ? exitCodes.failure : exitCodes.partial);
}

function republishesOf({ headers }: BrowsedRecord): number {
  const header = headers.find(({ key }) => key === republishesHeader);
  const times = header === undefined ? 0 : Number(new TextDecoder().decode(header.value));
  return Number.isSafeInteger(times) && times > 0 ? times : 0;
}

function copyOf({ key, value, headers, partition, offset }: BrowsedRecord, line: number, times: number): InputRecord {
  const kept = headers.filter((header) => header.key !== republishesHeader);
  const copied = Object.fromEntries(kept.map((header) => [header.key, header.value]));
  if (Object.keys(copied).length < kept.length) {
    const message = `${partition}/${offset} has two headers of one name, and the command line sends each name once`;
    return { line, ok: false, error: new GmqError("invalid_argument", message, { field: "headers" }) };
  }
  return { line, ok: true, key, value, headers: { ...copied, [republishesHeader]: String(times + 1) } };
}
