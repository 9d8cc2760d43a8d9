import { type ReactNode, useEffect, useState } from "react";
import { type DecoderName, decoderNames, isDecoderName } from "../decode/decoders.js";
import { Button } from "../parts/button.js";
import { inputLook, Select } from "../parts/field.js";
import { type From, fromOf, fromOptions, type MessagesSearch } from "./scan-query.js";

interface ScanControlsProps {
  readonly search: MessagesSearch;
  readonly onChange: (change: Partial<Record<keyof MessagesSearch, string | undefined>>) => void;
  readonly partitions: number;
  /** Opens what the topic's protobuf is decoded with. */
  readonly onDescriptors: () => void;
}

/** Where to look and for what. What is typed applies on Enter or with the button, so that half a word starts no scan. */
export function ScanControls({ search, onChange, partitions, onDescriptors }: ScanControlsProps): ReactNode {
  const from = fromOf(search);
  const [typed, setTyped] = useState(() => typedOf(search));
  // Back, Forward and links change the address: what is typed follows.
  const address = JSON.stringify(typedOf(search));
  useEffect(() => setTyped(JSON.parse(address) as Typed), [address]);
  const live = search.live !== undefined;
  const set = (change: Partial<Typed>): void => setTyped((before) => ({ ...before, ...change }));

  return (
    <form
      aria-label="Where to look and for what"
      className="flex flex-col gap-2.5 border-b border-line px-4 py-3"
      onSubmit={(event) => {
        event.preventDefault();
        const { at, ...rest } = typed;
        onChange({
          ...rest,
          at: from === "time" ? fromLocalTime(at) : from === "offset" ? at : undefined,
          sel: undefined,
        });
      }}
    >
      <div className="flex flex-wrap items-center gap-2 max-sm:*:grow">
        <Select<From>
          aria-label="Order"
          disabled={live}
          options={fromOptions}
          value={from}
          onChange={(value) =>
            onChange({ from: value === "newest" ? undefined : value, at: undefined, sel: undefined })
          }
        />
        {from === "offset" && !live && (
          <input
            aria-label="Offset"
            inputMode="numeric"
            pattern="[0-9]{1,19}"
            title="A whole number"
            placeholder="offset"
            className={`${inputLook("w-40")} font-mono`}
            value={typed.at}
            onChange={(event) => set({ at: event.target.value })}
          />
        )}
        {from === "time" && !live && (
          <input
            aria-label="Time"
            type="datetime-local"
            step="0.001"
            className={inputLook("w-56")}
            value={typed.at}
            onChange={(event) => set({ at: event.target.value })}
          />
        )}
        <input
          aria-label="Partitions"
          placeholder={`all ${partitions} partitions`}
          pattern="[0-9, ]*"
          title="Numbers of partitions, for example 0, 3"
          className={inputLook("w-36")}
          value={typed.in}
          onChange={(event) => set({ in: event.target.value })}
        />
        {!live && (
          <input
            aria-label="Key"
            placeholder="key, exactly"
            className={`${inputLook("w-32")} font-mono`}
            value={typed.key}
            onChange={(event) => set({ key: event.target.value })}
          />
        )}
        <Select<DecoderName>
          aria-label="Values as"
          options={decoderNames.map(([name, label]) => [name, `values: ${label}`] as const)}
          value={isDecoderName(search.as) ? search.as : "auto"}
          onChange={(value) => onChange({ as: value === "auto" ? undefined : value })}
        />
        <Select<DecoderName>
          aria-label="Keys as"
          options={decoderNames.map(([name, label]) => [name, `keys: ${label}`] as const)}
          value={isDecoderName(search.keyas) ? search.keyas : "auto"}
          onChange={(value) => onChange({ keyas: value === "auto" ? undefined : value })}
        />
        {(search.as === "protobuf" || search.keyas === "protobuf") && (
          <Button onClick={onDescriptors}>Protobuf…</Button>
        )}
      </div>
      <div className="flex flex-wrap items-center gap-2">
        <input
          data-filter
          type="search"
          aria-label="Text in key, value or headers"
          placeholder="text in key, value or headers  /"
          className={inputLook("min-w-0 flex-1 basis-48")}
          value={typed.q}
          onChange={(event) => set({ q: event.target.value })}
        />
        <input
          aria-label="CEL expression"
          placeholder={'CEL: value.cents > 1000 && headers.region == "eu"'}
          title="CEL over key, value, headers, partition, offset, time and size. JSON values have their fields; whole numbers are exact."
          spellCheck={false}
          className={`${inputLook("min-w-0 flex-[2] basis-64")} font-mono text-xs`}
          value={typed.cel}
          onChange={(event) => set({ cel: event.target.value })}
        />
        <Button look="primary" type="submit">
          Search
        </Button>
      </div>
    </form>
  );
}

interface Typed {
  readonly at: string;
  readonly in: string;
  readonly key: string;
  readonly q: string;
  readonly cel: string;
}

function typedOf(search: MessagesSearch): Typed {
  const { at = "", in: partitions = "", key = "", q = "", cel = "" } = search;
  return { at: fromOf(search) === "time" ? toLocalTime(at) : at, in: partitions, key, q, cel };
}

function toLocalTime(ms: string): string {
  if (!/^\d+$/.test(ms)) return "";
  const at = new Date(Number(ms));
  return new Date(Number(ms) - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 23);
}

function fromLocalTime(text: string): string | undefined {
  const ms = new Date(text).getTime();
  return Number.isNaN(ms) ? undefined : String(ms);
}
