import { GmqError } from "@gmq/protocol";
import { type DestinationStream, destination, type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";
import { type LogFields, type Logger, type LogLevel, logLevels } from "./logger.js";
import { redactFields, redactText } from "./redact.js";

/** How a process logs. */
export interface LoggerOptions {
  /** Who speaks, for example "broker". */
  readonly name: string;
  /** Default: the environment's GMQ_LOG_LEVEL, else "info". */
  readonly level?: LogLevel;
  /** Lines for people in place of JSON. Default: true when the destination is standard error on a terminal. */
  readonly pretty?: boolean;
  /** Takes whole lines. Default: standard error, written at once, so that the last line before an exit is not lost. */
  readonly destination?: { write(line: string): void };
}

/**
 * Makes the logger of a process: one JSON object a line with `level`, `time` (ISO 8601), `name`, `pid`, `msg` and the fields, secrets redacted at any depth.
 * @throws GmqError `invalid_argument` for an unknown level
 */
export function createLogger(options: LoggerOptions): Logger {
  const level = checkLevel(options.level ?? process.env.GMQ_LOG_LEVEL ?? "info");
  const toTerminal = options.destination === undefined && process.stderr.isTTY === true;
  const raw: DestinationStream = options.destination ?? destination({ fd: 2, sync: true });
  const settings = {
    level,
    base: { name: options.name, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return wrap(pino(settings, (options.pretty ?? toTerminal) ? prettyStream(raw, toTerminal) : raw));
}

/** In this process, not in pino's worker thread: a worker would lose lines at exit and cost a thread. */
function prettyStream(raw: DestinationStream, colorize: boolean): DestinationStream {
  const format = pretty.prettyFactory({ colorize, ignore: "pid", translateTime: "SYS:HH:MM:ss.l" });
  return { write: (line) => raw.write(format(line)) };
}

function checkLevel(level: string): LogLevel {
  const known = logLevels.find((candidate) => candidate === level);
  if (known !== undefined) return known;
  throw new GmqError("invalid_argument", `log level ${JSON.stringify(level)} is not known`, {
    field: "log level",
    limit: logLevels.join(", "),
  });
}

function wrap(target: PinoLogger): Logger {
  return new PinoBacked(target, undefined);
}

/** A class that makes its own pino logger with the first line: there is one for each idle session. */
class PinoBacked implements Logger {
  #target: PinoLogger;
  /** Undefined: they are the target's already. */
  #fields: LogFields | undefined;

  constructor(target: PinoLogger, fields: LogFields | undefined) {
    this.#target = target;
    this.#fields = fields;
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }

  child(fields: LogFields): Logger {
    return new PinoBacked(this.#own(), fields);
  }

  #write(level: "debug" | "info" | "warn" | "error", message: string, fields: LogFields | undefined): void {
    if (!this.#target.isLevelEnabled(level)) return;
    const target = this.#own();
    if (fields === undefined) target[level](redactText(message));
    else target[level](redactFields(fields), redactText(message));
  }

  #own(): PinoLogger {
    if (this.#fields !== undefined) {
      this.#target = this.#target.child(redactFields(this.#fields));
      this.#fields = undefined;
    }
    return this.#target;
  }
}
