import type { PortalBroker } from "@gmq/protocol/messages";
import { crashLosses } from "@gmq/protocol/portable";
import type { ReactNode } from "react";
import { formatBytes } from "../parts/format.js";
import { Badge, Panel } from "../parts/panel.js";

/** What matters first: role, memory, what is lost, what was evicted. The name that the store itself uses is the hint. */
const labels: Readonly<Record<string, string>> = {
  role: "role",
  replicas: "replicas",
  used_memory_bytes: "memory used",
  maxmemory_bytes: "memory at most",
  maxmemory_policy: "when memory is full",
  evicted_keys: "keys evicted",
  aof_enabled: "append-only file",
  appendfsync: "append-only file synced",
  aof_last_write: "last append-only write",
  last_save: "last snapshot",
  latency_ms: "round trip, ms",
  clock_ahead_ms: "clock ahead, ms",
  connected_clients: "clients",
  uptime_s: "up, s",
  cluster_enabled: "cluster",
  storage_url: "storage that tells",
  path: "folder",
  size_bytes: "on disk",
  live_bytes: "of it in use",
  disk_free_bytes: "disk free",
  disk_total_bytes: "disk size",
};
const order = Object.keys(labels);

function rankOf(name: string): number {
  const rank = order.indexOf(name);
  return rank < 0 ? order.length : rank;
}

function textOf(name: string, value: string): string {
  if (name.endsWith("_enabled")) return value === "1" ? "on" : "off";
  if (!name.endsWith("_bytes") || !/^\d+$/.test(value)) return value;
  return name.startsWith("max") && value === "0" ? "no bound" : formatBytes(BigInt(value));
}

/** The store beneath the brokers, as the first that answers tells. */
export function StorePanel({ brokers }: { readonly brokers: readonly PortalBroker[] }): ReactNode {
  const broker = brokers.find(({ problem }) => problem === "");
  if (broker === undefined) return null;
  const losses = crashLosses(broker.durability);
  const { storeEngine, storeReady, storeReason, storeDetails } = broker;
  const details = Object.entries(storeDetails)
    .filter(([name]) => name !== "store")
    .sort(([left], [right]) => rankOf(left) - rankOf(right) || left.localeCompare(right));
  return (
    <Panel
      title="Store"
      note={storeDetails["store"] ?? storeEngine}
      actions={<Badge tone={storeReady ? "good" : "bad"}>{storeReady ? "ready" : "not ready"}</Badge>}
      padded
    >
      {!storeReady && <p className="mb-3 text-[13px] font-medium text-bad wrap-anywhere">{storeReason}</p>}
      <p className="mb-3 text-[13px]">
        {losses === undefined
          ? "What a crash of the store loses is not known."
          : `A crash of the store loses ${losses}.`}
      </p>
      <dl className="m-0 grid gap-x-8 gap-y-1.5 text-[13px] sm:grid-cols-2 lg:grid-cols-3">
        {details.map(([name, value]) => (
          <div key={name} className="flex min-w-0 justify-between gap-4 border-b border-line pb-1">
            <dt className="text-muted" title={name}>
              {labels[name] ?? name}
            </dt>
            <dd className="m-0 truncate font-mono text-xs leading-5" title={value}>
              {textOf(name, value)}
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
