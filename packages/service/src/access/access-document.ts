/** The access file of a broker: who may come in, and what each may do. YAML, or JSON, which is YAML too. */
import { tokenHashPattern } from "@gmq/protocol/secrets";
import { z } from "zod";
import { isSafeUrl } from "../port-security.js";
import { readDocument } from "./read-document.js";

const name = z.string().min(1).max(256);
const roles = z.array(name).max(64);
const patterns = z
  .array(z.string().regex(/^[A-Za-z0-9._*-]{1,249}$/, "expected a name, with * for any characters"))
  .max(1_024)
  .default([]);

const tokenEntry = z.strictObject({
  name,
  hash: z.string().regex(tokenHashPattern, "expected sha256: and 64 hex digits; `gmq token create` prints one"),
  roles,
  expires: z.iso.datetime({ offset: true, error: "expected a time such as 2027-01-31T00:00:00Z" }).optional(),
});

const jwtEntry = z.strictObject({
  jwksUrl: z.url({ protocol: /^https?$/, error: "expected https://… of a JWKS" }).refine(isSafeUrl, {
    error: "expected https, or http on loopback",
  }),
  issuer: z.string().min(1),
  audience: z.string().min(1),
  /** Claim that holds the roles, as a list or as words; `realm_access.roles` looks inside. */
  rolesClaim: z.string().min(1).max(256).default("roles"),
  nameClaim: z.string().min(1).max(256).default("sub"),
  algorithms: z
    .array(z.enum(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]))
    .min(1)
    .default(["RS256", "PS256", "ES256", "EdDSA"]),
});

const document = z
  .strictObject({
    roles: z.record(
      name,
      z.array(
        z.strictObject({
          topics: patterns,
          groups: patterns,
          allow: z.array(z.enum(["publish", "consume", "admin"])).min(1),
        }),
      ),
    ),
    tokens: z.array(tokenEntry).max(10_000).default([]),
    certificates: z.array(z.strictObject({ name, roles })).max(10_000).default([]),
    jwt: jwtEntry.optional(),
  })
  .superRefine((given, context) => {
    const known = new Set(Object.keys(given.roles));
    for (const list of ["tokens", "certificates"] as const) {
      given[list].forEach((entry, index) => {
        const unknown = entry.roles.find((role) => !known.has(role));
        if (unknown === undefined) return;
        context.addIssue({ code: "custom", path: [list, index, "roles"], message: `there is no role ${unknown}` });
      });
    }
    const names = given.tokens.map((token) => token.name);
    const twice = names.find((one, index) => names.indexOf(one) !== index);
    if (twice !== undefined) context.addIssue({ code: "custom", path: ["tokens"], message: `${twice} is there twice` });
  });

/** What an access file says. */
export type AccessDocument = z.infer<typeof document>;

/** Reads it. @throws GmqError `invalid_argument` naming file, place and what was expected */
export function readAccessDocument(flag: string, path: string): AccessDocument {
  return readDocument(flag, path, document);
}
