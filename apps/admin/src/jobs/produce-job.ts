/** Produces the records of a file. All of it is checked before the first record is sent. */
import { GmqError } from "@gmq/protocol";
import type { PortalServiceCheckLinesResponse, ProduceLines } from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { type JobRun, type JobWork, said } from "./job-run.js";
import { checkRate, createPace, together } from "./pace.js";
import { publishCopies } from "./publish-copies.js";
import { type LineRecord, linesBytesMax, linesMax, readLines } from "./record-lines.js";

const togetherMax = 200;
const problemsShown = 100;

/** What the check found, the first 100 problems by line. @throws GmqError `invalid_argument` when there is too much, `topic_not_found` */
export async function checkLines(
  brokers: Brokers,
  { topic, lines }: Pick<ProduceLines, "topic" | "lines">,
): Promise<Pick<PortalServiceCheckLinesResponse, "records" | "bytes" | "problems" | "problemCount">> {
  const { records, faults } = read(lines);
  const { partitions } = await brokers.read(({ admin }) => admin.describeTopic({ topic }));
  const astray = records.filter(({ partition }) => partition !== undefined && partition >= partitions.length);
  const problems = [
    ...faults,
    ...astray.map(({ line, partition }) => ({
      line,
      problem: `partition: ${partition}, the topic has ${partitions.length}`,
    })),
  ].sort((left, right) => left.line - right.line);
  return {
    records: records.length - astray.length,
    bytes: records.reduce((sum, { key, value }) => sum + BigInt(value.length + (key?.length ?? 0)), 0n),
    problems: problems.slice(0, problemsShown).map((problem) => ({ $typeName: "gmq.v1.LineProblem", ...problem })),
    problemCount: problems.length,
  };
}

/** @throws GmqError `invalid_argument` naming the first bad line */
export function produceJob({ topic, lines, ratePerSecond }: ProduceLines): JobWork {
  checkRate(ratePerSecond);
  const { records, faults } = read(lines);
  const [fault] = faults;
  if (fault !== undefined) {
    const others = faults.length === 1 ? "" : `; ${faults.length - 1} more lines are wrong`;
    throw new GmqError("invalid_argument", `line ${fault.line}: ${fault.problem}${others}`, { field: "lines" });
  }
  if (records.length === 0)
    throw new GmqError("invalid_argument", "there is no record in the file", { field: "lines" });
  return {
    action: "ProduceLines",
    title: `Produce ${records.length} records of a file to ${topic}`,
    topic,
    group: "",
    writes: true,
    dryRun: false,
    compared: false,
    notResumable: "",
    fileName: "",
    run: (run) => produce(run, topic, records, ratePerSecond, lines),
  };
}

async function produce(
  run: JobRun,
  topic: string,
  records: readonly LineRecord[],
  ratePerSecond: number,
  lines: Uint8Array,
): Promise<void> {
  const { problems } = await checkLines(run.brokers, { topic, lines });
  const [problem] = problems;
  if (problem !== undefined) {
    throw new GmqError("invalid_argument", `line ${problem.line}: ${problem.problem}`, { field: "lines" });
  }
  run.job.total = BigInt(records.length);
  const pace = createPace(ratePerSecond, run.signal);
  const size = together(ratePerSecond, togetherMax);
  for (let first = Number(run.checkpoint || "0"); first < records.length; first += size) {
    const part = records.slice(first, first + size);
    await pace(part.length);
    const copies = part.map(({ line, key, value, headers, partition }) => ({
      topic,
      key,
      value,
      headers,
      partition,
      dedupeId: `lines/${run.jobId}/${line}`,
    }));
    await publishCopies(run.brokers, copies, run.signal, (index, result) => {
      const item = `line ${part[index]?.line}`;
      if (result instanceof GmqError) run.note("failed", item, said(result));
      else run.note("done", item, `${topic} / ${result.partition} @ ${result.offset}`);
    });
    await run.save(String(first + part.length));
  }
}

function read(lines: Uint8Array): ReturnType<typeof readLines> {
  if (lines.length > linesBytesMax) {
    throw new GmqError("invalid_argument", `the file has ${lines.length} bytes`, {
      field: "lines",
      limit: `${linesBytesMax} bytes`,
    });
  }
  const read = readLines(lines);
  const count = read.records.length + read.faults.length;
  if (count > linesMax) {
    throw new GmqError("invalid_argument", `the file has ${count} lines`, {
      field: "lines",
      limit: `${linesMax} lines`,
    });
  }
  return read;
}
