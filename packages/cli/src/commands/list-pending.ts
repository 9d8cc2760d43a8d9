/** `gmq groups pending`: what a group was given in a partition and has not settled, and which consumer has it. */
import type { CallOptions, Gmq, PendingRecord, PendingRecords } from "@gmq/client";
import type { Command } from "commander";
import { wholeNumber } from "../input/arguments.js";
import { renderTable } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import type { Terminal } from "../terminal.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";
import { askBrokers } from "./other-brokers.js";

interface PendingFlags extends GlobalOptions {
  readonly topic: string;
  readonly partition: number;
  readonly limit: number;
  readonly consumer?: string;
}

/** Adds the command to `gmq groups`. */
export function addListPendingCommand(groups: Command, context: CommandContext): void {
  groups
    .command("pending <group>")
    .summary("list records that are handed out and not settled")
    .description(
      `Lists records that were handed out and are not settled, the oldest first, and which consumer has each. Idle: since their entry was handed to who has it.
Of a shared group only the broker at hand knows its own consumers' records: name the others with --broker as well.`,
    )
    .requiredOption("--topic <topic>", "topic to look at")
    .requiredOption("--partition <n>", "partition to look at", wholeNumber(0, 4_095))
    .option("--limit <n>", "records to look at", wholeNumber(1, 1_000), 100)
    .option("--consumer <id>", "of those only what is with this consumer: its member id or client id")
    .addHelpText(
      "after",
      `
Examples:
  gmq groups pending order-processors --topic orders --partition 0
  gmq groups pending thumbnailers --topic images --partition 3 --consumer worker-7`,
    )
    .action(async (group: string, _options: unknown, command: Command) => {
      const options = optionsOf<PendingFlags>(command);
      const { topic, partition, consumer } = options;
      const found = await withClient(context, options, (gmq, call) =>
        listWhereTheyAre(gmq, group, options, call, context.terminal),
      );
      const records = found.records.filter((record) => consumer === undefined || isWith(record, consumer));
      const asTable = (): string => {
        const rows = records.map((record) => [
          record.offset,
          consumerText(record),
          secondsOf(record.idleMs),
          record.attempts,
          secondsOf(record.dueInMs),
        ]);
        const owner = found.owner === undefined ? "nobody" : found.owner;
        const columns = ["OFFSET", "CONSUMER", "IDLE SECONDS", "ATTEMPTS", "DUE IN SECONDS"];
        return `${found.unsettledRecords} unsettled, held by ${owner}\n\n${renderTable(columns, rows)}`;
      };
      const value = { group, topic, partition, ...found, records };
      await writeFlushed(context.terminal.stdout, options.json === true ? `${toJson(value)}\n` : asTable());
    });
}

/** What the broker at hand lists, with the consumers that only others know. */
async function listWhereTheyAre(
  gmq: Gmq,
  group: string,
  options: PendingFlags,
  call: CallOptions,
  terminal: Terminal,
): Promise<PendingRecords> {
  const { topic, partition, limit } = options;
  const list = (at: Gmq): Promise<PendingRecords> => at.admin.listPending(group, topic, partition, { ...call, limit });
  const first = await list(gmq);
  const known = new Map<bigint, PendingRecord>();
  await askBrokers(first.otherBrokerIds, options, call, terminal, async (other) => {
    for (const record of (await list(other)).records)
      if (record.consumer !== undefined) known.set(record.offset, record);
    return true;
  });
  return {
    ...first,
    records: first.records.map((record) => (record.consumer ? record : (known.get(record.offset) ?? record))),
  };
}

function isWith({ consumer }: PendingRecord, name: string): boolean {
  return consumer?.memberId === name || consumer?.clientId === name;
}

function consumerText({ consumer, brokerId }: PendingRecord): string {
  if (consumer !== undefined)
    return consumer.clientId === "" ? consumer.memberId : `${consumer.clientId} (${consumer.memberId})`;
  return brokerId === undefined ? "-" : `- at broker ${brokerId}`;
}

/** To a tenth. */
function secondsOf(ms: number): number {
  return Math.round(ms / 100) / 10;
}
