import type { PendingRecord } from "@gmq/protocol/messages";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Column } from "../parts/data-table.js";
import { formatCount, formatDuration } from "../parts/format.js";
import { MemberName } from "../parts/member-name.js";
import { Badge } from "../parts/panel.js";
import { holderOf } from "./holders.js";

/** Columns of pending records. */
export function pendingColumns(
  topic: string,
  partition: string,
  silent: readonly string[],
  peek: (offset: bigint) => void,
): readonly Column<PendingRecord>[] {
  return [
    {
      id: "offset",
      header: "Offset",
      sortBy: ({ offset }) => offset,
      cell: ({ offset }) => (
        <Link
          to="/topics/$topic/records/$partition/$offset"
          params={{ topic, partition, offset: String(offset) }}
          className="font-mono text-xs text-accent"
        >
          {String(offset)}
        </Link>
      ),
    },
    {
      id: "state",
      header: "State",
      from: "md",
      cell: (record) => (
        <Badge tone={record.dueInMs > 0 ? "warn" : "plain"}>
          {record.dueInMs > 0
            ? "waits for its retry"
            : holderOf(record, silent).isWaiting
              ? "waits for a consumer"
              : "at the consumer"}
        </Badge>
      ),
    },
    {
      id: "consumer",
      header: "Consumer",
      grow: true,
      from: "sm",
      sortBy: ({ clientId, memberId }) => `${clientId} ${memberId}`,
      cell: (record) => <ConsumerCell record={record} silent={silent} />,
    },
    {
      id: "idle",
      header: "Idle",
      numeric: true,
      sortBy: ({ idleMs }) => idleMs,
      cell: ({ idleMs }) => formatDuration(idleMs),
    },
    {
      id: "attempts",
      header: "Attempts",
      numeric: true,
      sortBy: ({ attempts }) => attempts,
      cell: ({ attempts }) => formatCount(attempts),
    },
    {
      id: "due",
      header: "Again in",
      numeric: true,
      sortBy: ({ dueInMs }) => dueInMs,
      cell: ({ dueInMs }) => (dueInMs === 0 ? "–" : formatDuration(dueInMs)),
    },
    {
      id: "peek",
      header: "Look",
      cell: ({ offset }) => (
        <button type="button" className="min-h-6 text-accent hover:underline" onClick={() => peek(offset)}>
          peek
          <span className="sr-only"> at offset {String(offset)}</span>
        </button>
      ),
    },
  ];
}

function ConsumerCell({
  record,
  silent,
}: {
  readonly record: PendingRecord;
  readonly silent: readonly string[];
}): ReactNode {
  const { name, client, isWaiting } = holderOf(record, silent);
  if (name === "") return <span className="text-muted">{isWaiting ? "nobody" : `at broker ${record.brokerId}`}</span>;
  return <MemberName id={name} client={client} />;
}
