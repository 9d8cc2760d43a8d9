/** The thread in which one CEL expression runs. It answers once with whether the expression compiles, then once for each batch of records. */
import { parentPort, workerData } from "node:worker_threads";
import { Environment } from "@marcbachmann/cel-js";

/** Records to evaluate, as they travel between threads. */
export interface FilterRequest {
  readonly records: readonly {
    readonly partition: number;
    readonly offset: bigint;
    readonly appendTimeMs: number;
    readonly key: Uint8Array | undefined;
    readonly value: Uint8Array;
    readonly headers: readonly (readonly [string, Uint8Array])[];
  }[];
}

/** `problem`: the expression does not compile. */
export interface FilterAnswer {
  readonly problem?: string;
  readonly matches: readonly boolean[];
  readonly unevaluated: number;
  readonly firstProblem: string;
}

const nothing: FilterAnswer = { matches: [], unevaluated: 0, firstProblem: "" };
const utf8 = new TextDecoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

const environment = new Environment({ limits: { maxAstNodes: 512, maxDepth: 32 } })
  .registerVariable("key", "dyn")
  .registerVariable("value", "dyn")
  .registerVariable("headers", "map")
  .registerVariable("partition", "int")
  .registerVariable("offset", "int")
  .registerVariable("time", "google.protobuf.Timestamp")
  .registerVariable("size", "int");

function compile(expression: string): ReturnType<typeof environment.parse> | string {
  try {
    const { valid, type, error } = environment.check(expression);
    if (!valid) return error?.message ?? "the expression is not valid";
    if (type !== "bool" && type !== "dyn") return `the expression gives ${type}, not bool`;
    return environment.parse(expression);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** JSON with whole numbers as exact integers; text when it is not JSON; bytes when it is no text. */
function decodeValue(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    return bytes;
  }
  try {
    return JSON.parse(text, exactInteger);
  } catch {
    return text;
  }
}

function exactInteger(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined || !/^-?\d{1,19}$/.test(source)) return value;
  return BigInt(source);
}

function evaluate(run: (context: Record<string, unknown>) => unknown, { records }: FilterRequest): FilterAnswer {
  let unevaluated = 0;
  let firstProblem = "";
  const matches = records.map(({ key, value, headers, partition, offset, appendTimeMs }) => {
    try {
      return (
        run({
          key: key === undefined ? null : utf8.decode(key),
          value: decodeValue(value),
          headers: Object.fromEntries(headers.map(([name, bytes]) => [name, utf8.decode(bytes)])),
          partition: BigInt(partition),
          offset,
          time: new Date(appendTimeMs),
          size: BigInt((key?.length ?? 0) + value.length),
        }) === true
      );
    } catch (error) {
      unevaluated++;
      if (firstProblem === "") firstProblem = (error instanceof Error ? error.message : String(error)).slice(0, 500);
      return false;
    }
  });
  return { matches, unevaluated, firstProblem };
}

const port = parentPort;
if (port === null) throw new Error("filter-worker runs as a worker thread only");
const compiled = compile(String(workerData));
if (typeof compiled === "string") port.postMessage({ ...nothing, problem: compiled });
else {
  port.postMessage(nothing);
  port.on("message", (request: FilterRequest) => port.postMessage(evaluate(compiled, request)));
}
