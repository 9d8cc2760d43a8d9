import { GmqError } from "./errors.js";
import { limits } from "./limits.js";

const namePattern = /^[A-Za-z0-9._-]{1,249}$/;

/** What a name stands for, as errors call it. */
export type NameField = "topic" | "group" | "member_id" | "session_id" | "broker_id" | "storage_id";

/**
 * Returns `name` when it is legal: 1 to 249 characters of `A-Z a-z 0-9 . _ -`, not `.` or `..`.
 * Braces, globs, colons and slashes would reach Redis hash tags and channel patterns, so they are refused.
 * @throws GmqError `invalid_name` naming the field
 */
export function checkName(field: NameField, name: string): string {
  if (isName(name)) return name;
  const text = String(name);
  const problem =
    typeof name !== "string"
      ? `is of type ${typeof name}`
      : name === ""
        ? "is empty"
        : name.length > limits.nameLengthMax
          ? "is too long"
          : "has a character that is not allowed";
  throw new GmqError("invalid_name", `${field} ${problem}: ${JSON.stringify(text.slice(0, 64))}`, {
    field,
    limit: `1 to ${limits.nameLengthMax} characters of A-Z a-z 0-9 . _ -`,
  });
}

/** True when `checkName` would return the name. */
export function isName(name: string): boolean {
  return typeof name === "string" && namePattern.test(name) && name !== "." && name !== "..";
}
