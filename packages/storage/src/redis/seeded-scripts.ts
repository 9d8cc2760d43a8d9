/** Seeded bugs that lie in scripts: the text is changed when it is loaded. See `hasSeededBug`. */
import { hasSeededBug, type SeededBug } from "@gmq/protocol";

interface Change {
  readonly bug: SeededBug;
  /** Name of the script file. */
  readonly script: string;
  readonly from: string;
  readonly to: string;
}

const changes: readonly Change[] = [
  {
    bug: "settle-without-epoch",
    script: "settle",
    from: "local isOwner = epoch == ARGV[3] and redis.call('HGET', KEYS[2], 'owner') == ARGV[2]",
    to: "local isOwner = true",
  },
  {
    bug: "settle-backwards",
    script: "settle",
    from: "local states = partly and value or string.rep('.', count)",
    to: "local states = string.rep('.', count)",
  },
  {
    bug: "desk-takes-from-the-living",
    script: "claim-shared",
    from: "not isMine and not registered[holder] and ARGV[5] ~= ''",
    to: "not isMine",
  },
  { bug: "trim-counts-nothing", script: "trim", from: "if plan.lost > 0 then", to: "if plan.lost < 0 then" },
  { bug: "claim-without-idle", script: "load-group", from: "'-inf', now)", to: "'-inf', '+inf')" },
  { bug: "claim-without-idle", script: "save-group", from: "tonumber(deadline) > now", to: "false" },
];

/** The script as it is to be run: with its seeded bug when the process was started with one. */
export function seededScript(name: string, text: string): string {
  const due = changes.filter(({ bug, script }) => script === name && hasSeededBug(bug));
  return due.reduce((seeded, { bug, from, to }) => {
    if (!seeded.includes(from)) throw new Error(`${name}.lua has changed: the seeded bug ${bug} finds no place in it`);
    return seeded.replace(from, to);
  }, text);
}
