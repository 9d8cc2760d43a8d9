import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** One line of an input, without its line end. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** True: longer than the bound; `text` holds its beginning only. */
  readonly oversized: boolean;
}

/**
 * Reads a stream line by line, as many lines at a time as one chunk ends (so a large input costs few turns). Line ends are `\n` or `\r\n`;
 * a last line needs none. Memory: one chunk and one line of at most `lineCharactersMax`; a longer line is cut and marked, the next one is read as usual.
 * Ends quietly when `signal` aborts.
 */
export async function* readLines(
  stream: Readable,
  lineCharactersMax: number,
  signal: AbortSignal,
): AsyncGenerator<Line[]> {
  const decoder = new StringDecoder("utf8");
  let number = 0;
  let partial = "";
  let oversized = false;

  function split(text: string): Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", from)) {
      keep(text.slice(from, end));
      lines.push(finish());
      from = end + 1;
    }
    keep(text.slice(from));
    return lines;
  }
  function keep(piece: string): void {
    if (oversized) return;
    partial += piece;
    // One more for a carriage return.
    if (partial.length > lineCharactersMax + 1) {
      oversized = true;
      partial = partial.slice(0, lineCharactersMax);
    }
  }
  function finish(): Line {
    number += 1;
    const text = partial.endsWith("\r") ? partial.slice(0, -1) : partial;
    const line = { number, text, oversized: oversized || text.length > lineCharactersMax };
    partial = "";
    oversized = false;
    return line;
  }

  for await (const chunk of chunksOf(stream, signal)) {
    const lines = split(decoder.write(chunk));
    if (lines.length > 0) yield lines;
  }
  const rest = split(decoder.end());
  if (partial !== "" && !signal.aborted) rest.push(finish());
  if (rest.length > 0) yield rest;
}

/** The chunks of a stream until it ends or `signal` aborts. @throws what the stream throws */
export async function* chunksOf(stream: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  if (signal.aborted) return;
  const onAbort = (): void => void stream.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const chunk of stream) yield typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Buffer);
  } catch (error) {
    // A destroyed stream rejects its reader; that is how the abort reaches us.
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
