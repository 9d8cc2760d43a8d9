/** The floor of W9: connections with one open stream each to a bare node:http2 server; a record is a message that is answered with a byte. */
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import type { OpenSessions } from "./sessions.ts";

export const openFloorSessions: OpenSessions = async ({ addresses, load }, handled, failed) => {
  const opened: { readonly session: ClientHttp2Session; readonly stream: ClientHttp2Stream }[] = [];
  const message = Buffer.alloc(5 + load.recordBytes, 120);
  message.writeUInt8(0, 0);
  message.writeUInt32BE(load.recordBytes, 1);

  return {
    async open(index) {
      const session = connect(`http://127.0.0.1:${addresses.http2Port}`, { settings: { enablePush: false } });
      session.on("error", failed);
      const stream = session.request({ ":method": "POST", ":path": "/floor" }, { endStream: false });
      stream.on("error", failed);
      await once(stream, "response");
      stream.on("data", () => handled(index));
      opened[index] = { session, stream };
    },
    send(to) {
      for (const { stream } of to === "all" ? opened : opened.slice(to, to + 1)) stream.write(message);
    },
    async close() {
      for (const { session } of opened) session.destroy();
    },
  };
};
