/** `gmq groups reset | pause | resume | explain`: where a group stands, why it waits, and moving it. */
import type { CallOptions, Gmq, GroupReset } from "@gmq/client";
import type { Command } from "commander";
import { type From, parseFrom, wholeNumber } from "../input/arguments.js";
import { renderTable } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";

interface ResetFlags extends GlobalOptions {
  readonly topic: string;
  readonly to: From;
  readonly partition?: readonly number[];
  readonly execute?: boolean;
}

interface TopicFlags extends GlobalOptions {
  readonly topic?: string;
}

interface PartitionFlags extends GlobalOptions {
  readonly topic: string;
  readonly partition: number;
}

const partitionNumber = wholeNumber(0, 4_095);

/** Adds the commands to `gmq groups`. */
export function addGroupPlaceCommands(groups: Command, context: CommandContext): void {
  const print = (text: string): Promise<void> => writeFlushed(context.terminal.stdout, text);
  const show = async (options: GlobalOptions, value: unknown, table: () => string): Promise<void> =>
    print(options.json === true ? `${toJson(value)}\n` : table());

  groups
    .command("reset <group>")
    .summary("move a group to another place in a topic")
    .description("Moves a group to another place in a topic. Without --execute it only shows what would happen.")
    .requiredOption("--topic <topic>", "topic to move in")
    .requiredOption("--to <place>", "earliest, latest, an offset, or a time such as 2026-11-24T08:00:00Z", parseFrom)
    .option("--partition <n>", "only this partition; may be repeated", collectPartitions)
    .option("--execute", "do it; refused when members moved since this command looked")
    .addHelpText(
      "after",
      `
Examples:
  gmq groups reset order-processors --topic orders --to earliest
  gmq groups reset order-processors --topic orders --to 2026-11-24T08:00:00Z --execute`,
    )
    .action(async (group: string, _options: unknown, command: Command) => {
      const options = optionsOf<ResetFlags>(command);
      const { topic, to, partition: partitions } = options;
      const request = { topic, to, ...(partitions === undefined ? {} : { partitions }) };
      const result = await withClient(context, options, async (gmq, call) => {
        const plan = await gmq.admin.resetGroup(group, { ...call, ...request, dryRun: true });
        if (options.execute !== true) return plan;
        return gmq.admin.resetGroup(group, { ...call, ...request, expectedVersion: plan.version });
      });
      const executed = options.execute === true;
      await show(options, { group, executed, ...result }, () => resetTable(result, executed));
    });

  for (const [name, summary, description, run] of [
    [
      "pause",
      "stop delivery to a group",
      "Stops delivery to a group until it is resumed; consumers settle what they hold.",
      pauseGroup,
    ],
    ["resume", "let a paused group go on", "Lets a paused group go on.", resumeGroup],
  ] as const) {
    groups
      .command(`${name} <group>`)
      .summary(summary)
      .description(description)
      .option("--topic <topic>", "only in this topic")
      .addHelpText("after", `\nExample:\n  gmq groups ${name} order-processors --topic orders`)
      .action(async (group: string, _options: unknown, command: Command) => {
        const options = optionsOf<TopicFlags>(command);
        await withClient(context, options, (gmq, call) => run(gmq, group, options.topic, call));
        const value = { group, topic: options.topic, paused: name === "pause" };
        await show(
          options,
          value,
          () => `${name}d ${group}${options.topic === undefined ? "" : ` in ${options.topic}`}\n`,
        );
      });
  }

  groups
    .command("explain <group>")
    .summary("say why a group does not move on")
    .description("Says why a group does not move on in a partition.")
    .requiredOption("--topic <topic>", "topic to look at")
    .requiredOption("--partition <n>", "partition to look at", partitionNumber)
    .addHelpText("after", "\nExample:\n  gmq groups explain order-processors --topic orders --partition 0")
    .action(async (group: string, _options: unknown, command: Command) => {
      const options = optionsOf<PartitionFlags>(command);
      const { topic, partition } = options;
      const conditions = await withClient(context, options, (gmq, call) =>
        gmq.admin.explain(group, topic, partition, call),
      );
      await show(options, { group, topic, partition, conditions }, () =>
        conditions.map(({ code, text }) => `${code}: ${text}\n`).join(""),
      );
    });
}

function pauseGroup(gmq: Gmq, group: string, topic: string | undefined, call: CallOptions): Promise<void> {
  return gmq.admin.pauseGroup(group, { ...call, ...(topic === undefined ? {} : { topic }) });
}

function resumeGroup(gmq: Gmq, group: string, topic: string | undefined, call: CallOptions): Promise<void> {
  return gmq.admin.resumeGroup(group, { ...call, ...(topic === undefined ? {} : { topic }) });
}

function resetTable({ partitions }: GroupReset, executed: boolean): string {
  const rows = partitions.map((move) => [
    move.partition,
    move.before,
    move.after,
    move.rereadRecords,
    move.skippedRecords,
  ]);
  const table = renderTable(["PARTITION", "BEFORE", "AFTER", "READ AGAIN", "SKIPPED"], rows);
  return executed ? table : `${table}\nnothing was changed; add --execute to do it\n`;
}

function collectPartitions(text: string, previous: readonly number[] | undefined): number[] {
  return [...(previous ?? []), partitionNumber(text)];
}
