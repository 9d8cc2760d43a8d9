import { InvalidArgumentError } from "commander";

/** Where a new group begins, as `--from` names it. */
export type From = "earliest" | "latest" | { readonly offset: bigint } | { readonly timestamp: Date };

/** `earliest`, `latest`, an offset, or a time of ISO 8601. @throws InvalidArgumentError, which ends the command with the usage code */
export function parseFrom(text: string): From {
  if (text === "earliest" || text === "latest") return text;
  if (isOffset(text)) return { offset: BigInt(text) };
  const timestamp = new Date(text);
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(timestamp.getTime())) return { timestamp };
  throw new InvalidArgumentError(
    "expected earliest, latest, an offset such as 1200, or a time such as 2026-11-24T08:00:00Z",
  );
}

/** An http or https URL without a path, collected over repetitions; a list may also be joined with commas. */
export function collectBrokers(text: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), ...text.split(",").map((url) => parseBrokerUrl(url.trim()))];
}

function parseBrokerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new InvalidArgumentError(`expected a URL such as http://localhost:50051, got ${JSON.stringify(text)}`);
  }
  return url.origin;
}

/** `name=value`, collected over repetitions; of two with one name the later counts. */
export function collectHeaders(
  text: string,
  previous: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("expected name=value");
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

/** An offset: 0 to 2^63 - 1. */
export function parseOffset(text: string): bigint {
  if (isOffset(text)) return BigInt(text);
  throw new InvalidArgumentError("expected an offset such as 1200");
}

function isOffset(text: string): boolean {
  return /^\d{1,19}$/.test(text) && BigInt(text) < 2n ** 63n;
}

/** `partition/offset`, collected over repetitions. */
export function collectPlaces(
  text: string,
  previous: readonly { readonly partition: number; readonly offset: bigint }[] | undefined,
): { readonly partition: number; readonly offset: bigint }[] {
  const [partition = "", offset = "", ...rest] = text.split("/");
  if (!/^\d{1,4}$/.test(partition) || rest.length > 0)
    throw new InvalidArgumentError("expected partition/offset, such as 0/17");
  return [...(previous ?? []), { partition: Number(partition), offset: parseOffset(offset) }];
}

/** As many as one settlement may name. */
const offsetsMax = 1_000n;

/** Offsets and inclusive ranges of them, such as `17,20-25`, collected over repetitions; each once, at most 1,000. */
export function collectOffsets(text: string, previous: readonly bigint[] | undefined): bigint[] {
  const offsets = new Set(previous);
  for (const part of text.split(",")) {
    const [first = "", last = first, ...rest] = part.trim().split("-");
    const [from, to] = [parseOffset(first), parseOffset(last)];
    if (rest.length > 0 || to < from) throw new InvalidArgumentError("expected offsets and ranges such as 17,20-25");
    if (BigInt(offsets.size) + to - from >= offsetsMax)
      throw new InvalidArgumentError(`expected at most ${offsetsMax} offsets`);
    for (let offset = from; offset <= to; offset++) offsets.add(offset);
  }
  return [...offsets];
}

/** A parser of whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
  };
}
