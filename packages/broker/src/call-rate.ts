import { GmqError } from "@gmq/protocol";

/** Counts calls a second by who makes them. */
export interface CallRate {
  /** @throws GmqError `resource_exhausted` when this is one too many in this second */
  count(who: string): void;
}

/** Who may be counted at once; past it all begin anew, which lets through more and keeps no more. */
const countedMax = 10_000;

/** Makes the counter. */
export function createCallRate(callsPerSecondMax: number, nowMs: () => number = () => performance.now()): CallRate {
  let second = 0;
  let calls = new Map<string, number>();
  return {
    count(who) {
      const now = Math.floor(nowMs() / 1_000);
      if (now !== second || calls.size >= countedMax) {
        second = now;
        calls = new Map();
      }
      const count = (calls.get(who) ?? 0) + 1;
      calls.set(who, count);
      if (count <= callsPerSecondMax) return;
      throw new GmqError("resource_exhausted", "too many metadata calls in this second", {
        field: "metadata calls",
        limit: `${callsPerSecondMax} calls a second`,
      });
    },
  };
}
