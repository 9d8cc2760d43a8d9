/** Latencies of a run: 1 µs to 100 s in logarithmic buckets, so that millions of samples cost no memory and a percentile is off by at most 0.6 %. */

/** What a histogram says, in ms. */
export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

export interface Histogram {
  /** Adds one latency in ms; below 1 µs counts as 1 µs. */
  add(ms: number): void;
  /** Undefined without samples. */
  summary(): LatencySummary | undefined;
}

const bucketsPerOctave = 128;
const octaves = 27;

/** Makes an empty histogram. */
export function createHistogram(): Histogram {
  const buckets = new Uint32Array(bucketsPerOctave * octaves);
  let count = 0;
  let maxMs = 0;

  function percentile(share: number): number {
    const wanted = Math.ceil(count * share);
    let seen = 0;
    for (let index = 0; index < buckets.length; index++) {
      seen += buckets[index] as number;
      // The bucket's middle, never above what was really seen.
      if (seen >= wanted) return Math.min(maxMs, 2 ** ((index + 0.5) / bucketsPerOctave) / 1_000);
    }
    return maxMs;
  }

  return {
    add(ms) {
      const index = Math.floor(Math.log2(Math.max(1, ms * 1_000)) * bucketsPerOctave);
      const at = Math.min(index, buckets.length - 1);
      buckets[at] = (buckets[at] as number) + 1;
      count++;
      if (ms > maxMs) maxMs = ms;
    },
    summary() {
      if (count === 0) return undefined;
      return { count, p50Ms: percentile(0.5), p99Ms: percentile(0.99), p999Ms: percentile(0.999), maxMs };
    },
  };
}
