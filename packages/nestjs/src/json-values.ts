import { GmqError, type Topic, topic, type ValueCodec } from "@gmq/client";

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

/** What handlers and clients that name a topic by a string use: JSON, as Nest's other transports do. */
const jsonValues: ValueCodec<unknown> = {
  encode(value) {
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) throw new GmqError("schema_invalid", "the value has no JSON form", { field: "value" });
    return utf8.encode(json);
  },
  decode(bytes) {
    try {
      return JSON.parse(text.decode(bytes));
    } catch (cause) {
      throw new GmqError("schema_invalid", "the stored value is not JSON", { field: "value", cause });
    }
  },
};

/** A topic as patterns name it: its name (values are JSON), or a `topic(…)` with a schema or codec of its own. */
export type GmqPattern = string | Topic<never, unknown>;

/** The topic that a pattern names. @throws GmqError `invalid_argument` for anything else, such as Nest's object patterns */
export function topicOfPattern(pattern: unknown): Topic<unknown, unknown> {
  if (typeof pattern === "string") return topic(pattern, { value: jsonValues });
  if (typeof pattern === "object" && pattern !== null && "name" in pattern && "codec" in pattern) {
    return pattern as Topic<unknown, unknown>;
  }
  throw new GmqError("invalid_argument", `a pattern is a topic, not ${JSON.stringify(pattern)}`, {
    field: "pattern",
    limit: "a topic's name, a topic pattern (orders.*) or topic(…)",
  });
}
