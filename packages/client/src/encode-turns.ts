/**
 * Lets a large batch leave before the next is encoded: when enough was encoded in a turn of the event loop, others wait until that is on the socket. So a broker works on one
 * batch while the next is encoded, and many batches sent at once do not hold up what else the process does.
 */
export interface EncodeTurns {
  /** Counts encoded bytes. What they belong to must be scheduled to be sent. */
  count(bytes: number): void;
  /** Runs the work, which encodes and counts: now while there is room, else when its turn comes, in the order of calls. */
  run(work: () => void): void;
}

/** Makes the turns of a client's producers: work begins while less than `turnBytes` were counted. */
export function createEncodeTurns(turnBytes: number): EncodeTurns {
  const waiting: (() => void)[] = [];
  let bytes = 0;
  let ending = false;

  /** One phase makes the frames of what was encoded, HTTP/2 writes them in the next. */
  function endTurn(): void {
    if (ending) return;
    ending = true;
    setImmediate(() => setImmediate(nextTurn));
  }

  function nextTurn(): void {
    ending = false;
    bytes = 0;
    while (bytes < turnBytes && waiting.length > 0) waiting.shift()?.();
  }

  return {
    count(more) {
      bytes += more;
      if (bytes >= turnBytes) endTurn();
    },
    run(work) {
      if (bytes < turnBytes) work();
      else waiting.push(work);
    },
  };
}
