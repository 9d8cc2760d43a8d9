import type { Header } from "@gmq/protocol/messages";
import type { ReactNode } from "react";
import { hexOf, textOf } from "../decode/decoders.js";
import { Button } from "../parts/button.js";
import { inputLook } from "../parts/field.js";

/** A header as it is typed. */
export interface HeaderRow {
  readonly id: number;
  readonly name: string;
  readonly value: string;
  /** Set: the value is no text; these bytes are kept, and `value` shows them. */
  readonly bytes?: Uint8Array | undefined;
}

/** The rows of headers that are there. */
export function headerRowsOf(headers: readonly Pick<Header, "key" | "value">[]): readonly HeaderRow[] {
  return headers.map(({ key, value }, id) => {
    const text = textOf(value);
    return text === undefined ? { id, name: key, value: hexOf(value), bytes: value } : { id, name: key, value: text };
  });
}

/** Headers as they are sent; rows without a name are left out. */
export function headersOf(rows: readonly HeaderRow[]): { readonly key: string; readonly value: Uint8Array }[] {
  return rows
    .filter(({ name }) => name !== "")
    .map(({ name, value, bytes }) => ({ key: name, value: bytes ?? new TextEncoder().encode(value) }));
}

/** Headers as they are typed, one line each. */
export function HeaderRows({
  headers,
  onChange,
}: {
  readonly headers: readonly HeaderRow[];
  readonly onChange: (headers: readonly HeaderRow[]) => void;
}): ReactNode {
  const change = (id: number, part: Partial<HeaderRow>): void =>
    onChange(headers.map((header) => (header.id === id ? { ...header, ...part } : header)));
  return (
    <fieldset className="m-0 flex flex-col gap-2 border-0 p-0">
      <legend className="mb-1 p-0 text-[13px] font-medium">Headers</legend>
      {headers.map(({ id, name, value, bytes }, index) => (
        <div key={id} className="flex gap-2">
          <input
            aria-label={`Name of header ${index + 1}`}
            placeholder="name"
            className={`${inputLook()} font-mono`}
            value={name}
            onChange={(event) => change(id, { name: event.target.value })}
          />
          <input
            aria-label={`Value of header ${index + 1}`}
            placeholder="value"
            disabled={bytes !== undefined}
            title={bytes === undefined ? undefined : "no text: its bytes are kept as they are"}
            className={`${inputLook()} font-mono disabled:opacity-60`}
            value={value}
            onChange={(event) => change(id, { value: event.target.value })}
          />
          <Button
            look="quiet"
            aria-label={`Remove header ${index + 1}`}
            onClick={() => onChange(headers.filter((header) => header.id !== id))}
          >
            ✕
          </Button>
        </div>
      ))}
      <div>
        <Button onClick={() => onChange([...headers, { id: (headers.at(-1)?.id ?? -1) + 1, name: "", value: "" }])}>
          Add a header
        </Button>
      </div>
    </fieldset>
  );
}
