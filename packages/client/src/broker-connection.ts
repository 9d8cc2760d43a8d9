/** What the link has of one broker: the session's stream on a connection for frames, and one for unary calls when there are any. */
import { GmqError } from "@gmq/protocol";
import { BrokerService, type SessionRequest, type SessionResponse } from "@gmq/protocol/messages";
import {
  createFrameConnection,
  type FrameStream,
  type NodeTransport,
  type NodeTransportOptions,
} from "@gmq/transport/frames";

export type SessionStream = FrameStream<SessionResponse, SessionRequest>;

export interface BrokerConnection {
  /** For unary calls, on a connection of their own: a large answer holds no frame up. Who makes none does not load Connect. @throws GmqError `unavailable` after `close` */
  transport(): Promise<NodeTransport["transport"]>;
  /** Ends both connections, at once. */
  close(): void;
}

/** Opens the session's stream. @throws GmqError `invalid_argument` (url) */
export function connectTo(target: NodeTransportOptions): { node: BrokerConnection; stream: SessionStream } {
  const frames = createFrameConnection(target);
  let unary: Promise<NodeTransport> | undefined;
  let closed = false;
  const node: BrokerConnection = {
    async transport() {
      if (closed) throw new GmqError("unavailable", "the session with the broker is over");
      unary ??= import("./unary-transport.js").then(({ createNodeTransport }) => createNodeTransport(target));
      return (await unary).transport;
    },
    close() {
      closed = true;
      frames.close();
      void unary?.then((made) => made.close());
    },
  };
  return { node, stream: frames.open(BrokerService.method.session) };
}
