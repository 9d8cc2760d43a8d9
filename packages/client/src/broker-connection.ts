/** What the link has of one broker: the session's stream on a connection for frames, and one for administrative calls when there are any. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import { BrokerService, type SessionRequestSchema, type SessionResponse } from "@gmq/protocol/messages";
import { createFrameConnection, type FrameStream, type NodeTransportOptions } from "@gmq/transport/frames";
import { type CallConnection, createCallConnection } from "@gmq/transport/unary";

export type SessionStream = FrameStream<SessionResponse, MessageInitShape<typeof SessionRequestSchema>>;

export interface BrokerConnection {
  /** For administration, on a connection of its own: a large answer holds no frame up. @throws GmqError `unavailable` after `close` */
  calls(): CallConnection;
  /** Ends both connections, at once. */
  close(): void;
}

/** Opens the session's stream. @throws GmqError `invalid_argument` (url) */
export function connectTo(target: NodeTransportOptions): { node: BrokerConnection; stream: SessionStream } {
  const frames = createFrameConnection(target);
  let calls: CallConnection | undefined;
  let closed = false;
  const node: BrokerConnection = {
    calls() {
      if (closed) throw new GmqError("unavailable", "the session with the broker is over");
      calls ??= createCallConnection(target);
      return calls;
    },
    close() {
      closed = true;
      frames.close();
      calls?.close();
    },
  };
  return { node, stream: frames.open(BrokerService.method.session) };
}
