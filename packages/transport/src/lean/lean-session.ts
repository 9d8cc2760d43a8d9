import { type ClientHttp2Session, connect } from "node:http2";
import { GmqError } from "@gmq/protocol";
import { checkUrl } from "../check-url.js";
import { streamWindowBytes, widenSession } from "../http2-windows.js";
import type { NodeTransportOptions } from "../node-transport.js";
import { tlsSessionOptions } from "../tls-client.js";

/** An HTTP/2 session to one place, opened when it is asked for and again after it was lost. */
export interface LeanSession {
  readonly authority: string;
  /** The session for a new request; it may be connecting still. @throws GmqError `closed` */
  open(): ClientHttp2Session;
  /** Headers that every request bears: the target's own, and its token as of now. */
  headers(): Record<string, string>;
  /** Gives the session up, with every stream on it; the next request gets a new one. */
  drop(): void;
  /** The same for good. Idempotent. */
  close(): void;
}

/** Makes it; nothing is connected yet. @throws GmqError `invalid_argument` (url, tls) */
export function createLeanSession(options: NodeTransportOptions): LeanSession {
  const authority = checkUrl(options.url);
  const tls = tlsSessionOptions(authority, options.tls);
  let session: ClientHttp2Session | undefined;
  let closed = false;

  function connected(): ClientHttp2Session {
    const settings = { initialWindowSize: streamWindowBytes, enablePush: false };
    const opened = connect(authority, { ...tls, settings, maxSessionMemory: 256 });
    opened.once("connect", () => {
      widenSession(opened);
      if (!opened.destroyed && "setNoDelay" in opened.socket) opened.socket.setNoDelay(true);
    });
    // What broke the connection reaches every stream as its own error.
    opened.on("error", () => opened.destroy());
    opened.once("close", () => {
      if (session === opened) session = undefined;
    });
    opened.once("goaway", () => {
      // Its streams live on; new ones get a new connection.
      if (session === opened) session = undefined;
    });
    return opened;
  }

  return {
    authority,
    open() {
      if (closed) throw new GmqError("closed", `the connection to ${authority} is closed`);
      if (session === undefined || session.destroyed || session.closed) session = connected();
      return session;
    },
    headers() {
      const token = typeof options.token === "function" ? options.token() : options.token;
      return { ...options.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
    },
    drop() {
      session?.destroy();
      session = undefined;
    },
    close() {
      closed = true;
      session?.destroy();
    },
  };
}
