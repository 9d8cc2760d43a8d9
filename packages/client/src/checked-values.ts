/** Checks of what users give: everything that goes into a frame has to be what the frame can hold, or the broker cannot read the frame and the session is over. */
import { GmqError } from "@gmq/protocol/portable";

const offsetMax = 2n ** 63n - 1n;
const timerMsMax = 2_147_483_647;

/** @throws GmqError `invalid_argument` when the number is not an integer in the range */
export function inRange(field: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new GmqError("invalid_argument", `${field} is ${shown(value)}`, { field, limit: `${min} to ${max}` });
}

/** @throws GmqError `invalid_argument` when the value is none of these */
export function oneOf(field: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new GmqError("invalid_argument", `${field} is ${shown(value)}`, { field, limit: allowed.join(", ") });
}

/** What has to be there at all, whatever its fields are. @throws GmqError `invalid_argument` */
export function checkObject(field: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw new GmqError("invalid_argument", `${field} is ${value === null ? "null" : `of type ${typeof value}`}`, {
    field,
    limit: "an object",
  });
}

/** @throws GmqError `invalid_argument` */
export function checkFunction(field: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new GmqError("invalid_argument", `${field} is of type ${typeof value}`, { field, limit: "a function" });
}

/** A partition's number; how many there are the broker knows. @throws GmqError `invalid_argument` */
export function checkPartition(field: string, partition: number): void {
  inRange(field, partition, 0, 0xffff_ffff);
}

/** @throws GmqError `invalid_argument` */
export function checkOffset(field: string, offset: bigint): void {
  if (typeof offset === "bigint" && offset >= 0n && offset <= offsetMax) return;
  throw new GmqError("invalid_argument", `${field} is ${shown(offset)}`, { field, limit: "a bigint, 0 to 2^63 - 1" });
}

/** A moment in ms since the epoch. @throws GmqError `invalid_argument` */
export function momentMs(field: string, moment: number | Date): number {
  const ms = moment instanceof Date ? moment.getTime() : moment;
  if (Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new GmqError("invalid_argument", `${field} is ${shown(ms)}`, { field, limit: "0 to 2^53 - 1 ms" });
}

/** How long a call may take; 0 does not wait. @throws GmqError `invalid_argument` */
export function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs === undefined || (timeoutMs >= 0 && timeoutMs <= timerMsMax)) return;
  throw new GmqError("invalid_argument", `timeoutMs is ${shown(timeoutMs)}`, {
    field: "timeoutMs",
    limit: `0 to ${timerMsMax} ms`,
  });
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 64)) : String(value);
}
