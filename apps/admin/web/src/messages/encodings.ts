/** How a value is typed in. */
export type Encoding = "text" | "hex" | "base64";

export const encodingOptions: readonly (readonly [Encoding, string])[] = [
  ["text", "text or JSON"],
  ["hex", "bytes in hex"],
  ["base64", "bytes in base64"],
];

/** The bytes that were typed, or what is wrong with them. */
export function bytesOf(
  typed: string,
  encoding: Encoding,
): { readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly problem: string } {
  if (encoding === "text") return { ok: true, bytes: new TextEncoder().encode(typed) };
  const compact = typed.replaceAll(/\s+/g, "");
  if (encoding === "hex") {
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(compact)) return { ok: false, problem: "Expected two hex digits for each byte" };
    return { ok: true, bytes: Uint8Array.from(compact.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)) };
  }
  try {
    return { ok: true, bytes: Uint8Array.from(atob(compact), (character) => character.charCodeAt(0)) };
  } catch {
    return { ok: false, problem: "Expected base64" };
  }
}
