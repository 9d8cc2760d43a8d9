import type { Writable } from "node:stream";
import { GmqError } from "@gmq/protocol";

/**
 * Writes text or bytes and resolves when the stream has handed it on, so that a slow reader slows the command.
 * @throws GmqError `closed` when the reader has gone
 */
export function writeFlushed(stream: Writable, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(new GmqError("closed", "the reader of the output has gone", { cause: error }));
    });
  });
}

/** JSON with 64-bit numbers as strings, as protobuf's JSON has them. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) => (typeof field === "bigint" ? field.toString() : field));
}
