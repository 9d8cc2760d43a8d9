import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createLogger } from "@gmq/log";

/** A raw connection; errors are part of what these tests provoke. */
export async function connectRaw(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Everything that the peer says until it closes. */
export async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  if (!socket.closed) await once(socket, "close");
  return text;
}

/** A logger whose lines can be looked at. */
export function captureLog() {
  const lines: string[] = [];
  const logger = createLogger({ name: "test", level: "debug", destination: { write: (line) => lines.push(line) } });
  return { logger, lines };
}

/** Sockets and servers that this process holds open. */
export function openHandles(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|TLS/.test(kind));
}
