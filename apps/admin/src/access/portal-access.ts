/** Login of the portal: who calls is found out from a token or a session cookie; pages log in, out and ask who they are under `/access/`. */
import type { IncomingHttpHeaders } from "node:http";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { type Authenticate, countedAddress, type PlainHttp, type PlainRequest, type PlainResponse } from "@gmq/service";
import type { ClientAddress } from "./client-address.js";
import { createCookie } from "./cookies.js";
import { createLoginLimit } from "./login-limit.js";
import { createOidcLogin, type OidcSetup } from "./oidc-login.js";
import type { PortalLogin, PortalUser, PortalUsers } from "./portal-users.js";
import { readSmallJson } from "./read-small-json.js";
import { type PortalCaller, portalCaller } from "./roles.js";
import { createSessions, type Login, type SessionTimes } from "./sessions.js";

export interface PortalAccess {
  /** False: nobody has to log in. */
  readonly isOn: boolean;
  readonly authenticate: Authenticate;
  /** People and programs of the access file. */
  logins(): readonly PortalLogin[];
  /** Name of the provider by which people log in, "" without one. */
  readonly provider: string;
  /** `/access/login`, `/access/logout`, `/access/me`, and with a provider `/access/oidc/…`. */
  readonly pages: PlainHttp;
}

export interface PortalAccessOptions extends SessionTimes {
  /** People and tokens of the access file. Without it and without a provider everybody may everything, and is told so. */
  readonly users: PortalUsers | undefined;
  /** The provider by which people log in. */
  readonly oidc: OidcSetup | undefined;
  readonly addressOf: ClientAddress;
  readonly loginFailuresPerMinuteMax: number;
  /** True: browsers come by https only, so the cookie is for https only. */
  readonly secure: boolean;
  /** Whether a page of this origin may call; the guard's rule. */
  readonly isOwnOrigin: (headers: IncomingHttpHeaders) => boolean;
  readonly logger: Logger;
}

/** Custom headers that no page of another origin can send without being asked for first: a form or an image cannot. */
const pageHeaders = ["connect-protocol-version", "x-gmq-portal"];

/** Makes the login of a portal. */
export function createPortalAccess(options: PortalAccessOptions): PortalAccess {
  const { users, secure, addressOf, loginFailuresPerMinuteMax, logger } = options;
  const isOn = users !== undefined || options.oidc !== undefined;
  const sessions = createSessions(options);
  const limit = createLoginLimit(loginFailuresPerMinuteMax);
  const cookie = createCookie("gmq-portal", secure, "Strict", /^[A-Za-z0-9_-]{43}$/);
  const oidc =
    options.oidc === undefined
      ? undefined
      : createOidcLogin({ ...options.oidc, secure, addressOf, loginFailuresPerMinuteMax, begin, logger });
  const ways = { password: users !== undefined, provider: options.oidc?.label };

  const authenticate: Authenticate = ({ headers }) => {
    const caller = callerOf(headers, true);
    if (caller === undefined) throw new GmqError("unauthenticated", "log in first", { field: "cookie" });
    return caller;
  };

  /** @throws GmqError `permission_denied` for a cookie that comes without a page's header */
  function callerOf(headers: IncomingHttpHeaders, isCall: boolean): PortalCaller | undefined {
    const token = /^Bearer (\S{1,8192})$/i.exec(headers.authorization ?? "")?.[1];
    if (token !== undefined) {
      const user = users?.byToken(token);
      return user === undefined ? undefined : ofUser(user, () => users?.byToken(token));
    }
    const id = cookie.read(headers);
    if (id === undefined) return undefined;
    if (isCall && !pageHeaders.some((name) => headers[name] !== undefined)) {
      throw new GmqError("permission_denied", "a cookie alone does not make a call", {
        field: pageHeaders[0] as string,
      });
    }
    const user = sessions.use(id)?.user();
    if (user === undefined) return undefined;
    return ofUser(user, () => sessions.peek(id)?.user());
  }

  /** Begins a session. The one before ends, and a new id begins: nobody can have prepared it. @returns the cookie to set */
  function begin(request: PlainRequest, login: Login): string {
    const user = login.user();
    logger.info("somebody logged in", { user: user?.name, role: user?.role, address: addressOf(request) });
    const before = cookie.read(request.headers);
    if (before !== undefined) sessions.close(before);
    return cookie.set(sessions.open(login));
  }

  function answer(request: PlainRequest, response: PlainResponse, path: string): void {
    const run = async (): Promise<void> => {
      if (path === "/access/me") return me(request, response);
      if (request.method !== "POST")
        throw new GmqError("invalid_argument", "only POST is answered here", { field: "method" });
      if (request.headers["x-gmq-portal"] === undefined || !options.isOwnOrigin(request.headers)) {
        throw new GmqError("permission_denied", "only pages of the portal may do this", { field: "origin" });
      }
      if (path === "/access/login") await login(request, response);
      else await logout(request, response);
    };
    run().catch((cause: unknown) => {
      const error = GmqError.from(cause);
      if (error.code === "internal") logger.error("a login failed by a defect", { error });
      const { code, message, field, limit: bound } = error;
      say(response, statusOf[code] ?? 400, {
        code,
        message: code === "internal" ? "a defect" : message,
        field,
        limit: bound,
      });
    });
  }

  function me({ headers }: PlainRequest, response: PlainResponse): void {
    if (!isOn) return say(response, 200, { on: false });
    const caller = callerOf(headers, false);
    if (caller === undefined) return say(response, 401, { on: true, ways });
    say(response, 200, { on: true, ways, name: caller.name, role: caller.role });
  }

  async function login(request: PlainRequest, response: PlainResponse): Promise<void> {
    const given = await readSmallJson(request);
    const address = addressOf(request);
    const user = await limit.run(countedAddress(address), () => find(given));
    if (user === undefined) {
      logger.warn("a login was refused", { address });
      throw new GmqError("unauthenticated", "the name, password or token is not right", { field: "login" });
    }
    const login = { user: () => users?.byKey(user.key) };
    say(response, 200, { on: true, ways, name: user.name, role: user.role }, { "set-cookie": begin(request, login) });
  }

  async function find({ name, password, token }: Readonly<Record<string, unknown>>): Promise<PortalUser | undefined> {
    if (typeof token === "string") return users?.byToken(token);
    if (typeof name === "string" && typeof password === "string") return users?.byPassword(name, password);
    throw new GmqError("invalid_argument", "a login needs name and password, or a token", { field: "login" });
  }

  async function logout({ headers }: PlainRequest, response: PlainResponse): Promise<void> {
    const id = cookie.read(headers);
    const login = id === undefined ? undefined : sessions.peek(id);
    if (id !== undefined) sessions.close(id);
    // Out of the portal he is in any case.
    const url = await login?.logoutUrl?.().catch((error: unknown) => {
      logger.warn("somebody could not be sent to log out of the provider", { reason: GmqError.from(error).message });
    });
    say(response, 200, url === undefined ? {} : { url }, { "set-cookie": cookie.clear() });
  }

  return {
    isOn,
    authenticate,
    logins: () => users?.list() ?? [],
    provider: options.oidc?.label ?? "",
    pages(request, response) {
      const path = (request.url ?? "").split("?", 1)[0] ?? "";
      if (oidc?.(request, response) === true) return true;
      if (path !== "/access/login" && path !== "/access/logout" && path !== "/access/me") return false;
      answer(request, response, path);
      return true;
    },
  };
}

const statusOf: Readonly<Record<string, number>> = {
  unauthenticated: 401,
  permission_denied: 403,
  resource_exhausted: 429,
  internal: 500,
};

function ofUser({ name, role, key }: PortalUser, again: () => PortalUser | undefined): PortalCaller {
  return portalCaller(name, role, () => {
    const now = again();
    if (now?.key === key && now.role === role) return undefined;
    return new GmqError("unauthenticated", "the session is over: log in again", { field: "cookie" });
  });
}

function say(
  response: PlainResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
  response.end(`${JSON.stringify(body)}\n`);
}
