import { Command, CommanderError, Option } from "commander";
import type { z } from "zod";
import { type ConfigField, configFields, type FlagOptions, readText } from "./config-fields.js";

/** What a program can be told, and by whom. */
export interface ConfigOptions<Schema extends z.ZodObject> {
  /** The program's name, for example "gmq-broker". */
  readonly name: string;
  readonly version: string;
  /** One sentence for the help. */
  readonly description: string;
  /** One key a setting, with `.describe()` and a default where there is one: booleans, numbers, texts, enums and arrays of texts. */
  readonly schema: Schema;
  /** Names, placeholders and secrets, by key. */
  readonly flags?: Readonly<Record<string, FlagOptions>>;
  /** Arguments without node and script; default this process's. */
  readonly argv?: readonly string[];
  /** Default this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** GMQ_ variables that are meant for others. GMQ_LOG_LEVEL, GMQ_BROKERS, GMQ_TOKEN, GMQ_CA, GMQ_CERT, GMQ_CERT_KEY (clients in the same shell) and GMQ_TEST_* always may be there. */
  readonly otherVariables?: readonly string[];
  /** Command lines shown at the end of the help. */
  readonly examples?: readonly string[];
}

/** Settings that passed the schema. */
export interface Config<Values> {
  readonly values: Values;
  /** The same, secrets hidden: this is what may be printed. */
  readonly printable: Readonly<Record<string, unknown>>;
}

/** What became of the arguments: settings, a text that was asked for, or everything that is wrong with them. */
export type ConfigOutcome<Values> =
  | { readonly kind: "config"; readonly config: Config<Values> }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "refused"; readonly problems: readonly string[] };

/**
 * Reads settings from flags, then `GMQ_*` variables, then the schema's defaults. Unknown flags and unknown GMQ_ variables are refused by name:
 * a misspelt setting must not pass for its default. All problems are told at once.
 */
export function parseConfig<Schema extends z.ZodObject>(
  options: ConfigOptions<Schema>,
): ConfigOutcome<z.infer<Schema>> {
  const { argv = process.argv.slice(2), env = process.env } = options;
  const fields = configFields(options.schema, options.flags ?? {});
  const command = createCommand(options, fields);
  if (argv.includes("--help") || argv.includes("-h")) return { kind: "text", text: command.helpInformation() };
  if (argv.includes("--version")) return { kind: "text", text: `${options.version}\n` };

  const given = readFlags(command, argv);
  const problems = [...given.problems, ...unknownVariables(fields, env, options.otherVariables ?? [])];
  const input: Record<string, unknown> = {};
  const origins = new Map<string, string>();
  for (const field of fields) {
    const fromFlag = given.values[attribute(field)];
    const text = fromFlag ?? env[field.variable];
    if (text === undefined || (fromFlag === undefined && text === "")) continue;
    input[field.key] = text === true ? true : readText(field.type, String(text));
    const shown = field.secret ? "" : ` ${JSON.stringify(withoutUserInfo(String(text)))}`;
    origins.set(field.key, (fromFlag === undefined ? field.variable : `--${field.flag}`) + shown);
  }

  const result = options.schema.safeParse(input);
  if (!result.success) problems.push(...result.error.issues.map((issue) => describeIssue(issue, fields, origins)));
  if (!result.success || problems.length > 0) return { kind: "refused", problems };
  const values = result.data as z.infer<Schema>;
  return { kind: "config", config: { values, printable: hideSecrets(values as Record<string, unknown>, fields) } };
}

/**
 * `parseConfig` for a program's first line: prints help or version and exits 0, or prints every problem to standard error and exits 2.
 */
export function loadConfig<Schema extends z.ZodObject>(options: ConfigOptions<Schema>): Config<z.infer<Schema>> {
  const outcome = parseConfig(options);
  if (outcome.kind === "config") return outcome.config;
  if (outcome.kind === "text") {
    process.stdout.write(outcome.text);
    return process.exit(0);
  }
  const lines = outcome.problems.map((problem) => `${options.name}: ${problem}`);
  process.stderr.write(`${[...lines, `${options.name}: --help shows every setting`].join("\n")}\n`);
  return process.exit(2);
}

/** A password that somebody put where only an address may be. */
function withoutUserInfo(text: string): string {
  return text.replaceAll(/[^\s/,]+@/g, "[hidden]@");
}

function createCommand(options: ConfigOptions<z.ZodObject>, fields: readonly ConfigField[]): Command {
  const command = new Command(options.name)
    .description(options.description)
    .usage("[flags]")
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .configureHelp({ helpWidth: 120 })
    .helpOption("-h, --help", "show this page")
    .version(options.version, "--version", "show the version");
  for (const field of fields) {
    const value = field.type === "boolean" ? `[${field.placeholder}]` : `<${field.placeholder}>`;
    const option = new Option(`--${field.flag} ${value}`, describeField(field));
    command.addOption(option);
  }
  if (options.examples !== undefined && options.examples.length > 0) {
    // helpInformation() leaves out what addHelpText would add.
    const plain = command.helpInformation.bind(command);
    command.helpInformation = (context) =>
      `${plain(context)}\nExamples:\n${options.examples?.map((example) => `  $ ${example}`).join("\n")}\n`;
  }
  return command;
}

function describeField(field: ConfigField): string {
  const { defaultValue } = field;
  const isShown = defaultValue !== undefined && defaultValue !== "" && !field.secret;
  const shown = Array.isArray(defaultValue) ? defaultValue.join(",") : String(defaultValue);
  return `${field.description} (${isShown ? `default: ${shown}, ` : ""}env: ${field.variable})`;
}

function readFlags(command: Command, argv: readonly string[]) {
  const problems: string[] = [];
  try {
    const { operands, unknown } = command.parseOptions([...argv]);
    for (const flag of unknown.filter((text) => text.startsWith("-")))
      problems.push(`unknown flag ${flag.split("=")[0]}`);
    for (const text of operands) problems.push(`unexpected argument ${JSON.stringify(withoutUserInfo(text))}`);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    problems.push(error.message.replace(/^error: /, ""));
  }
  return { problems, values: command.opts<Record<string, string | boolean | undefined>>() };
}

/** The key under which commander keeps a flag. */
function attribute(field: ConfigField): string {
  return new Option(`--${field.flag}`).attributeName();
}

function unknownVariables(
  fields: readonly ConfigField[],
  env: Readonly<Record<string, string | undefined>>,
  others: readonly string[],
): string[] {
  // A bug made on purpose for a test: outside of tests the variable is unknown and refused.
  const seeded = env["NODE_ENV"] === "test" ? ["GMQ_SEEDED_BUG"] : [];
  const own = fields.map(({ variable }) => variable);
  const known = new Set(["GMQ_LOG_LEVEL", ...clientVariables, ...seeded, ...others, ...own]);
  return Object.keys(env)
    .filter((name) => name.startsWith("GMQ_") && !name.startsWith("GMQ_TEST_") && !known.has(name))
    .sort()
    .map((name) => `unknown variable ${name}`);
}

/** What `gmq` and other clients in the same shell go by. */
const clientVariables = ["GMQ_BROKERS", "GMQ_TOKEN", "GMQ_CA", "GMQ_CERT", "GMQ_CERT_KEY"];

function describeIssue(
  issue: { readonly path: readonly PropertyKey[]; readonly message: string },
  fields: readonly ConfigField[],
  origins: ReadonlyMap<string, string>,
): string {
  const field = fields.find(({ key }) => key === issue.path[0]);
  if (field === undefined) return issue.message;
  const origin = origins.get(field.key);
  if (origin === undefined) return `--${field.flag} or ${field.variable} is missing: ${field.description}`;
  return `${origin}: ${issue.message}`;
}

function hideSecrets(
  values: Readonly<Record<string, unknown>>,
  fields: readonly ConfigField[],
): Record<string, unknown> {
  const hidden = fields.filter(({ key, secret }) => secret && values[key] !== undefined && values[key] !== "");
  return { ...values, ...Object.fromEntries(hidden.map(({ key }) => [key, "[hidden]"])) };
}
