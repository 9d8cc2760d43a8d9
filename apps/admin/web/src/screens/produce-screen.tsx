import { create, toJson } from "@bufbuild/protobuf";
import { type PortalRecord, PortalServiceProduceRequestSchema } from "@gmq/protocol/messages";
import { partitionForKey } from "@gmq/protocol/partition-hash";
import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { hexOf, textOf } from "../decode/decoders.js";
import { useLive } from "../live/live-store.js";
import { bytesOf, type Encoding, encodingOptions } from "../messages/encodings.js";
import { type HeaderRow, HeaderRows, headerRowsOf, headersOf } from "../messages/header-rows.js";
import { KeyField, useKey } from "../messages/key-field.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { Field, inputLook, Select } from "../parts/field.js";
import { Loading, ProblemNotice } from "../parts/notice.js";
import { Badge, Panel } from "../parts/panel.js";
import { ProduceFile } from "../produce/produce-file.js";
import { publishCommand } from "../produce/publish-command.js";
import { portal } from "../rpc.js";

const route = getRouteApi("/topics/$topic/produce");

/** Screen 5: one record by hand, from nothing or like one that is there. */
export function ProduceScreen(): ReactNode {
  const { topic } = route.useParams();
  const { of: source } = route.useSearch();
  const original = useOriginal(topic, source);
  if (original.error !== null) return <ProblemNotice error={original.error} />;
  // The form begins with the whole record, so that a quick hand does not send half of it.
  if (original.isLoading) return <Loading what="the record" />;
  const record = original.data?.record;
  return (
    <div className="flex flex-col gap-5">
      <ProduceForm key={`${topic} ${source ?? ""}`} topic={topic} source={source} like={record} />
      {source === undefined && <ProduceFile key={topic} topic={topic} />}
    </div>
  );
}

interface ProduceFormProps {
  readonly topic: string;
  readonly source: string | undefined;
  /** The record that the form begins with. */
  readonly like: PortalRecord | undefined;
}

function ProduceForm({ topic, source, like }: ProduceFormProps): ReactNode {
  const live = useLive();
  const partitions = live.topics.get(topic)?.partitions ?? 0;
  const likeText = textOf(like?.value ?? new Uint8Array());
  const key = useKey(like);
  const [value, setValue] = useState(() => likeText ?? hexOf(like?.value ?? new Uint8Array()));
  const [encoding, setEncoding] = useState<Encoding>(likeText === undefined ? "hex" : "text");
  const [partition, setPartition] = useState("");
  const [headers, setHeaders] = useState<readonly HeaderRow[]>(() => headerRowsOf(like?.headers ?? []));

  const body = bytesOf(value, encoding);
  const keyBytes = key.bytes;
  const request = {
    topic,
    value: body.ok ? body.bytes : new Uint8Array(),
    headerList: headersOf(headers),
    ...(keyBytes === undefined ? {} : { key: keyBytes }),
    ...(partition === "" ? {} : { partition: Number(partition) }),
  };
  const mutation = useMutation({ mutationFn: () => portal.produce(request) });
  const goesTo =
    partition !== ""
      ? `partition ${partition}, as chosen`
      : keyBytes === undefined
        ? "one partition after the other"
        : partitions === 0
          ? "the partition of its key"
          : `partition ${partitionForKey(keyBytes, partitions)}, by its key`;

  return (
    <Panel
      title="Produce a record"
      note={source === undefined ? undefined : `like ${source.replace("-", " @ ")}`}
      actions={
        <CopyAs
          gmq={publishCommand(topic, { key: keyBytes, value: request.value, headers: request.headerList, partition })}
          curl={curlOf(
            "PortalService/Produce",
            toJson(PortalServiceProduceRequestSchema, create(PortalServiceProduceRequestSchema, request)),
          )}
        />
      }
      padded
    >
      <form
        className="flex max-w-3xl flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          mutation.mutate();
        }}
      >
        <div className="grid gap-4 sm:grid-cols-[1fr_12rem]">
          <KeyField value={key} hint="Records of one key stay in order; blank: no key" />
          <Field label="Partition" hint="Empty: chosen by the key">
            {(ids) => (
              <input
                {...ids}
                type="number"
                min={0}
                max={Math.max(0, partitions - 1)}
                className={inputLook()}
                value={partition}
                onChange={(event) => setPartition(event.target.value)}
              />
            )}
          </Field>
        </div>
        <Field
          label="Value"
          problem={body.ok ? undefined : body.problem}
          hint={body.ok && encoding === "text" ? jsonHint(value) : undefined}
        >
          {(ids) => (
            <textarea
              {...ids}
              rows={10}
              spellCheck={false}
              className={`${inputLook()} font-mono text-xs leading-5`}
              value={value}
              onChange={(event) => setValue(event.target.value)}
            />
          )}
        </Field>
        <Field label="The value is">
          {(ids) => <Select<Encoding> {...ids} options={encodingOptions} value={encoding} onChange={setEncoding} />}
        </Field>
        <HeaderRows headers={headers} onChange={setHeaders} />
        <p className="text-[13px]">
          Goes to <span className="font-medium">{goesTo}</span>.
        </p>
        {mutation.error !== null && <ProblemNotice error={mutation.error} />}
        {mutation.data !== undefined && (
          <p role="status" className="flex flex-wrap items-center gap-2 text-[13px]">
            <Badge tone="good">stored</Badge>
            <Link
              to="/topics/$topic/records/$partition/$offset"
              params={{ topic, partition: String(mutation.data.partition), offset: String(mutation.data.offset) }}
              className="text-accent underline"
            >
              partition {mutation.data.partition}, offset {String(mutation.data.offset)}
            </Link>
          </p>
        )}
        <div>
          <Button look="primary" type="submit" disabled={!body.ok || mutation.isPending}>
            {mutation.isPending ? "Producing…" : "Produce"}
          </Button>
        </div>
      </form>
    </Panel>
  );
}

/** The record that an address names. */
function useOriginal(topic: string, source: string | undefined) {
  const place = /^(\d{1,4})-(\d{1,19})$/.exec(source ?? "");
  return useQuery({
    queryKey: ["record", topic, place?.[1] ?? "", place?.[2] ?? ""],
    queryFn: ({ signal }) =>
      portal.inspectRecord({ topic, partition: Number(place?.[1]), offset: BigInt(place?.[2] ?? 0) }, { signal }),
    enabled: place !== null,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

function jsonHint(value: string): string {
  const start = value.trimStart()[0];
  if (start !== "{" && start !== "[") return "Text, sent as it is";
  try {
    JSON.parse(value);
    return "JSON, sent as it is";
  } catch (error) {
    return `Not JSON yet: ${error instanceof Error ? error.message : String(error)}`;
  }
}
