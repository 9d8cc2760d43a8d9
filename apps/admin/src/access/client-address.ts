/** Who is at the other end, where proxies stand in between. */
import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP } from "node:net";

/** What is known of a request's way. */
export interface RequestOrigin {
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** The address that a request comes from, "" when unknown. */
export type ClientAddress = (request: RequestOrigin) => string;

/** Longer lists are somebody's play. */
const hopsMax = 32;

/** Whether this is an address, or a network as `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const { address, prefix } = split(text);
  const family = isIP(address);
  return family !== 0 && Number.isInteger(prefix ?? 0) && (prefix ?? 0) >= 0 && (prefix ?? 0) <= bits(family);
}

/**
 * Makes it. Without trusted proxies it is the connection's other end, whatever a header says. With them `x-forwarded-for` is read from its end, where our proxies
 * write, and the first address that is none of theirs counts: what a client wrote into it before stands further left.
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const trusted = new BlockList();
  for (const text of trustedProxies) {
    const { address, prefix } = split(text);
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, prefix, family);
  }
  const isTrusted = (address: string): boolean =>
    isIP(address) !== 0 && trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");

  return ({ headers, socket }) => {
    let address = plain(socket.remoteAddress ?? "");
    const header = headers["x-forwarded-for"];
    const hops = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",").slice(-hopsMax);
    while (isTrusted(address)) {
      const before = plain((hops.pop() ?? "").trim());
      // What is no address was written by nobody that we trust.
      if (isIP(before) === 0) break;
      address = before;
    }
    return address;
  };
}

/** An IPv4 address as such, also where a socket of both families gives it as IPv6; without brackets and port. */
function plain(address: string): string {
  const bare = /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? address.replace(/^(\d+(?:\.\d+){3}):\d+$/, "$1");
  return bare.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
}

function split(text: string): { readonly address: string; readonly prefix: number | undefined } {
  const [address = "", prefix] = text.split("/", 2);
  return { address, prefix: prefix === undefined ? undefined : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN };
}

function bits(family: number): number {
  return family === 6 ? 128 : 32;
}
