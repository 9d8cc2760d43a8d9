/** Settings that every deployable has, as fields for its schema: the same name, form and words everywhere. */
import { readFileSync } from "node:fs";
import { GmqError } from "@gmq/protocol";
import { z } from "zod";

/** Where to listen. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const addressForm = "host:port, :port (all interfaces) or port (this machine only)";

/**
 * Reads `host:port`, `[v6]:port`, `:port` (all interfaces) or `port` (this machine only).
 * @throws GmqError `invalid_argument`
 */
export function parseAddress(text: string): Address {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    throw new GmqError("invalid_argument", `${JSON.stringify(text)} is not an address`, {
      field: "addr",
      limit: addressForm,
    });
  }
  const host = match[1] === undefined ? "127.0.0.1" : match[1] === "" ? "0.0.0.0" : match[1].replace(/^\[|\]$/g, "");
  return { host, port };
}

/** A field for an address to listen on. */
export function addressField(description: string, byDefault: string) {
  return z.string().refine(isAddress, `expected ${addressForm}`).default(byDefault).describe(description);
}

function isAddress(text: string): boolean {
  try {
    parseAddress(text);
    return true;
  } catch (error) {
    if (GmqError.is(error)) return false;
    throw error;
  }
}

const originForm = "http://host:port, https://host:port or host:port";

/** `host:port` as `http://host:port`; a URL as it is. Undefined: neither. */
function parseOrigin(text: string): string | undefined {
  const url = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(url)) return undefined;
  const { protocol, origin, pathname, search, hostname } = new URL(url);
  const isOrigin =
    (protocol === "http:" || protocol === "https:") && hostname !== "" && pathname === "/" && search === "";
  return isOrigin ? origin : undefined;
}

/** A field for the URLs of other services, 1 to 64. */
export function originsField(description: string, byDefault: readonly string[]) {
  return z
    .array(z.string().refine((text) => parseOrigin(text) !== undefined, `expected ${originForm}`))
    .min(1, "expected at least one")
    .max(64, "expected at most 64")
    .default([...byDefault])
    .describe(description);
}

/** The URLs of a list that passed `originsField`, each once. */
export function originsOf(list: readonly string[]): string[] {
  return [...new Set(list.flatMap((text) => parseOrigin(text) ?? []))];
}

/** The log level: those of @gmq/log. */
export const logLevelField = z
  .enum(["debug", "info", "warn", "error", "silent"])
  .default("info")
  .describe("least severe lines that are logged");

/** Time to drain after SIGTERM. */
export const drainTimeoutField = z
  .number()
  .int()
  .min(0)
  .max(600_000)
  .default(30_000)
  .describe("ms that work in flight gets after SIGTERM, 0 to 600000");

/** The version in a program's package.json. */
export function packageVersion(packageJson: URL): string {
  return (JSON.parse(readFileSync(packageJson, "utf8")) as { version: string }).version;
}
