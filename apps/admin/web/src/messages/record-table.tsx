import type { PortalRecord } from "@gmq/protocol/messages";
import type { ReactNode } from "react";
import { type DecoderName, preview } from "../decode/decoders.js";
import type { TopicProtobuf } from "../decode/use-protobuf.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { formatBytes, formatTime } from "../parts/format.js";

interface RecordTableProps {
  readonly records: readonly PortalRecord[];
  readonly decoder: DecoderName;
  readonly keyDecoder: DecoderName;
  readonly protobuf: TopicProtobuf;
  readonly chosen: string | undefined;
  readonly onChoose: (place: string) => void;
  readonly empty: ReactNode;
}

/** A record's place in an address. */
export function placeOf({ partition, offset }: { readonly partition: number; readonly offset: bigint }): string {
  return `${partition}-${offset}`;
}

function keyLine(key: Uint8Array, decoder: DecoderName, protobuf: TopicProtobuf): string {
  return preview(key, decoder, false, protobuf.key);
}

/** Records, one line each. */
export function RecordTable({
  records,
  decoder,
  keyDecoder,
  protobuf,
  chosen,
  onChoose,
  empty,
}: RecordTableProps): ReactNode {
  const columns: readonly Column<PortalRecord>[] = [
    {
      id: "time",
      header: "Appended",
      from: "sm",
      cell: ({ appendTimeMs }) => <span className="whitespace-nowrap text-muted">{formatTime(appendTimeMs)}</span>,
    },
    {
      id: "place",
      header: "Partition, offset",
      cell: (record) => (
        <button
          type="button"
          aria-label={`Record ${record.partition} · ${record.offset}`}
          onClick={() => onChoose(placeOf(record))}
          className="min-h-6 rounded px-1 font-mono text-xs whitespace-nowrap text-accent hover:underline"
        >
          {record.partition} · {String(record.offset)}
        </button>
      ),
    },
    {
      id: "key",
      header: "Key",
      cell: ({ key }) => (
        <span className="block max-w-44 truncate font-mono text-xs">
          {key === undefined ? <span className="text-muted">–</span> : keyLine(key, keyDecoder, protobuf)}
        </span>
      ),
    },
    {
      id: "value",
      header: "Value",
      grow: true,
      cell: ({ value, valueBytes }) => (
        <span className="font-mono text-xs">
          {valueBytes === 0 ? (
            <span className="font-sans text-muted">empty</span>
          ) : (
            preview(value, decoder, value.length < valueBytes, protobuf.value)
          )}
        </span>
      ),
    },
    {
      id: "size",
      header: "Size",
      numeric: true,
      from: "md",
      cell: ({ keyBytes, valueBytes }) => <span className="text-muted">{formatBytes(keyBytes + valueBytes)}</span>,
    },
  ];
  return (
    <DataTable
      caption="Records"
      columns={columns}
      rows={records}
      rowKey={placeOf}
      isCurrent={(record) => placeOf(record) === chosen}
      tall
      empty={empty}
    />
  );
}
