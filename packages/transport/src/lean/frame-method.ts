/** A generated bidi method as lean streams need it: its path, and its messages to bytes and back. */
import {
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { FrameStreamAcceptor } from "../frame-stream.js";
import type { FrameCodec } from "./duplex-frames.js";
import { createGatherEncoder } from "./gather-encoder.js";
import { createLeanHandler, type LeanHandler } from "./lean-server.js";
import { viewDecoderOf } from "./view-decoder.js";

/** `/gmq.v1.BrokerService/Session` */
export function pathOfMethod(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Gives the decoder of a message type. Bytes fields of what it decodes are views of the received bytes, unknown fields are dropped. */
export type DecoderOf = <Message extends DescMessage>(desc: Message) => (bytes: Uint8Array) => MessageShape<Message>;

/** The decoder that costs no code beside protobuf-es, and takes every kind of field. `viewDecoderOf` takes a third of its time. */
export const protobufDecoderOf: DecoderOf = (desc) => (bytes) => fromBinary(desc, bytes, readOptions);

const readOptions = { readUnknownFields: false };

/** Bytes fields of what is encoded are sent as they are. */
export function frameCodec<Incoming extends DescMessage, Outgoing extends DescMessage>(
  incoming: Incoming,
  outgoing: Outgoing,
  decoderOf: DecoderOf,
): FrameCodec<MessageShape<Incoming>, MessageInitShape<Outgoing>> {
  return { decode: decoderOf(incoming), encode: createGatherEncoder(outgoing) };
}

/**
 * Serves a bidi method straight on HTTP/2, for `listen`: gRPC without message compression is taken, everything else is left to Connect,
 * so the method has to be registered there too.
 */
export function leanFrameHandler<Request extends DescMessage, Response extends DescMessage>(
  method: DescMethodBiDiStreaming<Request, Response>,
  accept: FrameStreamAcceptor<MessageShape<Request>, MessageInitShape<Response>>,
): LeanHandler {
  const codec = frameCodec(method.input, method.output, viewDecoderOf);
  return createLeanHandler({ path: pathOfMethod(method), codec, accept });
}
