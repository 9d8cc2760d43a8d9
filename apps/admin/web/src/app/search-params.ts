/** The part of an address after the question mark. Everything in it is text: an offset stays exact, whatever its size. */

/** Reads these names out of an address and leaves out what is empty or unknown. */
export function readSearch<Name extends string>(
  ...names: readonly Name[]
): (search: Record<string, unknown>) => { readonly [Key in Name]?: string } {
  return (search) => {
    const found = names.flatMap((name) => {
      const value = search[name];
      return typeof value === "string" && value !== "" ? [[name, value]] : [];
    });
    return Object.fromEntries(found) as { readonly [Key in Name]?: string };
  };
}

export function parseSearch(text: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(text));
}

export function stringifySearch(search: Record<string, unknown>): string {
  const entries = Object.entries(search).filter(([, value]) => typeof value === "string" && value !== "");
  const text = new URLSearchParams(entries as [string, string][]).toString();
  return text === "" ? "" : `?${text}`;
}
