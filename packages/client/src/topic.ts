import { GmqError } from "@gmq/protocol/portable";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { checkFunction, checkObject } from "./checked-values.js";

/** How values of a topic become bytes and back. */
export interface ValueCodec<In, Out = In> {
  encode(value: In): Uint8Array | Promise<Uint8Array>;
  decode(bytes: Uint8Array): Out | Promise<Out>;
}

/** A topic's name and the types of its values: `In` is what producers give, `Out` what consumers get. */
export interface Topic<In, Out = In> {
  readonly name: string;
  readonly codec: ValueCodec<In, Out>;
}

/** A topic, or the name of one whose values are bytes. */
export type TopicLike<In, Out> = Topic<In, Out> | string;

/** How a topic's values are typed. */
export interface TopicOptions<Value> {
  /** A Standard Schema (zod, valibot, arktype …: values travel as JSON, checked on both sides) or a codec of your own. */
  readonly value: Value;
}

/**
 * Describes a topic. Without options its values are bytes: `Uint8Array` out, `Uint8Array` or text in.
 * It does not talk to a broker: the topic is made by its first use, or by `gmq.admin.createTopic`. @throws GmqError `invalid_argument` for a value that is neither
 */
export function topic(name: string): Topic<Uint8Array | string, Uint8Array>;
export function topic<Schema extends StandardSchemaV1>(
  name: string,
  options: TopicOptions<Schema>,
): Topic<StandardSchemaV1.InferInput<Schema>, StandardSchemaV1.InferOutput<Schema>>;
export function topic<In, Out>(name: string, options: TopicOptions<ValueCodec<In, Out>>): Topic<In, Out>;
export function topic(
  name: string,
  options?: TopicOptions<StandardSchemaV1 | ValueCodec<unknown>>,
): Topic<unknown, unknown> {
  if (options === undefined) return { name, codec: rawCodec };
  const { value } = options ?? {};
  if (isSchema(value)) return { name, codec: schemaCodec(value) };
  checkFunction("value.encode", value?.encode);
  checkFunction("value.decode", value?.decode);
  return { name, codec: value };
}

function isSchema(value: StandardSchemaV1 | ValueCodec<unknown> | undefined): value is StandardSchemaV1 {
  return (value as Partial<StandardSchemaV1> | undefined)?.["~standard"] !== undefined;
}

/** The topic behind a topic or a name. @throws GmqError `invalid_argument` when it is neither */
export function topicOf<In, Out>(like: TopicLike<In, Out>): Topic<In, Out> {
  if (typeof like === "string") return { name: like, codec: rawCodec } as Topic<unknown, unknown> as Topic<In, Out>;
  checkObject("topic", like);
  return like;
}

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

const rawCodec: ValueCodec<unknown> = {
  encode(value) {
    if (typeof value === "string") return utf8.encode(value);
    if (value instanceof Uint8Array) return value;
    throw new GmqError("schema_invalid", `a value of this topic is bytes or text, not ${typeof value}`, {
      field: "value",
    });
  },
  decode: (bytes) => bytes,
};

function schemaCodec(schema: StandardSchemaV1): ValueCodec<unknown> {
  return {
    encode(value) {
      const checked = schema["~standard"].validate(value);
      // What the producer gave is sent, not the schema's output: the consumer's schema transforms it once more.
      return checked instanceof Promise
        ? checked.then((result) => checkedJson(result, value))
        : checkedJson(checked, value);
    },
    decode(bytes) {
      const checked = schema["~standard"].validate(fromJson(bytes));
      return checked instanceof Promise ? checked.then(outputOf) : outputOf(checked);
    },
  };
}

function checkedJson(result: StandardSchemaV1.Result<unknown>, value: unknown): Uint8Array {
  if (result.issues !== undefined) throw invalid(result.issues);
  return toJson(value);
}

function outputOf(result: StandardSchemaV1.Result<unknown>): unknown {
  if (result.issues !== undefined) throw invalid(result.issues);
  return result.value;
}

function invalid(issues: readonly StandardSchemaV1.Issue[]): GmqError {
  const [first] = issues;
  const text = issues.map((issue) => `${fieldOf(issue)}: ${issue.message}`).join("; ");
  return new GmqError("schema_invalid", text, { field: first === undefined ? "value" : fieldOf(first), cause: issues });
}

function fieldOf({ path = [] }: StandardSchemaV1.Issue): string {
  return ["value", ...path.map((part) => String(typeof part === "object" ? part.key : part))].join(".");
}

function toJson(value: unknown): Uint8Array {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new GmqError("schema_invalid", "the value has no JSON form", { field: "value" });
  return utf8.encode(json);
}

function fromJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(text.decode(bytes));
  } catch (cause) {
    throw new GmqError("schema_invalid", "the stored value is not JSON", { field: "value", cause });
  }
}
