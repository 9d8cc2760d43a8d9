/**
 * Renders the part of Helm's template language that our chart keeps to: if / else / end, range, pipes and a few functions. What it does not know it refuses, and
 * so it does with a value that values.yaml does not name. It is no Helm: `helm lint` has the last word where there is one.
 */
import { stringify } from "yaml";

type Value = unknown;
type Scope = { readonly root: Value; readonly dot: Value; readonly variables: ReadonlyMap<string, Value> };
type Expression = (scope: Scope) => Value;
type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly expression: Expression }
  | { readonly kind: "if"; readonly branches: readonly { readonly test: Expression; readonly body: readonly Node[] }[] }
  | {
      readonly kind: "range";
      readonly variable: string | undefined;
      readonly list: Expression;
      readonly body: readonly Node[];
    };

/** Renders a template with what Helm calls `.Values`, `.Release` and `.Chart`. @throws Error for what it does not know */
export function renderTemplate(source: string, root: Readonly<Record<string, unknown>>): string {
  const parts = split(source);
  const { body, end } = parseBody(parts, 0);
  if (end !== parts.length) throw new Error("an end or else without its beginning");
  return write(body, { root, dot: root, variables: new Map() });
}

interface Part {
  readonly isAction: boolean;
  readonly text: string;
}

function split(source: string): Part[] {
  const parts: Part[] = [];
  let from = 0;
  let trimsNext = false;
  const addText = (text: string, trimsEnd: boolean): void => {
    const begun = trimsNext ? text.trimStart() : text;
    parts.push({ isAction: false, text: trimsEnd ? begun.trimEnd() : begun });
  };
  for (const match of source.matchAll(/\{\{(-\s)?\s*([\s\S]*?)\s*(\s-)?\}\}/g)) {
    addText(source.slice(from, match.index), match[1] !== undefined);
    parts.push({ isAction: true, text: match[2] ?? "" });
    trimsNext = match[3] !== undefined;
    from = match.index + match[0].length;
  }
  addText(source.slice(from), false);
  return parts;
}

function parseBody(parts: readonly Part[], start: number): { readonly body: Node[]; readonly end: number } {
  const body: Node[] = [];
  let at = start;
  while (at < parts.length) {
    const { isAction, text } = parts[at] as Part;
    if (!isAction) {
      body.push({ kind: "text", text });
      at++;
    } else if (/^(end|else)\b/.test(text)) {
      return { body, end: at };
    } else if (text.startsWith("if ")) {
      const parsed = parseIf(parts, at);
      body.push(parsed.node);
      at = parsed.end;
    } else if (text.startsWith("range ")) {
      const [, variable, list = ""] = /^range (?:(\$\w+) := )?(.+)$/s.exec(text) ?? [];
      const inner = parseBody(parts, at + 1);
      if (parts[inner.end]?.text !== "end") throw new Error(`${text}: no end`);
      body.push({ kind: "range", variable, list: parseExpression(list), body: inner.body });
      at = inner.end + 1;
    } else {
      body.push({ kind: "print", expression: parseExpression(text) });
      at++;
    }
  }
  return { body, end: at };
}

function parseIf(parts: readonly Part[], start: number): { readonly node: Node; readonly end: number } {
  const branches: { readonly test: Expression; readonly body: readonly Node[] }[] = [];
  let at = start;
  let test: Expression = parseExpression((parts[at]?.text ?? "").slice("if ".length));
  for (;;) {
    const { body, end } = parseBody(parts, at + 1);
    branches.push({ test, body });
    const text = parts[end]?.text ?? "";
    if (text === "end") return { node: { kind: "if", branches }, end: end + 1 };
    if (text === "else") test = () => true;
    else if (text.startsWith("else if ")) test = parseExpression(text.slice("else if ".length));
    else throw new Error(`${parts[start]?.text}: no end`);
    at = end;
  }
}

function write(nodes: readonly Node[], scope: Scope): string {
  return nodes.map((node) => writeNode(node, scope)).join("");
}

function writeNode(node: Node, scope: Scope): string {
  switch (node.kind) {
    case "text":
      return node.text;
    case "print":
      return textOf(node.expression(scope));
    case "if": {
      const taken = node.branches.find(({ test }) => isTrue(test(scope)));
      return taken === undefined ? "" : write(taken.body, scope);
    }
    case "range": {
      const list = node.list(scope);
      if (!Array.isArray(list)) throw new Error("range over what is no list");
      return list
        .map((dot: Value, index) => {
          const variables = new Map(scope.variables);
          if (node.variable !== undefined) variables.set(node.variable, list[index]);
          return write(node.body, { ...scope, dot, variables });
        })
        .join("");
    }
  }
}

/** What Go's templates take for true. */
function isTrue(value: Value): boolean {
  if (value === null || value === undefined || value === false || value === 0 || value === "") return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}

function textOf(value: Value): string {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  throw new Error(`cannot print ${JSON.stringify(value)}`);
}

const functions: Readonly<Record<string, (...given: Value[]) => Value>> = {
  quote: (value) => JSON.stringify(textOf(value)),
  int: (value) => Math.trunc(Number(value)),
  until: (count) => Array.from({ length: Number(count) }, (_, index) => index),
  default: (fallback, value) => (isTrue(value) ? value : fallback),
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  toYaml: (value) => stringify(value, { sortMapEntries: true, lineWidth: 0 }).trimEnd(),
  nindent: (spaces, text) => `\n${textOf(text).replaceAll(/^/gm, " ".repeat(Number(spaces)))}`,
};

/** A pipe: the value of each command is the last argument of the next. */
function parseExpression(source: string): Expression {
  const tokens = source.match(/"(?:[^"\\]|\\.)*"|[()|]|[^\s()|"]+/g) ?? [];
  let at = 0;

  function pipe(): Expression {
    let value = command(undefined);
    while (tokens[at] === "|") {
      at++;
      value = command(value);
    }
    return value;
  }

  function command(piped: Expression | undefined): Expression {
    const name = tokens[at] ?? "";
    const known = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (known === undefined && piped !== undefined)
      throw new Error(`${source}: the function ${name} is not known here`);
    if (known === undefined) return term();
    at++;
    const given: Expression[] = [];
    while (at < tokens.length && tokens[at] !== "|" && tokens[at] !== ")") given.push(term());
    if (piped !== undefined) given.push(piped);
    return (scope) => known(...given.map((one) => one(scope)));
  }

  function term(): Expression {
    const token = tokens[at++] ?? "";
    if (token === "(") {
      const inner = pipe();
      if (tokens[at++] !== ")") throw new Error(`${source}: no )`);
      return inner;
    }
    if (token.startsWith('"')) return () => JSON.parse(token) as string;
    if (/^\d+$/.test(token)) return () => Number(token);
    if (/^\$\w+$/.test(token)) return ({ variables }) => variables.get(token);
    if (/^\$?(\.\w+)+$/.test(token)) return ({ root, dot }) => lookUp(token.startsWith("$") ? root : dot, token);
    throw new Error(`${source}: ${token || "its end"} is not known here`);
  }

  const expression = pipe();
  if (at !== tokens.length) throw new Error(`${source}: ${tokens[at]} is too much`);
  return expression;
}

function lookUp(from: Value, path: string): Value {
  let value = from;
  for (const key of path.replace(/^\$?\./, "").split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) throw new Error(`no value ${path}`);
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}
