/** A piece of a JSON text as it stands there. */
export interface JsonToken {
  readonly kind: "name" | "text" | "number" | "word" | "mark" | "space";
  readonly text: string;
}

const pattern = /("(?:[^"\\]|\\.)*"?)(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)|([{}[\],:])|(\s+)|([^\s{}[\],:"]+)/g;
const indent = "  ";

/**
 * Sets a JSON text on lines without parsing its values: a number keeps every digit, a name that occurs twice is shown twice. A text that is cut off
 * or is no JSON loses nothing either: what is not understood stays as it is.
 */
export function layOutJson(source: string): JsonToken[] {
  const tokens: JsonToken[] = [];
  let depth = 0;
  const add = (kind: JsonToken["kind"], text: string): void => void tokens.push({ kind, text });
  const newLine = (): void => add("space", `\n${indent.repeat(depth)}`);
  for (const [whole, text, colon, number, word, mark] of source.matchAll(pattern)) {
    if (text !== undefined) {
      add(colon === undefined ? "text" : "name", text);
      if (colon !== undefined) add("mark", ": ");
    } else if (number !== undefined) add("number", number);
    else if (word !== undefined) add("word", word);
    else if (mark === "{" || mark === "[") {
      add("mark", mark);
      depth++;
      newLine();
    } else if (mark === "}" || mark === "]") {
      depth = Math.max(0, depth - 1);
      const isEmpty = tokens.at(-1)?.kind === "space" && ["{", "["].includes(tokens.at(-2)?.text ?? "");
      if (isEmpty) tokens.pop();
      else newLine();
      add("mark", mark);
    } else if (mark === ",") {
      add("mark", ",");
      newLine();
    } else if (mark === ":") add("mark", ": ");
    else if (whole.trim() !== "") add("text", whole);
  }
  return tokens;
}
