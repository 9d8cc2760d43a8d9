import { type ReactNode, useState } from "react";
import { looseTextOf, textOf } from "../decode/decoders.js";
import { Field, inputLook } from "../parts/field.js";

/** A record's key as it is typed. */
export interface KeyInput {
  readonly text: string;
  /** What is sent; undefined: no key. */
  readonly bytes: Uint8Array | undefined;
  /** A key that is no text cannot be typed: it stays as it is. */
  readonly isText: boolean;
  setText(text: string): void;
  setHasKey(hasKey: boolean): void;
}

/** Keeps a key that begins as a record's; without a record there is none. A blank field means no key, until "no key" is unticked: then it is an empty one. */
export function useKey(record: { readonly key?: Uint8Array | undefined } | undefined): KeyInput {
  const original = record?.key ?? new Uint8Array();
  const isText = textOf(original) !== undefined;
  const [text, setText] = useState(() => looseTextOf(original));
  const [hasKey, setHasKey] = useState(record?.key !== undefined);
  const bytes = !hasKey ? undefined : isText ? new TextEncoder().encode(text) : original;
  function type(typed: string): void {
    setText(typed);
    setHasKey(typed !== "");
  }
  return { text, bytes, isText, setText: type, setHasKey };
}

/** The key, or that there is none. */
export function KeyField({ value, hint }: { readonly value: KeyInput; readonly hint?: string }): ReactNode {
  const { text, bytes, isText, setText, setHasKey } = value;
  return (
    <Field label="Key" hint={isText ? hint : "No text: it stays as it is"}>
      {(ids) => (
        <div className="flex items-center gap-3">
          <input
            {...ids}
            disabled={!isText || (bytes === undefined && text !== "")}
            autoComplete="off"
            spellCheck={false}
            className={`${inputLook()} font-mono disabled:opacity-60`}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <label className="inline-flex min-h-6 items-center gap-1.5 text-[13px] whitespace-nowrap">
            <input
              type="checkbox"
              className="size-4"
              checked={bytes === undefined}
              onChange={(event) => setHasKey(!event.target.checked)}
            />
            no key
          </label>
        </div>
      )}
    </Field>
  );
}
