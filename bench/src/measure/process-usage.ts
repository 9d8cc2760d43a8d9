import { readFileSync } from "node:fs";

/** What a process has used so far. */
export interface ProcessUsage {
  /** User and system time, in µs; the kernel counts in steps of 10 ms. */
  readonly cpuUs: number;
  readonly rssBytes: number;
}

/** USER_HZ, which Linux fixes at 100 for /proc. Source: proc(5). */
const tickUs = 10_000;

/** Reads /proc of a process; undefined when it has ended or there is no /proc. */
export function readProcessUsage(pid: number): ProcessUsage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses may hold spaces; the numbers begin behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const rssKb = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
    return { cpuUs: (Number(fields[11]) + Number(fields[12])) * tickUs, rssBytes: rssKb * 1_024 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || (error as NodeJS.ErrnoException).code === "ESRCH")
      return undefined;
    throw error;
  }
}
