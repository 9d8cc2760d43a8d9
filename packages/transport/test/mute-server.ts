import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** A port that accepts connections and never says a word. */
export interface MuteServer {
  readonly url: string;
  /** What has connected so far. */
  readonly sockets: readonly Socket[];
  /** Takes no new connections; resolves when those that there are have ended. */
  stopListening(): Promise<void>;
  close(): void;
}

export async function startMuteServer(): Promise<MuteServer> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    sockets.push(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    async stopListening() {
      await once(server.close(), "close");
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
