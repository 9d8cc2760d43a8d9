/** Login by an OpenID Connect provider, over HTTP: what begins it, and what is refused on the way back. The whole way is walked by a browser in tests/portal. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startProvider, type TestProvider } from "./harness/oidc-provider.ts";
import { startServices, type Topology } from "./harness/topologies.ts";

let provider: TestProvider;
let gmq: Topology;

beforeAll(async () => {
  provider = await startProvider({});
  gmq = await startServices({
    adminArgs: [
      ...provider.portalArgs,
      "--trusted-proxies",
      "127.0.0.1",
      "--login-failures-per-minute-max",
      "5",
      "--log-level",
      "debug",
    ],
  });
  await provider.serve(gmq.adminUrl);
});
afterAll(async () => {
  await gmq?.stop();
  await provider?.stop();
});

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(gmq.adminUrl + path, { redirect: "manual", headers });
}

/** Begins a login as a browser behind a proxy does. */
async function begin(from: string, page = "/topics") {
  const answer = await get(`/access/oidc/start?page=${encodeURIComponent(page)}`, { "x-forwarded-for": from });
  const to = new URL(answer.headers.get("location") ?? "");
  const cookie = (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  return { answer, to, cookie, state: to.searchParams.get("state") ?? "" };
}

function comeBack(from: string, query: Record<string, string>, cookie = ""): Promise<Response> {
  const whole = new URLSearchParams({ ...query, iss: provider.issuer });
  return get(`/access/oidc/callback?${whole}`, { cookie, "x-forwarded-for": from });
}

describe("a login by a provider", () => {
  it("is the way in, which the portal names", async () => {
    const me = await get("/access/me");
    expect(me.status).toBe(401);
    expect(await me.json()).toEqual({ on: true, ways: { password: false, provider: "single sign-on" } });
    const call = await fetch(`${gmq.adminUrl}/gmq.v1.AdminService/ListTopics`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(call.status).toBe(401);
  });

  it("sends the browser to the provider, and keeps what it needs out of reach of scripts and of the browser itself", async () => {
    const { answer, to, state } = await begin("203.0.113.1");
    expect(answer.status).toBe(302);
    expect(to.origin).toBe(provider.issuer);
    expect(to.searchParams.get("redirect_uri")).toBe(`${gmq.adminUrl}/access/oidc/callback`);
    const cookie = answer.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/^gmq-portal-login=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600$/);
    expect(cookie).not.toContain(state);
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  it("is refused when it was not begun in this browser, or is another one", async () => {
    const { cookie, state } = await begin("203.0.113.2");
    for (const answer of [
      await comeBack("203.0.113.2", { code: "stolen", state }),
      await comeBack("203.0.113.2", { code: "stolen", state: "another" }, cookie),
      await comeBack("203.0.113.2", { code: "stolen" }, cookie),
      await comeBack("203.0.113.2", { code: "stolen", state }, `${cookie.slice(0, -4)}AAAA`),
    ]) {
      expect(answer.status).toBe(302);
      expect(answer.headers.get("location")).toBe("/#login-problem=begun");
      expect(answer.headers.get("set-cookie")).toContain("gmq-portal-login=; ");
      expect(answer.headers.get("set-cookie")).not.toContain("gmq-portal=");
    }
  });

  it("is refused with a code that the provider does not know, and when the provider says no", async () => {
    const first = await begin("203.0.113.3");
    const unknown = await comeBack("203.0.113.3", { code: "unknown", state: first.state }, first.cookie);
    expect(unknown.headers.get("location")).toBe("/topics#login-problem=begun");
    const second = await begin("203.0.113.3", "https://evil.example/");
    const refused = await comeBack(
      "203.0.113.3",
      { error: "access_denied", error_description: "<b>no</b>", state: second.state },
      second.cookie,
    );
    expect(refused.headers.get("location")).toBe("/#login-problem=refused");
    expect(gmq.part("admin").process.output()).toContain("the login provider refused: access_denied");
  });

  it("is slowed down by the address that the proxy saw, not by what a client says of itself", async () => {
    const fail = async (from: string): Promise<string | null> => {
      const { cookie, state } = await begin(from);
      return (await comeBack(from, { code: "guess", state }, cookie)).headers.get("location");
    };
    for (let turn = 0; turn < 5; turn++) expect(await fail(`10.9.9.${turn}, 203.0.113.4`)).toContain("=begun");
    expect(await fail("203.0.113.4")).toContain("=busy");
    expect(await fail("203.0.113.5")).toContain("=begun");
    // All of one network of IPv6 are one.
    for (let turn = 0; turn < 5; turn++) expect(await fail(`2001:db8::${turn}`)).toContain("=begun");
    expect(await fail("2001:db8::ffff")).toContain("=busy");
    expect(await fail("2001:db8:1::1")).toContain("=begun");
  });

  it("answers other methods and paths of it with nothing", async () => {
    const posted = await fetch(`${gmq.adminUrl}/access/oidc/callback`, { method: "POST", redirect: "manual" });
    expect(posted.headers.get("location")).toBe("/#login-problem=defect");
  });

  it("says that the provider is gone, and the log has no secret", async () => {
    const { cookie, state } = await begin("203.0.113.6");
    await provider.stop();
    const answer = await comeBack("203.0.113.6", { code: "a-code-of-mine", state }, cookie);
    expect(answer.headers.get("location")).toBe("/topics#login-problem=provider");
    const output = gmq.part("admin").process.output();
    expect(output).toContain("the login provider does not answer");
    for (const secret of [provider.secret, "a-code-of-mine", state, cookie.split("=")[1] ?? ""]) {
      expect(output).not.toContain(secret);
    }
  });
});
