import type { PortalBroker } from "@gmq/protocol/messages";
import type { ReactNode } from "react";
import { type Column, DataTable } from "../parts/data-table.js";
import { counted } from "../parts/format.js";
import { Empty } from "../parts/notice.js";
import { Badge, Panel } from "../parts/panel.js";
import { type StorageRow, storageRows } from "./storage-rows.js";

/** The storage services, each once, however many brokers link to it. */
export function StoragesPanel({ brokers }: { readonly brokers: readonly PortalBroker[] }): ReactNode {
  const answering = brokers.filter(({ problem }) => problem === "");
  if (answering.length === 0) return null;
  const rows = storageRows(answering);
  return (
    <Panel title="Storages" note={rows.length === 0 ? undefined : counted(rows.length, "process", "processes")}>
      <DataTable
        caption="Storages"
        columns={columns}
        rows={rows}
        rowKey={({ url, storageId }) => `${storageId} ${url}`}
        empty={<Empty title="No storage processes">The brokers have the store in their own process.</Empty>}
      />
    </Panel>
  );
}

const columns: readonly Column<StorageRow>[] = [
  {
    id: "id",
    header: "Id",
    cell: ({ storageId }) => (
      <span className="whitespace-nowrap">{storageId === "" ? "not known yet" : storageId}</span>
    ),
  },
  {
    id: "state",
    header: "State",
    cell: ({ brokers, readyFor }) =>
      readyFor === brokers ? (
        <Badge tone="good">ready</Badge>
      ) : readyFor === 0 ? (
        <Badge tone="bad">not ready</Badge>
      ) : (
        <Badge tone="warn">{`ready for ${readyFor} of ${brokers} brokers`}</Badge>
      ),
  },
  {
    id: "reason",
    header: "Why",
    grow: true,
    cell: ({ reasons }) => <span className="wrap-anywhere">{reasons.length === 0 ? "–" : reasons.join("; ")}</span>,
  },
  {
    id: "url",
    header: "Address",
    from: "sm",
    cell: ({ url }) => <span className="font-mono text-xs">{url}</span>,
  },
  { id: "engine", header: "Engine", from: "sm", cell: ({ engine }) => engine || "–" },
  { id: "version", header: "Version", from: "sm", cell: ({ version }) => version || "–" },
];
