import type { PortalBroker, StorageHealth } from "@gmq/protocol/messages";

/** A storage service as all brokers see it together. */
export interface StorageRow extends Pick<StorageHealth, "url" | "storageId" | "version" | "engine"> {
  /** Brokers that are linked to it, or should be. */
  readonly brokers: number;
  readonly readyFor: number;
  /** What those say that it is not ready for, each once. */
  readonly reasons: readonly string[];
}

/** One row for each id; a service that no broker was ever linked to has none and goes by its URL. */
export function storageRows(brokers: readonly Pick<PortalBroker, "storages">[]): StorageRow[] {
  const seen = brokers.flatMap(({ storages }) => storages);
  // A broker that was never linked to it knows the URL only: it means the one that others know by its id.
  const idAt = new Map(seen.filter(({ storageId }) => storageId !== "").map(({ url, storageId }) => [url, storageId]));
  const byKey = Map.groupBy(seen, ({ url, storageId }) => storageId || (idAt.get(url) ?? url));
  return [...byKey.values()]
    .map((views) => {
      const { url, storageId, version, engine } = views.find((view) => view.storageId !== "") ?? views[0]!;
      const reasons = [...new Set(views.map(({ reason }) => reason).filter((reason) => reason !== ""))];
      const readyFor = views.filter(({ ready }) => ready).length;
      return { url, storageId, version, engine, brokers: views.length, readyFor, reasons };
    })
    .sort((left, right) => left.url.localeCompare(right.url));
}
