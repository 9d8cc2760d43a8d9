import type { Record as StoredRecord } from "@gmq/protocol/messages";
import { mask, maskJson } from "./mask-json.js";
import type { MaskedFields } from "./masking-rules.js";

const maskBytes = new TextEncoder().encode(mask);
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The record with what is masked replaced, and whether anything was. A value whose fields cannot be told apart (no JSON) is masked whole. */
export function maskRecord(record: StoredRecord, fields: MaskedFields): { record: StoredRecord; masked: boolean } {
  const headers = record.headers.map((header) =>
    fields.allHeaders || fields.headers.has(header.key.toLowerCase()) ? { ...header, value: maskBytes } : header,
  );
  const hidesKey = fields.key && record.key !== undefined;
  const value = maskValue(record.value, fields);
  const masked = hidesKey || value !== record.value || headers.some((header) => header.value === maskBytes);
  return { record: { ...record, ...(hidesKey ? { key: maskBytes } : {}), value, headers }, masked };
}

/** The same bytes when nothing of them is masked. */
function maskValue(value: Uint8Array, { wholeValue, valuePaths }: MaskedFields): Uint8Array {
  if (wholeValue) return maskBytes;
  if (valuePaths.length === 0 || value.length === 0) return value;
  const text = textOf(value);
  const found = text === undefined ? undefined : maskJson(text, valuePaths);
  if (found === undefined) return maskBytes;
  return found.masked ? new TextEncoder().encode(found.text) : value;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
