import { type RecordInGroup, RecordState } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { DecoderName } from "../decode/decoders.js";
import { readableOf } from "../decode/decoders.js";
import { useProtobuf } from "../decode/use-protobuf.js";
import { ValueView } from "../decode/value-view.js";
import { useLive } from "../live/live-store.js";
import { buttonLook } from "../parts/button.js";
import { CopyAs, CopyButton, curlOf, quote } from "../parts/copy-as.js";
import { GroupLink } from "../parts/entity-links.js";
import { counted, formatCount, formatDuration, formatTime } from "../parts/format.js";
import { Loading, ProblemNotice } from "../parts/notice.js";
import { Badge } from "../parts/panel.js";
import { portal } from "../rpc.js";
import { SettledIn } from "./settled-in.js";

interface RecordDetailsProps {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly decoder: DecoderName;
  readonly onDecoder: (decoder: DecoderName) => void;
  readonly keyDecoder: DecoderName;
  readonly onKeyDecoder: (decoder: DecoderName) => void;
}

const refreshMs = 3_000;
/** A large record is not sent again and again for what the groups did with it. */
const refreshedBytesMax = 65_536;

/** One record whole: key, value, headers, and where each group stands to it now. */
export function RecordDetails(props: RecordDetailsProps): ReactNode {
  const { topic, partition, offset, decoder, onDecoder, keyDecoder, onKeyDecoder } = props;
  const protobuf = useProtobuf(topic, decoder === "protobuf" || keyDecoder === "protobuf");
  const { facts } = useLive();
  const request = { topic, partition, offset };
  const inspected = useQuery({
    queryKey: ["record", topic, partition, String(offset)],
    queryFn: ({ signal }) => portal.inspectRecord(request, { signal }),
    // Until every group is done with it: who has it changes, and a broker that did not say who may do so the next time.
    refetchInterval: ({ state: { data } }) => {
      const isSmall = (data?.record?.valueBytes ?? 0) <= refreshedBytesMax;
      return isSmall && data?.groups.some(({ state }) => state !== RecordState.SETTLED) === true && refreshMs;
    },
  });
  const record = inspected.data?.record;
  if (record === undefined) {
    return inspected.error === null ? <Loading what="the record" /> : <ProblemNotice error={inspected.error} />;
  }
  const link = `${location.origin}/topics/${encodeURIComponent(topic)}/records/${partition}/${offset}`;
  return (
    <div className="flex min-w-0 flex-col gap-4">
      {inspected.error !== null && <ProblemNotice error={inspected.error} />}
      <dl className="m-0 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-[13px]">
        <dt className="text-muted">Place</dt>
        <dd className="m-0 font-mono text-xs leading-5">
          {topic} / {partition} @ {String(offset)}
        </dd>
        <dt className="text-muted">Appended</dt>
        <dd className="m-0 tabular-nums">{formatTime(record.appendTimeMs)}</dd>
        <dt className="text-muted">Timestamp</dt>
        <dd className="m-0 tabular-nums">{formatTime(record.timestampMs)}</dd>
        {record.expiresAtMs > 0n && (
          <>
            <dt className="text-muted">Expires</dt>
            <dd className="m-0 tabular-nums">{formatTime(record.expiresAtMs)}</dd>
          </>
        )}
        <dt className="text-muted">Key</dt>
        <dd className="m-0 font-mono text-xs leading-5 wrap-anywhere">
          {record.key === undefined ? <span className="font-sans text-muted">none</span> : readableOf(record.key)}
        </dd>
      </dl>
      {record.masked && <p className="text-[13px] text-warn">Some of it is masked for you: *** stands in its place.</p>}
      <div className="flex flex-wrap gap-2">
        <Link
          to="/topics/$topic/records/$partition/$offset"
          params={{ topic, partition: String(partition), offset: String(offset) }}
          className={buttonLook("plain")}
        >
          Permalink
        </Link>
        <CopyButton text={link} what="link" />
        {facts?.readOnly !== true && !record.masked && (
          <Link
            to="/topics/$topic/produce"
            params={{ topic }}
            search={{ of: `${partition}-${offset}` }}
            className={buttonLook("plain")}
          >
            Produce again…
          </Link>
        )}
        <CopyAs
          gmq={`gmq browse ${quote(topic)} --partition ${partition} --from ${offset} --limit 1 --format records`}
          curl={curlOf("PortalService/InspectRecord", { topic, partition, offset: String(offset) })}
        />
      </div>
      {record.key !== undefined && keyDecoder !== "auto" && (
        <ValueView
          name="Key"
          bytes={record.key}
          bytesWhole={record.keyBytes}
          decoder={keyDecoder}
          onDecoder={onKeyDecoder}
          protobuf={protobuf.key}
        />
      )}
      <ValueView
        name="Value"
        bytes={record.value}
        bytesWhole={record.valueBytes}
        decoder={decoder}
        onDecoder={onDecoder}
        protobuf={protobuf.value}
      />
      <Headers headers={record.headers} />
      <Groups topic={topic} partition={partition} offset={offset} groups={inspected.data?.groups ?? []} />
    </div>
  );
}

function Headers({
  headers,
}: {
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array }[];
}): ReactNode {
  if (headers.length === 0) return <p className="text-[13px] text-muted">No headers.</p>;
  return (
    <section>
      <h3 className="mb-1.5 text-xs font-medium text-muted">Headers</h3>
      <dl className="m-0 grid grid-cols-[minmax(6rem,auto)_1fr] gap-x-4 gap-y-1 font-mono text-xs">
        {headers.map(({ key, value }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: names of headers may repeat, and their order does not change.
          <div key={index} className="contents">
            <dt className="text-muted wrap-anywhere">{key}</dt>
            <dd className="m-0 wrap-anywhere">{readableOf(value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Groups({
  groups,
  ...place
}: {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly groups: readonly RecordInGroup[];
}): ReactNode {
  return (
    <section>
      <h3 className="mb-1.5 text-xs font-medium text-muted">In the groups of this topic</h3>
      {groups.length === 0 && <p className="text-[13px] text-muted">No group reads this partition.</p>}
      <ul className="m-0 flex list-none flex-col gap-1.5 p-0 text-[13px]">
        {groups.map((one) => (
          <li key={one.group} className="flex flex-wrap items-center gap-2">
            {one.state === RecordState.SETTLED ? (
              <SettledIn {...place} group={one.group} />
            ) : (
              <>
                <StateBadge state={one.state} />
                <GroupLink group={one.group} />
                <span className="text-xs text-muted">{explain(one)}</span>
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function StateBadge({ state }: { readonly state: RecordState }): ReactNode {
  if (state === RecordState.NOT_REACHED) return <Badge>not reached</Badge>;
  return <Badge tone="warn">{state === RecordState.PENDING ? "pending" : "handed out"}</Badge>;
}

function explain(one: RecordInGroup): string {
  const { state, position, unsettledRecords, owner, attempts, dueInMs } = one;
  if (state === RecordState.NOT_REACHED) return `the group is at ${formatCount(position)}`;
  const by = owner === "" ? "nobody owns the partition" : `at ${owner}`;
  if (state === RecordState.HANDED_OUT) {
    return `perhaps not settled: ${formatCount(unsettledRecords)} of this partition are pending, ${by}`;
  }
  const failed = attempts === 0 ? "" : `, ${counted(attempts, "failed attempt")}`;
  const due = dueInMs === 0 ? "" : `, again in ${formatDuration(dueInMs)}`;
  return `${holderText(one)}${failed}${due}`;
}

function holderText({ holder, holderClientId, silentBrokerId }: RecordInGroup): string {
  if (holder !== "") return `at ${holderClientId === "" ? holder : `${holderClientId} (${holder})`}`;
  return silentBrokerId === ""
    ? "waits for a consumer"
    : `at a consumer of ${silentBrokerId}, which does not tell which`;
}
