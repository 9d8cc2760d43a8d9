import { create } from "@bufbuild/protobuf";
import {
  type PortalServiceSearchRequest,
  PortalServiceSearchRequestSchema,
  ScanOrder,
  type StartPosition,
} from "@gmq/protocol/messages";

/** What the explorer's address says, as text. */
export interface MessagesSearch {
  /** newest (default), oldest, offset or time. */
  readonly from?: string;
  /** The offset, or the time in milliseconds. */
  readonly at?: string;
  readonly key?: string;
  readonly q?: string;
  readonly cel?: string;
  /** Partitions, with commas. */
  readonly in?: string;
  /** How values are decoded, and keys. */
  readonly as?: string;
  readonly keyas?: string;
  /** The chosen record: partition-offset. */
  readonly sel?: string;
  readonly live?: string;
}

export type From = "newest" | "oldest" | "offset" | "time";

export const fromOptions: readonly (readonly [From, string])[] = [
  ["newest", "newest first"],
  ["oldest", "oldest first"],
  ["offset", "from offset"],
  ["time", "from time"],
];

/** Where to begin, `newest` when the address does not say. */
export function fromOf({ from }: MessagesSearch): From {
  return fromOptions.some(([value]) => value === from) ? (from as From) : "newest";
}

/** The partitions that are wanted; none: all. */
export function partitionsOf({ in: list }: MessagesSearch): number[] {
  return (list ?? "")
    .split(",")
    .filter((part) => /^\d{1,4}$/.test(part.trim()))
    .map(Number);
}

/** The request that an address stands for. */
export function searchRequestOf(topic: string, search: MessagesSearch, limit: number): PortalServiceSearchRequest {
  const from = fromOf(search);
  const position = positionOf(from, search.at);
  return create(PortalServiceSearchRequestSchema, {
    topic,
    partitions: partitionsOf(search),
    order: from === "newest" ? ScanOrder.NEWEST_FIRST : ScanOrder.OLDEST_FIRST,
    text: search.q ?? "",
    expression: search.cel ?? "",
    limit,
    ...(search.key === undefined ? {} : { key: search.key }),
    ...(position === undefined ? {} : { from: { position } }),
  });
}

function positionOf(from: From, at: string | undefined): StartPosition["position"] | undefined {
  if (at === undefined || !/^\d{1,19}$/.test(at)) return undefined;
  if (from === "offset") return { case: "offset", value: BigInt(at) };
  return from === "time" ? { case: "timestampMs", value: BigInt(at) } : undefined;
}

/** True when records have to be looked at one by one. */
export function isFiltered({ key, q, cel }: MessagesSearch): boolean {
  return key !== undefined || q !== undefined || cel !== undefined;
}
