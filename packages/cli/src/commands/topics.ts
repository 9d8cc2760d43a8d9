import { limits } from "@gmq/protocol";
import type { Command } from "commander";
import { wholeNumber } from "../input/arguments.js";
import { renderFields, renderTable } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";
import { addTopicChangeCommands, bound, retentionText, type SettingsFlags, settingsOf } from "./topic-changes.js";

const examples = `
Examples:
  gmq topics create orders --partitions 16
  gmq topics list
  gmq topics describe orders --json
  gmq topics alter orders --retention-ms 604800000
  gmq topics delete orders`;

/** Adds `gmq topics create | list | describe | alter | add-partitions | purge | delete`. */
export function addTopicsCommand(program: Command, context: CommandContext): void {
  const print = (text: string): Promise<void> => writeFlushed(context.terminal.stdout, text);
  const topics = program
    .command("topics")
    .summary("make, list, describe, change, purge and delete topics")
    .description("Makes, lists, describes, changes, purges and deletes topics.")
    .addHelpText("after", examples);

  topics
    .command("create <topic>")
    .summary("make a topic")
    .description("Makes a topic. The number of partitions bounds how many consumers of a group can share it.")
    .option(
      "--partitions <count>",
      "number of partitions",
      wholeNumber(1, limits.partitionsMax),
      limits.partitionsDefault,
    )
    .option("--retention-ms <ms>", "keep records so long", bound(limits.retentionMsMax))
    .option("--retention-bytes <bytes>", "keep the last bytes of each partition", bound(limits.topicBytesMax))
    .option("--retention-records <count>", "keep the last records of each partition", bound(limits.retentionRecordsMax))
    .option("--work-queue", "let records go once every group has settled them")
    .option("--bytes-max <bytes>", "refuse producers while the topic holds as much", bound(limits.topicBytesMax))
    .addHelpText(
      "after",
      "\nExamples:\n  gmq topics create orders --partitions 16\n  gmq topics create jobs --work-queue --bytes-max 1073741824",
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<SettingsFlags & { readonly partitions: number }>(command);
      const { retention, bytesMax } = settingsOf(options, undefined);
      const made = await withClient(context, options, (gmq, call) =>
        gmq.admin.createTopic(name, {
          ...call,
          partitions: options.partitions,
          ...(retention === undefined || retention === null ? {} : { retention }),
          ...(bytesMax === undefined || bytesMax === null ? {} : { bytesMax }),
        }),
      );
      await print(
        options.json === true ? `${toJson(made)}\n` : `made ${made.name} with ${made.partitions} partitions\n`,
      );
    });

  topics
    .command("list")
    .summary("list topics by name")
    .description("Lists topics by name.")
    .addHelpText("after", "\nExample:\n  gmq topics list --json")
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions>(command);
      const found = await withClient(context, options, (gmq, call) => gmq.admin.listTopics(call));
      const sorted = found.toSorted((left, right) => (left.name < right.name ? -1 : 1));
      if (options.json === true) await print(sorted.map((topic) => `${toJson(topic)}\n`).join(""));
      else {
        const rows = sorted.map(({ name, partitions, createdAt }) => [name, partitions, createdAt.toISOString()]);
        await print(renderTable(["TOPIC", "PARTITIONS", "MADE"], rows));
      }
    });

  topics
    .command("describe <topic>")
    .summary("show where each partition begins and ends")
    .description("Shows a topic and where each partition begins and ends.")
    .addHelpText("after", "\nExample:\n  gmq topics describe orders")
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions>(command);
      const topic = await withClient(context, options, (gmq, call) => gmq.admin.describeTopic(name, call));
      if (options.json === true) {
        await print(`${toJson(topic)}\n`);
        return;
      }
      const records = topic.partitionStats.reduce(
        (sum, { startOffset, endOffset }) => sum + endOffset - startOffset,
        0n,
      );
      const rows = topic.partitionStats.map((partition) => [
        partition.partition,
        partition.startOffset,
        partition.endOffset,
        partition.endOffset - partition.startOffset,
        partition.bytes,
        partition.firstAppend?.toISOString(),
        partition.lastAppend?.toISOString(),
      ]);
      await print(
        renderFields([
          ["topic", topic.name],
          ["partitions", topic.partitions],
          ["records", records],
          ["bytes", topic.partitionStats.reduce((sum, { bytes }) => sum + bytes, 0n)],
          ["retention", retentionText(topic.retention)],
          ["bytes max", topic.bytesMax],
          ["version", topic.version],
          ["made", topic.createdAt.toISOString()],
        ]),
      );
      await print(
        `\n${renderTable(["PARTITION", "START", "END", "RECORDS", "BYTES", "FIRST APPEND", "LAST APPEND"], rows)}`,
      );
    });

  addTopicChangeCommands(topics, context);

  topics
    .command("delete <topic>")
    .summary("delete a topic and its records")
    .description("Deletes a topic with its records and every group's place in it. There is no way back.")
    .addHelpText("after", "\nExample:\n  gmq topics delete orders")
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions>(command);
      await withClient(context, options, (gmq, call) => gmq.admin.deleteTopic(name, call));
      await print(options.json === true ? `${toJson({ topic: name, deleted: true })}\n` : `deleted ${name}\n`);
    });
}
