import { readFileSync, statSync } from "node:fs";
import { GmqError } from "@gmq/protocol";

const fileBytesMax = 1024 * 1024;

/**
 * The text of a file that a setting names.
 * @param field the flag, for example `--tls-cert`
 * @throws GmqError `invalid_argument` naming flag, file and what was expected
 */
export function readSettingFile(field: string, path: string, expected: string): string {
  try {
    const { size } = statSync(path);
    if (size > fileBytesMax) throw new Error(`it has ${size} bytes, more than ${fileBytesMax}`);
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw wrongFile(field, path, expected, reasonOf(cause), cause);
  }
}

/** The error of a file that is not what was expected. */
export function wrongFile(field: string, path: string, expected: string, reason: string, cause?: unknown): GmqError {
  return new GmqError("invalid_argument", `${field} ${path}: ${reason}; expected ${expected}`, {
    field,
    limit: expected,
    cause,
  });
}

/** Why something failed, in words. */
export function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? reasons[String(cause.code)] : undefined;
  return code ?? (cause instanceof Error ? cause.message : String(cause));
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a folder",
};
