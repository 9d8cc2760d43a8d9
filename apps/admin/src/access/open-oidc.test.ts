import { silentLogger } from "@gmq/log";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { pageOf } from "./oidc-login.js";
import { oidcFields } from "./oidc-settings.js";
import { type OidcPlace, openOidc } from "./open-oidc.js";

const schema = z.object(oidcFields);
const place: OidcPlace = { host: "127.0.0.1", hasTls: false, publicUrls: [], reloadMs: 5_000 };
const named = { oidcIssuer: "https://id.example", oidcClientId: "gmq" };

function open(given: Record<string, unknown>, where: Partial<OidcPlace> = {}) {
  const opened = openOidc(schema.parse(given), { ...place, ...where }, silentLogger);
  opened?.close();
  return opened;
}

describe("the settings of a login by a provider", () => {
  it("are off by default", () => {
    expect(open({})).toBeUndefined();
  });

  it.each<[string, Record<string, unknown>, Partial<OidcPlace>, string]>([
    ["a client without an issuer", { oidcClientId: "gmq" }, {}, "--oidc-issuer"],
    ["a secret without an issuer", { oidcClientSecret: "s" }, {}, "--oidc-issuer"],
    ["an issuer without a client", { oidcIssuer: "https://id.example" }, {}, "--oidc-client-id"],
    ["a portal for others without a URL", named, { host: "0.0.0.0" }, "--public-urls"],
    ["two secrets", { ...named, oidcClientSecret: "a", oidcClientSecretFile: "b" }, {}, "--oidc-client-secret"],
    ["a file that is not there", { ...named, oidcClientSecretFile: "/none" }, {}, "--oidc-client-secret-file"],
  ])("name what is missing or too much: %s", (_what, given, where, field) => {
    expect(() => open(given, where)).toThrow(expect.objectContaining({ code: "invalid_argument", field }));
  });

  it.each([
    ["oidcIssuer", "http://id.example"],
    ["oidcIssuer", "id.example"],
    ["oidcScopes", ["profile"]],
    ["oidcScopes", ["openid", "two words"]],
    ["oidcRoles", ["admins"]],
    ["oidcRoles", ["admins=root"]],
    ["oidcRoles", []],
    ["oidcOtherRole", "guest"],
    ["oidcClientAuth", "none"],
  ])("refuse a wrong %s: %s", (key, value) => {
    const { error } = schema.safeParse({ ...named, [key]: value });
    expect(error?.issues[0]?.path[0]).toBe(key);
  });
});

describe("the URL that the provider sends browsers back to", () => {
  it("is the public one that was asked for, else the first", () => {
    const publicUrls = ["https://gmq.example/", "https://gmq.other:8443"];
    const { baseOf } = open(named, { publicUrls, host: "0.0.0.0" }) ?? {};
    expect(baseOf?.({ host: "gmq.other:8443" })).toBe("https://gmq.other:8443");
    expect(baseOf?.({ host: "10.0.0.7:8080" })).toBe("https://gmq.example");
    expect(baseOf?.({ ":authority": "gmq.other:8443" })).toBe("https://gmq.other:8443");
  });

  it("is the loopback address without one, and no other name", () => {
    const { baseOf } = open(named) ?? {};
    expect(baseOf?.({ host: "localhost:8080" })).toBe("http://localhost:8080");
    expect(baseOf?.({ host: "[::1]:8080" })).toBe("http://[::1]:8080");
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost:8080@evil.example", ""]) {
      expect(() => baseOf?.({ host })).toThrow(expect.objectContaining({ code: "permission_denied" }));
    }
  });
});

describe("the page to go on to", () => {
  it.each([
    ["/topics/orders?tab=keys", "/topics/orders?tab=keys"],
    ["/", "/"],
    [null, "/"],
    ["https://evil.example/", "/"],
    ["//evil.example", "/"],
    ["/\\evil.example", "/"],
    ["/.//evil.example", "/"],
    ["/%2e//evil.example", "/"],
    ["javascript:alert(1)", "/"],
    ["/access/oidc/start", "/"],
    [`/${"x".repeat(2_000)}`, "/"],
  ])("of %s is %s", (given, page) => {
    expect(pageOf(given)).toBe(page);
  });
});
