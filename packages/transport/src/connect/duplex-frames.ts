/** FrameStream over a pair of async iterables, as Connect has them: what client and server side share. */
import { GmqError, limits } from "@gmq/protocol";
import type { FrameHandlers, FrameStream } from "../frame-stream.js";
import { createOutgoingFrames } from "./outgoing-frames.js";

/** The side that differs: how a call is ended. */
export interface CallEnd {
  /** The owner closed: the returned error ends the outgoing frames, after those that are queued. */
  closing(error: GmqError | undefined): Error | undefined;
  /** Breaks the call off at once, whatever the peer does. */
  cut(): void;
}

/** A FrameStream and the ways in which its call drives it. */
export interface DuplexFrames<Incoming, Outgoing> {
  readonly stream: FrameStream<Incoming, Outgoing>;
  /** What the call sends. */
  readonly outgoing: AsyncIterable<Outgoing>;
  /**
   * Delivers what the call receives, once the owner has started and while it does not pause; ends when the peer is done. After a close the rest is read and dropped.
   * @throws what the iteration throws
   */
  receive(incoming: AsyncIterable<Incoming>): Promise<void>;
  /** The peer has nothing more to say; answers may still go out. */
  halfEnded(): void;
  /** The call is over: nothing is sent or received any more. */
  ended(error: GmqError | undefined): void;
}

/** Makes the duplex; bounds as `createOutgoingFrames`. */
export function createDuplexFrames<Incoming, Outgoing>(
  frameBytes: (frame: Outgoing) => number,
  end: CallEnd,
): DuplexFrames<Incoming, Outgoing> {
  let handlers: FrameHandlers<Incoming> | undefined;
  let closed = false;
  let told = false;
  let toldLate: { readonly error: GmqError | undefined } | undefined;
  /** Present: delivery is held, before the start or by a pause. */
  let held: Hold | undefined = hold();
  let closing: NodeJS.Timeout | undefined;
  const outgoing = createOutgoingFrames(frameBytes, () => {
    if (!closed) handlers?.drain();
  });

  function release(): void {
    held?.end();
    held = undefined;
  }

  function tell(error: GmqError | undefined): void {
    if (told) return;
    told = true;
    if (handlers === undefined) toldLate = { error };
    else handlers.end(error);
  }

  function close(error?: GmqError): void {
    if (closed) return;
    closed = true;
    outgoing.finish(end.closing(error));
    closing = setTimeout(cutOff, limits.closeTimeoutMs);
    release();
    tell(error);
  }

  /** A peer that reads nothing must not hold what is queued for ever. */
  function cutOff(): void {
    outgoing.discard();
    end.cut();
  }

  function overflow(): void {
    const error = new GmqError("resource_exhausted", "the peer does not read", {
      field: "send buffer",
      limit: `${limits.sendBufferBytesFatal} bytes`,
    });
    closed = true;
    outgoing.discard();
    release();
    // Before the cut, whose own end of the call would tell less.
    tell(error);
    end.cut();
  }

  return {
    stream: {
      start(given) {
        handlers = given;
        if (toldLate === undefined) release();
        else given.end(toldLate.error);
      },
      send(frame) {
        if (closed) return true;
        const outcome = outgoing.push(frame);
        if (outcome === "over") overflow();
        return outcome === "room";
      },
      pause() {
        if (!closed) held ??= hold();
      },
      resume: release,
      close,
      get closed() {
        return closed;
      },
    },
    outgoing: outgoing.frames,
    async receive(incoming) {
      const iterator = incoming[Symbol.asyncIterator]();
      for (;;) {
        if (held !== undefined) await held.ended;
        const result = await iterator.next();
        if (result.done === true) return;
        // Paused while it was on its way: it waits here, and everything behind it in the peer.
        if (held !== undefined) await held.ended;
        if (!closed) handlers?.frame(result.value);
      }
    },
    halfEnded: () => tell(undefined),
    ended(error) {
      clearTimeout(closing);
      closed = true;
      outgoing.discard();
      release();
      tell(error);
    },
  };
}

interface Hold {
  readonly ended: Promise<void>;
  end(): void;
}

function hold(): Hold {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { ended, end };
}
