/** Checks of what a record is made of, for every platform. */
import { GmqError, limits } from "@gmq/protocol/portable";

const utf8 = new TextEncoder();

/** The bytes of a key or a header. @throws GmqError `invalid_argument` */
export function bytesOf(field: string, value: string | Uint8Array): Uint8Array {
  if (typeof value === "string") return utf8.encode(value);
  if (value instanceof Uint8Array) return value;
  throw new GmqError("invalid_argument", `${field} is ${value === null ? "null" : `of type ${typeof value}`}`, {
    field,
    limit: "text or bytes",
  });
}

/** Ms since the epoch. @throws GmqError `invalid_argument` */
export function checkedDeliverAt(deliverAt: Date | number, nowMs: number): number {
  const ms = deliverAt instanceof Date ? deliverAt.getTime() : deliverAt;
  if (!Number.isSafeInteger(ms) || ms < 0 || ms - nowMs > limits.deliverAfterMsMax) {
    throw new GmqError("invalid_argument", `deliverAt is ${ms}`, {
      field: "deliverAt",
      limit: `a time up to ${limits.deliverAfterMsMax} ms from now`,
    });
  }
  return ms;
}

/** @throws GmqError `invalid_argument` */
export function checkDedupeId(dedupeId: string): void {
  const bytes = typeof dedupeId === "string" ? utf8.encode(dedupeId).length : 0;
  if (bytes >= 1 && bytes <= limits.dedupeIdBytesMax) return;
  throw new GmqError("invalid_argument", `dedupeId takes ${bytes} bytes`, {
    field: "dedupeId",
    limit: `a text of 1 to ${limits.dedupeIdBytesMax} bytes`,
  });
}
