import type { IncomingHttpHeaders } from "node:http";
import { GmqError } from "@gmq/protocol";

const tokenLengthMax = 8_192;

/** The token of `authorization: Bearer <token>`; undefined without the header. @throws GmqError `unauthenticated` for anything else in it */
export function bearerOf(headers: IncomingHttpHeaders): string | undefined {
  const { authorization } = headers;
  if (authorization === undefined) return undefined;
  const token = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization)?.[1];
  if (token !== undefined && token.length <= tokenLengthMax) return token;
  throw new GmqError("unauthenticated", "the authorization header cannot be read", {
    field: "authorization",
    limit: `Bearer and a token of ${tokenLengthMax} characters at most`,
  });
}
