import type { Socket } from "node:net";

/** What an HTTP/2 connection begins with (RFC 9113, 3.4). HTTP/1.1 has no method PRI, so it never does. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Looks at the first bytes of a connection, 24 at most, puts them back and tells whether it speaks HTTP/2. Anything else is left to HTTP/1.1, which
 * refuses garbage. A connection that says too little within `timeoutMs` is closed and never reported.
 */
export function sniffHttp2(socket: Socket, timeoutMs: number, decided: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);

  function stop(): void {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("close", stop);
    socket.off("end", look);
  }

  function look(): void {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    }
    const compared = Math.min(seen.length, preface.length);
    const matches = compared > 0 && seen.compare(preface, 0, compared, 0, compared) === 0;
    // A peer that ends inside the preface gets its answer, or its end, from HTTP/1.1.
    if (matches && compared < preface.length && !socket.readableEnded) return;
    if (seen.length === 0 && !socket.readableEnded) return;
    stop();
    if (seen.length > 0) socket.unshift(seen);
    decided(matches && compared === preface.length);
  }

  socket.on("readable", look);
  socket.on("end", look);
  socket.on("close", stop);
  // Until a server takes over, nobody else listens; afterwards it does no harm: the server hears of it too.
  socket.on("error", destroySelf);
}

/** Keeps nothing of what it is called for: it stays with its connection. */
function destroySelf(this: Socket): void {
  this.destroy();
}
