/** The receiving end of the node:http2 floor, in a process of its own: reads 5-byte prefixes, counts messages, answers one byte for each. */
import { createServer } from "node:http2";

const windowBytes = 8 * 1024 * 1024;
const server = createServer({ settings: { initialWindowSize: windowBytes } });
server.on("session", (session) => session.setLocalWindowSize(windowBytes));
server.on("stream", (stream) => {
  let left = 0;
  let prefix = Buffer.alloc(0);
  stream.respond({ ":status": 200 });
  stream.on("data", (chunk: Buffer) => {
    let whole = 0;
    let position = 0;
    while (position < chunk.length) {
      if (left === 0) {
        const missing = 5 - prefix.length;
        prefix = Buffer.concat([prefix, chunk.subarray(position, position + missing)]);
        position += missing;
        if (prefix.length < 5) break;
        left = prefix.readUInt32BE(1);
        prefix = Buffer.alloc(0);
      }
      const step = Math.min(left, chunk.length - position);
      position += step;
      left -= step;
      if (left === 0) whole++;
    }
    if (whole > 0) stream.write(Buffer.alloc(whole));
  });
  stream.on("end", () => stream.end());
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => process.stdout.write("ready\n"));
