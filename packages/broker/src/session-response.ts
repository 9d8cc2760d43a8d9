/** Frames from a broker to its client. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type SessionResponse, SessionResponseSchema } from "@gmq/protocol/messages";

/** A frame to the client, without its correlation id. */
export type ServerFrame = NonNullable<MessageInitShape<typeof SessionResponseSchema>["frame"]>;

/** A frame as the stream sends it. */
export function responseOf(correlationId: number, frame: ServerFrame) {
  return create(SessionResponseSchema, { correlationId, frame });
}

/** About how many bytes a frame takes: its payloads. */
export function sessionResponseBytes({ frame }: SessionResponse): number {
  if (frame.case !== "deliver") return 64;
  let bytes = 64;
  for (const { entry } of frame.value.entries) bytes += 64 + (entry?.body.length ?? 0) + (entry?.meta.length ?? 0);
  return bytes;
}
