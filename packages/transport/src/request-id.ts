import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** Ties what a caller saw to a line of our log: the caller's own id, or one made here; every answer to a call bears it. */
export const requestIdHeader = "x-request-id";

export function requestIdOf({ [requestIdHeader]: given }: IncomingHttpHeaders): string {
  return typeof given === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
}
