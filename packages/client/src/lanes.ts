/**
 * Runs work with bounded concurrency, one item per lane at a time, in the order in which items came. A lane is a key (or a partition): so records of one key
 * are handled in order while other keys go on. Pure scheduling: knows nothing of messages.
 */

import { createFifo } from "@gmq/protocol/portable";

/** Waits without a place among those that run; its lane waits with it. Afterwards it is among the first to get a place again. */
export type Park = (wait: Promise<void>) => Promise<void>;

/** Runs items. */
export interface Lanes<Item> {
  /** Adds an item at the end of its lane; a lane name of undefined means a lane of its own. */
  add(item: Item, lane: string | undefined): void;
  /** Takes out items that have not begun. */
  remove(test: (item: Item) => boolean): Item[];
  /** Items that run or are parked. */
  readonly running: number;
  readonly waiting: number;
  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void>;
}

/** A class: V8 makes the objects of a literal old from the start once many have lived long, and they keep their items alive after they are done. */
class Waiting<Item> {
  readonly item: Item;
  readonly lane: string | undefined;

  constructor(item: Item, lane: string | undefined) {
    this.item = item;
    this.lane = lane;
  }
}

/**
 * Makes lanes. `run` must neither throw nor reject, nor what it parks for; undefined: the item is done already, at no cost of a promise.
 * Up to `concurrency` items run at once; what waits is the caller's to bound.
 */
export function createLanes<Item>(
  concurrency: number,
  run: (item: Item, park: Park) => Promise<void> | undefined,
): Lanes<Item> {
  /** Lanes that are busy, and the items that wait for each, in order. */
  const blocked = new Map<string, Item[] | undefined>();
  /** Items that may begin, in order. */
  let ready = createFifo<Waiting<Item>>();
  let running = 0;
  let parked = 0;
  /** Parked items that want a place again. */
  const resuming: (() => void)[] = [];
  let blockedCount = 0;
  const idleWaiters: (() => void)[] = [];

  function pump(): void {
    while (running < concurrency && resuming.length > 0) {
      running++;
      parked--;
      resuming.shift()?.();
    }
    while (running < concurrency && ready.length > 0) {
      const { item, lane } = ready.shift() as Waiting<Item>;
      start(item, lane);
    }
    if (isIdle()) for (const resolve of idleWaiters.splice(0)) resolve();
  }

  function start(item: Item, lane: string | undefined): void {
    running++;
    const work = run(item, park);
    if (work === undefined) release(lane);
    else void work.then(() => finished(lane));
  }

  async function park(wait: Promise<void>): Promise<void> {
    running--;
    parked++;
    pump();
    await wait;
    await new Promise<void>((resolve) => {
      resuming.push(resolve);
      pump();
    });
  }

  function isIdle(): boolean {
    return running === 0 && parked === 0 && waitingCount() === 0;
  }

  function finished(lane: string | undefined): void {
    release(lane);
    pump();
  }

  /** Gives the place and the lane of an item to what waits for them. */
  function release(lane: string | undefined): void {
    running--;
    if (lane !== undefined) {
      const next = blocked.get(lane)?.shift();
      if (next === undefined) blocked.delete(lane);
      else {
        blockedCount--;
        ready.push(new Waiting(next, lane));
      }
    }
  }

  function waitingCount(): number {
    return ready.length + blockedCount;
  }

  return {
    add(item, lane) {
      if (lane !== undefined && blocked.has(lane)) {
        const queue = blocked.get(lane);
        if (queue === undefined) blocked.set(lane, [item]);
        else queue.push(item);
        blockedCount++;
        return;
      }
      // The lane is busy from now on, until it has nothing left.
      if (lane !== undefined) blocked.set(lane, undefined);
      if (ready.length === 0 && resuming.length === 0 && running < concurrency) start(item, lane);
      else ready.push(new Waiting(item, lane));
      pump();
    },
    remove(test) {
      const removed: Item[] = [];
      for (const [lane, queue] of blocked) {
        if (queue === undefined) continue;
        const kept = queue.filter((item) => !test(item));
        removed.push(...queue.filter(test));
        blockedCount -= queue.length - kept.length;
        blocked.set(lane, kept);
      }
      const candidates = ready;
      ready = createFifo();
      for (let waiting = candidates.shift(); waiting !== undefined; waiting = candidates.shift()) {
        if (!test(waiting.item)) {
          ready.push(waiting);
          continue;
        }
        removed.push(waiting.item);
        const { lane } = waiting;
        if (lane === undefined) continue;
        const next = blocked.get(lane)?.shift();
        if (next === undefined) blocked.delete(lane);
        else {
          blockedCount--;
          ready.push(new Waiting(next, lane));
        }
      }
      pump();
      return removed;
    },
    get running() {
      return running + parked;
    },
    get waiting() {
      return waitingCount();
    },
    idle() {
      if (isIdle()) return Promise.resolve();
      return new Promise((resolve) => idleWaiters.push(resolve));
    },
  };
}
