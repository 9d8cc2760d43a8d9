import type { HandlerContext } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import { peerConnectionKey } from "@gmq/transport";

/** Who asks, for the audit. */
export interface Caller {
  readonly actor: string;
  readonly requestId: string;
}

/** Decides whether a call may go on. */
export interface RequestGuard {
  /** @throws GmqError `permission_denied` when a page of another origin asks, or the portal is addressed by a name that is not its own */
  check(context: HandlerContext): void;
  /** As `check`. @throws GmqError `permission_denied` also in read-only mode */
  checkWrite(context: HandlerContext): void;
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
}

const actorLengthMax = 128;

/** Makes the guard. Browsers name the page's origin on every call; programs name none and pass. */
export function createRequestGuard({ readOnly, publicUrls, onLoopback, actorHeader }: GuardOptions): RequestGuard {
  const publicHosts = new Set(publicUrls.map((url) => new URL(url).host));

  function check({ requestHeader, url }: HandlerContext): void {
    const host = new URL(url).host;
    if (onLoopback && !isLoopbackHost(host) && !publicHosts.has(host)) {
      throw new GmqError("permission_denied", `the portal is not known as ${host}; see --public-urls`, {
        field: "host",
      });
    }
    const origin = requestHeader.get("origin");
    if (origin === null) return;
    const originHost = URL.canParse(origin) ? new URL(origin).host : "";
    if (originHost !== host && !publicHosts.has(originHost)) {
      throw new GmqError("permission_denied", `a page of ${origin} may not call the portal`, { field: "origin" });
    }
  }

  return {
    check,
    checkWrite(context) {
      check(context);
      if (readOnly) throw new GmqError("permission_denied", "the portal is in read-only mode");
    },
    callerOf({ requestHeader, values }, requestId) {
      const told = actorHeader === undefined ? null : requestHeader.get(actorHeader);
      const actor = told ?? values.get(peerConnectionKey)?.address ?? "";
      return { actor: actor === "" ? "unknown" : actor.slice(0, actorLengthMax), requestId };
    },
  };
}

function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name);
}
