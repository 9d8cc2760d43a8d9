/** A bare RESP connection: commands go out as they are, whole replies are counted off, nothing is built from payloads but what is asked for. */
import { once } from "node:events";
import { connect } from "node:net";

export interface RespSocket {
  /** Writes one command; resolves with the reply's bytes when all of it is there. @throws the server's error reply */
  command(words: readonly (string | Buffer)[]): Promise<Buffer>;
  close(): void;
}

/** Connects. */
export async function openRespSocket(port: number): Promise<RespSocket> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  const waiting: { resolve(reply: Buffer): void; reject(error: Error): void }[] = [];
  let head = 0;
  let corked = false;
  const push = createReplyCutter((reply) => {
    const waiter = waiting[head++];
    if (head > 1_024) waiting.splice(0, head).length = head = 0;
    if (reply[0] === 0x2d) waiter?.reject(new Error(reply.toString("latin1")));
    else waiter?.resolve(reply);
  });
  socket.on("data", push);
  socket.on("error", (error) => {
    for (const waiter of waiting.slice(head)) waiter.reject(error);
  });

  function uncork(): void {
    corked = false;
    socket.uncork();
  }

  return {
    command(words) {
      if (!corked) {
        corked = true;
        socket.cork();
        setImmediate(uncork);
      }
      let text = `*${words.length}\r\n`;
      for (const word of words) {
        text += `$${typeof word === "string" ? Buffer.byteLength(word) : word.length}\r\n`;
        if (typeof word === "string") text += `${word}\r\n`;
        else {
          // A payload is its own chunk, so that its bytes are never copied here.
          socket.write(text);
          socket.write(word);
          text = "\r\n";
        }
      }
      socket.write(text);
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    close: () => socket.destroy(),
  };
}

/** Cuts a RESP2 stream into whole replies. */
function createReplyCutter(whole: (reply: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let gathered = 0;
  let needed = 1;

  /** Where the reply that begins at `start` ends, or undefined; `needed` then says how many bytes there have to be at least. */
  function endOf(bytes: Buffer, start: number): number | undefined {
    let position = start;
    for (let open = 1; open > 0; open--) {
      const line = bytes.indexOf("\r\n", position);
      if (line < 0) {
        needed = bytes.length + 1;
        return undefined;
      }
      const type = bytes[position];
      const size = type === 42 || type === 36 ? Number(bytes.toString("latin1", position + 1, line)) : 0;
      position = line + 2;
      if (type === 42) open += Math.max(0, size);
      else if (type === 36 && size >= 0) position += size + 2;
      if (position > bytes.length) {
        needed = position;
        return undefined;
      }
    }
    return position;
  }

  return (chunk) => {
    chunks.push(chunk);
    gathered += chunk.length;
    if (gathered < needed) return;
    const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks, gathered);
    let position = 0;
    needed = 1;
    while (position < bytes.length) {
      const end = endOf(bytes, position);
      if (end === undefined) break;
      whole(bytes.subarray(position, end));
      position = end;
    }
    const rest = bytes.subarray(position);
    needed = position === bytes.length ? 1 : Math.max(1, needed - position);
    chunks = rest.length === 0 ? [] : [rest];
    gathered = rest.length;
  };
}
