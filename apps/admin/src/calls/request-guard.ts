import type { HandlerContext } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import { peerConnectionKey } from "@gmq/transport";
import type { ClientAddress } from "../access/client-address.js";
import { isEnough, portalCallerOf, roleFor } from "../access/roles.js";

/** Who asks, for the audit. */
export interface Caller {
  readonly actor: string;
  readonly requestId: string;
}

/** Decides whether a call may go on. */
export interface RequestGuard {
  /** @throws GmqError `permission_denied` when a page of another origin asks, or the portal is addressed by a name that is not its own */
  check(context: HandlerContext): void;
  /** As `check`. @throws GmqError `permission_denied` also in read-only mode, and for who has not the role for this act */
  checkWrite(context: HandlerContext, action: string): void;
  /** Whether pages with these headers are the portal's own. */
  isOwnPage(host: string, origin: string | undefined): boolean;
  callerOf(context: HandlerContext, requestId: string): Caller;
}

/** What the guard goes by. */
export interface GuardOptions {
  readonly readOnly: boolean;
  /** URLs of the portal beyond the address that it listens on. */
  readonly publicUrls: readonly string[];
  /** True: only this machine reaches the port, so a foreign host name means DNS rebinding. */
  readonly onLoopback: boolean;
  readonly actorHeader?: string | undefined;
  /** Who calls through proxies. */
  readonly addressOf: ClientAddress;
}

const actorLengthMax = 128;

/** Makes the guard. Browsers name the page's origin on every call; programs name none and pass. */
export function createRequestGuard({
  readOnly,
  publicUrls,
  onLoopback,
  actorHeader,
  addressOf,
}: GuardOptions): RequestGuard {
  const publicHosts = new Set(publicUrls.map((url) => new URL(url).host));

  function check(context: HandlerContext): void {
    // A call that lasts asks again: its session may be over.
    const problem = portalCallerOf(context)?.problem();
    if (problem !== undefined) throw problem;
    const { requestHeader, url } = context;
    const host = new URL(url).host;
    if (onLoopback && !isLoopbackHost(host) && !publicHosts.has(host)) {
      throw new GmqError("permission_denied", `the portal is not known as ${host}; see --public-urls`, {
        field: "host",
      });
    }
    const origin = requestHeader.get("origin");
    if (origin === null) return;
    if (!isOwnPage(host, origin)) {
      throw new GmqError("permission_denied", `a page of ${origin} may not call the portal`, { field: "origin" });
    }
  }

  function isOwnPage(host: string, origin: string | undefined): boolean {
    if (origin === undefined) return true;
    const originHost = URL.canParse(origin) ? new URL(origin).host : "";
    return originHost === host || publicHosts.has(originHost);
  }

  return {
    check,
    isOwnPage,
    checkWrite(context, action) {
      check(context);
      const caller = portalCallerOf(context);
      const needed = roleFor(action);
      if (caller !== undefined && !isEnough(caller.role, needed)) {
        throw new GmqError("permission_denied", `${caller.name} is ${caller.role} and may not do this: ${action}`, {
          field: "role",
          limit: needed,
        });
      }
      if (readOnly) throw new GmqError("permission_denied", "the portal is in read-only mode");
    },
    callerOf(context, requestId) {
      const known = portalCallerOf(context)?.name;
      if (known !== undefined) return { actor: known, requestId };
      const { requestHeader, values } = context;
      const told = actorHeader === undefined ? null : requestHeader.get(actorHeader);
      const { address } = values.get(peerConnectionKey);
      const forwarded = requestHeader.get("x-forwarded-for");
      const headers = forwarded === null ? {} : { "x-forwarded-for": forwarded };
      const actor = told ?? addressOf({ headers, socket: { remoteAddress: address } });
      return { actor: actor === "" ? "unknown" : actor.slice(0, actorLengthMax), requestId };
    },
  };
}

function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name);
}
