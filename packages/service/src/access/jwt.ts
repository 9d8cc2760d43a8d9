/** Bearer tokens of an identity provider, checked by its published keys. */
import { GmqError } from "@gmq/protocol";
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import type { AccessDocument } from "./access-document.js";
import { claim, claimWords } from "./claims.js";

/** What a valid token says. */
export interface JwtFacts {
  readonly name: string;
  readonly roles: readonly string[];
  /** By this machine's clock. */
  readonly expiresAtMs: number;
}

/** Checks one token. @throws GmqError `unauthenticated`, or `unavailable` when the keys cannot be had */
export type JwtCheck = (token: string) => Promise<JwtFacts>;

const clockToleranceSeconds = 60;
const rolesMax = 256;

/** Makes the check; keys are fetched with the first token, and again for one that is signed with a key that is not known yet, at most every 30 s. */
export function createJwtCheck(jwt: NonNullable<AccessDocument["jwt"]>): JwtCheck {
  const keys = createRemoteJWKSet(new URL(jwt.jwksUrl), { timeoutDuration: 5_000, cooldownDuration: 30_000 });
  const { issuer, audience, algorithms, nameClaim, rolesClaim } = jwt;
  return async (token) => {
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        requiredClaims: ["exp"],
      }));
    } catch (cause) {
      throw refusal(cause);
    }
    const name = claim(payload, nameClaim);
    if (typeof name !== "string" || name === "") {
      throw new GmqError("unauthenticated", `the token has no ${nameClaim}`, { field: "authorization" });
    }
    const expiresAtMs = ((payload.exp ?? 0) + clockToleranceSeconds) * 1_000;
    return { name: name.slice(0, 256), roles: claimWords(claim(payload, rolesClaim), rolesMax), expiresAtMs };
  };
}

/** Why a token is not taken. Its own text is never quoted. */
function refusal(cause: unknown): GmqError {
  if (cause instanceof errors.JWTExpired) {
    return new GmqError("unauthenticated", "the token ran out", { field: "authorization", limit: "exp" });
  }
  if (cause instanceof errors.JWTClaimValidationFailed) {
    return new GmqError("unauthenticated", `the token's ${cause.claim} is not the one expected`, {
      field: "authorization",
      limit: cause.claim,
    });
  }
  const isOfToken = cause instanceof errors.JOSEError && !(cause instanceof errors.JWKSTimeout);
  if (isOfToken && cause.code !== "ERR_JOSE_GENERIC" && cause.code !== "ERR_JWKS_INVALID") {
    return new GmqError("unauthenticated", "the token is not valid", { field: "authorization" });
  }
  return new GmqError("unavailable", "the keys to check tokens with cannot be had now", { cause });
}
