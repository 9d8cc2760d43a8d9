import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hasSeededBug } from "@gmq/protocol";
import type { RedisConnection } from "./connection.js";
import { RedisCommand, type Reply } from "./redis-command.js";
import { isReply, prefixOf } from "./redis-errors.js";
import { seededScript } from "./seeded-scripts.js";

/** Every script of the engine. Each runs on keys of one slot; of payload, only a small entry that is appended passes through one. */
const names = [
  "alter-topic",
  "append",
  "begin",
  "claim",
  "claim-page",
  "claim-shared",
  "delete-group",
  "deliver",
  "drop-partition",
  "end-deletion",
  "ends",
  "forget-group",
  "group-offsets",
  "groups-of-partition",
  "index-delay",
  "keep-producers",
  "load-group",
  "make-partition",
  "meta-at",
  "raise-delay",
  "reposition",
  "save-group",
  "session-deadlines",
  "settle",
  "tail",
  "touch-sessions",
  "trim",
] as const;

export type ScriptName = (typeof names)[number];

export interface Scripts {
  /**
   * Runs a script by its hash, and sends its text when Redis has lost it (restart, SCRIPT FLUSH): that try did nothing, so the second is safe.
   * @throws Redis' own error, or GmqError `store_unavailable`
   */
  run(
    connection: RedisConnection,
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<Reply>;
}

const dropsForgotten = hasSeededBug("noscript-is-dropped");

/** Reads the scripts from beside this file. */
export function loadScripts(): Scripts {
  const known = new Map(
    names.map((name) => {
      const text = name === "append" ? `${asFunction("deliver")}${textOfScript(name)}` : textOfScript(name);
      return [name, { text, sha: createHash("sha1").update(text).digest("hex") }];
    }),
  );

  /** Sent whole at least once. */
  const sent = new Set<ScriptName>();

  return {
    async run(connection, name, keys, args) {
      const { text, sha } = known.get(name) as { text: string; sha: string };
      try {
        return await connection.run((redis) => call("evalsha", sha, keys, args).send(redis));
      } catch (error) {
        if (!isReply(error) || prefixOf(error) !== "NOSCRIPT") throw error;
        if (dropsForgotten && name === "settle" && sent.has(name)) return [];
        sent.add(name);
        return await connection.run((redis) => call("eval", text, keys, args).send(redis));
      }
    },
  };
}

function call(
  name: "evalsha" | "eval",
  script: string,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
): RedisCommand {
  return new RedisCommand(name, [script, String(keys.length), ...keys, ...args]);
}

function textOfScript(name: ScriptName): string {
  return seededScript(name, readFileSync(new URL(`scripts/${name}.lua`, import.meta.url), "utf8"));
}

/** A script as a function of its keys and arguments, for another script. */
function asFunction(name: ScriptName): string {
  return `local function ${name}(KEYS, ARGV)\n${textOfScript(name)}\nend\n`;
}

/** Text of a bulk string, "" for nil. */
export function textOf(reply: Reply | undefined): string {
  if (reply instanceof Buffer) return reply.toString("utf8");
  return reply === null || reply === undefined ? "" : String(reply);
}

/** The items of a list reply. */
export function itemsOf(reply: Reply | undefined): readonly Reply[] {
  return Array.isArray(reply) ? (reply as readonly Reply[]) : [];
}
