import type { IncomingHttpHeaders } from "node:http";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { isLoopbackHost, openSecret } from "@gmq/service";
import type { OidcSetup } from "./oidc-login.js";
import { createOidcProvider } from "./oidc-provider.js";
import type { OidcConfig } from "./oidc-settings.js";

/** What the login by a provider goes by besides its own settings. */
export interface OidcPlace {
  /** Where the portal listens. */
  readonly host: string;
  readonly hasTls: boolean;
  /** Where browsers reach it. */
  readonly publicUrls: readonly string[];
  readonly reloadMs: number;
}

/**
 * Opens the login by a provider; undefined: none is named.
 * @throws GmqError `invalid_argument` naming the setting that is missing, or has no use without another
 */
export function openOidc(
  config: OidcConfig,
  place: OidcPlace,
  logger: Logger,
): (OidcSetup & { close(): void }) | undefined {
  const { oidcIssuer: issuer, oidcClientId: clientId } = config;
  if (issuer === undefined) {
    const lone = (["oidcClientId", "oidcClientSecret", "oidcClientSecretFile"] as const).find(
      (key) => config[key] !== undefined,
    );
    if (lone !== undefined) throw missing("--oidc-issuer", "the login by a provider needs its URL");
    return undefined;
  }
  if (clientId === undefined)
    throw missing("--oidc-client-id", "the login by a provider needs the portal's name there");
  if (place.publicUrls.length === 0 && !isLoopbackHost(place.host)) {
    throw missing("--public-urls", "the provider sends browsers back to a URL of the portal, which has to be given");
  }
  const secret = openSecret(
    "--oidc-client-secret",
    config.oidcClientSecret,
    config.oidcClientSecretFile,
    place.reloadMs,
    logger,
  );
  const { oidcNameClaim: nameClaim, oidcRolesClaim: rolesClaim, oidcRoles: roles, oidcOtherRole: otherRole } = config;
  return {
    label: config.oidcLabel,
    provider: createOidcProvider({
      issuer,
      clientId,
      secret: secret?.current,
      clientAuth: config.oidcClientAuth,
      scopes: config.oidcScopes,
      neededClaims: [nameClaim, rolesClaim],
    }),
    rules: { nameClaim, rolesClaim, roles, otherRole },
    endsThere: config.oidcLogout,
    baseOf: (headers) => baseOf(headers, place),
    close: () => secret?.close(),
  };
}

/** The public URL that the browser asked for; where a proxy changes the name it asked for, the first. */
function baseOf(headers: IncomingHttpHeaders, { publicUrls, hasTls }: OidcPlace): string {
  const host = String(headers[":authority"] ?? headers.host ?? "");
  const origins = publicUrls.map((url) => new URL(url).origin);
  const [first] = origins;
  if (first !== undefined) return origins.find((origin) => new URL(origin).host === host) ?? first;
  const own = `${hasTls ? "https" : "http"}://${host}`;
  // Only this machine comes here, so a foreign name means DNS rebinding.
  if (!URL.canParse(own) || !isLoopbackHost(new URL(own).hostname.replace(/^\[|\]$/g, ""))) {
    throw new GmqError("permission_denied", `the portal is not known as ${host}; see --public-urls`, {
      field: "error",
    });
  }
  return new URL(own).origin;
}

function missing(field: string, why: string): GmqError {
  return new GmqError("invalid_argument", `${field} is missing: ${why}`, { field });
}
