/** Which new connections a port takes, and how it turns the others away. */
import type { Server, Socket } from "node:net";
import type { Logger } from "@gmq/log";
import { createPerSecond } from "@gmq/protocol";
import { countedAddress } from "./counted-address.js";
import { sniffHttp2 } from "./sniff-http2.js";

/** Connections that were turned away so far. */
export interface RefusedConnections {
  /** Over the connections at once. */
  readonly total: number;
  /** Over the new ones of their address in a second. */
  readonly address: number;
}

export interface ConnectionAdmission {
  /** Counts a new connection; false: its address has had its share of this second. Refuse it then. */
  takes(socket: Socket): boolean;
  readonly refused: RefusedConnections;
}

/** What is turned away may take this long to say what it speaks, and again to hear why. */
const farewellMs = 1_000;
const logIntervalMs = 10_000;

/** Counts what the server itself drops, too. */
export function createConnectionAdmission(
  front: Server,
  perSecondAndAddressMax: number,
  logger: Logger,
  nowMs: () => number = () => performance.now(),
): ConnectionAdmission {
  const refused = { total: 0, address: 0 };
  const rate = createPerSecond(perSecondAndAddressMax, nowMs);
  const loggedAtMs = { total: Number.NEGATIVE_INFINITY, address: Number.NEGATIVE_INFINITY };

  function refuse(limit: keyof RefusedConnections, text: string, facts: Readonly<Record<string, unknown>>): void {
    refused[limit]++;
    if (nowMs() - loggedAtMs[limit] < logIntervalMs) return;
    loggedAtMs[limit] = nowMs();
    logger.warn(text, facts);
  }

  front.on("drop", () => {
    refuse("total", "too many connections: a new one was refused", { connectionsMax: front.maxConnections });
  });
  return {
    refused,
    takes({ remoteAddress = "" }) {
      const address = countedAddress(remoteAddress);
      if (rate.takes(address)) return true;
      refuse("address", "too many new connections of one address: one was refused", {
        address,
        connectionsPerSecondAndAddressMax: perSecondAndAddressMax,
      });
      return false;
    },
  };
}

/** Tells a connection in the clear why it is turned away, in the protocol that it speaks: HTTP status 429, or GOAWAY with ENHANCE_YOUR_CALM. */
export function turnAway(socket: Socket): void {
  sniffHttp2(socket, farewellMs, (isHttp2) => {
    socket.end(isHttp2 ? goAway : tooManyRequests);
    // What it says meanwhile would make the end a reset, and the reason would be lost with it.
    socket.resume();
    const late = setTimeout(() => socket.destroy(), farewellMs);
    socket.once("close", () => clearTimeout(late));
  });
}

const reason = "too many new connections from this address in this second";

const tooManyRequests = [
  "HTTP/1.1 429 Too Many Requests",
  "content-type: text/plain; charset=utf-8",
  `content-length: ${reason.length + 1}`,
  "retry-after: 1",
  "connection: close",
  "",
  `${reason}\n`,
].join("\r\n");

/** Empty settings, which have to come first, and GOAWAY: no stream was looked at, ENHANCE_YOUR_CALM, why (RFC 9113, 6.5, 6.8 and 7). */
const goAway = Buffer.concat([
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 8 + reason.length, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11]),
  Buffer.from(reason),
]);
