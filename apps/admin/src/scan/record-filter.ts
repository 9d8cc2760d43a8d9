/** CEL expressions run in a worker thread, so that a slow one can be ended: neither the portal nor other pages wait for it. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { GmqError } from "@gmq/protocol";
import type { BrowsedRecord } from "@gmq/protocol/messages";
import type { FilterAnswer, FilterRequest } from "./filter-worker.js";

/** What an expression said of some records. */
export interface FilterResult {
  /** One for each record, in order. */
  readonly matches: readonly boolean[];
  /** Records on which it could not be evaluated, for example because a field is missing. */
  readonly unevaluated: number;
  readonly firstProblem: string;
}

/** A compiled expression. */
export interface RecordFilter {
  /** @throws GmqError `resource_exhausted` when it takes longer than 2 s; the filter is closed then */
  evaluate(records: readonly BrowsedRecord[]): Promise<FilterResult>;
  close(): Promise<void>;
}

const expressionLengthMax = 2_048;
const evaluateTimeoutMs = 2_000;
const startTimeoutMs = 5_000;

/** Compiles an expression. @throws GmqError `invalid_argument` (field `expression`) with what the compiler says */
export async function createRecordFilter(expression: string): Promise<RecordFilter> {
  if (expression.length > expressionLengthMax) {
    throw new GmqError("invalid_argument", "the expression is too long", {
      field: "expression",
      limit: `${expressionLengthMax} characters`,
    });
  }
  const worker = new Worker(new URL("./filter-worker.js", import.meta.url), {
    workerData: expression,
    resourceLimits: { maxOldGenerationSizeMb: 256 },
  });
  async function ask(request: FilterRequest | undefined, timeoutMs: number): Promise<FilterAnswer> {
    if (request !== undefined) worker.postMessage(request);
    try {
      const [answer] = (await once(worker, "message", { signal: AbortSignal.timeout(timeoutMs) })) as [FilterAnswer];
      return answer;
    } catch (cause) {
      await worker.terminate();
      throw new GmqError("resource_exhausted", "the expression takes too long or too much memory", {
        field: "expression",
        limit: `${timeoutMs} ms for a batch of records`,
        cause,
      });
    }
  }
  const compiled = await ask(undefined, startTimeoutMs);
  if (compiled.problem !== undefined) {
    await worker.terminate();
    throw new GmqError("invalid_argument", compiled.problem, { field: "expression" });
  }
  return {
    async evaluate(records) {
      if (records.length === 0) return { matches: [], unevaluated: 0, firstProblem: "" };
      const { matches, unevaluated, firstProblem } = await ask(
        { records: records.map(plainRecord) },
        evaluateTimeoutMs,
      );
      return { matches, unevaluated, firstProblem };
    },
    async close() {
      await worker.terminate();
    },
  };
}

function plainRecord({ partition, offset, record, appendTimeMs }: BrowsedRecord): FilterRequest["records"][number] {
  return {
    partition,
    offset,
    appendTimeMs: Number(appendTimeMs),
    key: record?.key,
    value: record?.value ?? new Uint8Array(),
    headers: (record?.headers ?? []).map(({ key, value }) => [key, value]),
  };
}

/** Whether a record holds a text in key, value or a header, any case; bytes that are no UTF-8 are read as well as they can be. */
export function createTextMatcher(text: string): (record: BrowsedRecord) => boolean {
  if (text === "") return () => true;
  const decoder = new TextDecoder();
  const wanted = text.toLowerCase();
  const holds = (bytes: Uint8Array): boolean => decoder.decode(bytes).toLowerCase().includes(wanted);
  return ({ record }) => {
    if (record === undefined) return false;
    if (record.key !== undefined && holds(record.key)) return true;
    if (holds(record.value)) return true;
    return record.headers.some(({ key, value }) => key.toLowerCase().includes(wanted) || holds(value));
  };
}
