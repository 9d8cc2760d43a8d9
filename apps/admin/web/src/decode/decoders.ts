/** Bytes as people read them. Numbers are never parsed on the way: what the record holds is what is shown, whatever its size. */

export type DecoderName = "auto" | "json" | "text" | "hex" | "msgpack" | "protobuf";

export const decoderNames: readonly (readonly [DecoderName, string])[] = [
  ["auto", "automatic"],
  ["json", "JSON"],
  ["text", "text"],
  ["hex", "hex"],
  ["msgpack", "MessagePack"],
  ["protobuf", "protobuf"],
];

/** True for a name of a decoder. */
export function isDecoderName(text: string | undefined): text is DecoderName {
  return decoderNames.some(([name]) => name === text);
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });
const looseUtf8 = new TextDecoder();

/** The text of bytes that are UTF-8; undefined when they are not. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** What bytes most likely are. A cut JSON text still counts as JSON by how it begins. */
export function guess(bytes: Uint8Array, isCut: boolean): Exclude<DecoderName, "auto"> {
  const text = isCut ? textOfCut(bytes) : textOf(bytes);
  if (text === undefined || hasControls(text)) return "hex";
  const start = text.trimStart()[0] ?? "";
  if (!"{[".includes(start) || start === "") return "text";
  if (isCut) return "json";
  try {
    JSON.parse(text);
    return "json";
  } catch {
    return "text";
  }
}

/** One line for a list; `protobuf` reads bytes as the topic's message, where it has one. */
export function preview(
  bytes: Uint8Array,
  decoder: DecoderName,
  isCut: boolean,
  protobuf?: (bytes: Uint8Array) => string,
): string {
  if (decoder === "protobuf") return protobufLine(bytes, isCut, protobuf);
  const chosen = decoder === "auto" ? guess(bytes, isCut) : decoder;
  const shown = bytes.subarray(0, 300);
  if (chosen === "hex" || chosen === "msgpack") return hexOf(shown.subarray(0, 64));
  return looseUtf8.decode(shown).replaceAll(/\s+/g, " ");
}

function protobufLine(
  bytes: Uint8Array,
  isCut: boolean,
  protobuf: ((bytes: Uint8Array) => string) | undefined,
): string {
  if (protobuf === undefined) return "(the topic has no descriptors for it)";
  if (isCut) return "(cut: choose the record to see it whole)";
  try {
    return protobuf(bytes).slice(0, 300);
  } catch {
    return `(no such message) ${hexOf(bytes.subarray(0, 48))}`;
  }
}

/** Bytes in hexadecimal, two digits each. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** As `hexdump -C` prints them: place, bytes, characters. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = bytes.subarray(at, at + 16);
    const characters = Array.from(line, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."));
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hexOf(line).padEnd(47)}  ${characters.join("")}`);
  }
  return lines.join("\n");
}

/** A key or a header's value as it stands in a line: text, or hexadecimal where it is none. */
export function readableOf(bytes: Uint8Array): string {
  return guess(bytes, false) === "hex" ? hexOf(bytes) : looseTextOf(bytes);
}

/** Text as well as it can be read. */
export function looseTextOf(bytes: Uint8Array): string {
  return looseUtf8.decode(bytes);
}

function textOfCut(bytes: Uint8Array): string | undefined {
  // The cut may go through a character of up to four bytes.
  for (let dropped = 0; dropped < 4; dropped++) {
    const text = textOf(bytes.subarray(0, bytes.length - dropped));
    if (text !== undefined) return text;
  }
  return undefined;
}

function hasControls(text: string): boolean {
  for (let at = 0; at < Math.min(text.length, 1_000); at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) return true;
  }
  return false;
}
