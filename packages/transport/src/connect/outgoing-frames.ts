import { createFifo, limits } from "@gmq/protocol";

/** How a push went: there is room for more, hold back until `drained`, or the peer is beyond what may wait. */
export type PushOutcome = "room" | "full" | "over";

/** The bounded queue between `send` and Connect, which pulls one frame at a time and waits for each to be written. */
export interface OutgoingFrames<Outgoing> {
  /** What Connect pulls; one consumer. */
  readonly frames: AsyncIterable<Outgoing>;
  /** Queues a frame. `over`: nothing was queued. */
  push(frame: Outgoing): PushOutcome;
  /** Ends the iteration after what is queued, by throwing `error` when one is given. The first call counts. */
  finish(error?: Error): void;
  /** Drops what is queued and ends the iteration now. */
  discard(): void;
}

/**
 * Makes a queue that says `full` over `limits.sendBufferBytesMax` and `over` past `limits.sendBufferBytesFatal`.
 * @param frameBytes about how much a frame holds; cheap, it runs once a frame
 * @param drained half of the bound is free again after `full`
 */
export function createOutgoingFrames<Outgoing>(
  frameBytes: (frame: Outgoing) => number,
  drained: () => void,
): OutgoingFrames<Outgoing> {
  type Result = IteratorResult<Outgoing, undefined>;
  let queue = createFifo<{ readonly frame: Outgoing; readonly bytes: number }>();
  let queuedBytes = 0;
  let wasFull = false;
  let finished: { error: Error | undefined } | undefined;
  /** Present: Connect waits for the next frame. */
  let answer: ((result: Result | Promise<Result>) => void) | undefined;

  function take(): Outgoing | undefined {
    const item = queue.shift();
    if (item === undefined) return undefined;
    queuedBytes -= item.bytes;
    if (wasFull && queuedBytes <= limits.sendBufferBytesMax / 2) {
      wasFull = false;
      drained();
    }
    return item.frame;
  }

  function give(result: Result | Promise<Result>): void {
    answer?.(result);
    answer = undefined;
  }

  function end(): Promise<Result> {
    const error = finished?.error;
    finished = { error: undefined };
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
  }

  function discard(): void {
    queue = createFifo();
    queuedBytes = 0;
    wasFull = false;
    finished = { error: undefined };
    give({ done: true, value: undefined });
  }

  const iterator: AsyncIterator<Outgoing, undefined> = {
    next() {
      const frame = take();
      if (frame !== undefined) return Promise.resolve({ done: false, value: frame });
      if (finished !== undefined) return end();
      return new Promise<Result>((resolve) => {
        answer = resolve;
      });
    },
    return() {
      discard();
      return Promise.resolve({ done: true, value: undefined });
    },
    throw() {
      discard();
      return Promise.resolve({ done: true, value: undefined });
    },
  };

  return {
    frames: { [Symbol.asyncIterator]: () => iterator },
    push(frame) {
      if (finished !== undefined) return "room";
      if (answer !== undefined) {
        give({ done: false, value: frame });
        return "room";
      }
      const bytes = frameBytes(frame);
      if (queuedBytes + bytes > limits.sendBufferBytesFatal) return "over";
      queue.push({ frame, bytes });
      queuedBytes += bytes;
      if (queuedBytes <= limits.sendBufferBytesMax) return "room";
      wasFull = true;
      return "full";
    },
    finish(error) {
      if (finished !== undefined) return;
      finished = { error };
      if (answer !== undefined) give(end());
    },
    discard,
  };
}
