import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Select } from "../parts/field.js";
import { formatBytes } from "../parts/format.js";
import { ScrollBox } from "../parts/scroll-box.js";
import { type DecoderName, decoderNames, guess, hexDump, looseTextOf } from "./decoders.js";
import { layOutJson } from "./json-tokens.js";
import type { DecodeProtobuf } from "./use-protobuf.js";

interface ValueViewProps {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Bytes of the whole; more than `bytes` holds when it was cut. */
  readonly bytesWhole: number;
  readonly decoder: DecoderName;
  readonly onDecoder: (decoder: DecoderName) => void;
  readonly protobuf?: DecodeProtobuf | undefined;
}

/** Characters that are laid out; more would make the page slow, and nobody reads them. */
const shownMax = 200_000;
const hexShownMax = 16_384;

/** A value in the chosen decoding. Everything in it is text to the page, whatever it holds. */
export function ValueView({ name, bytes, bytesWhole, decoder, onDecoder, protobuf }: ValueViewProps): ReactNode {
  const isCut = bytes.length < bytesWhole;
  const chosen = decoder === "auto" ? guess(bytes, isCut) : decoder;
  return (
    <div className="overflow-hidden rounded-lg border border-line">
      <div className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-3 py-1.5">
        <span className="text-xs font-medium">
          {name} <span className="ml-1 font-normal text-muted">{formatBytes(bytesWhole)}</span>
          {isCut && <span className="ml-1 font-normal text-warn">· the first {formatBytes(bytes.length)}</span>}
        </span>
        <Select
          aria-label={`${name} as`}
          options={decoderNames.map(([value, label]) => [value, value === "auto" ? `automatic (${chosen})` : label])}
          value={decoder}
          onChange={onDecoder}
        />
      </div>
      <ScrollBox label={name} className="max-h-[28rem] px-3 py-2.5">
        <Decoded bytes={bytes} decoder={chosen} protobuf={protobuf} />
      </ScrollBox>
    </div>
  );
}

function Decoded({
  bytes,
  decoder,
  protobuf,
}: {
  readonly bytes: Uint8Array;
  readonly decoder: Exclude<DecoderName, "auto">;
  readonly protobuf: DecodeProtobuf | undefined;
}): ReactNode {
  // A message of which every field has its default takes no byte.
  if (decoder === "protobuf") return <Protobuf bytes={bytes} protobuf={protobuf} />;
  if (bytes.length === 0) return <p className="text-[13px] text-muted">empty</p>;
  if (decoder === "hex") return <pre className={preLook}>{hexDump(bytes.subarray(0, hexShownMax))}</pre>;
  if (decoder === "msgpack") return <MessagePack bytes={bytes} />;
  const text = looseTextOf(bytes).slice(0, shownMax);
  return decoder === "json" ? (
    <Json text={text} />
  ) : (
    <pre className={`${preLook} whitespace-pre-wrap wrap-anywhere`}>{text}</pre>
  );
}

const preLook = "m-0 font-mono text-xs leading-5";

function Json({ text }: { readonly text: string }): ReactNode {
  return (
    <pre className={`${preLook} whitespace-pre-wrap wrap-anywhere`}>
      {layOutJson(text).map(({ kind, text: piece }, index) =>
        kind === "mark" || kind === "space" ? (
          piece
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of a text have no other name and do not move.
          <span key={index} className={colors[kind]}>
            {piece}
          </span>
        ),
      )}
    </pre>
  );
}

const colors = {
  name: "text-(--json-name)",
  text: "text-(--json-text)",
  number: "text-(--json-number)",
  word: "text-(--json-word)",
};

function Protobuf({
  bytes,
  protobuf,
}: {
  readonly bytes: Uint8Array;
  readonly protobuf: DecodeProtobuf | undefined;
}): ReactNode {
  if (protobuf === undefined) {
    return <p className="text-[13px] text-muted">The topic has no descriptors for this: upload them under Protobuf.</p>;
  }
  try {
    return <Json text={protobuf(bytes)} />;
  } catch (error) {
    return (
      <>
        <p className="mb-2 text-[13px] text-bad">
          These bytes are not that message: {error instanceof Error ? error.message : String(error)}
        </p>
        <pre className={preLook}>{hexDump(bytes.subarray(0, hexShownMax))}</pre>
      </>
    );
  }
}

function MessagePack({ bytes }: { readonly bytes: Uint8Array }): ReactNode {
  const decoded = useQuery({
    queryKey: ["msgpack", bytes],
    queryFn: async () => (await import("./message-pack.js")).messagePackToJson(bytes),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  if (decoded.error !== null) {
    return <p className="text-[13px] text-bad">These bytes are not MessagePack: {decoded.error.message}</p>;
  }
  return decoded.data === undefined ? null : <Json text={decoded.data} />;
}
