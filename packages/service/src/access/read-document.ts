import { parse } from "yaml";
import type { z } from "zod";
import { readSettingFile, reasonOf, wrongFile } from "../read-file.js";

const problemsShownMax = 5;

/**
 * Reads a YAML or JSON file by its schema; keys that the schema does not know are refused.
 * @throws GmqError `invalid_argument` naming flag, file, the place in it and what was expected
 */
export function readDocument<Schema extends z.ZodType>(flag: string, path: string, schema: Schema): z.output<Schema> {
  const expected = "YAML or JSON as docs/security.md describes it";
  const text = readSettingFile(flag, path, expected);
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    // The message of the parser quotes the file, which may hold what is nobody's business: only the place is told.
    throw wrongFile(flag, path, expected, `it is no YAML: ${placeOf(cause)}`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues
    .slice(0, problemsShownMax)
    .map((issue) => `${issue.path.length === 0 ? "the file" : issue.path.join(".")}: ${issue.message}`);
  throw wrongFile(flag, path, expected, problems.join("; "));
}

function placeOf(cause: unknown): string {
  const found = cause as { readonly linePos?: readonly { readonly line: number; readonly col: number }[] };
  const [start] = found.linePos ?? [];
  return start === undefined ? reasonOf(cause) : `line ${start.line}, column ${start.col}`;
}
