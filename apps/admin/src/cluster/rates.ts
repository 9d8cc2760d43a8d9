/** What a counter had at a moment. */
interface Reading {
  readonly atMs: number;
  readonly value: bigint;
}

/** Rates of growing counters over the last few seconds. */
export interface Rates {
  /** Notes a reading and gives the change per second over the window, 0 at the first. */
  note(name: string, value: bigint, atMs: number): number;
  forget(name: string): void;
}

const windowMs = 5_000;

/** Makes the memory of readings: those of the last 5 s, or the last two when looks are rarer. */
export function createRates(): Rates {
  const readings = new Map<string, Reading[]>();
  return {
    note(name, value, atMs) {
      const known = readings.get(name) ?? [];
      const recent = known.filter((reading, index) => index === known.length - 1 || reading.atMs >= atMs - windowMs);
      const oldest = recent[0];
      readings.set(name, [...recent, { atMs, value }]);
      if (oldest === undefined || atMs <= oldest.atMs) return 0;
      return (Number(value - oldest.value) * 1_000) / (atMs - oldest.atMs);
    },
    forget(name) {
      readings.delete(name);
    },
  };
}
