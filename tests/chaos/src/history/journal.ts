import { mkdirSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { HistoryEvent } from "./events.ts";

/** An event and the process that wrote it. */
export interface Witnessed {
  readonly by: string;
  readonly event: HistoryEvent;
}

/** One process' part of a history. */
export interface Journal {
  /** Written before it returns: a SIGKILL right after loses nothing. */
  note(event: HistoryEvent): void;
}

const extension = ".jsonl";

/** Opens the journal of a process in the run's folder. */
export function openJournal(folder: string, by: string): Journal {
  mkdirSync(folder, { recursive: true });
  const file = openSync(join(folder, `${by}${extension}`), "a");
  return { note: (event) => void writeSync(file, `${JSON.stringify(event)}\n`) };
}

/** Reads every journal of a folder; a line that a kill cut off is left out. */
export function* readHistory(folder: string): Generator<Witnessed> {
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith(extension)) continue;
    const by = name.slice(0, -extension.length);
    const text = readFileSync(join(folder, name), "utf8");
    for (let from = 0, to = text.indexOf("\n"); to >= 0; from = to + 1, to = text.indexOf("\n", from))
      yield { by, event: JSON.parse(text.slice(from, to)) as HistoryEvent };
  }
}
