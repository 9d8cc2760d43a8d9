import { type ErrorCode, GmqError } from "@gmq/protocol";

const causes: Readonly<Record<string, readonly [code: ErrorCode, text: string]>> = {
  EADDRINUSE: ["unavailable", "another process listens there"],
  EACCES: ["permission_denied", "this user may not"],
  EADDRNOTAVAIL: ["invalid_argument", "the host is not an address of this machine"],
  ENOTFOUND: ["invalid_argument", "the host is not known"],
};

/** Why a port could not be opened, naming host and port. */
export function listeningError(cause: Error & { readonly code?: string }, host: string, port: number): GmqError {
  const [code, text] = causes[cause.code ?? ""] ?? (["invalid_argument", cause.message] as const);
  return new GmqError(code, `cannot listen on ${host}:${port}: ${text}`, { field: "addr", cause });
}
