/** `make chaos`: rounds of chaos until the time is over, then the figures. Exit code 1 when a promise was broken. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { GroupMode } from "./actors/spec.ts";
import { type Figures, percentile } from "./check/figures.ts";
import { runChaos } from "./world/chaos-run.ts";
import type { StoreKind } from "./world/world.ts";

/** A setting; make hands on as empty what was not given. */
const setting = (name: string): string | undefined => (process.env[name] === "" ? undefined : process.env[name]);
const minutes = Number(setting("MINUTES") ?? "30");
const firstSeed = Number(setting("SEED") ?? Math.floor(Math.random() * 1_000_000));
const ratePerSecond = Number(setting("RATE") ?? "500");
const roundMs = Number(setting("ROUND_S") ?? "60") * 1_000;
const only = setting("FAULTS")?.split(",");
const keep = setting("KEEP");
const stores = (setting("STORES")?.split(",") ?? [
  "redis always",
  "embedded",
  "redis everysec",
  "redis replicated",
]) as StoreKind[];

/** One after the other, each over all stores. */
const modes = (setting("MODES")?.split(",") ?? ["exclusive", "shared"]) as GroupMode[];

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Figures of all rounds together. */
function sum(all: readonly Figures[], of: (figures: Figures) => number): number {
  return all.reduce((total, figures) => total + of(figures), 0);
}

function spread(times: readonly number[]): string {
  const sorted = [...times].sort((one, other) => one - other);
  const shown = (share: number): string => `${Math.round(percentile(sorted, share) ?? 0)} ms`;
  return sorted.length === 0 ? "none" : `p50 ${shown(0.5)}, p99 ${shown(0.99)}, max ${shown(1)} of ${sorted.length}`;
}

// An early end takes every process with it: what this one started ends when it exits.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

const started = Date.now();
const figures: Figures[] = [];
let broken = 0;
let seed = firstSeed;
say(`seed ${firstSeed}, ${minutes} minutes of ${stores.join(", ")}; ${modes.join(", ")}`);
for (let round = 0; Date.now() - started < minutes * 60_000; round++, seed++) {
  const store = stores[round % stores.length] as StoreKind;
  const mode = modes[Math.floor(round / stores.length) % modes.length] as GroupMode;
  const keepIn = keep === undefined ? {} : { keepIn: join(keep, `${seed}`) };
  if (keepIn.keepIn !== undefined) mkdirSync(keepIn.keepIn, { recursive: true });
  try {
    const judgement = await runChaos({
      store,
      mode,
      seed,
      forMs: roundMs,
      ratePerSecond,
      told: say,
      ...(only === undefined ? {} : { only }),
      ...keepIn,
    });
    figures.push(judgement.figures);
    const { sent, acknowledged, unknown, refused, lost, duplicated, reordered, redelivered, fenced } =
      judgement.figures;
    say(
      `${store}, ${mode}, seed ${seed}: ${JSON.stringify({ sent, acknowledged, unknown, refused, lost, duplicated, reordered, redelivered, fenced })}`,
    );
    for (const { promise, text } of judgement.violations.slice(0, 20)) say(`  BROKEN ${promise}: ${text}`);
    if (judgement.violations.length > 0) {
      broken++;
      say(
        `  ${judgement.violations.length} violations; again: make chaos SEED=${seed} STORES="${store}" MODES=${mode} MINUTES=1`,
      );
    }
  } catch (error) {
    broken++;
    say(
      `${store}, ${mode}, seed ${seed}: FAILED ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  }
}
const faults = new Map<string, number>();
for (const { faults: some } of figures)
  for (const [kind, count] of Object.entries(some)) faults.set(kind, (faults.get(kind) ?? 0) + count);
const total = [...faults.values()].reduce((one, other) => one + other, 0);
say(`rounds ${figures.length}, broken ${broken}, seeds ${firstSeed} to ${seed - 1}`);
say(
  `records: ${sum(figures, ({ sent }) => sent)} sent, ${sum(figures, ({ acknowledged }) => acknowledged)} acknowledged, ${sum(figures, ({ unknown }) => unknown)} unknown, ${sum(figures, ({ refused }) => refused)} refused, ${sum(figures, ({ kept }) => kept)} in the logs`,
);
say(
  `lost ${sum(figures, ({ lostOutsideWindow }) => lostOutsideWindow)} (and ${sum(figures, ({ lost, lostOutsideWindow }) => lost - lostOutsideWindow)} inside the store's documented window), duplicated ${sum(figures, ({ duplicated }) => duplicated)}, reordered ${sum(figures, ({ reordered }) => reordered)}, redelivered ${sum(figures, ({ redelivered }) => redelivered)} of ${sum(figures, ({ deliveries }) => deliveries)} deliveries, fenced ${sum(figures, ({ fenced }) => fenced)}`,
);
say(`faults: ${total}: ${[...faults].map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
for (const [name, of] of [
  ["take-over after SIGKILL of a consumer (its connection closes)", "closed"],
  ["take-over from a silent consumer (SIGSTOP; session timeout 3,000 ms)", "silent"],
] as const) {
  const all = (which: "alone" | "besideAnother"): string =>
    spread(figures.flatMap(({ takeOverMs }) => takeOverMs[of][which]));
  say(`${name}: ${all("alone")}; beside a fault of store, service or path: ${all("besideAnother")}`);
}
say(
  `largest process: ${Math.round(figures.reduce((most, { memoryBytesMax }) => Math.max(most, memoryBytesMax), 0) / 2 ** 20)} MiB`,
);
process.exitCode = broken > 0 ? 1 : 0;
