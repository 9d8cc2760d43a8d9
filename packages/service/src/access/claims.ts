/** What an identity provider says of somebody, by name. */

/** A claim by its name, or by the path to it: names of claims may hold dots themselves. Undefined: it is not there. */
export function claim(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** The words of a claim, at most `wordsMax`: a list, or one text with spaces between them. */
export function claimWords(value: unknown, wordsMax: number): string[] {
  const list = typeof value === "string" ? value.split(/\s+/) : Array.isArray(value) ? value : [];
  return list.filter((word): word is string => typeof word === "string" && word !== "").slice(0, wordsMax);
}
