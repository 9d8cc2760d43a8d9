/** The hop of the chain floor, in a process of its own: `PORT NEXT_PORT` moves the bytes of each stream to a stream of the next process and back, unread. */
import { connect, createServer } from "node:http2";
import { pipeline } from "node:stream";
import { windowBytes } from "./http2-options.ts";

const [port, nextPort] = process.argv.slice(2).map(Number);
const settings = { initialWindowSize: windowBytes };
const next = connect(`http://127.0.0.1:${nextPort}`, { settings });
next.once("connect", () => next.setLocalWindowSize(windowBytes));

const server = createServer({ settings });
server.on("session", (session) => session.setLocalWindowSize(windowBytes));
server.on("stream", (stream, headers) => {
  stream.respond({ ":status": 200 });
  const onward = next.request({ ":method": "POST", ":path": headers[":path"] }, { endStream: false });
  pipeline(stream, onward, stream, (error) => {
    // Clients end their streams before they go.
    if (error) throw error;
  });
});
server.listen(port, "127.0.0.1");
