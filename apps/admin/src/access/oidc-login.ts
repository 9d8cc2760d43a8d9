/** Login by a provider: `/access/oidc/start` sends the browser there, `/access/oidc/callback` takes it back. */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { countedAddress, type PlainHttp, type PlainRequest, type PlainResponse } from "@gmq/service";
import { EncryptJWT, errors, jwtDecrypt } from "jose";
import type { ClientAddress } from "./client-address.js";
import { createCookie } from "./cookies.js";
import { createLoginLimit } from "./login-limit.js";
import { type PersonRules, personOf } from "./oidc-person.js";
import type { LoginChecks, OidcProvider } from "./oidc-provider.js";
import type { Login } from "./sessions.js";

/** Where the provider sends browsers to; it has to be known there. */
export const callbackPath = "/access/oidc/callback";

/** The provider, and what its people may do. */
export interface OidcSetup {
  readonly label: string;
  readonly provider: OidcProvider;
  readonly rules: PersonRules;
  /** Whether who logs out here logs out there. */
  readonly endsThere: boolean;
  /** The portal's URL as the browser of this request knows it. @throws GmqError `permission_denied` for a name that is not the portal's */
  readonly baseOf: (headers: IncomingHttpHeaders) => string;
}

export interface OidcLoginOptions extends OidcSetup {
  readonly secure: boolean;
  readonly addressOf: ClientAddress;
  readonly loginFailuresPerMinuteMax: number;
  /** Begins a session; gives its cookie. */
  readonly begin: (request: PlainRequest, login: Login) => string;
  readonly logger: Logger;
}

/** Why a login came to nothing, as the login page tells it: a closed list, so that an address can put no words into it. */
type LoginProblem = "refused" | "begun" | "token" | "role" | "provider" | "busy" | "defect";

/** A person takes a while, with a second factor. */
const loginAgeMsMax = 600_000;
const exchangesAtOnceMax = 64;
const pageLengthMax = 1_024;

/** Makes the two pages. */
export function createOidcLogin(options: OidcLoginOptions): PlainHttp {
  const { provider, rules, addressOf, logger } = options;
  const limit = createLoginLimit(options.loginFailuresPerMinuteMax, exchangesAtOnceMax);
  // Lax: the browser comes back from another site. What it holds can be read by this process only, and ends with it.
  const cookie = createCookie("gmq-portal-login", options.secure, "Lax", /^[A-Za-z0-9_.-]{1,4096}$/);
  const key = randomBytes(32);

  async function start(request: PlainRequest, response: PlainResponse, query: URLSearchParams): Promise<void> {
    const base = options.baseOf(request.headers);
    const { url, checks } = await provider.authorizationUrl(base + callbackPath);
    const page = pageOf(query.get("page"));
    const sealed = await new EncryptJWT({ ...checks, page })
      .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
      .setExpirationTime(Math.ceil((Date.now() + loginAgeMsMax) / 1_000))
      .encrypt(key);
    redirect(response, url, [cookie.set(sealed, loginAgeMsMax)]);
  }

  async function callback(request: PlainRequest, response: PlainResponse, query: URLSearchParams): Promise<void> {
    const begun = await readBegun(request.headers);
    if (begun === undefined || query.get("state") !== begun.state) {
      throw new GmqError("unauthenticated", "the login was not begun in this browser", { field: "state" });
    }
    try {
      const login = await limit.run(countedAddress(addressOf(request)), () => take(query, begun));
      redirect(response, begun.page, [options.begin(request, login as Login), cookie.clear()]);
    } catch (error) {
      refuse(request, response, error, begun.page);
    }
  }

  async function take(query: URLSearchParams, begun: LoginChecks): Promise<Login> {
    const { claims, idToken } = await provider.exchange(query.toString(), begun);
    const person = personOf(claims, rules);
    const backTo = `${new URL(begun.redirectUri).origin}/`;
    return {
      user: () => person,
      logoutUrl: options.endsThere ? () => provider.logoutUrl(idToken, backTo) : undefined,
    };
  }

  async function readBegun(
    headers: IncomingHttpHeaders,
  ): Promise<(LoginChecks & { readonly page: string }) | undefined> {
    const sealed = cookie.read(headers);
    if (sealed === undefined) return undefined;
    try {
      const { payload } = await jwtDecrypt(sealed, key, {
        keyManagementAlgorithms: ["dir"],
        contentEncryptionAlgorithms: ["A256GCM"],
        requiredClaims: ["exp"],
      });
      // What this process sealed has the form that it sealed.
      return payload as unknown as LoginChecks & { readonly page: string };
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  function refuse(request: PlainRequest, response: PlainResponse, cause: unknown, page = "/"): void {
    const error = GmqError.from(cause);
    const address = addressOf(request);
    // Messages only: causes hold what the provider said of a person.
    if (error.code === "internal") logger.error("a login by the provider failed by a defect", { error });
    else logger.warn("a login by the provider was refused", { address, code: error.code, reason: whyOf(error) });
    redirect(response, `${page}#login-problem=${problemOf(error)}`, [cookie.clear()]);
  }

  return (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://portal.invalid");
    const answer = pathname === "/access/oidc/start" ? start : pathname === callbackPath ? callback : undefined;
    if (answer === undefined) return false;
    const run = async (): Promise<void> => {
      if (request.method !== "GET")
        throw new GmqError("invalid_argument", "only GET is answered here", { field: "method" });
      await answer(request, response, searchParams);
    };
    run().catch((error: unknown) => refuse(request, response, error));
    return true;
  };
}

function problemOf({ code, field }: GmqError): LoginProblem {
  if (code === "permission_denied") return field === "error" ? "refused" : "role";
  if (code === "unauthenticated") return field === "state" || field === "code" ? "begun" : "token";
  if (code === "unavailable") return "provider";
  return code === "resource_exhausted" ? "busy" : "defect";
}

/** A page of the portal to go on to; whatever leads elsewhere is the first page. */
export function pageOf(text: string | null): string {
  const own = "http://portal.invalid";
  if (text === null || text.length > pageLengthMax || !URL.canParse(text, own)) return "/";
  const { origin, pathname, search } = new URL(text, own);
  const isPage = origin === own && !pathname.startsWith("//") && !pathname.startsWith("/access/");
  return isPage ? pathname + search : "/";
}

function whyOf(error: unknown): string {
  const messages: string[] = [];
  for (let one = error; one instanceof Error && messages.length < 4; one = one.cause) messages.push(one.message);
  return [...new Set(messages)].join(": ");
}

function redirect(response: PlainResponse, location: string, cookies: string[]): void {
  response.writeHead(302, {
    location,
    "set-cookie": cookies,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
  });
  response.end();
}
