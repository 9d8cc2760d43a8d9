/** `gmq groups settle`: an operator settles records in place of the consumer that was given them. */
import type { CallOptions, Gmq, PendingSettle, PendingVerb } from "@gmq/client";
import { GmqError } from "@gmq/protocol";
import { type Command, Option } from "commander";
import { exitCodes } from "../exit-codes.js";
import { collectOffsets, wholeNumber } from "../input/arguments.js";
import { renderTable } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import type { Terminal } from "../terminal.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";
import { askBrokers } from "./other-brokers.js";

interface SettleFlags extends GlobalOptions {
  readonly topic: string;
  readonly partition: number;
  readonly offsets: readonly bigint[];
  readonly as: PendingVerb;
  readonly reason?: string;
  readonly dryRun?: boolean;
}

const verbs: readonly PendingVerb[] = ["ack", "retry", "dead-letter", "claim"];

/** Adds the command to `gmq groups`. */
export function addSettlePendingCommand(groups: Command, context: CommandContext): void {
  groups
    .command("settle <group>")
    .summary("settle pending records in place of their consumer")
    .description(
      `Settles records that a consumer was given and has not settled.
  ack          done: the group never gets them again
  retry        delivered at once in place of at their retry time; not while a consumer has them
  dead-letter  given up: to the group's dead-letter topic
  claim        taken from a consumer of a shared group, and given to another one, at no attempt`,
    )
    .requiredOption("--topic <topic>", "topic of the records")
    .requiredOption("--partition <n>", "partition of the records", wholeNumber(0, 4_095))
    .requiredOption("--offsets <list>", "offsets and ranges of them, at most 1,000; may be repeated", collectOffsets)
    .addOption(new Option("--as <verb>", "what becomes of them").choices([...verbs]).makeOptionMandatory())
    .option("--reason <text>", "with dead-letter: why, at most 256 bytes (default: operator)")
    .option("--dry-run", "tell which could be settled, and change nothing")
    .addHelpText(
      "after",
      `
Examples:
  gmq groups settle order-processors --topic orders --partition 0 --offsets 17,20-25 --as ack --dry-run
  gmq groups settle thumbnailers --topic images --partition 3 --offsets 812 --as claim`,
    )
    .action(async (group: string, _options: unknown, command: Command) => {
      const options = optionsOf<SettleFlags>(command);
      const { topic, partition, offsets, as: verb, reason, dryRun = false } = options;
      const outcomes = await withClient(context, options, (gmq, call) =>
        settleWhereTheyAre(gmq, group, options, call, context.terminal, {
          topic,
          partition,
          offsets,
          verb,
          dryRun,
          ...(reason === undefined ? {} : { reason }),
        }),
      );
      const settled = outcomes.filter(({ error }) => error === undefined).length;
      const asTable = (): string => {
        const rows = outcomes.map(({ offset, error }) => [offset, error?.code ?? "ok", error?.message]);
        const counts = `${dryRun ? "would settle" : "settled"} ${settled} of ${outcomes.length}`;
        return `${renderTable(["OFFSET", "OUTCOME", "DETAIL"], rows)}\n${counts}\n`;
      };
      const shown = outcomes.map(({ offset, error }) =>
        error === undefined ? { offset } : { offset, code: error.code, message: error.message },
      );
      const value = { group, topic, partition, as: verb, dryRun, settled, outcomes: shown };
      await writeFlushed(context.terminal.stdout, options.json === true ? `${toJson(value)}\n` : asTable());
      if (settled < outcomes.length) context.exit(settled === 0 ? exitCodes.failure : exitCodes.partial);
    });
}

interface Outcome {
  readonly offset: bigint;
  readonly error: GmqError | undefined;
}

/** Settles through the broker at hand, and what others have through those, as far as `--broker` names them. */
async function settleWhereTheyAre(
  gmq: Gmq,
  group: string,
  options: GlobalOptions,
  call: CallOptions,
  terminal: Terminal,
  settle: PendingSettle,
): Promise<readonly Outcome[]> {
  const outcomes = new Map<bigint, Outcome>();
  const first = await gmq.admin.settlePending(group, { ...call, ...settle });
  const note = (answers: readonly Outcome[]): void => {
    for (const outcome of answers) outcomes.set(outcome.offset, outcome);
  };
  const left = (): bigint[] =>
    settle.offsets.filter((offset) => {
      const outcome = outcomes.get(offset);
      return outcome === undefined || outcome.error?.code === "not_delivered";
    });
  note(first.outcomes);
  const others = left().length === 0 ? [] : first.brokerIds;
  const wanted = await askBrokers(others, options, call, terminal, async (other) => {
    note((await other.admin.settlePending(group, { ...call, ...settle, offsets: left() })).outcomes);
    return left().length > 0;
  });
  const error = new GmqError(
    "unavailable",
    `the broker ${[...wanted].join(", ")} has the partition: name it with --broker as well`,
  );
  if (outcomes.size === 0) throw error;
  return settle.offsets.map((offset) => outcomes.get(offset) ?? { offset, error });
}
