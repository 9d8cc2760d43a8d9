import { create } from "@bufbuild/protobuf";
import { type LineProblem, ProduceLinesSchema } from "@gmq/protocol/messages";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { JobProgress } from "../jobs/job-progress.js";
import { RateField, useRate } from "../jobs/rate-field.js";
import { useStartedJob } from "../jobs/use-job.js";
import { Button } from "../parts/button.js";
import { CopyAs, quote } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { Field, inputLook } from "../parts/field.js";
import { counted, formatBytes, formatCount } from "../parts/format.js";
import { ProblemNotice } from "../parts/notice.js";
import { Panel } from "../parts/panel.js";
import { portal } from "../rpc.js";

const fileBytesMax = 7 * 1024 * 1024;

/** Produces the records of a file. The whole file is checked first, and each bad line is named; nothing is sent while there is one. */
export function ProduceFile({ topic }: { readonly topic: string }): ReactNode {
  const [name, setName] = useState("");
  const [rate, setRate] = useRate();
  const started = useStartedJob();
  const check = useMutation({
    mutationFn: async (file: File) => {
      if (file.size > fileBytesMax)
        throw new Error(`the file has ${formatBytes(file.size)}, at most ${formatBytes(fileBytesMax)} go at once`);
      const lines = new Uint8Array(await file.arrayBuffer());
      return { lines, answer: await portal.checkLines({ topic, lines }) };
    },
  });
  const checked = check.data;
  const file = name === "" ? "records.ndjson" : name;
  const isGood = checked !== undefined && checked.answer.problemCount === 0 && checked.answer.records > 0;
  return (
    <Panel title="Produce the records of a file" padded>
      <form
        className="flex max-w-3xl flex-col gap-4 text-[13px]"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isGood || rate.problem !== undefined) return;
          const value = create(ProduceLinesSchema, { topic, lines: checked.lines, ratePerSecond: rate.perSecond });
          started.start({ work: { case: "produceLines", value } });
        }}
      >
        <p className="text-muted">
          One JSON object a line, for example{" "}
          <code className="font-mono text-xs text-ink wrap-anywhere">
            {`{"key":"user-1","value":"{\\"id\\":1}","headers":{"source":"file"}}`}
          </code>
          . Bytes go as base64 with <code className="font-mono text-xs">valueEncoding</code>. What Export writes as
          NDJSON can be read back.
        </p>
        <div className="flex flex-wrap gap-4">
          <Field label="File" hint="At most 7 MB and 20,000 lines">
            {(ids) => (
              <input
                {...ids}
                type="file"
                accept=".ndjson,.jsonl,.json,.txt"
                className={inputLook("w-72")}
                onChange={(event) => {
                  const [file] = event.target.files ?? [];
                  started.reset();
                  check.reset();
                  setName(file?.name ?? "");
                  if (file !== undefined) check.mutate(file);
                }}
              />
            )}
          </Field>
          <RateField rate={rate} onChange={setRate} />
        </div>
        {check.isPending && <p role="status">Checking {name}…</p>}
        {check.error !== null && <ProblemNotice error={check.error} />}
        {checked !== undefined && <Checked answer={checked.answer} />}
        {started.error !== null && <ProblemNotice error={started.error} />}
        {started.job !== undefined && <JobProgress job={started.job} notDone={started.notDone} />}
        <div className="flex gap-2">
          <Button
            look="primary"
            type="submit"
            disabled={!isGood || rate.problem !== undefined || started.isActive || started.job !== undefined}
          >
            {isGood ? `Produce ${counted(checked.answer.records, "record")}` : "Produce the file"}
          </Button>
          {started.isActive && <Button onClick={started.cancel}>Stop</Button>}
          <CopyAs
            gmq={`gmq publish ${quote(topic)} --format records --file ${quote(file)}${rate.perSecond === 0 ? "" : ` --rate ${rate.perSecond}`}`}
            curl={curlOfFile(topic, file, rate.perSecond)}
          />
        </div>
      </form>
    </Panel>
  );
}

/** The same job from a shell, where the file may be larger than a command line. Bytes go as base64, as protobuf's JSON has them; a topic's name needs no escapes. */
function curlOfFile(topic: string, file: string, ratePerSecond: number): string {
  const rate = ratePerSecond === 0 ? "" : `,"ratePerSecond":${ratePerSecond}`;
  return `{ printf '{"produceLines":{"topic":"${topic}","lines":"'
  base64 < ${quote(file)} | tr -d '\\n'
  printf '"${rate}}}'
} | curl -H 'content-type: application/json' --data-binary @- ${quote(`${location.origin}/gmq.v1.PortalService/StartJob`)}`;
}

function Checked({ answer }: { readonly answer: Awaited<ReturnType<typeof portal.checkLines>> }): ReactNode {
  const { records, bytes, problems, problemCount } = answer;
  if (problemCount === 0) {
    return (
      <p role="status">
        {records === 0
          ? "There is no record in it."
          : `${counted(records, "record")} (${formatBytes(bytes)}), every line is good.`}
      </p>
    );
  }
  return (
    <div role="alert" className="overflow-hidden rounded-lg border border-bad/40">
      <p className="bg-bad-soft px-4 py-2 font-medium text-bad">
        {counted(problemCount, "line is", "lines are")} wrong, so nothing is sent. {formatCount(records)} are good.
        {problemCount > problems.length && ` The first ${formatCount(problems.length)} are listed.`}
      </p>
      <DataTable
        caption="Bad lines"
        columns={problemColumns}
        rows={problems}
        rowKey={({ line }) => String(line)}
        tall={problems.length > 12}
        empty={null}
      />
    </div>
  );
}

const problemColumns: readonly Column<LineProblem>[] = [
  { id: "line", header: "Line", numeric: true, cell: ({ line }) => formatCount(line) },
  { id: "problem", header: "What is wrong", grow: true, cell: ({ problem }) => <span title={problem}>{problem}</span> },
];
