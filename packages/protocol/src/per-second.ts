/** Counts what each does in a second, and says when it is too much. */
export interface PerSecond {
  /** Counts one more; false: it is one too many in this second. */
  takes(who: string): boolean;
}

/** Who may be counted at once; past it all begin anew, which lets through more and keeps no more. */
const countedMax = 10_000;

/** Makes the counter. */
export function createPerSecond(max: number, nowMs: () => number = () => performance.now()): PerSecond {
  let second = 0;
  let counts = new Map<string, number>();
  return {
    takes(who) {
      const now = Math.floor(nowMs() / 1_000);
      if (now !== second || counts.size >= countedMax) {
        second = now;
        counts = new Map();
      }
      const count = (counts.get(who) ?? 0) + 1;
      counts.set(who, count);
      return count <= max;
    },
  };
}
