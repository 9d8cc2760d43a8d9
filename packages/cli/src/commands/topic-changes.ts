/** `gmq topics alter | add-partitions | purge`: changing a topic that is in use. */
import type { PurgedPartition, Retention } from "@gmq/client";
import { limits } from "@gmq/protocol";
import type { Command } from "commander";
import { wholeNumber } from "../input/arguments.js";
import { renderFields, renderTable } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";

/** Flags for retention and byte budget; 0 takes a bound away. */
export interface SettingsFlags extends GlobalOptions {
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  readonly retentionRecords?: number;
  readonly workQueue?: boolean;
  readonly bytesMax?: number;
}

interface PurgeFlags extends GlobalOptions {
  readonly toOffset: number;
  readonly partition?: number;
  readonly dryRun?: boolean;
}

/** A parser of bounds, 0 for none. */
export function bound(max: number): (text: string) => number {
  return wholeNumber(0, max);
}

/** Adds the commands to `gmq topics`. */
export function addTopicChangeCommands(topics: Command, context: CommandContext): void {
  const print = (text: string): Promise<void> => writeFlushed(context.terminal.stdout, text);

  topics
    .command("alter <topic>")
    .description("Changes retention and byte budget; what is not named stays, 0 takes a bound away.")
    .option("--retention-ms <ms>", "keep records so long", bound(limits.retentionMsMax))
    .option("--retention-bytes <bytes>", "keep the last bytes of each partition", bound(limits.topicBytesMax))
    .option("--retention-records <count>", "keep the last records of each partition", bound(limits.retentionRecordsMax))
    .option("--work-queue", "let records go once every group has settled them")
    .option("--no-work-queue", "keep settled records")
    .option("--bytes-max <bytes>", "refuse producers while the topic holds as much", bound(limits.topicBytesMax))
    .addHelpText(
      "after",
      `
Examples:
  gmq topics alter orders --retention-ms 604800000
  gmq topics alter jobs --work-queue --bytes-max 1073741824
  gmq topics alter orders --retention-ms 0`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<SettingsFlags>(command);
      const altered = await withClient(context, options, async (gmq, call) => {
        // The version keeps a change that somebody else makes meanwhile from being undone by this one.
        const now = await gmq.admin.describeTopic(name, call);
        return gmq.admin.alterTopic(name, settingsOf(options, now.retention), { ...call, version: now.version });
      });
      if (options.json === true) {
        await print(`${toJson(altered)}\n`);
        return;
      }
      await print(
        renderFields([
          ["topic", altered.name],
          ["retention", retentionText(altered.retention)],
          ["bytes max", altered.bytesMax],
          ["version", altered.version],
        ]),
      );
    });

  topics
    .command("add-partitions <topic>")
    .addHelpText("after", "\nExample:\n  gmq topics add-partitions orders --to 16 --dry-run")
    .description("Adds partitions; there is no way back. Keys move, records that are stored do not.")
    .requiredOption("--to <count>", "how many there are to be", wholeNumber(2, limits.partitionsMax))
    .option("--dry-run", "show what would happen")
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions & { readonly to: number; readonly dryRun?: boolean }>(command);
      const dryRun = options.dryRun === true;
      const answer = await withClient(context, options, (gmq, call) =>
        gmq.admin.addPartitions(name, options.to, { ...call, dryRun }),
      );
      if (options.json === true) await print(`${toJson({ ...answer, dryRun })}\n`);
      else
        await print(`${name} ${dryRun ? "would have" : "has"} ${options.to} partitions\nwarning: ${answer.warning}\n`);
    });

  topics
    .command("purge <topic>")
    .addHelpText("after", "\nExample:\n  gmq topics purge orders --to-offset 120000 --dry-run")
    .description("Deletes records below an offset, whoever has not settled them. There is no way back.")
    .requiredOption("--to-offset <offset>", "the first offset to keep", wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option("--partition <n>", "only this partition", wholeNumber(0, limits.partitionsMax - 1))
    .option("--dry-run", "show what would happen")
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<PurgeFlags>(command);
      const { partition, dryRun = false } = options;
      const request = { toOffset: BigInt(options.toOffset), dryRun, ...(partition === undefined ? {} : { partition }) };
      const done = await withClient(context, options, (gmq, call) => gmq.admin.purge(name, { ...call, ...request }));
      if (options.json === true) await print(`${toJson({ topic: name, dryRun, partitions: done })}\n`);
      else await print(purgeTable(done, dryRun));
    });
}

/** The change that the flags ask for; a flag that is missing leaves what there is. */
export function settingsOf(
  flags: SettingsFlags,
  before: Retention | undefined,
): { retention?: Retention | null; bytesMax?: number | null } {
  const { retentionMs, retentionBytes, retentionRecords, workQueue, bytesMax } = flags;
  const named = [retentionMs, retentionBytes, retentionRecords, workQueue].some((flag) => flag !== undefined);
  const retention: Retention = {
    ...before,
    ...(retentionMs === undefined ? {} : { ms: retentionMs }),
    ...(retentionBytes === undefined ? {} : { bytes: retentionBytes }),
    ...(retentionRecords === undefined ? {} : { records: retentionRecords }),
    ...(workQueue === undefined ? {} : { workQueue }),
  };
  return {
    ...(named ? { retention } : {}),
    ...(bytesMax === undefined ? {} : { bytesMax: bytesMax === 0 ? null : bytesMax }),
  };
}

/** Retention in words. */
export function retentionText(retention: Retention | undefined): string {
  const { ms, bytes, records, workQueue } = retention ?? {};
  const parts = [
    ms === undefined ? "" : `${ms} ms`,
    bytes === undefined ? "" : `${bytes} bytes a partition`,
    records === undefined ? "" : `${records} records a partition`,
    workQueue === true ? "until every group has settled" : "",
  ].filter((part) => part !== "");
  return parts.length === 0 ? "for good" : parts.join(", ");
}

function purgeTable(partitions: readonly PurgedPartition[], dryRun: boolean): string {
  const rows = partitions.map(({ partition, startBefore, startAfter, losses }) => [
    partition,
    startBefore,
    startAfter,
    startAfter - startBefore,
    losses.map(({ group, records }) => `${group}: ${records}`).join(", "),
  ]);
  const header = ["PARTITION", "START BEFORE", dryRun ? "WOULD START" : "STARTS", "RECORDS", "LOST BY GROUPS"];
  return renderTable(header, rows);
}
