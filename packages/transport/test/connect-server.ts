import { once } from "node:events";
import {
  connect,
  constants,
  createServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { type ConnectRouter, createContextValues } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { limits } from "@gmq/protocol";
import { anybody, peerConnectionKey, streamWindowBytes, widenSession } from "../src/index.js";

/** A bare h2c server with Connect on it, for tests. */
export interface TestServer {
  readonly url: string;
  /** Resolves when no call is open any more; fails after 15 s. */
  streamsGone(): Promise<void>;
  /** Breaks every connection. */
  destroySessions(): void;
  /** Sends bytes as a gRPC call of their own and tells the trailers. */
  rawCall(path: string, chunks: readonly Buffer[]): Promise<IncomingHttpHeaders>;
  close(): Promise<void>;
}

export async function startTestServer(
  routes: (router: ConnectRouter) => unknown,
  options: { readonly windows?: boolean } = {},
): Promise<TestServer> {
  const windows = options.windows ?? true;
  const server = createServer(windows ? { settings: { initialWindowSize: streamWindowBytes } } : {});
  const sessions = new Set<Http2Session>();
  const streams = new Set<ServerHttp2Stream>();
  server.on("session", (session) => {
    if (windows) widenSession(session);
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream) => {
    streams.add(stream);
    stream.once("close", () => streams.delete(stream));
  });
  server.on(
    "request",
    connectNodeAdapter({
      routes: (router) => void routes(router),
      acceptCompression: [],
      readMaxBytes: limits.frameBytesMax,
      contextValues: (request) =>
        createContextValues().set(peerConnectionKey, {
          caller: anybody,
          address: request.socket.remoteAddress ?? "",
          reset: () => "stream" in request && request.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM),
        }),
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    async streamsGone() {
      for (let waitedMs = 0; streams.size > 0; waitedMs += 10) {
        if (waitedMs > 15_000) throw new Error(`${streams.size} streams are still open`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    destroySessions() {
      for (const session of sessions) session.destroy();
    },
    async rawCall(path, chunks) {
      const session = connect(url);
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc+proto",
        te: "trailers",
      });
      stream.resume();
      for (const chunk of chunks) stream.write(chunk);
      const [trailers] = (await once(stream, "trailers")) as [IncomingHttpHeaders];
      session.destroy();
      return trailers;
    },
    async close() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
