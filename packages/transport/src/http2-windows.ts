import type { Http2Session } from "node:http2";

/** Bytes that one stream may send ahead of its reader. */
export const streamWindowBytes = 4 * 1024 * 1024;

/** Bytes that all streams of a connection may send ahead of their readers. */
export const sessionWindowBytes = 16 * 1024 * 1024;

/**
 * Raises the window of a whole session on this end; `settings.initialWindowSize` raises that of its streams. One without the other gains nothing:
 * with HTTP/2's 64 KiB every frame of that size waits for a round trip. Call it once the session is connected; node tells of the connection one turn later, when
 * the session may be gone again, and then there is nothing to widen.
 */
export function widenSession(session: Http2Session): void {
  if (session.destroyed) return;
  session.setLocalWindowSize(sessionWindowBytes);
}
