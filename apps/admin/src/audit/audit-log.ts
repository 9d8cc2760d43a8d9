/**
 * The audit of writes: one JSON line when a write is asked, one when it has ended, in `<folder>/audit.jsonl`. At 8 MiB the file becomes `audit.1.jsonl`,
 * in place of the one before. A write whose second line is missing ended with the process: its outcome is unknown.
 */
import { type FileHandle, mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { type PortalAuditEntry, PortalAuditEntrySchema } from "@gmq/protocol/messages";

/** A write that is about to happen. */
export interface AskedWrite {
  readonly requestId: string;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly requestJson: string;
  readonly beforeJson: string;
}

/** How it ended. */
export interface WriteOutcome {
  readonly outcome: "done" | "refused" | "failed" | "cancelled" | "unknown";
  readonly problem: string;
  readonly afterJson: string;
}

/** Keeps what was written through the portal. */
export interface AuditLog {
  /** True: on disk. */
  readonly kept: boolean;
  /** Grows with each change of what `entries` gives. */
  readonly version: number;
  /** Newest first, the last 2,000. */
  entries(): readonly PortalAuditEntry[];
  /** Notes a write before it is made. Resolves with the function that notes its end. @throws GmqError `unavailable` when the line cannot be written: do not write then */
  begin(write: AskedWrite): Promise<(outcome: WriteOutcome) => Promise<void>>;
  close(): Promise<void>;
}

const entriesMax = 2_000;
const fileBytesMax = 8 * 1024 * 1024;
const jsonLengthMax = 8_192;

interface Line {
  readonly sequence: number;
  readonly atMs?: number;
  readonly asked?: AskedWrite;
  readonly ended?: WriteOutcome;
}

/** Opens the audit. Without a folder it is kept in memory only. @throws GmqError `invalid_argument` (field `data`) when the folder cannot be used */
export async function openAuditLog(folder: string | undefined, logger: Logger): Promise<AuditLog> {
  const entries = new Map<number, PortalAuditEntry>();
  let version = 0;
  let sequence = 0;

  function apply(line: Line): void {
    const { asked, ended } = line;
    if (asked !== undefined) {
      sequence = Math.max(sequence, line.sequence);
      const entry = { ...asked, sequence: BigInt(line.sequence), atMs: BigInt(line.atMs ?? 0), outcome: "unknown" };
      entries.set(line.sequence, create(PortalAuditEntrySchema, entry));
      const oldest = entries.keys().next().value;
      if (entries.size > entriesMax && oldest !== undefined) entries.delete(oldest);
    }
    const known = entries.get(line.sequence);
    if (ended !== undefined && known !== undefined) entries.set(line.sequence, { ...known, ...ended });
    version++;
  }

  const file = folder === undefined ? undefined : await openFile(folder, apply, logger);
  return {
    kept: file !== undefined,
    get version() {
      return version;
    },
    entries: () => [...entries.values()].reverse(),
    async begin(write) {
      const own = ++sequence;
      const asked = { ...write, requestJson: cut(write.requestJson), beforeJson: cut(write.beforeJson) };
      const line: Line = { sequence: own, atMs: Date.now(), asked };
      await file?.append(line);
      apply(line);
      const begun = entries.get(own);
      if (begun !== undefined) entries.set(own, { ...begun, outcome: "running" });
      return async (outcome) => {
        const ended: Line = { sequence: own, ended: { ...outcome, afterJson: cut(outcome.afterJson) } };
        apply(ended);
        try {
          await file?.append(ended);
        } catch (error) {
          // The write is done and cannot be taken back; the entry says "unknown" after a restart.
          logger.error("the end of a write could not be noted in the audit", { error, requestId: write.requestId });
        }
      };
    },
    close: async () => await file?.close(),
  };
}

interface AuditFile {
  append(line: Line): Promise<void>;
  close(): Promise<void>;
}

async function openFile(folder: string, apply: (line: Line) => void, logger: Logger): Promise<AuditFile> {
  const path = join(folder, "audit.jsonl");
  const olderPath = join(folder, "audit.1.jsonl");
  let handle: FileHandle;
  let bytes: number;
  try {
    await mkdir(folder, { recursive: true });
    for (const source of [olderPath, path]) for (const line of await readLines(source, logger)) apply(line);
    handle = await open(path, "a", 0o600);
    bytes = (await handle.stat()).size;
    // A line that a crash cut off must not swallow the next one.
    if (bytes > 0) await handle.appendFile("\n");
  } catch (cause) {
    throw new GmqError("invalid_argument", `the audit cannot be kept in ${folder}: ${messageOf(cause)}`, {
      field: "data",
      cause,
    });
  }
  let turn: Promise<void> = Promise.resolve();

  async function write(text: string): Promise<void> {
    try {
      if (bytes > fileBytesMax) {
        await handle.close();
        await rename(path, olderPath);
        handle = await open(path, "a", 0o600);
        bytes = 0;
      }
      await handle.appendFile(text);
      await handle.datasync();
      bytes += Buffer.byteLength(text);
    } catch (cause) {
      throw new GmqError("unavailable", `the audit cannot be written: ${messageOf(cause)}`, { cause });
    }
  }

  return {
    append(line) {
      const written = turn.then(() => write(`${JSON.stringify(line)}\n`));
      turn = written.catch((error: unknown) => logger.error("the audit could not be written", { error }));
      return written;
    },
    async close() {
      await turn;
      await handle.close();
    },
  };
}

async function readLines(path: string, logger: Logger): Promise<Line[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return text.split("\n").flatMap((line) => {
    if (line === "") return [];
    try {
      return [JSON.parse(line) as Line];
    } catch (error) {
      logger.warn("a line of the audit cannot be read and is left out", { path, error });
      return [];
    }
  });
}

function cut(json: string): string {
  return json.length <= jsonLengthMax ? json : `${json.slice(0, jsonLengthMax)}…`;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
