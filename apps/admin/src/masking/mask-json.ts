/**
 * Replaces fields of a JSON text and leaves everything else as it is, digit by digit. A path is a list of names; `*` is any name, `**` any number of them, and
 * the items of a list are where the list is. Pure.
 */

/** What stands in place of a masked value. */
export const mask = "***";

/** A field's place, for example ["card", "number"]. */
export type FieldPath = readonly string[];

const depthMax = 500;
const jsonMask = JSON.stringify(mask);

/** The text with every field at one of the paths replaced. Undefined: it is no JSON, or too deep to be looked through. */
export function maskJson(text: string, paths: readonly FieldPath[]): { text: string; masked: boolean } | undefined {
  const token = /\s*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|([^\s{}[\],:"]+))/gsy;
  const out: string[] = [];
  let copied = 0;
  let masked = false;

  /** Undefined at the end, and where nothing of JSON stands. */
  function next(): { readonly text: string; readonly start: number; readonly end: number } | undefined {
    const found = token.exec(text);
    const word = found?.[1] ?? found?.[2] ?? found?.[3];
    return found === null || word === undefined
      ? undefined
      : { text: word, start: token.lastIndex - word.length, end: token.lastIndex };
  }

  function replace(start: number, end: number): void {
    out.push(text.slice(copied, start), jsonMask);
    copied = end;
    masked = true;
  }

  /** Passes over one value; false: it is none. */
  function value(open: readonly FieldPath[], depth: number, isNamed: boolean, first = next()): boolean {
    if (first === undefined || depth > depthMax) return false;
    const isMeant = isNamed && open.some((path) => path.every((name) => name === "**"));
    // Looked through all the same, so that its end is known.
    const inside = isMeant ? [] : open;
    const isSound =
      first.text === "{"
        ? object(inside, depth)
        : first.text === "["
          ? list(inside, depth, isNamed)
          : isWord(first.text);
    if (isSound && isMeant) replace(first.start, token.lastIndex);
    return isSound;
  }

  function object(open: readonly FieldPath[], depth: number): boolean {
    let name = next();
    if (name?.text === "}") return true;
    for (;;) {
      if (name === undefined || !name.text.startsWith('"') || next()?.text !== ":") return false;
      if (!value(below(open, nameOf(name.text)), depth + 1, true)) return false;
      const end = next()?.text;
      if (end !== ",") return end === "}";
      name = next();
    }
  }

  function list(open: readonly FieldPath[], depth: number, isNamed: boolean): boolean {
    let item = next();
    if (item?.text === "]") return true;
    for (;;) {
      if (!value(open, depth + 1, isNamed, item)) return false;
      const end = next()?.text;
      if (end !== ",") return end === "]";
      item = next();
    }
  }

  if (!value(paths, 0, false) || text.slice(token.lastIndex).trim() !== "") return undefined;
  out.push(text.slice(copied));
  return { text: out.join(""), masked };
}

/** What of the paths is left below a name. */
function below(paths: readonly FieldPath[], name: string): FieldPath[] {
  return paths.flatMap((path): FieldPath[] => {
    const [first, ...rest] = path;
    if (first === "**") return [path, ...below([rest], name)];
    return first === name || first === "*" ? [rest] : [];
  });
}

function nameOf(word: string): string {
  try {
    return String(JSON.parse(word));
  } catch {
    return word;
  }
}

function isWord(word: string): boolean {
  try {
    JSON.parse(word);
    return true;
  } catch {
    return false;
  }
}
