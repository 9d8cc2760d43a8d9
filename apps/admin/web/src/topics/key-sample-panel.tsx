import type { PortalServiceSampleKeysResponse, SampledKey } from "@gmq/protocol/messages";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { looseTextOf, readableOf, textOf } from "../decode/decoders.js";
import { Button } from "../parts/button.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { counted, formatCount } from "../parts/format.js";
import { Empty, ProblemNotice } from "../parts/notice.js";
import { Panel } from "../parts/panel.js";
import { portal } from "../rpc.js";

/** Which keys weigh most. It is a sample, taken when it is asked for, and says of how many records. */
export function KeySamplePanel({ topic }: { readonly topic: string }): ReactNode {
  const sampling = useMutation({ mutationFn: () => portal.sampleKeys({ topic }) });
  const { data } = sampling;
  return (
    <Panel
      title="Heaviest keys"
      note={data === undefined ? "from a sample" : noteOf(data)}
      actions={
        <Button disabled={sampling.isPending} onClick={() => sampling.mutate()}>
          {sampling.isPending ? "Sampling…" : data === undefined ? "Take a sample" : "Sample again"}
        </Button>
      }
    >
      {sampling.error !== null && (
        <div className="px-4 py-3">
          <ProblemNotice error={sampling.error} />
        </div>
      )}
      {data === undefined ? (
        <p className="px-4 py-3 text-[13px] text-muted">
          Reads up to 1,000 of the newest records of each partition and counts their keys. Nothing is taken from any
          group.
        </p>
      ) : (
        <DataTable
          caption={`Heaviest keys of ${topic}`}
          columns={columns(topic, data)}
          rows={data.heaviest}
          rowKey={({ key, partition }) => `${partition} ${looseTextOf(key)}`}
          empty={<Empty title="No record in the sample has a key" />}
        />
      )}
    </Panel>
  );
}

function noteOf({ sampled, records, distinctKeys, withoutKey }: PortalServiceSampleKeysResponse): string {
  const part =
    sampled >= records
      ? `all ${counted(sampled, "record")}`
      : `the newest ${formatCount(sampled)} of ${counted(records, "record")}`;
  const keyless = withoutKey > 0n ? `, ${formatCount(withoutKey)} without a key` : "";
  return `${part} · ${counted(distinctKeys, "key")}${keyless}`;
}

function columns(topic: string, { sampled }: PortalServiceSampleKeysResponse): readonly Column<SampledKey>[] {
  return [
    {
      id: "key",
      header: "Key",
      grow: true,
      cell: ({ key }) => {
        const text = textOf(key);
        if (text === undefined) return <span className="font-mono text-xs">{readableOf(key)}</span>;
        return (
          <Link
            to="/topics/$topic/messages"
            params={{ topic }}
            search={{ key: text }}
            className="font-mono text-xs text-accent"
          >
            {text}
          </Link>
        );
      },
    },
    { id: "partition", header: "Partition", numeric: true, cell: ({ partition }) => partition },
    { id: "records", header: "In the sample", numeric: true, cell: ({ records }) => formatCount(records) },
    {
      id: "share",
      header: "Share",
      numeric: true,
      cell: ({ records }) => `${sampled === 0n ? 0 : Number((records * 1_000n) / sampled) / 10}%`,
    },
  ];
}
