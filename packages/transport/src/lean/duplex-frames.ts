/** FrameStream over a node:http2 stream: what client and server side share. */
import type { Http2Stream } from "node:http2";
import { GmqError, limits } from "@gmq/protocol";
import type { FrameHandlers, FrameStream } from "../frame-stream.js";
import { createMessageParser, messagePrefix, prefixBytes } from "./message-framing.js";

/** Turns frames into bytes and back. */
export interface FrameCodec<Incoming, Outgoing> {
  /** @throws anything: told to the peer as `malformed_frame` */
  decode(bytes: Uint8Array): Incoming;
  /** The frame's bytes in chunks, handed to the socket as they are: they must not change afterwards. */
  encode(frame: Outgoing): readonly Uint8Array[];
}

/** The side that differs: how a call is ended on the wire. */
export interface CallEnd {
  /** Ends this side in order or with an error; written bytes go out first. */
  finish(stream: Http2Stream, error: GmqError | undefined): void;
}

/** A FrameStream and the ways in which its transport tells it of the end. */
export interface DuplexFrames<Incoming, Outgoing> {
  readonly frames: FrameStream<Incoming, Outgoing>;
  /** The peer has nothing more to say: its owner may still send answers, then closes. */
  halfEnded(): void;
  /** The stream is gone, with an error when it broke. */
  ended(error: GmqError | undefined): void;
}

/** Payloads below this are joined into one write; above it they are written as they are. */
const joinBytesMax = 16 * 1024;

/** Frames sent in one turn go out together; incoming frames are cut from the stream's chunks without a copy where they are whole. */
export function createDuplexFrames<Incoming, Outgoing>(
  stream: Http2Stream,
  codec: FrameCodec<Incoming, Outgoing>,
  end: CallEnd,
): DuplexFrames<Incoming, Outgoing> {
  let handlers: FrameHandlers<Incoming> | undefined;
  let closed = false;
  let told = false;
  let waitsForDrain = false;
  let unsent: Uint8Array[] = [];
  let unsentBytes = 0;

  const parser = createMessageParser(limits.frameBytesMax, (bytes) => {
    if (closed) return;
    handlers?.frame(decode(bytes));
  });

  function decode(bytes: Uint8Array): Incoming {
    try {
      return codec.decode(bytes);
    } catch (cause) {
      throw new GmqError("malformed_frame", "a frame could not be parsed", { field: "frame", cause });
    }
  }

  function flush(): void {
    if (unsentBytes === 0 || stream.destroyed) return;
    const chunks = unsent;
    unsent = [];
    if (unsentBytes <= joinBytesMax) stream.write(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, unsentBytes));
    else {
      stream.cork();
      for (const chunk of chunks) stream.write(chunk);
      stream.uncork();
    }
    unsentBytes = 0;
  }

  /** Behind every promise of this turn: what they send goes into the same write. */
  function flushLater(): void {
    process.nextTick(flush);
  }

  function tell(error: GmqError | undefined): void {
    if (told) return;
    told = true;
    handlers?.end(error);
  }

  function close(error?: GmqError): void {
    if (closed) return;
    flush();
    closed = true;
    if (!stream.destroyed) end.finish(stream, error);
    tell(error);
  }

  stream.on("data", (chunk: Buffer) => {
    try {
      parser.push(chunk);
    } catch (error) {
      close(GmqError.from(error));
    }
  });
  stream.on("drain", () => {
    if (!waitsForDrain || stream.writableLength > limits.sendBufferBytesMax / 2) return;
    waitsForDrain = false;
    if (!closed) handlers?.drain();
  });
  stream.pause();

  return {
    frames: {
      start(given) {
        handlers = given;
        stream.resume();
      },
      send(frame) {
        if (closed || stream.destroyed) return true;
        const chunks = codec.encode(frame);
        let bytes = 0;
        for (const { length } of chunks) bytes += length;
        if (unsentBytes === 0) queueMicrotask(flushLater);
        unsent.push(messagePrefix(bytes), ...chunks);
        unsentBytes += bytes + prefixBytes;
        const waiting = unsentBytes + stream.writableLength;
        if (waiting > limits.sendBufferBytesFatal) {
          close(
            new GmqError("resource_exhausted", "the peer does not read", {
              field: "send buffer",
              limit: `${limits.sendBufferBytesFatal} bytes`,
            }),
          );
          return false;
        }
        if (waiting <= limits.sendBufferBytesMax) return true;
        waitsForDrain = true;
        return false;
      },
      pause: () => void stream.pause(),
      resume: () => void stream.resume(),
      close,
      get closed() {
        return closed;
      },
    },
    halfEnded() {
      if (parser.atBoundary) tell(undefined);
      else close(new GmqError("malformed_frame", "the stream ended inside a frame", { field: "frame" }));
    },
    ended(error) {
      closed = true;
      tell(error);
    },
  };
}
