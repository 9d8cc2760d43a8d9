import { describe, expect, it } from "vitest";
import { createMessageParser, messagePrefix } from "./message-framing.js";

function framed(...payloads: Uint8Array[]): Uint8Array {
  return Buffer.concat(payloads.flatMap((payload) => [messagePrefix(payload.length), payload]));
}

describe("message framing", () => {
  const payloads = [0, 1, 5, 300, 70_000].map((length) => new Uint8Array(length).fill(length & 0xff));

  it.each([1, 2, 3, 7, 1_000, 16_384, 1_000_000])("cuts the same messages from chunks of %d bytes", (chunkBytes) => {
    const bytes = framed(...payloads);
    const seen: Uint8Array[] = [];
    const parser = createMessageParser(1 << 20, (message) => seen.push(message));
    for (let at = 0; at < bytes.length; at += chunkBytes) parser.push(bytes.subarray(at, at + chunkBytes));
    expect(seen.map((message) => Buffer.from(message))).toEqual(payloads.map((payload) => Buffer.from(payload)));
    expect(parser.atBoundary).toBe(true);
  });

  it("gives views of the chunk, not copies, when a message is whole", () => {
    const bytes = framed(payloads[3] as Uint8Array);
    const parser = createMessageParser(1 << 20, (message) => expect(message.buffer).toBe(bytes.buffer));
    parser.push(bytes);
    expect.assertions(1);
  });

  it("refuses a length over the limit before its bytes come, and a compressed message", () => {
    const parser = createMessageParser(1_000, () => undefined);
    expect(() => parser.push(messagePrefix(1_001))).toThrowError(
      expect.objectContaining({ code: "frame_too_large", limit: "1000 bytes" }),
    );
    const other = createMessageParser(1_000, () => undefined);
    expect(() => other.push(new Uint8Array([1, 0, 0, 0, 0]))).toThrowError(
      expect.objectContaining({ code: "malformed_frame" }),
    );
    expect(() =>
      createMessageParser(1_000, () => undefined).push(new Uint8Array([0, 255, 255, 255, 255])),
    ).toThrowError(expect.objectContaining({ code: "frame_too_large" }));
  });

  it("knows that a stream ended in the middle of a message", () => {
    const parser = createMessageParser(1_000, () => undefined);
    parser.push(messagePrefix(10));
    expect(parser.atBoundary).toBe(false);
  });
});
