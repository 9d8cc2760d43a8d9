import type { Engine, StoreStatus } from "@gmq/storage";
import type { Metrics } from "./metrics.js";

/** Whether the process is ready and why not; `Health` of @gmq/service fits. */
export interface Readiness {
  readonly ready: boolean;
  readonly problems: ReadonlyMap<string, string>;
}

/** Shows readiness. */
export function addReadiness(metrics: Metrics, health: Readiness): void {
  metrics.read("gmq_ready", () => (health.ready ? 1 : 0));
  metrics.read("gmq_problems", () =>
    Array.from(health.problems.keys(), (subject) => ({ labels: { subject }, value: 1 })),
  );
}

/** Shows what a port has turned away; `Listener` of @gmq/service fits. */
export function addRefusedConnections(
  metrics: Metrics,
  { refused }: { readonly refused: { readonly total: number; readonly address: number } },
): void {
  metrics.read("gmq_connections_refused_total", () =>
    (["total", "address"] as const).map((limit) => ({ labels: { limit }, value: refused[limit] })),
  );
}

/** Shows what the store says of itself: one question per scrape. `memory`: also how much it holds. */
export function addStoreStatus(metrics: Metrics, engine: Engine, options: { readonly memory: boolean }): void {
  const status = shareWhileAsked(() => engine.status());
  metrics.read("gmq_store_ready", async () => ((await status()).ready ? 1 : 0));
  metrics.read("gmq_store_info", async () => {
    const { engine: kind, details, durability } = await status();
    return [{ labels: { engine: details["store"] ?? kind, durability }, value: 1 }];
  });
  if (!options.memory) return;
  metrics.read("gmq_store_memory_bytes", async () => bytesOf(await status(), ["used_memory_bytes", "live_bytes"]));
  metrics.read("gmq_store_memory_max_bytes", async () => bytesOf(await status(), ["maxmemory_bytes"], 0));
}

/** Of these details the first that is there; without any `missing`, or no series. */
function bytesOf({ details }: StoreStatus, names: readonly string[], missing?: number) {
  const text = names.map((name) => details[name]).find((found) => found !== undefined);
  if (text !== undefined) return Number(text);
  return missing ?? [];
}

/** Calls that come while one is under way get its answer. */
export function shareWhileAsked<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= ask().finally(() => {
      asked = undefined;
    });
    return asked;
  };
}
