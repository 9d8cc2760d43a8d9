/** The portal as a client of an OpenID Connect provider: authorization code with PKCE. Protocol and checks are those of openid-client. */
import { GmqError } from "@gmq/protocol";
import { claim } from "@gmq/service";
import * as oidc from "openid-client";

/** What is kept in the browser from the way out to the way back. */
export interface LoginChecks {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirectUri: string;
}

/** What the provider says of somebody. */
export interface ProviderAnswer {
  /** Claims of the ID token, and of the user info where the token has not what is needed. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly idToken: string | undefined;
}

export interface OidcProvider {
  /** Where to send the browser. @throws GmqError `unavailable` when the provider does not answer */
  authorizationUrl(redirectUri: string): Promise<{ readonly url: string; readonly checks: LoginChecks }>;
  /**
   * Takes the browser's way back: the code becomes an ID token, whose signature, issuer, audience, nonce and times are checked.
   * @throws GmqError `permission_denied` when the provider refused, `unauthenticated` when what came back is not right, `unavailable`
   */
  exchange(query: string, checks: LoginChecks): Promise<ProviderAnswer>;
  /** Where to end the provider's own session; undefined when it has no such place. */
  logoutUrl(idToken: string | undefined, backTo: string): Promise<string | undefined>;
}

export interface OidcProviderOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Asked with each call; undefined for a public client. */
  readonly secret: (() => string) | undefined;
  readonly clientAuth: "basic" | "post";
  readonly scopes: readonly string[];
  /** Looked for in the user info when the ID token lacks them. */
  readonly neededClaims: readonly string[];
  readonly nowMs?: () => number;
}

const timeoutSeconds = 10;
const clockToleranceSeconds = 60;
/** Endpoints of a provider move rarely, and its keys are fetched anew by openid-client when one is not known. */
const discoveryAgeMsMax = 3_600_000;

/** Makes the client. The provider is asked for its endpoints with the first login, so that a portal starts without it. */
export function createOidcProvider(options: OidcProviderOptions): OidcProvider {
  const { issuer, clientId, secret, clientAuth, nowMs = Date.now } = options;
  let known: { readonly config: Promise<oidc.Configuration>; readonly atMs: number } | undefined;

  function discover(): Promise<oidc.Configuration> {
    if (known !== undefined && nowMs() - known.atMs < discoveryAgeMsMax) return known.config;
    // Loopback only: the settings refuse others in the clear.
    const insecure = issuer.startsWith("http:") ? [oidc.allowInsecureRequests] : [];
    const metadata = { [oidc.clockTolerance]: clockToleranceSeconds };
    const config = oidc.discovery(new URL(issuer), clientId, metadata, authentication(), {
      timeout: timeoutSeconds,
      // The library would trust what comes straight from the token endpoint: signatures are checked all the same.
      execute: [oidc.enableNonRepudiationChecks, ...insecure],
    });
    const entry = { config, atMs: nowMs() };
    known = entry;
    // One that failed is asked again by the next login; this one hears of it from the promise itself.
    config.catch(() => {
      if (known === entry) known = undefined;
    });
    return config;
  }

  function authentication(): oidc.ClientAuth {
    if (secret === undefined) return oidc.None();
    const make = clientAuth === "post" ? oidc.ClientSecretPost : oidc.ClientSecretBasic;
    return (server, client, body, headers) => make(secret())(server, client, body, headers);
  }

  async function discovered(): Promise<oidc.Configuration> {
    try {
      return await discover();
    } catch (cause) {
      throw new GmqError("unavailable", "the login provider does not answer as one", { field: "--oidc-issuer", cause });
    }
  }

  return {
    async authorizationUrl(redirectUri) {
      const config = await discovered();
      const verifier = oidc.randomPKCECodeVerifier();
      const checks = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier, redirectUri };
      const url = oidc.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: options.scopes.join(" "),
        state: checks.state,
        nonce: checks.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      });
      return { url: url.href, checks };
    },
    async exchange(query, { state, nonce, verifier, redirectUri }) {
      const config = await discovered();
      const back = new URL(redirectUri);
      back.search = query;
      try {
        const tokens = await oidc.authorizationCodeGrant(config, back, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: verifier,
          idTokenExpected: true,
        });
        const claims: Readonly<Record<string, unknown>> = { ...tokens.claims() };
        const isWhole = options.neededClaims.every((name) => claim(claims, name) !== undefined);
        const hasMore = config.serverMetadata().userinfo_endpoint !== undefined;
        const more =
          isWhole || !hasMore ? {} : await oidc.fetchUserInfo(config, tokens.access_token, String(claims["sub"]));
        return { claims: { ...more, ...claims }, idToken: tokens.id_token };
      } catch (cause) {
        throw refusal(cause);
      }
    },
    async logoutUrl(idToken, backTo) {
      const config = await discovered();
      if (config.serverMetadata().end_session_endpoint === undefined) return undefined;
      const parameters = new URLSearchParams({ post_logout_redirect_uri: backTo });
      if (idToken !== undefined) parameters.set("id_token_hint", idToken);
      return oidc.buildEndSessionUrl(config, parameters).href;
    },
  };
}

/** Why somebody does not come in. What is told to him is told by the page; this is for the log. */
function refusal(cause: unknown): GmqError {
  if (cause instanceof oidc.AuthorizationResponseError) {
    return new GmqError("permission_denied", `the login provider refused: ${cause.error}`, { field: "error", cause });
  }
  if (cause instanceof oidc.ResponseBodyError) {
    // The code was used before or is too old: that is the person's affair. All else is the settings'.
    const isStale = cause.error === "invalid_grant";
    return new GmqError(
      isStale ? "unauthenticated" : "unavailable",
      `the login provider's answer to the code: ${cause.error}`,
      { field: isStale ? "code" : "--oidc-client-id", cause },
    );
  }
  const isOurs = cause instanceof oidc.ClientError && cause.code !== undefined;
  if (isOurs && !answerCodes.has(cause.code ?? "")) {
    return new GmqError("unauthenticated", `the login does not hold: ${reasonOf(cause)}`, { field: "id_token", cause });
  }
  return new GmqError("unavailable", "the login provider does not answer as one", { field: "--oidc-issuer", cause });
}

/** Codes of openid-client that speak of the way to the provider, not of what it says. */
const answerCodes: ReadonlySet<string> = new Set([
  "OAUTH_TIMEOUT",
  "OAUTH_ABORT",
  "OAUTH_RESPONSE_IS_NOT_JSON",
  "OAUTH_RESPONSE_IS_NOT_CONFORM",
  "OAUTH_PARSE_ERROR",
]);

/** The library's message, which names the claim and quotes no token. */
function reasonOf(error: Error): string {
  const { cause } = error;
  return cause instanceof Error ? cause.message : error.message;
}
