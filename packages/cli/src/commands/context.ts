import { type CallOptions, connect, type Gmq } from "@gmq/client";
import { GmqError } from "@gmq/protocol";
import type { Command } from "commander";
import type { ExitCode } from "../exit-codes.js";
import { type Credentials, readCredentials } from "../input/credentials.js";
import type { Terminal } from "../terminal.js";

/** What every command gets: the process around it, and where its exit code goes. */
export interface CommandContext {
  readonly terminal: Terminal;
  exit(code: ExitCode): void;
}

/** Options of every command. */
export interface GlobalOptions {
  readonly broker?: readonly string[];
  readonly json?: boolean;
  /** Bearer token; the file is for those who keep it out of the process list. */
  readonly token?: string;
  readonly tokenFile?: string;
  /** Files of certificates and key, PEM. */
  readonly ca?: string;
  readonly cert?: string;
  readonly certKey?: string;
  /** Milliseconds that a broker has to answer; undefined: `timeoutMsDefault`, and for a record that is published the producer's own. */
  readonly timeout?: number;
}

/** The broker when neither `--broker` nor GMQ_BROKERS names one. */
export const brokerDefault = "http://localhost:50051";

/** How long a broker has to answer when `--timeout` does not say. */
export const timeoutMsDefault = 10_000;

/** A person who sees nothing for so long wants to know why. */
const patienceMs = 1_000;

/** Options of a command together with those before it. */
export function optionsOf<T>(command: Command): T & GlobalOptions {
  return command.optsWithGlobals();
}

/**
 * Connects, runs `use` and closes in any case. `call` is what every call of `use` should be given: the deadline and the interrupt.
 * @throws GmqError `unavailable` when no broker answers within `--timeout`
 */
export async function withClient<T>(
  context: CommandContext,
  options: GlobalOptions,
  use: (gmq: Gmq, call: CallOptions) => Promise<T>,
): Promise<T> {
  const call = { timeoutMs: options.timeout ?? timeoutMsDefault, signal: context.terminal.interrupted };
  const credentials = readCredentials(options);
  const gmq = await open([...(options.broker ?? [brokerDefault])], credentials, call, context.terminal);
  try {
    return await use(gmq, call);
  } finally {
    await gmq.close();
  }
}

async function open(
  brokers: string[],
  credentials: Credentials,
  call: Required<CallOptions>,
  { stderr }: Terminal,
): Promise<Gmq> {
  const where = brokers.join(", ");
  const note = setTimeout(() => {
    if (stderr.isTTY === true) stderr.write(`gmq: no answer yet from ${where}, trying for ${call.timeoutMs} ms\n`);
  }, patienceMs);
  try {
    return await connect({ brokers, clientId: "gmq-cli", ...credentials, ...call });
  } catch (error) {
    if (!GmqError.is(error, "unavailable") && !GmqError.is(error, "deadline_exceeded")) throw error;
    const message = `no broker answers at ${where}: ${reasonOf(error)}; start one or name another with --broker`;
    throw new GmqError("unavailable", message, { cause: error });
  } finally {
    clearTimeout(note);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "the host is not known",
  EAI_AGAIN: "the host's name cannot be looked up",
  EHOSTUNREACH: "there is no way to the host",
};

/** The system's own reason at the bottom of an error, or its message. */
function reasonOf(error: Error): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const reason = "code" in cause ? reasons[String(cause.code)] : undefined;
    if (reason !== undefined) return reason;
  }
  return error.message;
}
