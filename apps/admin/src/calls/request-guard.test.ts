import { createHandlerContext, type HandlerContext } from "@connectrpc/connect";
import { PortalService } from "@gmq/protocol/messages";
import { describe, expect, it } from "vitest";
import { createClientAddress } from "../access/client-address.js";
import { createRequestGuard, type GuardOptions } from "./request-guard.js";

function context(url: string, headers: Record<string, string> = {}): HandlerContext {
  return createHandlerContext({
    service: PortalService,
    method: PortalService.method.search,
    protocolName: "connect",
    requestMethod: "POST",
    url: `${url}/gmq.v1.PortalService/Search`,
    requestHeader: new Headers(headers),
  });
}
const guard = (options: Partial<GuardOptions> = {}) =>
  createRequestGuard({
    readOnly: false,
    publicUrls: [],
    onLoopback: true,
    addressOf: createClientAddress([]),
    ...options,
  });

describe("the guard", () => {
  it("lets programs and the portal's own pages pass", () => {
    guard().check(context("http://127.0.0.1:8080"));
    guard().check(context("http://localhost:8080", { origin: "http://localhost:8080" }));
    guard().check(context("http://[::1]:8080"));
  });

  it("refuses pages of other origins, and names that point here from elsewhere", () => {
    const foreign = context("http://localhost:8080", { origin: "http://evil.example" });
    expect(() => guard().check(foreign)).toThrow(/evil\.example may not call/);
    expect(() => guard().check(context("http://localhost:8080", { origin: "null" }))).toThrow(/may not call/);
    const rebound = context("http://evil.example:8080", { origin: "http://evil.example:8080" });
    expect(() => guard().check(rebound)).toThrow(/not known as evil\.example/);
    expect(() => guard().check(context("http://127.0.0.1.evil.example"))).toThrow(/not known/);
  });

  it("knows the proxy in front by --public-urls", () => {
    const behind = guard({ publicUrls: ["https://gmq.example.com"] });
    behind.check(context("http://gmq.example.com", { origin: "https://gmq.example.com" }));
    behind.check(context("http://127.0.0.1:8080", { origin: "https://gmq.example.com" }));
  });

  it("refuses writes of a read-only portal only", () => {
    const readOnly = guard({ readOnly: true });
    readOnly.check(context("http://localhost"));
    expect(() => readOnly.checkWrite(context("http://localhost"), "Produce")).toThrow(/read-only/);
    guard().checkWrite(context("http://localhost"), "DeleteTopic");
  });

  it("takes the actor from the header only when it was told to", () => {
    const asked = context("http://localhost", { "x-user": "ada" });
    expect(guard().callerOf(asked, "1").actor).toBe("unknown");
    expect(guard({ actorHeader: "x-user" }).callerOf(asked, "1").actor).toBe("ada");
  });
});
