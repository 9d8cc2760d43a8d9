/** FrameStream over a node:http2 stream: what client and server side share. */
import type { Http2Stream } from "node:http2";
import { GmqError, limits } from "@gmq/protocol";
import type { FrameHandlers, FrameStream } from "../frame-stream.js";
import { createMessageParser, type MessageParser, messagePrefix, prefixBytes } from "./message-framing.js";

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
  /** Breaks the call off at once, whatever the peer does. */
  cut(stream: Http2Stream): void;
}

/** A FrameStream and the ways in which its transport tells it of the end. */
export interface DuplexFrames<Incoming, Outgoing> extends FrameStream<Incoming, Outgoing> {
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
  return new StreamFrames(stream, codec, end);
}

/** A class, as the parser is one. */
class StreamFrames<Incoming, Outgoing> implements DuplexFrames<Incoming, Outgoing> {
  readonly #stream: Http2Stream;
  readonly #codec: FrameCodec<Incoming, Outgoing>;
  readonly #end: CallEnd;
  readonly #parser: MessageParser;
  #handlers: FrameHandlers<Incoming> | undefined;
  #closed = false;
  #told = false;
  #waitsForDrain = false;
  #unsent: Uint8Array[] | undefined;
  #unsentBytes = 0;

  constructor(stream: Http2Stream, codec: FrameCodec<Incoming, Outgoing>, end: CallEnd) {
    this.#stream = stream;
    this.#codec = codec;
    this.#end = end;
    this.#parser = createMessageParser(limits.frameBytesMax, (bytes) => {
      if (!this.#closed) this.#handlers?.frame(this.#decode(bytes));
    });
    stream.on("data", (chunk: Buffer) => {
      try {
        this.#parser.push(chunk);
      } catch (error) {
        this.close(GmqError.from(error));
      }
    });
    stream.on("drain", () => this.#drained());
    stream.pause();
  }

  get closed(): boolean {
    return this.#closed;
  }

  start(handlers: FrameHandlers<Incoming>): void {
    this.#handlers = handlers;
    this.#stream.resume();
  }

  send(frame: Outgoing): boolean {
    if (this.#closed || this.#stream.destroyed) return true;
    const chunks = this.#codec.encode(frame);
    let bytes = 0;
    for (const { length } of chunks) bytes += length;
    if (this.#unsent === undefined) {
      this.#unsent = [messagePrefix(bytes), ...chunks];
      // Behind every promise of this turn: what they send goes into the same write.
      queueMicrotask(() => process.nextTick(() => this.#flush()));
    } else this.#unsent.push(messagePrefix(bytes), ...chunks);
    this.#unsentBytes += bytes + prefixBytes;
    const waiting = this.#unsentBytes + this.#stream.writableLength;
    if (waiting > limits.sendBufferBytesFatal) {
      this.#overflow();
      return false;
    }
    if (waiting <= limits.sendBufferBytesMax) return true;
    this.#waitsForDrain = true;
    return false;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(error?: GmqError): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    if (!this.#stream.destroyed) this.#end.finish(this.#stream, error);
    this.#tell(error);
  }

  halfEnded(): void {
    if (this.#parser.atBoundary) this.#tell(undefined);
    else this.close(new GmqError("malformed_frame", "the stream ended inside a frame", { field: "frame" }));
  }

  ended(error: GmqError | undefined): void {
    this.#closed = true;
    this.#tell(error);
  }

  /** Nothing of what is queued is waited for. */
  #overflow(): void {
    this.#closed = true;
    this.#unsent = undefined;
    this.#unsentBytes = 0;
    const limit = `${limits.sendBufferBytesFatal} bytes`;
    // Before the cut, whose own end of the call would tell less.
    this.#tell(new GmqError("resource_exhausted", "the peer does not read", { field: "send buffer", limit }));
    this.#end.cut(this.#stream);
  }

  #decode(bytes: Uint8Array): Incoming {
    try {
      return this.#codec.decode(bytes);
    } catch (cause) {
      if (cause instanceof GmqError) throw cause;
      throw new GmqError("malformed_frame", "a frame could not be parsed", { field: "frame", cause });
    }
  }

  #flush(): void {
    const chunks = this.#unsent;
    const stream = this.#stream;
    if (chunks === undefined || stream.destroyed) return;
    this.#unsent = undefined;
    if (this.#unsentBytes <= joinBytesMax)
      stream.write(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, this.#unsentBytes));
    else {
      stream.cork();
      for (const chunk of chunks) stream.write(chunk);
      stream.uncork();
    }
    this.#unsentBytes = 0;
  }

  #drained(): void {
    if (!this.#waitsForDrain || this.#stream.writableLength > limits.sendBufferBytesMax / 2) return;
    this.#waitsForDrain = false;
    if (!this.#closed) this.#handlers?.drain();
  }

  #tell(error: GmqError | undefined): void {
    if (this.#told) return;
    this.#told = true;
    this.#handlers?.end(error);
  }
}
