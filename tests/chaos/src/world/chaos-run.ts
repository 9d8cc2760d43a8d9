/** A run with faults that a seed chooses, one after another, over a world of its own. */
import { setTimeout as sleep } from "node:timers/promises";
import type { GroupMode } from "../actors/spec.ts";
import type { Judgement } from "../check/judge.ts";
import { type FaultKind, faultKinds, sessionTimeoutMs } from "../faults/faults.ts";
import { createChance } from "../faults/random.ts";
import { nowMs } from "../history/events.ts";
import { startRun } from "./run.ts";
import { type StoreKind, startWorld } from "./world.ts";

export interface ChaosOptions {
  readonly store: StoreKind;
  /** Default exclusive. */
  readonly mode?: GroupMode;
  readonly seed: number;
  /** How long faults go on; the drain comes after. */
  readonly forMs: number;
  /** Only faults of these names. */
  readonly only?: readonly string[];
  readonly ratePerSecond?: number;
  readonly keepIn?: string;
  readonly told?: (line: string) => void;
}

/** Runs and judges. The same seed chooses the same faults in the same order; what happens between processes is theirs. */
export async function runChaos(options: ChaosOptions): Promise<Judgement> {
  const { store, mode = "exclusive", seed, forMs, only, ratePerSecond = 500, keepIn, told = () => undefined } = options;
  const chance = createChance(seed);
  const world = await startWorld({ store });
  try {
    const run = await startRun(world, {
      mode,
      partitions: 8,
      neighbours: 2,
      drainTimeoutMs: 90_000,
      producer: { ratePerSecond, delayPerMille: 5, ttlPerMille: 5 },
      consumer: {
        failPerMille: 2,
        retryPerMille: 2,
        releasePerMille: 2,
        rejectPerMille: 2,
        extendPerMille: 1,
        processingTimeoutMs: 2_000,
        sessionTimeoutMs,
      },
      ...(keepIn === undefined ? {} : { keepIn }),
    });
    try {
      await Promise.all([run.consume(), run.consume(), run.consume(), run.produce(), run.produce()]);
      const endMs = nowMs() + forMs;
      let kinds: FaultKind[] = [];
      while (nowMs() < endMs) {
        await sleep(chance.integer(200, 1_500));
        // Every kind once before any comes again.
        if (kinds.length === 0)
          kinds = chance.shuffled(faultKinds.filter(({ name, fits }) => fits(run) && (only?.includes(name) ?? true)));
        const kind = kinds.pop();
        if (kind === undefined) throw new Error(`no fault fits: ${only?.join(", ")}`);
        told(`${store}, ${mode}, seed ${seed}: ${kind.name}`);
        await kind.strike(run, chance);
        // A fail-over has no way back: this world's part is played.
        if (kind.name === "fail-over") break;
      }
      return await run.finish();
    } finally {
      await run.close();
    }
  } finally {
    await world.stop();
  }
}
