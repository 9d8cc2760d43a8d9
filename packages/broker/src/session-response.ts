/** Frames from a broker to its client. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SessionResponseSchema } from "@gmq/protocol/messages";

/** A frame to the client. */
export type OutgoingResponse = MessageInitShape<typeof SessionResponseSchema>;

/** The same without its correlation id. */
export type ServerFrame = NonNullable<OutgoingResponse["frame"]>;

/** About how many bytes a frame takes: its payloads. */
export function sessionResponseBytes({ frame }: OutgoingResponse): number {
  if (frame?.case !== "deliver") return 64;
  let bytes = 64;
  for (const { entry } of frame.value.entries ?? [])
    bytes += 64 + (entry?.body?.length ?? 0) + (entry?.meta?.length ?? 0);
  return bytes;
}
