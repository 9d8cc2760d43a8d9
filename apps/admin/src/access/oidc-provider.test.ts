/** What the portal refuses of a provider: one that lies, over real HTTP. The honest one is a real provider, in tests/e2e and tests/portal. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createOidcProvider, type LoginChecks } from "./oidc-provider.js";

const clientId = "gmq-portal";
const secret = "s3cret of the portal";
const redirectUri = "http://127.0.0.1:1/access/oidc/callback";
let server: Server;
let issuer: string;
let keys: { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey };
let foreign: typeof keys;
/** What the provider answers; a test changes it. */
let lie: {
  claims: Record<string, unknown>;
  key: CryptoKey;
  kid: string;
  metadata: Record<string, unknown>;
  token: { status: number; body: unknown } | undefined;
  userinfo: Record<string, unknown> | undefined;
  idToken: string | undefined;
};
let asked: { path: string; authorization: string | undefined; body: string }[];

beforeAll(async () => {
  keys = await generateKeyPair("RS256");
  foreign = await generateKeyPair("RS256");
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: "one", alg: "RS256", use: "sig" };
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const path = request.url ?? "";
      asked.push({ path, authorization: request.headers.authorization, body: Buffer.concat(chunks).toString() });
      const say = (status: number, body: unknown): void => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify(body));
      };
      if (path === "/.well-known/openid-configuration") say(200, metadata());
      else if (path === "/keys") say(200, { keys: [jwk] });
      else if (path === "/userinfo") say(200, lie.userinfo);
      else if (path === "/token" && lie.token !== undefined) say(lie.token.status, lie.token.body);
      else if (path === "/token") {
        void idToken().then((token) =>
          say(200, { access_token: "access", token_type: "bearer", ...(token === "" ? {} : { id_token: token }) }),
        );
      } else say(404, {});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  asked = [];
  lie = {
    claims: {},
    key: keys.privateKey,
    kid: "one",
    metadata: {},
    token: undefined,
    userinfo: undefined,
    idToken: undefined,
  };
});

function metadata() {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    ...(lie.userinfo === undefined ? {} : { userinfo_endpoint: `${issuer}/userinfo` }),
    ...lie.metadata,
  };
}

async function idToken(): Promise<string> {
  if (lie.idToken !== undefined) return lie.idToken;
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: issuer, aud: clientId, sub: "1234", iat: now, exp: now + 300, nonce: nonce, ...lie.claims };
  return await new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: lie.kid }).sign(lie.key);
}

let nonce = "";

function provider(options: Partial<Parameters<typeof createOidcProvider>[0]> = {}) {
  return createOidcProvider({
    issuer,
    clientId,
    secret: () => secret,
    clientAuth: "basic",
    scopes: ["openid", "profile"],
    neededClaims: ["groups"],
    ...options,
  });
}

/** Begins a login and comes back with a code. */
async function logIn(query: Record<string, string> = {}, own = provider(), change: Partial<LoginChecks> = {}) {
  const { url, checks } = await own.authorizationUrl(redirectUri);
  nonce = new URL(url).searchParams.get("nonce") ?? "";
  const back = new URLSearchParams({ code: "a-code", state: checks.state, ...query });
  return await own.exchange(back.toString(), { ...checks, ...change });
}

describe("the way to the provider", () => {
  it("asks for a code with a state, a nonce and a challenge that are new each time", async () => {
    const own = provider();
    const [first, second] = [await own.authorizationUrl(redirectUri), await own.authorizationUrl(redirectUri)];
    const { origin, pathname, searchParams } = new URL(first.url);
    expect(origin + pathname).toBe(`${issuer}/authorize`);
    expect(Object.fromEntries(searchParams)).toMatchObject({
      client_id: clientId,
      response_type: "code",
      redirect_uri: redirectUri,
      scope: "openid profile",
      state: first.checks.state,
      nonce: first.checks.nonce,
      code_challenge_method: "S256",
    });
    expect(first.url).not.toContain(first.checks.verifier);
    for (const part of ["state", "nonce", "verifier"] as const) {
      expect(first.checks[part].length).toBeGreaterThanOrEqual(43);
      expect(first.checks[part]).not.toBe(second.checks[part]);
    }
    // Asked for its endpoints once.
    expect(asked.filter(({ path }) => path.startsWith("/.well-known"))).toHaveLength(1);
  });

  it("is tried again by the next login after it failed", async () => {
    const own = provider();
    lie.metadata = { issuer: "http://127.0.0.1:1" };
    await expect(own.authorizationUrl(redirectUri)).rejects.toMatchObject({ code: "unavailable" });
    lie.metadata = {};
    await expect(own.authorizationUrl(redirectUri)).resolves.toBeDefined();
  });

  it("is unavailable where nobody answers", async () => {
    await expect(provider({ issuer: "http://127.0.0.1:1" }).authorizationUrl(redirectUri)).rejects.toMatchObject({
      code: "unavailable",
      field: "--oidc-issuer",
    });
  });
});

describe("the way back", () => {
  it("takes an ID token that holds, and shows the code's verifier and the secret to the provider only", async () => {
    lie.claims = { groups: ["ops"] };
    const answer = await logIn();
    expect(answer.claims).toMatchObject({ sub: "1234", groups: ["ops"] });
    const token = asked.find(({ path }) => path === "/token");
    expect(Object.fromEntries(new URLSearchParams(token?.body))).toMatchObject({
      grant_type: "authorization_code",
      code: "a-code",
      redirect_uri: redirectUri,
      code_verifier: expect.stringMatching(/^.{43,}$/),
    });
    expect(token?.authorization).toMatch(/^Basic /);
    expect(asked.some(({ path }) => path === "/keys")).toBe(true);
  });

  it("shows the secret in the body, or none, when that is asked for", async () => {
    await logIn({}, provider({ clientAuth: "post" }));
    expect(new URLSearchParams(asked.find(({ path }) => path === "/token")?.body).get("client_secret")).toBe(secret);
    asked = [];
    await logIn({}, provider({ secret: undefined }));
    const token = asked.find(({ path }) => path === "/token");
    expect(token?.authorization).toBeUndefined();
    expect(token?.body).not.toContain("client_secret");
  });

  it("looks into the user info for what the token lacks, and takes it for the same person only", async () => {
    lie.userinfo = { sub: "1234", groups: ["ops"] };
    expect((await logIn()).claims).toMatchObject({ groups: ["ops"] });
    lie.userinfo = { sub: "somebody else", groups: ["admins"] };
    await expect(logIn()).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("takes clocks that are apart by less than a minute", async () => {
    const now = Math.floor(Date.now() / 1_000);
    lie.claims = { exp: now - 30 };
    await logIn();
    lie.claims = { iat: now + 30, nbf: now + 30 };
    await logIn();
  });

  it.each<[string, () => void]>([
    ["for another client", () => (lie.claims = { aud: "another-client" })],
    ["for several clients, issued to another one", () => (lie.claims = { aud: [clientId, "b"], azp: "b" })],
    ["by another issuer", () => (lie.claims = { iss: "https://evil.example" })],
    ["of another login", () => (lie.claims = { nonce: "another nonce" })],
    ["without a nonce", () => (lie.claims = { nonce: undefined })],
    ["that ran out", () => (lie.claims = { exp: Math.floor(Date.now() / 1_000) - 3_600 })],
    ["without an end", () => (lie.claims = { exp: undefined })],
    ["that is not valid yet", () => (lie.claims = { nbf: Math.floor(Date.now() / 1_000) + 3_600 })],
    ["of nobody", () => (lie.claims = { sub: undefined })],
    ["signed by another key", () => (lie.key = foreign.privateKey)],
    ["signed by a key that the provider does not publish", () => (lie.kid = "two")],
    ["that is not signed", () => (lie.idToken = unsigned())],
    ["that is missing", () => (lie.idToken = "")],
  ])("refuses an ID token %s", async (_what, change) => {
    change();
    await expect(logIn()).rejects.toMatchObject({ code: "unauthenticated", field: "id_token" });
  });

  it("refuses another state, and an answer that names another issuer", async () => {
    await expect(logIn({ state: "another" })).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(logIn({ iss: "https://evil.example" })).rejects.toMatchObject({ code: "unauthenticated" });
    expect(asked.some(({ path }) => path === "/token")).toBe(false);
  });

  it("says that the provider refused, a used code, and a portal that it does not know", async () => {
    await expect(logIn({ error: "access_denied" })).rejects.toMatchObject({
      code: "permission_denied",
      field: "error",
    });
    lie.token = { status: 400, body: { error: "invalid_grant" } };
    await expect(logIn()).rejects.toMatchObject({ code: "unauthenticated", field: "code" });
    lie.token = { status: 401, body: { error: "invalid_client" } };
    await expect(logIn()).rejects.toMatchObject({ code: "unavailable", field: "--oidc-client-id" });
    lie.token = { status: 502, body: "no JSON object" };
    await expect(logIn()).rejects.toMatchObject({ code: "unavailable" });
    lie.token = undefined;
    lie.idToken = "no.token.this";
    await expect(logIn()).rejects.toMatchObject({ code: "unavailable" });
  });

  it("never quotes secret, code or token", async () => {
    lie.key = foreign.privateKey;
    const error: unknown = await logIn().catch((thrown: unknown) => thrown);
    const told = (error as Error).message;
    for (const part of [secret, "a-code", "eyJ"]) expect(told).not.toContain(part);
  });
});

describe("the way out", () => {
  it("leads to the provider's, with the token as a hint, where it has one", async () => {
    expect(await provider().logoutUrl("token", "https://gmq.example/")).toBeUndefined();
    lie.metadata = { end_session_endpoint: `${issuer}/end` };
    const url = new URL((await provider().logoutUrl("token", "https://gmq.example/")) ?? "");
    expect(url.pathname).toBe("/end");
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      id_token_hint: "token",
      post_logout_redirect_uri: "https://gmq.example/",
    });
  });
});

function unsigned(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: issuer, aud: clientId, sub: "1234", iat: now, exp: now + 300, nonce };
  return `${part({ alg: "none" })}.${part(claims)}.`;
}
