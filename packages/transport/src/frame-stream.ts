import type { GmqError } from "@gmq/protocol";
import type { Caller } from "./caller.js";

/** What a stream's owner does with what arrives. Called in order, never after `end`. */
export interface FrameHandlers<Incoming> {
  /** One decoded frame. Bytes inside are views that the owner may keep; nobody else writes to them. */
  frame(frame: Incoming): void;
  /** `send` returned false before and there is room again. */
  drain(): void;
  /**
   * The peer is done, once. Absent error: it ended in order; answers may still be sent, and the owner has to `close`. With an error: nothing gets through any more.
   */
  end(error: GmqError | undefined): void;
}

/**
 * A duplex of frames over one gRPC stream: all that session and link logic knows of its transport.
 * Frames keep their order. Unsent bytes are bounded by `limits.sendBufferBytesFatal`: past it the stream ends with `resource_exhausted`.
 */
export interface FrameStream<Incoming, Outgoing> {
  /** Starts delivery; called once, before any frame can be missed. */
  start(handlers: FrameHandlers<Incoming>): void;
  /**
   * Queues a frame. Returns false when the peer is slow (more than `limits.sendBufferBytesMax` unsent): hold back until `drain`.
   * After the end frames are dropped: `end` has told why.
   */
  send(frame: Outgoing): boolean;
  /** Stops and continues delivery of frames; while paused the peer is slowed down by flow control. */
  pause(): void;
  resume(): void;
  /** Ends the stream: in order without an error, else with its gRPC status. Idempotent; queued frames go out first. */
  close(error?: GmqError): void;
  readonly closed: boolean;
}

/** What a server knows of the peer before its first frame. */
export interface PeerContext {
  /** Address of the peer, "" when unknown. */
  readonly address: string;
  /** Who it is and what it may do. */
  readonly caller: Caller;
  /** Request header by lower-case name. */
  header(name: string): string | undefined;
}

/** Takes over a stream that a peer opened. */
export type FrameStreamAcceptor<Incoming, Outgoing> = (
  stream: FrameStream<Incoming, Outgoing>,
  peer: PeerContext,
) => void;
