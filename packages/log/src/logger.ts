/** Values that stand beside a message. Errors, bigints, bytes and nested objects are welcome. */
export type LogFields = Readonly<Record<string, unknown>>;

/** All that GMQ asks of a logger. Every method returns at once and never throws. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** An error value belongs under the field `error`: its stack, cause and GmqError fields are written out. */
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line; level and destination stay the same. */
  child(fields: LogFields): Logger;
}

/** Levels from most to least talkative; `silent` writes nothing. */
export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

/** One of `logLevels`. */
export type LogLevel = (typeof logLevels)[number];

/** Drops everything: the default of libraries. */
export const silentLogger: Logger = {
  debug: drop,
  info: drop,
  warn: drop,
  error: drop,
  child: () => silentLogger,
};

function drop(): void {}
