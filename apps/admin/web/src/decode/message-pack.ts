import { decode } from "@msgpack/msgpack";
import { hexOf } from "./decoders.js";

/** MessagePack as a JSON text for people: 64-bit integers with every digit, bytes as hex, times as ISO 8601. @throws when it is not MessagePack */
export function messagePackToJson(bytes: Uint8Array): string {
  return write(decode(bytes, { useBigInt64: true }));
}

function write(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return JSON.stringify(`hex:${hexOf(value)}`);
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}:${write(field)}`);
    return `{${fields.join(",")}}`;
  }
  return JSON.stringify(value ?? null);
}
