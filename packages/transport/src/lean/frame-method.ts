/** A generated bidi method as lean streams need it: its path, and its messages to bytes and back. */
import {
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  fromBinary,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { FrameStreamAcceptor } from "../frame-stream.js";
import type { FrameCodec } from "./duplex-frames.js";
import { createGatherEncoder } from "./gather-encoder.js";
import { createLeanHandler, type LeanHandler } from "./lean-server.js";

/** `/gmq.v1.BrokerService/Session` */
export function pathOfMethod(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Bytes fields of what is decoded are views of the received bytes, those of what is encoded are sent as they are; unknown fields are dropped. */
export function frameCodec<Incoming extends DescMessage, Outgoing extends DescMessage>(
  incoming: Incoming,
  outgoing: Outgoing,
): FrameCodec<MessageShape<Incoming>, MessageShape<Outgoing>> {
  return {
    decode: (bytes) => fromBinary(incoming, bytes, readOptions),
    encode: createGatherEncoder(outgoing),
  };
}

const readOptions = { readUnknownFields: false };

/**
 * Serves a bidi method straight on HTTP/2, for `listen`: gRPC without message compression is taken, everything else is left to Connect,
 * so the method has to be registered there too.
 */
export function leanFrameHandler<Request extends DescMessage, Response extends DescMessage>(
  method: DescMethodBiDiStreaming<Request, Response>,
  accept: FrameStreamAcceptor<MessageShape<Request>, MessageShape<Response>>,
): LeanHandler {
  return createLeanHandler({ path: pathOfMethod(method), codec: frameCodec(method.input, method.output), accept });
}
