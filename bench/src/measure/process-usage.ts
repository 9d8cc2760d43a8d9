import { readFileSync, writeFileSync } from "node:fs";

/** What a process has used so far. */
export interface ProcessUsage {
  /** User and system time, in µs; the kernel counts in steps of 10 ms. */
  readonly cpuUs: number;
  readonly rssBytes: number;
  /** The most since `forgetPeak`. */
  readonly peakRssBytes: number;
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
    const bytesOf = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1_024;
    return {
      cpuUs: (Number(fields[11]) + Number(fields[12])) * tickUs,
      rssBytes: bytesOf("VmRSS"),
      peakRssBytes: bytesOf("VmHWM"),
    };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Sets what counts as the most of a process's memory to what it has now. Source: proc(5), clear_refs. */
export function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ESRCH";
}
