/** What roles allow, compiled once per version of the access file. */
import type { Action } from "@gmq/transport";

/** One line of a role: these actions on topics and groups of these names; `*` in a name stands for any characters. */
export interface RoleRule {
  readonly topics: readonly string[];
  readonly groups: readonly string[];
  readonly allow: readonly Action[];
}

/** Answers whether an action is allowed; each name is looked at once. */
export interface Rights {
  topic(action: Action, name: string): boolean;
  group(action: Action, name: string): boolean;
}

/** Names remembered; past it all are looked at again, so that nobody fills the memory by asking for names. */
const namesMax = 10_000;

/** What these rules allow together. Nothing else is allowed. */
export function createRights(rules: readonly RoleRule[]): Rights {
  const topics = createLookup(rules, (rule) => rule.topics);
  const groups = createLookup(rules, (rule) => rule.groups);
  return { topic: topics, group: groups };
}

function createLookup(
  rules: readonly RoleRule[],
  patternsOf: (rule: RoleRule) => readonly string[],
): (action: Action, name: string) => boolean {
  const tests = rules.map((rule) => ({ allow: rule.allow, test: namesTest(patternsOf(rule)) }));
  let known = new Map<string, ReadonlySet<Action>>();
  return (action, name) => {
    let allowed = known.get(name);
    if (allowed === undefined) {
      allowed = new Set(tests.flatMap(({ allow, test }) => (test(name) ? allow : [])));
      if (known.size >= namesMax) known = new Map();
      known.set(name, allowed);
    }
    return allowed.has(action);
  };
}

/** A star is any characters, dots and dead-letter topics (`….dlq`) included: rights are not subscriptions. */
function namesTest(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes("*")));
  const parts = patterns.filter((pattern) => pattern.includes("*")).map((pattern) => pattern.split(/\*+/));
  return (name) => exact.has(name) || parts.some((pieces) => matches(pieces, name));
}

/** Piece by piece from the left, without a regular expression: no name makes it slow. */
function matches(pieces: readonly string[], name: string): boolean {
  const first = pieces[0] as string;
  const last = pieces.at(-1) as string;
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  let from = first.length;
  const end = name.length - last.length;
  for (const piece of pieces.slice(1, -1)) {
    const at = name.indexOf(piece, from);
    if (at === -1 || at + piece.length > end) return false;
    from = at + piece.length;
  }
  return true;
}
