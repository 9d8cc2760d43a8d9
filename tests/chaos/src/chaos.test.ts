/** Chaos with fixed seeds, short: a taste of `make chaos` in every run of the tests, on both engines. */
import { expect, test } from "vitest";
import { runChaos } from "./world/chaos-run.ts";
import type { StoreKind } from "./world/world.ts";

const rounds: readonly (readonly [store: StoreKind, seed: number, only: readonly string[]])[] = [
  ["embedded", 101, ["kill service", "kill consumer", "cut", "purge", "half-open then late"]],
  [
    "redis always",
    102,
    ["kill redis", "kill service", "one way", "kill consumer", "script flush", "purge", "half-open for ever"],
  ],
];

test.each(rounds)(
  "%s, seed %i",
  async (store, seed, only) => {
    const { violations, figures } = await runChaos({ store, seed, only, forMs: 12_000, ratePerSecond: 300 });
    console.log(JSON.stringify({ store, seed, ...figures }));
    expect(violations).toEqual([]);
    expect(figures.acknowledged).toBeGreaterThan(1_000);
  },
  240_000,
);
