import { GmqError } from "@gmq/protocol";

/** Slows down who guesses: so many failures a minute from one address, and so many passwords looked at in one time. */
export interface LoginLimit {
  /** Runs one try. @throws GmqError `resource_exhausted` when there were too many; then nothing was tried */
  run<T>(address: string, attempt: () => Promise<T | undefined>): Promise<T | undefined>;
}

const windowMs = 60_000;
/** scrypt takes a core for a tenth of a second: other work of the portal has to go on. */
const passwordsAtOnceMax = 4;
const addressesMax = 10_000;

/** Makes it; a try counts when it fails. */
export function createLoginLimit(
  failuresPerMinuteMax: number,
  atOnceMax: number = passwordsAtOnceMax,
  nowMs: () => number = Date.now,
): LoginLimit {
  const failures = new Map<string, number[]>();
  let running = 0;

  function recent(address: string): number[] {
    return (failures.get(address) ?? []).filter((atMs) => nowMs() - atMs < windowMs);
  }

  return {
    async run(address, attempt) {
      if (recent(address).length >= failuresPerMinuteMax) {
        throw new GmqError("resource_exhausted", "too many logins failed from this address: wait a minute", {
          field: "login",
          limit: `${failuresPerMinuteMax} failures a minute`,
        });
      }
      if (running >= atOnceMax) {
        throw new GmqError("resource_exhausted", "the portal looks at other logins: try again", {
          field: "login",
          limit: `${atOnceMax} at once`,
        });
      }
      // Counted before it is known: many tries in one moment are many tries.
      failures.set(address, [...recent(address), nowMs()]);
      const [oldest] = failures.keys();
      if (failures.size > addressesMax && oldest !== undefined) failures.delete(oldest);
      running++;
      try {
        const found = await attempt();
        if (found !== undefined) failures.delete(address);
        return found;
      } finally {
        running--;
      }
    },
  };
}
