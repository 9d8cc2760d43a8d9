import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { beginYoung, keepFreedMemory, relaxExternalMemoryLimit } from "./process-memory.js";

/** A service that is up. */
export interface RunningService {
  /** Takes nothing new and finishes what is in flight, within `deadlineMs`. */
  drain(deadlineMs: number): Promise<void>;
  /** Lets go of everything: ports, connections, timers. */
  close(): Promise<void>;
}

/** The part of Node's `process` that a lifecycle needs. */
export interface ServiceHost {
  on(event: string, listener: (given: unknown) => void): unknown;
  off(event: string, listener: (given: unknown) => void): unknown;
  exit(code: number): void;
}

/** What to run. */
export interface RunServiceOptions {
  readonly name: string;
  readonly logger: Logger;
  /** Brings the service up. The signal aborts when the process is told to stop before it is up. */
  readonly start: (signal: AbortSignal) => Promise<RunningService>;
  /** Time to drain. Default 30,000 ms. */
  readonly drainTimeoutMs?: number;
  /** Default: this process. */
  readonly host?: ServiceHost;
}

/** Time that `close` gets, and what a drain may take beyond its own deadline. */
const closeTimeoutMs = 5_000;

/**
 * Runs a service until SIGTERM or SIGINT: drains with a deadline, closes, exits 0; a second signal exits 1 at once.
 * A start that fails is one line in the log and exit 1; so is an exception that nobody caught, for then nobody knows what state the process is in.
 * Resolves with the exit code after `exit` was called.
 */
export async function runService(options: RunServiceOptions): Promise<number> {
  const { name, logger, drainTimeoutMs = 30_000, host = process } = options;
  if (host === process) {
    beginYoung();
    relaxExternalMemoryLimit();
    keepFreedMemory();
  }
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) =>
    stop.signal.addEventListener("abort", () => resolve(), { once: true }),
  );

  function onSignal(signalName: unknown): void {
    if (stop.signal.aborted) {
      logger.warn(`${signalName} again: leaving at once`);
      host.exit(1);
      return;
    }
    logger.info(`${signalName}: draining`, { drainTimeoutMs });
    stop.abort();
  }
  function onDefect(error: unknown): void {
    logger.error("an error that nobody caught", { error });
    host.exit(1);
  }
  const listeners: readonly (readonly [string, (given: unknown) => void])[] = [
    ["SIGTERM", onSignal],
    ["SIGINT", onSignal],
    ["uncaughtException", onDefect],
    ["unhandledRejection", onDefect],
  ];

  async function run(): Promise<number> {
    let service: RunningService;
    try {
      service = await options.start(stop.signal);
    } catch (cause) {
      if (stop.signal.aborted) return 0;
      const error = GmqError.from(cause);
      // A GmqError says it all; anything else is a defect and its stack is wanted.
      logger.error(
        `${name} could not start: ${error.message}`,
        error.code === "internal" ? { error } : { code: error.code },
      );
      return 1;
    }
    await stopped;
    return stopService(service, drainTimeoutMs, logger);
  }

  for (const [event, listener] of listeners) host.on(event, listener);
  const code = await run();
  for (const [event, listener] of listeners) host.off(event, listener);
  host.exit(code);
  return code;
}

async function stopService(service: RunningService, drainTimeoutMs: number, logger: Logger): Promise<number> {
  const drained = await finishes("drain", () => service.drain(drainTimeoutMs), drainTimeoutMs + closeTimeoutMs, logger);
  const closed = await finishes("close", () => service.close(), closeTimeoutMs, logger);
  if (drained && closed) logger.info("stopped");
  return drained && closed ? 0 : 1;
}

/** False, and a line in the log, when `work` fails or takes longer than `ms`. */
async function finishes(step: string, work: () => Promise<void>, ms: number, logger: Logger): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new GmqError("deadline_exceeded", `not done in ${ms} ms`)), ms);
  });
  try {
    await Promise.race([work(), late]);
    return true;
  } catch (error) {
    logger.error(`${step} failed`, { error });
    return false;
  } finally {
    clearTimeout(timer);
  }
}
