import type { Command } from "commander";
import { renderTable } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";
import { addGroupPlaceCommands } from "./group-places.js";
import { addListPendingCommand } from "./list-pending.js";
import { addSettlePendingCommand } from "./settle-pending.js";

const examples = `
Examples:
  gmq groups list
  gmq groups describe billing
  gmq groups describe billing --json
  gmq groups reset billing --topic orders --to earliest
  gmq groups delete billing`;

/** Adds `gmq groups list | describe | delete`, and those of group-places.ts. */
export function addGroupsCommand(program: Command, context: CommandContext): void {
  const print = (text: string): Promise<void> => writeFlushed(context.terminal.stdout, text);
  const groups = program
    .command("groups")
    .summary("look after consumer groups: lag, owners, pause, reset, delete")
    .description("Lists, describes, explains, moves, pauses and deletes consumer groups.")
    .addHelpText("after", examples);

  groups
    .command("list")
    .summary("list groups by name")
    .description("Lists groups by name.")
    .addHelpText("after", "\nExample:\n  gmq groups list --json")
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions>(command);
      const found = await withClient(context, options, (gmq, call) => gmq.admin.listGroups(call));
      const sorted = found.toSorted((left, right) => (left.group < right.group ? -1 : 1));
      if (options.json === true) await print(sorted.map((group) => `${toJson(group)}\n`).join(""));
      else {
        const rows = sorted.map(({ group, mode, members, topics }) => [group, mode, members.length, topics.join(" ")]);
        await print(renderTable(["GROUP", "MODE", "MEMBERS", "TOPICS"], rows));
      }
    });

  groups
    .command("describe <group>")
    .summary("show members, owners and lag")
    .description("Shows a group's members, who owns which partition, and how far each is behind.")
    .addHelpText("after", "\nExample:\n  gmq groups describe billing")
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions>(command);
      const group = await withClient(context, options, (gmq, call) => gmq.admin.describeGroup(name, call));
      if (options.json === true) {
        await print(`${toJson(group)}\n`);
        return;
      }
      const members = group.members.map((member) => [
        member.memberId,
        member.clientId,
        member.brokerId,
        member.joinedAt.toISOString(),
        member.heartbeatAgeMs === undefined ? "" : `${(member.heartbeatAgeMs / 1000).toFixed(1)} s ago`,
      ]);
      const partitions = group.partitions.map((partition) => [
        partition.topic,
        partition.partition,
        partition.paused ? "(paused)" : group.mode === "shared" ? "(shared)" : partition.owner,
        partition.position,
        partition.inFlight,
        partition.lag,
        (partition.lagMs / 1000).toFixed(1),
        partition.lost,
      ]);
      await print(renderTable(["MEMBER", "CLIENT", "BROKER", "JOINED", "HEARTBEAT"], members));
      await print(
        `\n${renderTable(["TOPIC", "PARTITION", "OWNER", "POSITION", "UNSETTLED", "LAG", "LAG SECONDS", "LOST"], partitions)}`,
      );
    });

  addGroupPlaceCommands(groups, context);
  addListPendingCommand(groups, context);
  addSettlePendingCommand(groups, context);

  groups
    .command("delete <group>")
    .summary("delete a group without members")
    .description("Deletes a group without members: the next consumer of this name begins anew.")
    .addHelpText("after", "\nExample:\n  gmq groups delete billing")
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions>(command);
      await withClient(context, options, (gmq, call) => gmq.admin.deleteGroup(name, call));
      await print(options.json === true ? `${toJson({ group: name, deleted: true })}\n` : `deleted ${name}\n`);
    });
}
