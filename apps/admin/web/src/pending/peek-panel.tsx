import type { ReactNode } from "react";
import { type DecoderName, isDecoderName } from "../decode/decoders.js";
import { RecordDetails } from "../messages/record-details.js";
import { Button } from "../parts/button.js";
import { useBroughtIntoView } from "../parts/use-brought-into-view.js";

/** What of a peek is in the address. */
export interface PeekSearch {
  /** Offset of the record. */
  readonly peek?: string | undefined;
  readonly as?: string | undefined;
  readonly keyas?: string | undefined;
}

interface PeekPanelProps {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly search: PeekSearch;
  readonly onChange: (changes: PeekSearch) => void;
}

/** A pending record beside its list: it is looked at, and stays with whoever has it. */
export function PeekPanel({ topic, partition, offset, search, onChange }: PeekPanelProps): ReactNode {
  const panel = useBroughtIntoView(String(offset));
  const decoderOf = (name: string | undefined): DecoderName => (isDecoderName(name) ? name : "auto");
  const stored = (name: DecoderName): string | undefined => (name === "auto" ? undefined : name);
  return (
    <aside
      ref={panel}
      aria-label="Record"
      className="min-w-0 scroll-mt-24 rounded-xl max-xl:min-h-[75dvh] border border-line bg-panel p-4"
    >
      <div className="mb-3 flex items-center justify-between">
        <h2 className="text-[13px] font-semibold">Record {String(offset)}</h2>
        <Button look="quiet" aria-label="Close the record" onClick={() => onChange({ peek: undefined })}>
          ✕
        </Button>
      </div>
      <RecordDetails
        topic={topic}
        partition={partition}
        offset={offset}
        decoder={decoderOf(search.as)}
        onDecoder={(name) => onChange({ as: stored(name) })}
        keyDecoder={decoderOf(search.keyas)}
        onKeyDecoder={(name) => onChange({ keyas: stored(name) })}
      />
    </aside>
  );
}
