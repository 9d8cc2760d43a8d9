/** Chaos with fixed seeds, short: a taste of `make chaos` in every run of the tests, on both engines. */
import { expect, test } from "vitest";
import type { GroupMode } from "./actors/spec.ts";
import { runChaos } from "./world/chaos-run.ts";
import type { StoreKind } from "./world/world.ts";

const rounds: readonly (readonly [store: StoreKind, mode: GroupMode, seed: number, only: readonly string[]])[] = [
  ["embedded", "exclusive", 101, ["kill service", "kill consumer", "cut", "purge", "half-open then late"]],
  [
    "redis always",
    "exclusive",
    102,
    ["kill redis", "kill service", "one way", "kill consumer", "script flush", "purge", "half-open for ever"],
  ],
  ["redis always", "shared", 103, ["kill consumer", "kill service", "cut", "rebalance storm", "blocked event loop"]],
];

test.each(rounds)(
  "%s, %s, seed %i",
  async (store, mode, seed, only) => {
    const { violations, figures } = await runChaos({ store, mode, seed, only, forMs: 12_000, ratePerSecond: 300 });
    console.log(JSON.stringify({ store, mode, seed, ...figures }));
    expect(violations).toEqual([]);
    expect(figures.acknowledged).toBeGreaterThan(1_000);
  },
  240_000,
);
