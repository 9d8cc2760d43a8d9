/** Settings of the login by an OpenID Connect provider. */
import { type FlagOptions, isSafeUrl } from "@gmq/service";
import { z } from "zod";
import { portalRoles } from "./roles.js";

const text = z.string().min(1).max(512);

/** Fields of the portal's schema. */
export const oidcFields = {
  oidcIssuer: z
    .url({ protocol: /^https?$/, error: "expected https://… of the provider" })
    .refine(isSafeUrl, "expected https, or http on loopback") // A provider in the clear could be anybody.
    .optional()
    .describe("URL of the OpenID Connect provider by which people log in; default: there is none"),
  oidcClientId: text.optional().describe("the portal's client id at the provider"),
  oidcClientSecret: text.optional().describe("the portal's secret at the provider; none for a public client"),
  oidcClientSecretFile: text.optional().describe("file that holds that secret, read again when it changes"),
  oidcClientAuth: z
    .enum(["basic", "post"])
    .default("basic")
    .describe("how the secret is shown to the provider: client_secret_basic or client_secret_post"),
  oidcScopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, "expected the name of a scope"))
    .min(1, "expected at least one")
    .max(32, "expected at most 32")
    .refine((scopes) => scopes.includes("openid"), "expected openid among them")
    .default(["openid", "profile", "email"])
    .describe("scopes to ask for"),
  oidcNameClaim: text
    .default("preferred_username")
    .describe("claim that names a person, for the audit; where it is missing the subject does"),
  oidcRolesClaim: text
    .default("roles")
    .describe("claim that holds a person's roles or groups: a list, or words with spaces; a dot looks inside"),
  oidcRoles: z
    .array(
      z.string().regex(/^[^=]{1,256}=(viewer|operator|admin)$/, "expected value=viewer, value=operator or value=admin"),
    )
    .min(1, "expected at least one")
    .max(256, "expected at most 256")
    .default(portalRoles.map((role) => `${role}=${role}`))
    .describe("what a value of that claim makes of a person; of several the highest counts"),
  oidcOtherRole: z
    .enum(["none", ...portalRoles])
    .default("none")
    .describe("what somebody is who has none of these values; none: he may not come in"),
  oidcLabel: z
    .string()
    .min(1)
    .max(40)
    .default("single sign-on")
    .describe('how the login page calls the provider, for example "Keycloak"'),
  oidcLogout: z.boolean().default(false).describe("who logs out of the portal logs out of the provider, too"),
};

/** How they are named on the command line. */
export const oidcFlags: Readonly<Record<keyof typeof oidcFields, FlagOptions>> = {
  oidcIssuer: { placeholder: "url" },
  oidcClientId: { placeholder: "id" },
  oidcClientSecret: { placeholder: "secret", secret: true },
  oidcClientSecretFile: { placeholder: "file" },
  oidcClientAuth: {},
  oidcScopes: { placeholder: "name,name" },
  oidcNameClaim: { placeholder: "claim" },
  oidcRolesClaim: { placeholder: "claim" },
  oidcRoles: { placeholder: "value=role,…" },
  oidcOtherRole: {},
  oidcLabel: { placeholder: "name" },
  oidcLogout: {},
};

/** The values of `oidcFields`. */
export type OidcConfig = Readonly<z.output<z.ZodObject<typeof oidcFields>>>;
