import { readFileSync } from "node:fs";
import { GmqError } from "@gmq/protocol";
import { Command, CommanderError, Option } from "commander";
import { addBenchCommand } from "./commands/bench.js";
import { addBrowseCommand } from "./commands/browse.js";
import { addConsumeCommand } from "./commands/consume.js";
import { brokerDefault, type CommandContext, timeoutMsDefault } from "./commands/context.js";
import { addDlqCommand } from "./commands/dlq.js";
import { addDoctorCommand } from "./commands/doctor.js";
import { addGroupsCommand } from "./commands/groups.js";
import { addPublishCommand, publishTimeoutMsDefault } from "./commands/publish.js";
import { addRepublishCommand } from "./commands/republish.js";
import { addStatusCommand } from "./commands/status.js";
import { addTokenCommand } from "./commands/token.js";
import { addTopCommand } from "./commands/top.js";
import { addTopicsCommand } from "./commands/topics.js";
import { type ExitCode, exitCodes, exitCodesHelp } from "./exit-codes.js";
import { collectBrokers, wholeNumber } from "./input/arguments.js";
import { errorFields, errorText } from "./output/error-text.js";
import { toJson } from "./output/write.js";
import { endedBySignal, type Terminal } from "./terminal.js";

const examples = `
Examples:
  gmq publish orders --key user_id_123 'Order#1001'
  gmq consume orders --group order-processors
  gmq topics list
  gmq groups describe order-processors --json
  gmq dlq show orders order-processors
  gmq --broker http://b1:50051 --broker http://b2:50051 status

${exitCodesHelp}`;

/** Builds the `gmq` command line; it does nothing until it is parsed. Help and usage errors throw CommanderError. */
export function createProgram(context: CommandContext): Command {
  const { terminal } = context;
  const program = new Command("gmq")
    .description("Publish to GMQ, consume from it and look after it.")
    .version(packageVersion(), "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      outputError(text, write) {
        if (isJson(program)) write(`${toJson({ error: errorFields(usageError(text)) })}\n`);
        else write(text.replace(/^error: /, "gmq: "));
      },
    })
    .configureHelp({ showGlobalOptions: true })
    .addOption(
      new Option(
        "--broker <url>",
        `broker to connect to (repeatable: they are tried in turn; default: ${brokerDefault})`,
      )
        .env("GMQ_BROKERS")
        .argParser(collectBrokers),
    )
    .addOption(new Option("--token <token>", "bearer token to say to the broker").env("GMQ_TOKEN"))
    .addOption(new Option("--token-file <file>", "file that holds the token, so that no process list shows it"))
    .addOption(
      new Option("--ca <file>", "authorities to trust for https:// brokers, PEM (default: the system's)").env("GMQ_CA"),
    )
    .addOption(new Option("--cert <file>", "certificate to show to the broker, PEM").env("GMQ_CERT"))
    .addOption(new Option("--cert-key <file>", "private key of --cert, PEM").env("GMQ_CERT_KEY"))
    .option("--json", "print JSON, one object a line; 64-bit numbers are strings")
    .option(
      "--timeout <ms>",
      `how long a broker may take to answer (default: ${timeoutMsDefault}; for a published record ${publishTimeoutMsDefault})`,
      wholeNumber(1, 3_600_000),
    )
    .addHelpText("after", examples);
  addPublishCommand(program, context);
  addConsumeCommand(program, context);
  addBrowseCommand(program, context);
  addRepublishCommand(program, context);
  addTopicsCommand(program, context);
  addGroupsCommand(program, context);
  addDlqCommand(program, context);
  addStatusCommand(program, context);
  addTopCommand(program, context);
  addDoctorCommand(program, context);
  addTokenCommand(program, context);
  addBenchCommand(program, context);
  return program;
}

/** Runs one command line to its end and answers with its exit code; what went wrong is one line on stderr. Never throws. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const program = createProgram({
    terminal,
    exit(exitCode) {
      code = exitCode;
    },
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (endedBySignal(terminal)) return exitCodes.interrupted;
    // The reader of the output has gone: nothing is wrong, and there is nobody to tell.
    if (terminal.interrupted.aborted) return code;
    const failure = GmqError.from(error);
    const json = isJson(program);
    terminal.stderr.write(json ? `${toJson({ error: errorFields(failure) })}\n` : `gmq: ${errorText(failure)}\n`);
    return code === exitCodes.ok ? exitCodes.failure : code;
  }
}

/** A usage error as commander words it. */
function usageError(text: string): GmqError {
  return new GmqError("invalid_argument", text.replace(/^error: /, "").trim());
}

function isJson(program: Command): boolean {
  return program.opts<{ json?: boolean }>().json === true;
}

function packageVersion(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return manifest.version;
}
