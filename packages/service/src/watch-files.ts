import { statSync } from "node:fs";

/** Looks at files now and then. */
export interface FileWatch {
  close(): void;
}

/**
 * Calls `changed` when one of the files is another than at the last look. Polls: files that are mounted or swapped by symbolic links, as in Kubernetes, tell
 * nobody. A file that is missing is a change too, once.
 */
export function watchFiles(paths: readonly string[], intervalMs: number, changed: () => void): FileWatch {
  let known = paths.map(signature).join("\n");
  const timer = setInterval(() => {
    const seen = paths.map(signature).join("\n");
    if (seen === known) return;
    known = seen;
    changed();
  }, intervalMs);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

function signature(path: string): string {
  try {
    const { mtimeMs, ino, size } = statSync(path);
    return `${mtimeMs} ${ino} ${size}`;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "unreadable";
  }
}
