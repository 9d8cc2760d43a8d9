import { GmqError } from "@gmq/protocol";
import { createToken, hashPassword, hashToken } from "@gmq/protocol/secrets";
import type { Command } from "commander";
import { chunksOf } from "../input/lines.js";
import { renderFields } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import { type CommandContext, type GlobalOptions, optionsOf } from "./context.js";

const inputBytesMax = 16 * 1024;

/** Adds `gmq token create`, `hash` and `password`: they ask no broker. */
export function addTokenCommand(program: Command, context: CommandContext): void {
  const { stdin, stdout, interrupted } = context.terminal;
  const token = program
    .command("token")
    .summary("make tokens, and the hashes that access files hold")
    .description(
      "Makes bearer tokens, and the hashes of tokens and passwords that access files hold. No broker is asked.",
    );

  token
    .command("create")
    .summary("make a token")
    .description(
      "Makes a new token. Keep the token where its user finds it, and the hash in the access file: the token cannot be had from it.",
    )
    .addHelpText("after", "\nExamples:\n  gmq token create\n  gmq token create --json")
    .action(async (_options: unknown, command: Command) => {
      const made = createToken();
      await tell(command, { token: made, hash: hashToken(made) });
    });

  token
    .command("hash")
    .summary("the hash of a token that is there already")
    .description("Reads a token from standard input and prints what the access file holds of it.")
    .addHelpText("after", "\nExamples:\n  gmq token hash < token-file")
    .action(async (_options: unknown, command: Command) => {
      const given = await readSecret("token");
      await tell(command, { hash: hashToken(given) });
    });

  token
    .command("password")
    .summary("the hash of a password of the portal")
    .description("Reads a password from standard input and prints what the portal's access file holds of it (scrypt).")
    .addHelpText("after", "\nExamples:\n  gmq token password < password-file")
    .action(async (_options: unknown, command: Command) => {
      const given = await readSecret("password");
      await tell(command, { password: await hashPassword(given) });
    });

  async function tell(command: Command, fields: Readonly<Record<string, string>>): Promise<void> {
    const { json } = optionsOf<GlobalOptions>(command);
    await writeFlushed(stdout, json === true ? `${toJson(fields)}\n` : renderFields(Object.entries(fields)));
  }

  /** One line; what is typed as an argument would stay in the shell's history. */
  async function readSecret(what: string): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of chunksOf(stdin, interrupted)) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > inputBytesMax) break;
    }
    if (interrupted.aborted) throw new GmqError("cancelled", `interrupted before the end of the ${what}`);
    const text = Buffer.concat(chunks).toString();
    const line = text.replace(/\r?\n$/, "");
    if (line !== "" && !/[\r\n]/.test(line) && line.length <= inputBytesMax) return line;
    throw new GmqError("invalid_argument", `standard input holds no ${what}`, { field: what, limit: "one line" });
  }
}
