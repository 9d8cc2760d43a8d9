import { describe, expect, it } from "vitest";
import { createClientAddress, isNetwork } from "./client-address.js";

function from(remoteAddress: string | undefined, forwarded?: string | string[]) {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return { headers: headers as Record<string, string>, socket: { remoteAddress } };
}

describe("the client's address", () => {
  it("is the connection's other end while no proxy is trusted, whatever a header says", () => {
    const addressOf = createClientAddress([]);
    expect(addressOf(from("192.0.2.7", "203.0.113.9"))).toBe("192.0.2.7");
    expect(addressOf(from("::ffff:192.0.2.7"))).toBe("192.0.2.7");
    expect(addressOf(from(undefined, "203.0.113.9"))).toBe("");
  });

  it("is what the last trusted proxy saw: what a client wrote itself counts for nothing", () => {
    const addressOf = createClientAddress(["10.0.0.0/8", "192.0.2.1", "fd00::/8"]);
    expect(addressOf(from("10.1.2.3", "203.0.113.9"))).toBe("203.0.113.9");
    expect(addressOf(from("10.1.2.3", "1.1.1.1, 203.0.113.9, 192.0.2.1"))).toBe("203.0.113.9");
    expect(addressOf(from("fd00::5", "2001:db8::1"))).toBe("2001:db8::1");
    expect(addressOf(from("::ffff:10.1.2.3", "[2001:db8::1]:4711"))).toBe("2001:db8::1");
    expect(addressOf(from("10.1.2.3", "203.0.113.9:4711"))).toBe("203.0.113.9");
    // Not from a proxy of ours.
    expect(addressOf(from("198.51.100.4", "203.0.113.9"))).toBe("198.51.100.4");
  });

  it("stays the proxy's where the header is missing, is no address, or is all proxies", () => {
    const addressOf = createClientAddress(["10.0.0.0/8"]);
    expect(addressOf(from("10.1.2.3"))).toBe("10.1.2.3");
    expect(addressOf(from("10.1.2.3", "unknown"))).toBe("10.1.2.3");
    expect(addressOf(from("10.1.2.3", "evil, 10.9.9.9"))).toBe("10.9.9.9");
    expect(addressOf(from("10.1.2.3", `1.2.3.4,${"10.0.0.1,".repeat(100)}10.0.0.2`))).toBe("10.0.0.1");
  });

  it.each([
    ["10.0.0.0/8", true],
    ["192.0.2.1", true],
    ["fd00::/8", true],
    ["10.0.0.0/33", false],
    ["10.0.0.0/x", false],
    ["10.0.0.0/", false],
    ["proxy.example", false],
    ["", false],
  ])("knows whether %s is a network", (text, is) => {
    expect(isNetwork(text)).toBe(is);
  });
});
