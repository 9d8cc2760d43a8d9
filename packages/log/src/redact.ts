/**
 * Makes fields fit for a log: secrets out, at any depth, and values that JSON cannot hold turned into ones that it can.
 * pino's own redaction knows fixed paths only; a password three levels down in an error's options would pass it.
 */
import type { LogFields } from "./logger.js";

const hidden = "[redacted]";
const depthMax = 8;
const itemsMax = 100;
const secretKey = /password|passwd|passphrase|token|authorization|secret|credential|apikey|privatekey|cookie|pass$/;
/** `scheme://user:password@`, `scheme://:password@`; user and password may hold anything but `/`, `@` and white space. */
const urlCredentials = /\b([a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi;

/** A copy of `fields` without secrets; the original stays as it is. Deeper than 8 levels or longer than 100 items is cut, and says so. */
export function redactFields(fields: LogFields): Record<string, unknown> {
  return redactEntries(Object.entries(fields), 0, new Set([fields]));
}

/** `text` with the credentials inside URLs hidden. */
export function redactText(text: string): string {
  return text.includes("://") ? text.replace(urlCredentials, `$1${hidden}@`) : text;
}

function redactEntries(
  entries: Iterable<readonly [string, unknown]>,
  depth: number,
  parents: Set<object>,
): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of entries) clean[key] = isSecret(key) ? hidden : redactValue(value, depth + 1, parents);
  return clean;
}

function isSecret(key: string): boolean {
  return secretKey.test(key.toLowerCase().replaceAll(/[-_.]/g, ""));
}

function redactValue(value: unknown, depth: number, parents: Set<object>): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString();
  if (value instanceof URL) return redactText(value.href);
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (parents.has(value)) return "[circular]";
  if (depth > depthMax) return "[too deep]";
  parents.add(value);
  const clean = redactObject(value, depth, parents);
  parents.delete(value);
  return clean;
}

function redactObject(value: object, depth: number, parents: Set<object>): unknown {
  if (value instanceof Error) return redactError(value, depth, parents);
  if (value instanceof Map) {
    return redactEntries(
      Array.from(value, ([key, item]) => [String(key), item] as const),
      depth,
      parents,
    );
  }
  if (Array.isArray(value) || value instanceof Set) {
    const items = Array.from(value as Iterable<unknown>);
    const clean = items.slice(0, itemsMax).map((item) => redactValue(item, depth + 1, parents));
    if (items.length > itemsMax) clean.push(`[${items.length - itemsMax} more]`);
    return clean;
  }
  return redactEntries(Object.entries(value), depth, parents);
}

/** Name, message and stack are not enumerable; what is (code, retryable, field, limit, errno, address) comes along. */
function redactError(error: Error, depth: number, parents: Set<object>): Record<string, unknown> {
  return {
    ...redactEntries(Object.entries(error), depth, parents),
    name: error.name,
    message: redactText(error.message),
    stack: error.stack === undefined ? undefined : redactText(error.stack),
    ...(error.cause === undefined ? {} : { cause: redactValue(error.cause, depth + 1, parents) }),
    ...(error instanceof AggregateError ? { errors: redactValue(error.errors, depth + 1, parents) } : {}),
  };
}
