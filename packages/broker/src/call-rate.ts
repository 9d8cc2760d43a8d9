import { createPerSecond, GmqError } from "@gmq/protocol";

/** Counts calls a second by who makes them. */
export interface CallRate {
  /** @throws GmqError `resource_exhausted` when this is one too many in this second */
  count(who: string): void;
}

/** Makes the counter. */
export function createCallRate(callsPerSecondMax: number): CallRate {
  const rate = createPerSecond(callsPerSecondMax);
  return {
    count(who) {
      if (rate.takes(who)) return;
      throw new GmqError("resource_exhausted", "too many metadata calls in this second", {
        field: "metadata calls",
        limit: `${callsPerSecondMax} calls a second`,
      });
    },
  };
}
