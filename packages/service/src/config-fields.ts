import type { z } from "zod";

/** What the caller says of one field beyond its schema. */
export interface FlagOptions {
  /** Name without dashes; default: the key in kebab case, `redisAddr` → `redis-addr`. */
  readonly flag?: string;
  /** Shown in the help, for example `host:port`; default by type. */
  readonly placeholder?: string;
  /** Never printed. */
  readonly secret?: boolean;
}

/** The simple types that a text can stand for. */
export type FieldType = "boolean" | "number" | "list" | "text";

/** One setting: a key of the schema with its flag and its environment variable. */
export interface ConfigField {
  readonly key: string;
  readonly flag: string;
  readonly variable: string;
  readonly type: FieldType;
  readonly description: string;
  readonly placeholder: string;
  readonly defaultValue: unknown;
  readonly secret: boolean;
}

const placeholders: Readonly<Record<FieldType, string>> = { boolean: "yes|no", number: "n", list: "a,b", text: "text" };

/** The fields of a schema, in its order. */
export function configFields(schema: z.ZodObject, flags: Readonly<Record<string, FlagOptions>>): ConfigField[] {
  return Object.entries(schema.shape).map(([key, field]) => {
    const facts = factsOf(field as z.ZodType);
    const {
      flag = kebab(key),
      placeholder = facts.choices ?? placeholders[facts.type],
      secret = false,
    } = flags[key] ?? {};
    return {
      key,
      flag,
      variable: `GMQ_${flag.replaceAll("-", "_").toUpperCase()}`,
      type: facts.type,
      description: facts.description,
      placeholder,
      defaultValue: facts.defaultValue,
      secret,
    };
  });
}

/** What a text from a flag or the environment stands for; left as it is when it stands for nothing, so that the schema refuses it. */
export function readText(type: FieldType, text: string): unknown {
  if (type === "number") return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
  if (type === "boolean") return booleans.get(text.toLowerCase()) ?? text;
  if (type === "list") return text === "" ? [] : text.split(",").map((item) => item.trim());
  return text;
}

const booleans: ReadonlyMap<string, boolean> = new Map(
  Object.entries({ true: true, yes: true, on: true, 1: true, false: false, no: false, off: false, 0: false }),
);

interface FieldFacts {
  readonly type: FieldType;
  readonly choices: string | undefined;
  readonly description: string;
  readonly defaultValue: unknown;
}

/** Looks through defaults, options and pipes down to the type that a text has to become. */
function factsOf(field: z.ZodType): FieldFacts {
  let description = field.description;
  let defaultValue: unknown;
  let inner = field;
  for (;;) {
    const def = inner.def as { type: string; innerType?: z.ZodType; in?: z.ZodType; defaultValue?: unknown };
    description ??= inner.description;
    defaultValue ??= def.defaultValue;
    const next = def.innerType ?? def.in;
    if (next === undefined) break;
    inner = next;
  }
  const { type, entries } = inner.def as { type: string; entries?: Readonly<Record<string, string>> };
  return {
    type: type === "boolean" || type === "number" ? type : type === "array" ? "list" : "text",
    choices: entries === undefined ? undefined : Object.values(entries).join("|"),
    description: description ?? "",
    defaultValue,
  };
}

function kebab(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
