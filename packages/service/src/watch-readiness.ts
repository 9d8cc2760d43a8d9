import { GmqError } from "@gmq/protocol";
import type { Health } from "./health.js";

/** How often is looked when nobody tells. */
const intervalMs = 1_000;
/** While something is missing: so soon again at first, then twice as long each time, up to `intervalMs`. */
const retryMsMin = 50;

/**
 * Keeps one subject of a health up to date by asking: once a second while it is well, sooner when it has just begun to be missing, so that a process
 * whose store answers a moment after its start does not wait out the second. `ask` returns the problem, undefined when there is none.
 * Resolves after the first answer with the function that stops it.
 */
export async function watchReadiness(
  health: Health,
  subject: string,
  ask: () => Promise<string | undefined>,
): Promise<() => void> {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let missed = 0;

  async function askNow(): Promise<string | undefined> {
    try {
      return await ask();
    } catch (error) {
      return GmqError.from(error).message;
    }
  }

  async function look(): Promise<void> {
    const problem = await askNow();
    if (stopped) return;
    health.report(subject, problem);
    const delayMs = problem === undefined ? intervalMs : Math.min(intervalMs, retryMsMin * 2 ** Math.min(missed, 10));
    missed = problem === undefined ? 0 : missed + 1;
    timer = setTimeout(() => void look(), delayMs);
  }

  await look();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
