import { timingSafeEqual } from "node:crypto";
import { GmqError } from "@gmq/protocol";
import { hashToken } from "@gmq/protocol/secrets";
import { anybody, type Caller } from "@gmq/transport";
import type { Authenticate } from "../admit.js";
import { bearerOf } from "./bearer.js";

/**
 * Lets in who knows the one token, or, where client certificates are required, who came through the handshake: between services there are no roles.
 * @param token asked for at each call, so that it can be renewed; undefined: certificates alone decide
 */
export function sharedTokenAccess(token: (() => string) | undefined, requireClientCert: boolean): Authenticate {
  const service: Caller = { ...anybody, name: "service" };
  return ({ headers, certificateName }) => {
    if (token !== undefined) {
      const given = bearerOf(headers);
      // Hashes are of one length, as the comparison needs it.
      const isIt =
        given !== undefined && timingSafeEqual(Buffer.from(hashToken(given)), Buffer.from(hashToken(token())));
      if (isIt) return service;
    } else if (requireClientCert && certificateName !== undefined) return service;
    throw new GmqError(
      "unauthenticated",
      "this port is for other services of GMQ: their token or certificate is needed",
      {
        field: "authorization",
        limit: "Bearer <token>",
      },
    );
  };
}
